"""The mail that has many questions in it: one line and one link each, and a link to all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handrail.inbox.channels import mail_page
from handrail.text import moment_in_words

if TYPE_CHECKING:
    from handrail.inbox.channels.content import MessageLinks
    from handrail.inbox.channels.digests import DigestNews, DigestRow


def digest_title(news: DigestNews) -> str:
    """The subject."""
    asked = [row for row in news.rows if not row.over]
    if not asked:
        return f"{news.total} questions are over"
    if len(news.rows) < news.total:
        return f"{news.total} questions of agents"
    return f"{news.total} questions of agents: {len(asked)} wait for you"


def digest_lines(news: DigestNews) -> list[str]:
    """The digest in words, one line a question."""
    lines = [f"{row.says}: {_about(row)}" for row in news.rows]
    return [*lines, *_more(news)]


def digest_text(news: DigestNews, links: MessageLinks) -> str:
    """The part of the mail that is text."""
    lines = [f"All that waits: {links.waiting()}", ""]
    for row in news.rows:
        lines += [row.says, f"  {_about(row)}", f"  {_link(row, links)}", ""]
    return "\n".join([*lines, *_more(news)]).rstrip("\n") + "\n"


def digest_html(news: DigestNews, links: MessageLinks) -> str:
    """The part of the mail that is HTML."""
    title, body = digest_title(news), [mail_page.button("Open all that waits", links.waiting())]
    for name, rows in _parts(news):
        shown = ((row.says, _link(row, links), _about(row)) for row in rows)
        body.append(mail_page.links(name, shown))
    body.append(mail_page.asides(_more(news)))
    first = next((row for row in news.rows if not row.over), None)
    before = f"The first: {_about(first)}" if first else "Nothing of it waits for you any more."
    foot = (
        "You get one mail of many questions because the people file says digest or quiet hours "
        "for you. The links are yours alone; they show, and decide nothing."
    )
    return mail_page.whole_page(title, before, body, kind="Questions of agents", foot=foot)


def _parts(news: DigestNews) -> list[tuple[str, list[DigestRow]]]:
    asked = [row for row in news.rows if not row.over]
    over = [row for row in news.rows if row.over]
    named = [("Waiting for you, the first to expire first", asked), ("Over", over)]
    return [(name, rows) for name, rows in named if rows]


def _about(row: DigestRow) -> str:
    if row.over:
        return row.over
    return f"answer by {moment_in_words(row.by, 'minutes')}" if row.by else "waits"


def _more(news: DigestNews) -> list[str]:
    left = news.total - len(news.rows)
    return [f"{left} more are in the inbox."] if left else []


def _link(row: DigestRow, links: MessageLinks) -> str:
    return links.mail(row.person, row.case, row.gate)
