"""The map of a day: where each van drove with the first plan, and with all of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from world.routes import city

_SCALE, _EDGE = 12.0, 10.0
_COLOURS = ("#2f6f9f", "#c77d2e", "#4b8b3b", "#9b3d5a", "#6a5aa0", "#5f6b6d")


def route_map(
    seed: int, plans: Sequence[Mapping[str, Any]], brought: Sequence[Mapping[str, Any]] = ()
) -> str:
    """An SVG: the first plan beside the last lists of all plans that came in.

    `brought`: orders that others brought during the day, as they came in.
    """
    day = city.day(seed)
    for number, each in enumerate(brought, 1):
        at = (float(each["at"][0]), float(each["at"][1]))
        order = city.Order(f"S{number}", at, each["early"], each["late"], 1, None)
        day.orders[order.id] = order
    side = city.SIZE * _SCALE + 2 * _EDGE
    first: dict[str, list[str]] = plans[0]["routes"] if plans else {}
    panels = [("the morning's plan", first), ("new lists since then", _since(plans))]
    size = f'viewBox="0 0 {2 * side:.0f} {side + 16:.0f}" font-family="sans-serif"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-size="11">',
        '<rect width="100%" height="100%" fill="#fff"/>',
    ]
    for place, (title, routes) in enumerate(panels):
        parts.append(f'<g transform="translate({place * side:.0f} 16)">')
        parts.append(f'<text x="{_EDGE}" y="-4">{title}</text>')
        for jam in day.jams:
            x, y = (_EDGE + each * city.SIZE / city.QUARTERS * _SCALE for each in jam.quarter)
            wide = city.SIZE / city.QUARTERS * _SCALE
            box = f'x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{wide:.1f}"'
            parts.append(f'<rect {box} fill="#e9d5d0" fill-opacity=".6"/>')
        for number, stops in enumerate(routes.values()):
            colour = _COLOURS[number % len(_COLOURS)]
            points = [city.DEPOT, *(day.orders[each].at for each in stops)]
            line = " ".join(f"{_EDGE + x * _SCALE:.1f},{_EDGE + y * _SCALE:.1f}" for x, y in points)
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}"/>')
        for order in day.orders.values():
            x, y = (_EDGE + each * _SCALE for each in order.at)
            fill = "#b33" if order.cancelled else "#e90" if order.known else "#333"
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{fill}"/>')
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _since(plans: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Each van's stops of all plans but the first, in the order in which it got them."""
    found = dict[str, list[str]]()
    for plan in plans[1:]:
        for van, stops in plan["routes"].items():
            mine = found.setdefault(van, [])
            mine += [stop for stop in stops if stop not in mine]
    return found
