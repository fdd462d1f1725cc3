"""Quiet hours: when somebody is told only what cannot wait. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from handrail.policy import Days, TimeOfDay, Zone

_DAY = timedelta(days=1)
_MOST = 30


class QuietHours(BaseModel):
    """From `begins` to `ends`, minutes after midnight in `zone`, over midnight too.

    On the weekdays of `all_day` (Monday is 0) there is no other time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    begins: TimeOfDay = Field(alias="from")
    ends: TimeOfDay = Field(alias="to")
    zone: Zone = "UTC"
    all_day: Days = Field(default=frozenset(), alias="all day")

    def until(self, now: datetime) -> datetime | None:
        """When they are over that are now; None if there are none.

        Of a week that is quiet throughout, no more than a month is waited for.
        """
        at = now
        for _ in range(_MOST):
            ends = self._one(at)
            if ends is None:
                break
            at = ends
        return at if at > now else None

    def _one(self, now: datetime) -> datetime | None:
        """The end of the one that holds this moment."""
        here = now.astimezone(ZoneInfo(self.zone))
        minute = here.hour * 60 + here.minute
        if here.weekday() in self.all_day:
            return self._at(here + _DAY, 0)
        if self.begins < self.ends:
            return self._at(here, self.ends) if self.begins <= minute < self.ends else None
        if minute >= self.begins:
            return self._at(here + _DAY, self.ends)
        return self._at(here, self.ends) if minute < self.ends else None

    def _at(self, day: datetime, minute: int) -> datetime:
        """A minute of the wall clock, on that day."""
        wall = datetime.combine(day.date(), time(), ZoneInfo(self.zone)) + timedelta(minutes=minute)
        return wall.astimezone(UTC)
