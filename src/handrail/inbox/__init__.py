"""Inbox: the pages, mails and chat messages by which people see what waits, and rule on it.

It is rendered by the server and works without scripts; htmx only brings news to a page that
is open. It signs people in, and signs their rulings with its own key: workers trust that key,
and have none.
"""

from handrail.inbox.web.tokens import (
    BadToken,
    Links,
    Seals,
    mail_link,
    page_link,
    read_mail,
    seals_of,
)

__all__ = ["BadToken", "Links", "Seals", "mail_link", "page_link", "read_mail", "seals_of"]
