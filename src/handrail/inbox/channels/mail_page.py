"""The HTML of mail: one column, one button, for light and dark screens and narrow ones.

Every text is escaped here. There is no image and nothing that is loaded, and no form: the
button is a link to a page that shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from handrail.text import escape_html

if TYPE_CHECKING:
    from collections.abc import Iterable

Rows = tuple[tuple[str, str], ...]

_FONT = "-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,'Noto Sans',Helvetica,Arial,sans-serif"
# Colours stand twice: at each element, which is all that some mail programs read, and by class for
# those that know a dark screen.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; supported-color-schemes: light dark; }}
@media (max-width: 520px) {{
  .card {{ padding: 20px 16px !important; }}
  .name, .said {{ display: block !important; width: auto !important; }}
  .name {{ padding-bottom: 0 !important; border-top: 0 !important; }}
  .said {{ padding-top: 0 !important; border-top: 0 !important; }}
  .go {{ display: block !important; text-align: center !important; }}
}}
@media (prefers-color-scheme: dark) {{
  .ground {{ background: #14171b !important; }}
  .card {{ background: #1d2127 !important; border-color: #343a43 !important; }}
  .ink, h1, h2 {{ color: #e8eaed !important; }}
  .soft {{ color: #a3abb6 !important; }}
  .line {{ border-color: #343a43 !important; }}
  .link {{ color: #8ab8ff !important; }}
  .go {{ background: #6fcf9f !important; color: #08130d !important; }}
}}
</style>
</head>
<body class="ground" style="margin:0;padding:0;background:#f6f6f3">
<div style="display:none;max-height:0;overflow:hidden;opacity:0">{before}{pad}</div>
<table role="presentation" class="ground" width="100%" cellpadding="0" cellspacing="0" \
style="background:#f6f6f3"><tr><td align="center" style="padding:24px 12px">
<table role="presentation" class="card" width="600" cellpadding="0" cellspacing="0" \
style="width:100%;max-width:600px;background:#ffffff;border:1px solid #dcdcd5;\
border-radius:12px;padding:28px 32px;font-family:{font};text-align:left"><tr><td>
<p class="soft" style="margin:0 0 12px;font-size:13px;color:#5a616b">{kind}</p>
<h1 style="margin:0 0 12px;font-size:21px;line-height:1.3;color:#1c1f24;\
overflow-wrap:anywhere">{title}</h1>
{body}
</td></tr></table>
<p class="soft" style="margin:16px 0 0;font:12px/1.5 {font};color:#5a616b;max-width:600px">\
{foot}</p>
</td></tr></table>
</body></html>
"""
# Else a mail program goes on with the mail's own first words.
_PAD = "&#847;&zwnj;&nbsp;" * 60
_WORDS = (
    'class="ink" style="margin:0 0 10px;font-size:15px;line-height:1.5;color:#1c1f24;'
    'overflow-wrap:anywhere"'
)
_SOFT = (
    'class="soft" style="margin:0 0 6px;font-size:13px;line-height:1.5;color:#5a616b;'
    'overflow-wrap:anywhere"'
)
_LINE = "border-top:1px solid #dcdcd5;font-size:14px;line-height:1.45;vertical-align:top"
_NAME = (
    f'class="name soft line" style="{_LINE};width:34%;padding:8px 12px 8px 0;color:#5a616b;'
    'text-align:left;font-weight:400;overflow-wrap:anywhere"'
)
_SAID = (
    f'class="said ink line" style="{_LINE};padding:8px 0;color:#1c1f24;text-align:left;'
    'white-space:pre-wrap;overflow-wrap:anywhere;word-break:break-word"'
)
_HEAD = (
    'class="soft" style="width:33%;padding:0 8px 4px 0;font-size:13px;color:#5a616b;'
    'text-align:left;font-weight:400"'
)
_PART = (
    f'class="ink line" style="{_LINE};width:33%;padding:8px 8px 8px 0;color:#1c1f24;'
    "text-align:left;font-weight:400;white-space:pre-wrap;overflow-wrap:anywhere;"
    'word-break:break-word"'
)
# Lines of their own keep what divides them on a narrow screen, too.
_LINKED = f'class="ink line" style="{_LINE};padding:8px 0;color:#1c1f24;overflow-wrap:anywhere"'
_BUTTON = (
    '<p style="margin:20px 0"><a class="go" href="{url}" style="display:inline-block;'
    "background:#1f6f50;color:#ffffff;font-size:16px;font-weight:600;text-decoration:none;"
    'padding:13px 28px;border-radius:8px">{name}</a></p>'
)


def whole_page(  # what a page is made of
    title: str, before: str, body: Iterable[str], *, kind: str, foot: str
) -> str:
    """A mail. `before`: what a list of mail shows beside its subject."""
    return _PAGE.format(
        title=escape_html(title),
        before=escape_html(before),
        pad=_PAD,
        kind=escape_html(kind),
        foot=escape_html(foot),
        body="\n".join(body),
        font=_FONT,
    )


def words(texts: Iterable[str]) -> str:
    """Paragraphs of what is to be known first."""
    return "\n".join(f"<p {_WORDS}>{escape_html(each)}</p>" for each in texts)


def asides(texts: Iterable[str]) -> str:
    """Paragraphs of what is good to know."""
    return "\n".join(f"<p {_SOFT}>{escape_html(each)}</p>" for each in texts)


def button(name: str, url: str) -> str:
    """The one button: a link to a page that shows."""
    return _BUTTON.format(url=escape_html(url), name=escape_html(name))


def table(title: str, rows: Rows) -> str:
    """Names and values under a title."""
    cells = "".join(
        f'<tr><th scope="row" {_NAME}>{escape_html(name)}</th>'
        f"<td {_SAID}>{escape_html(given)}</td></tr>"
        for name, given in rows
    )
    return f"{_title(title)}{_table(cells)}"


def beside(title: str, was: str, rows: Iterable[tuple[str, str, str]]) -> str:
    """Names, each with a value before and after, side by side on every screen."""
    heads = "".join(f"<th {_HEAD}>{escape_html(each)}</th>" for each in ("", was, "then"))
    cells = "".join(
        f'<tr><th scope="row" {_PART}>{escape_html(name)}</th>'
        f"<td {_PART}>{escape_html(before)}</td><td {_PART}><b>{escape_html(after)}</b></td></tr>"
        for name, before, after in rows
    )
    return f"{_title(title)}{_table(f'<tr>{heads}</tr>{cells}')}"


def links(title: str, rows: Iterable[tuple[str, str, str]]) -> str:
    """Lines that lead somewhere, each with a word about it: what it says, where to, the word."""
    cells = "".join(
        f'<tr><td {_LINKED}><a class="link" href="{escape_html(url)}" style="color:#1f5fbf">'
        f'{escape_html(says)}</a><br><span class="soft" style="font-size:13px;color:#5a616b">'
        f"{escape_html(about)}</span></td></tr>"
        for says, url, about in rows
    )
    return f"{_title(title)}{_table(cells)}"


def _title(title: str) -> str:
    style = "margin:22px 0 6px;font-size:15px;color:#1c1f24"
    return f'<h2 style="{style}">{escape_html(title)}</h2>'


def _table(cells: str) -> str:
    return (
        '<table width="100%" cellpadding="0" cellspacing="0" '
        'style="border-collapse:collapse;margin-bottom:14px">'
        f"{cells}</table>"
    )
