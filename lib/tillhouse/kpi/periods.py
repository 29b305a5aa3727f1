"""Two periods of the same branches: what has changed, without what was opened or closed between them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.errors import ConfigError
from tillhouse.kpi.ask import ask
from tillhouse.kpi.metrics import ALL_MEASURES
from tillhouse.store import Store, quoted

_WRITTEN = re.compile(r"(?P<year>\d{4})(?:-Q(?P<quarter>[1-4])|-W(?P<week>\d{2})|-(?P<month>\d{2})(?:-(?P<day>\d{2}))?)?")
_ONE_DAY = timedelta(days=1)
OF_TIME = ("business_date", "week", "month")


@dataclass(frozen=True, slots=True)
class Period:
    """Trading days from the first to the last, both included."""

    first: date
    last: date

    @property
    def condition(self) -> str:
        return f"business_date BETWEEN DATE'{self.first}' AND DATE'{self.last}'"


def to_period(text: str) -> Period:
    """A year 2017, quarter 2017-Q2, month 2017-03, ISO week 2017-W10 or day 2017-03-05, or from one to another: 2017-03..2017-05.

    Raises:
        ConfigError: it is written otherwise, there is no such day, or it ends before it begins.
    """
    first, dots, last = text.partition("..")
    try:
        period = Period(_written(first).first, _written(last if dots else first).last)
    except ValueError:
        raise ConfigError(
            f"{text!r} is no period; write 2017, 2017-Q2, 2017-03, 2017-W10, 2017-03-05, or 2017-03-05..2017-04-02"
        ) from None
    if period.first > period.last:
        raise ConfigError(f"period {text!r} ends before it begins; turn it round")
    return period


def _written(text: str) -> Period:
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError(text)
    year, quarter, week, month, day = (int(part) if part else None for part in found.groups())
    assert year is not None
    if week is not None:
        monday = date.fromisocalendar(year, week, 1)
        return Period(monday, monday + timedelta(days=6))
    if month is not None and day is not None:
        return Period(date(year, month, day), date(year, month, day))
    begins = quarter * 3 - 2 if quarter else month or 1
    ends = quarter * 3 if quarter else month or 12
    first = date(year, begins, 1)
    return Period(first, (date(year, ends, 28) + 4 * _ONE_DAY).replace(day=1) - _ONE_DAY)


def like_for_like(days: DataFrame, branches: DataFrame, period: Period, before: Period, within: Decimal) -> DataFrame:
    """The branches (branch_id) that were open throughout both periods.

    By their master data: opened on or before the first day of each, not closed before the last day of either; what is not known
    does not exclude. By their trading days: the share of the chain's trading days on which the branch has sold is above 0 in
    both, and the smaller of the two shares is less than the greater one by ``within`` of it at most. So a branch that always
    rests on Mondays stays, and one that was rebuilt for a month goes. ``days``: kpi_branch_day; ``branches``: dim_branch.
    """
    sold = days.where("revenue IS NOT NULL").select("branch_id", "business_date").distinct()
    in_both = {"_now": F.expr(period.condition), "_then": F.expr(before.condition)}
    counted = sold.groupBy("branch_id").agg(*(F.count_if(inside).alias(name) for name, inside in in_both.items()))
    chain = sold.select("business_date").distinct()
    of_chain = chain.agg(*(F.count_if(inside).alias(f"{name}_of_chain") for name, inside in in_both.items()))
    shares = F.col("_now") * F.col("_then_of_chain"), F.col("_then") * F.col("_now_of_chain")
    first, last = min(period.first, before.first), max(period.last, before.last)
    is_open = (F.col("opened_on").isNull() | (F.col("opened_on") <= first)) & (
        F.col("closed_on").isNull() | (F.col("closed_on") >= last)
    )
    open_ones = branches.where("is_current").where(is_open).select("branch_id")
    return (
        counted.join(F.broadcast(of_chain), how="cross")
        .where((F.col("_now") > 0) & (F.col("_then") > 0))
        .where(F.least(*shares) >= F.greatest(*shares) * F.lit(1 - within))
        .join(F.broadcast(open_ones), on="branch_id", how="left_semi")
        .select("branch_id")
    )


def compare(
    store: Store, measures: Sequence[str], by: Sequence[str], where: str | None, *, periods: tuple[Period, Period],
    branches: Sequence[str] | None = None,
) -> DataFrame:  # fmt: skip
    """Measures in the first of two periods, in the other (``_before``) and their ``_change``, by dimensions.

    ``open_for`` comes first. ``branches``: only these, as ``like_for_like`` finds them. A change is NULL where the figure before
    is not above 0.

    Raises:
        ConfigError: as ``ask``; or a dimension is a time, in which two periods have nothing in common.
    """
    times = [name for name in by if name in OF_TIME]
    if times:
        raise ConfigError(f"two periods have no {', '.join(times)} in common; leave it out of --by, or ask without --against")
    conditions = [f"({where})"] if where else []
    if branches is not None:
        conditions.append(f"branch_id IN ({quoted(branches)})" if branches else "false")
    now, then = (ask(store, measures, by, " AND ".join([*conditions, period.condition])) for period in periods)
    before = then.select(
        *(F.col(name).alias(f"_{name}") for name in by), *(F.col(name).alias(f"{name}_before") for name in measures)
    )
    same = reduce(lambda left, right: left & right, (F.col(name).eqNullSafe(F.col(f"_{name}")) for name in by), F.lit(True))
    joined = now.join(before, on=same, how="full_outer" if by else "left")
    keys = [F.coalesce(name, f"_{name}").alias(name) for name in by]
    days = {item.name for item in ALL_MEASURES if item.unit == "date"}
    figures = [
        column
        for name in measures
        for column in (F.col(name), F.col(f"{name}_before"), *(() if name in days else (_change(name),)))
    ]
    rows = joined.select(*keys, *figures)
    return rows.orderBy(*by) if by else rows


def _change(name: str) -> Column:
    # Of any measure with up to 12 decimals; wider types would leave the quotient fewer than 12.
    now, before = (F.col(column).try_cast("DECIMAL(26,12)") for column in (name, f"{name}_before"))
    change = F.when(before > 0, F.try_divide((now - before).try_cast("DECIMAL(26,12)"), before))
    return change.try_cast("DECIMAL(28,12)").alias(f"{name}_change")
