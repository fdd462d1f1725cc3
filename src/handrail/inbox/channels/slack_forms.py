"""An action's form as a dialogue of Slack, and what was filled in there.

The fields are those of the inbox's form, and are read back by the same function. What Slack
cannot hold is changed in the inbox: half a form would leave out what nobody saw.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from handrail.text import escape_hidden

if TYPE_CHECKING:
    from handrail.inbox.web.forms import FormField

INPUT = "given"
"""The id of each input within its block, whose own id is the field's name."""

_MOST_INPUTS, _MOST_OPTIONS = 99, 100
_ID, _TEXT, _LABEL, _VALUE, _CHOICE = 255, 3_000, 2_000, 150, 75
"""Characters that Slack takes."""

_EMPTY = "null"
_YES_NO = (("true", "yes"), ("false", "no"))


def inputs(fields: tuple[FormField, ...]) -> list[dict[str, Any]] | None:
    """The blocks of a dialogue with these fields; None if Slack cannot hold them."""
    found = [_input(each, label) for each, label in _flat(fields)]
    return None if len(found) > _MOST_INPUTS or None in found else [each for each in found if each]


def given(fields: tuple[FormField, ...], said: Mapping[str, str | None]) -> dict[str, str]:
    """What was filled in, by the fields' names, as a browser sends it of the inbox's form."""
    found: dict[str, str] = {}
    for field, _ in _flat(fields):
        text = said.get(field.name) or ""
        if field.kind == "bool":
            found |= {field.name: text} if text == "true" else {}
        # Blanks at the ends are lost on the way, and nobody has touched them.
        elif field.kind != "choice" and text.strip() == field.value.strip():
            found[field.name] = field.value
        else:
            found[field.name] = text
    return found


def _flat(
    fields: tuple[FormField, ...], above: tuple[str, ...] = ()
) -> Iterator[tuple[FormField, str]]:
    for each in fields:
        label = (*above, each.label)
        if each.kind == "group":
            yield from _flat(each.fields, label)
        else:
            yield each, escape_hidden(": ".join(label)) + (" (JSON)" if each.kind == "json" else "")


def _input(field: FormField, label: str) -> dict[str, Any] | None:
    element = _select(field) if field.kind in {"bool", "choice"} else _text(field)
    if element is None or len(field.name) > _ID or len(label) > _LABEL:
        return None
    return {
        "type": "input",
        "block_id": field.name,
        "optional": field.kind not in {"bool", "choice"},
        "label": _plain(label),
        "element": element | {"action_id": INPUT},
    }


def _text(field: FormField) -> dict[str, Any] | None:
    if len(field.value) > _TEXT:
        return None
    element = {"type": "plain_text_input", "multiline": field.kind in {"long", "json"}}
    return element | ({"initial_value": field.value} if field.value else {})


def _select(field: FormField) -> dict[str, Any] | None:
    choices = field.choices if field.kind == "choice" else _YES_NO
    chosen = field.value if field.kind == "choice" else str(field.checked).lower()
    if field.nullable:
        choices, chosen = ((_EMPTY, "not said"), *choices), chosen or _EMPTY
    if not 0 < len(choices) <= _MOST_OPTIONS or any(len(value) > _VALUE for value, _ in choices):
        return None
    options = {v: {"text": _plain(_cut(label)), "value": v} for v, label in choices}
    element: dict[str, Any] = {"type": "static_select", "options": list(options.values())}
    return element | ({"initial_option": options[chosen]} if chosen else {})


def _cut(label: str) -> str:
    shown = escape_hidden(label) or '""'
    return shown if len(shown) <= _CHOICE else f"{shown[: _CHOICE - 2]} …"


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}
