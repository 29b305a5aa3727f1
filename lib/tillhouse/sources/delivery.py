"""What a source should deliver and when: periods, due times, closed days. Declared in the source's mapping, no clock."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from tillhouse.strict import StrictModel

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEK = re.compile(r"(\d{4})-?W(\d{2})", re.IGNORECASE)
_DAY = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")


class Closed(StrictModel):
    """Days on which nothing is expected: weekdays, dates, or both; of all branches, or of some or of regions only."""

    weekdays: tuple[Weekday, ...] = ()
    days: tuple[date, ...] = ()
    branches: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _closes_something(self) -> Self:
        if not self.weekdays and not self.days:
            raise ValueError("needs weekdays or days; for example {weekdays: [sunday]} or {days: [2026-12-25]}")
        return self

    @property
    def is_for_all(self) -> bool:
        return not self.branches and not self.regions

    def covers(self, day: date) -> bool:
        return day in self.days or WEEKDAYS[day.weekday()] in self.weekdays


class Delivery(StrictModel):
    """What a source should deliver, and until when.

    One file covers a ``period`` of the whole chain or of one branch. ``from_path`` names what the path captures of the period:
    a week as 2026W07, a day as 20260214 or 2026-02-14; without it a period is delivered when receipts of it are.
    ``branch_from_path`` names the branch's number in the path. ``due_days`` after the period's last day, at ``due_time`` of
    ``timezone``, it has to be there. Where ``empty_days`` is false, a branch without receipts on an open day has not delivered.
    ``numbered`` says which numbers a till counts without gaps: each register, or each of its closings.
    """

    period: Literal["day", "week"]
    from_path: str | None = None
    branch_from_path: str | None = None
    due_days: int = Field(default=1, ge=0)
    due_time: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "12:00"
    timezone: str = "UTC"
    empty_days: bool = True
    closed: tuple[Closed, ...] = ()
    branches: tuple[str, ...] = ()
    numbered: dict[Literal["closing_id", "receipt_number"], Literal["register", "closing"]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.branch_from_path and not self.from_path:
            raise ValueError("branch_from_path needs from_path: a path that tells the branch must tell the period too")
        if self.numbered.get("closing_id") == "closing":
            raise ValueError("numbered.closing_id: a register counts its closings; write {closing_id: register}")
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"timezone {self.timezone!r} is unknown; use an IANA name such as Europe/Berlin") from None
        return self

    def start_of(self, day: date) -> date:
        """First day of the period that a day lies in; weeks are ISO weeks."""
        return day if self.period == "day" else day - timedelta(days=day.weekday())

    def days_of(self, start: date) -> Iterator[date]:
        return (start + timedelta(days=number) for number in range(1 if self.period == "day" else 7))

    def due_at(self, start: date) -> datetime:
        """Instant (UTC) at which the delivery of the period has to be there."""
        *_, last = self.days_of(start)
        local = datetime.combine(last + timedelta(days=self.due_days), time.fromisoformat(self.due_time), ZoneInfo(self.timezone))
        return local.astimezone(UTC)

    def start_from(self, text: str) -> date | None:
        """First day of the period that a path names; None if the text is neither a week nor a day."""
        try:
            if week := _WEEK.fullmatch(text):
                return self.start_of(date.fromisocalendar(int(week[1]), int(week[2]), 1)) if self.period == "week" else None
            if day := _DAY.fullmatch(text):
                return self.start_of(date(int(day[1]), int(day[2]), int(day[3])))
        except ValueError:
            return None
        return None

    def is_open(self, day: date) -> bool:
        """Whether the chain as a whole trades on a day."""
        return not any(rule.is_for_all and rule.covers(day) for rule in self.closed)

    def whole_periods(self, days: Iterable[date]) -> set[date]:
        """All days of the periods that the days lie in."""
        return {day for start in {self.start_of(day) for day in days} for day in self.days_of(start)}
