"""Which part of what waits somebody looks at, and what their filter finds in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from handrail.client import SORTS, GateFilter, counted, rights
from handrail.exceptions import InvalidRequest
from handrail.inbox.web import views

if TYPE_CHECKING:
    from handrail.client import GateList
    from handrail.oversight import GateView

PAGE = 50
"""Questions on one page: so many one form rules on."""

_LONGEST = 200
_KEPT = 200


@dataclass(frozen=True)
class ListQuery:
    """Which part of the list somebody looks at. `everything`: not only what waits for them."""

    everything: bool
    filter: GateFilter
    page: int

    @classmethod
    def of(cls, given: Mapping[str, str]) -> ListQuery:
        """What a request asks for. What can be nothing is the first page, in the usual order."""
        said = {name: given.get(name, "").strip()[:_LONGEST] for name in _NAMES}
        chosen: dict[str, Any] = {n: said[n] or None for n in ("agent", "role", "risk")}
        number = said["page"]
        try:
            wanted = GateFilter(text=said["q"], sort=said["sort"] or SORTS[0], **chosen)
        except InvalidRequest:
            wanted = GateFilter(text=said["q"], **chosen)
        page = int(number) if number.isdecimal() and len(number) < len("10000") else 1
        return cls(said["show"] == "all", wanted, max(page, 1))

    def url(self, path: str = "/", **changed: str | int) -> str:
        """The address of this part, or of one that differs by what changed."""
        found = self.filter
        said: dict[str, Any] = {"show": "all" if self.everything else "", "q": found.text}
        said |= {"agent": found.agent, "role": found.role, "risk": found.risk}
        said |= {"sort": "" if found.sort == SORTS[0] else found.sort, "page": self.page}
        kept = {n: v for n, v in (said | changed).items() if v and (n, v) != ("page", 1)}
        return f"{path}?{urlencode(kept)}" if kept else path

    @property
    def narrowed(self) -> bool:
        """Whether it leaves out anything that somebody may see."""
        found = self.filter
        return bool(found.text or found.agent or found.role or found.risk)


_NAMES = ("show", "q", "agent", "role", "risk", "sort", "page")


@dataclass
class ListCache:
    """What each filter of each person found in the list that was read last."""

    of: GateList | None = None
    found: dict[object, Any] = field(default_factory=dict[object, Any])

    def seen(
        self, whole: GateList, who: str, agents: frozenset[str], asked: ListQuery
    ) -> tuple[list[GateView], dict[str, Any], dict[str, Any]]:
        """What the filter finds, what comes of counting that, and of counting what may be seen."""
        if self.of is not whole or len(self.found) > _KEPT:
            self.of, self.found = whole, {}
        key, every = (who, agents, asked.everything, asked.filter), (who, agents, asked.everything)
        if every not in self.found:
            mine = [g for g in whole.gates if asked.everything or rights(g, who).waits]
            seen = [g for g in mine if not asked.everything or views.visible(g, who, agents)]
            self.found[every] = seen, counted(seen)
        seen, options = self.found[every]
        if key not in self.found:
            chosen = asked.filter.select(seen)
            self.found[key] = chosen, counted(chosen)
        return *self.found[key], options
