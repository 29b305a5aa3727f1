"""Which week of last year a week is compared with. Weeks are ISO weeks, named by their Monday."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

_YEAR = timedelta(days=364)
_WEEK = timedelta(days=7)
_NEAR = timedelta(days=60)  # Easter moves by up to 35 days from one year to the next
_FAR = 26


@dataclass(frozen=True, slots=True)
class Counterpart:
    """The week of last year, and the holidays because of which it is that one."""

    week: date
    holidays: tuple[str, ...] = ()


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def same_week_last_year(week: date) -> date | None:
    """The ISO week of the same number in the year before; a week 53 has none."""
    year, number, _ = week.isocalendar()
    try:
        return date.fromisocalendar(year - 1, number, 1)
    except ValueError:
        return None


def counterpart(week: date, holidays: Mapping[str, Sequence[date]]) -> Counterpart | None:
    """The week of last year that a week is compared with. ``holidays``: the days of each holiday in the branch's region.

    1. A week with holidays is compared with the week of last year that held the same holidays. *The same* is the holiday of that
       name nearest to 364 days earlier, at most 60 days from there. Where they lay in several weeks, the week that held most of
       them counts, then the one nearest to the usual week, then the earlier one.
    2. A week without holidays (or whose holidays last year did not have) is compared with the usual one: the ISO week of the same
       number in the year before.
    3. If that one held a holiday, it is compared with the nearest week of last year without one; of two as near, the earlier.

    None: a week 53, which last year did not have, without a holiday that tells.
    """
    usual = same_week_last_year(week)
    middle = usual or week - _YEAR
    held: dict[date, list[str]] = {}
    for name, days in holidays.items():
        then = {_a_year_before(day, days) for day in days if monday(day) == week}
        for day in then - {None}:
            assert day is not None
            held.setdefault(monday(day), []).append(name)
    if held:
        best = min(held, key=lambda found: (-len(held[found]), abs(found - middle), found))
        return Counterpart(best, tuple(sorted(held[best])))
    if usual is None:
        return None
    busy = {monday(day) for days in holidays.values() for day in days}
    near = (usual + number * _WEEK for distance in range(_FAR + 1) for number in (-distance, distance))
    return Counterpart(next((found for found in near if found not in busy), usual))


def _a_year_before(day: date, days: Sequence[date]) -> date | None:
    """The same holiday a year earlier."""
    middle = day - _YEAR
    near = [other for other in days if abs(other - middle) <= _NEAR]
    return min(near, key=lambda other: (abs(other - middle), other), default=None)
