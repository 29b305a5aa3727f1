"""Closed periods: the days that a month, week or day consists of, and its figures as they were published."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Self

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.errors import ConfigError
from tillhouse.tables.gold import CLOSED_PERIOD
from tillhouse.tables.gold_closing import FROZEN

_MONTH, _WEEK = re.compile(r"(\d{4})-(\d{2})"), re.compile(r"(\d{4})-W(\d{2})")


@dataclass(frozen=True)
class Period:
    """What books are closed for; both days belong to it."""

    name: str
    first_date: date
    last_date: date

    @classmethod
    def parse(cls, text: str) -> Self:
        """A month (2017-06), an ISO week (2017-W23) or a day (2017-06-30).

        Raises:
            ConfigError: it is none of them.
        """
        try:
            if found := _MONTH.fullmatch(text):
                first = date(int(found[1]), int(found[2]), 1)
                return cls(text, first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1))
            if found := _WEEK.fullmatch(text):
                monday = date.fromisocalendar(int(found[1]), int(found[2]), 1)
                return cls(text, monday, monday + timedelta(days=6))
            day = date.fromisoformat(text)
            return cls(f"{day}", day, day)
        except ValueError:
            raise ConfigError(
                f"{text!r} is no period; write a month (2017-06), a week (2017-W23) or a day (2017-06-30)"
            ) from None

    @property
    def days(self) -> list[date]:
        return [self.first_date + timedelta(days=number) for number in range((self.last_date - self.first_date).days + 1)]

    @property
    def condition(self) -> str:
        """SQL over ``business_date``."""
        return f"business_date BETWEEN DATE'{self.first_date}' AND DATE'{self.last_date}'"


@dataclass(frozen=True)
class Closing:
    """One closing of a period. ``still_open`` tells what was open when it was closed all the same."""

    period: Period
    number: int
    by: str
    at: datetime
    run_id: str
    still_open: str | None = None


def to_closed(days: DataFrame, ledger: DataFrame, closing: Closing) -> DataFrame:
    """The figures of a period as they are published now. ``days``: gold.kpi_branch_day; ``ledger``: ops.file_ledger."""
    of_closing = {
        "period": F.lit(closing.period.name),
        "closing_number": F.lit(closing.number),
        "first_date": F.lit(closing.period.first_date),
        "last_date": F.lit(closing.period.last_date),
        "closed_by": F.lit(closing.by),
        "closed_at": F.lit(closing.at),
        "still_open": F.lit(closing.still_open).cast("string"),
        "reopened_by": F.lit(None).cast("string"),
        "reopened_at": F.lit(None).cast("timestamp"),
        "reopen_reason": F.lit(None).cast("string"),
        "_run_id": F.lit(closing.run_id),
    }
    loaded = ledger.where("status = 'loaded'").agg(F.max("loaded_at").alias("loaded_at"))
    figures = days.where(closing.period.condition).select(*FROZEN)
    return CLOSED_PERIOD.conform(figures.crossJoin(F.broadcast(loaded)).withColumns(of_closing))


def only_closed(closed: DataFrame) -> DataFrame:
    """The closings that hold: those that nobody has opened again."""
    return closed.where("reopened_at IS NULL")


def to_closings(closed: DataFrame) -> DataFrame:
    """One row per closing with what it was about. ``closed``: gold.closed_period."""
    of_closing = ("period", "closing_number", "first_date", "last_date", "loaded_at", "closed_by", "closed_at", "still_open")
    reopened = ("reopened_by", "reopened_at", "reopen_reason")
    return closed.groupBy(*of_closing, *reopened).agg(F.count("*").alias("branch_days"))
