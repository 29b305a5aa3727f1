"""The kpi step: the branches' figures by day and week, checked before they are published."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from decimal import Decimal

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.kpi import branch_day, branch_week
from tillhouse.kpi.ask import ask, open_view
from tillhouse.kpi.rules import KpiRules
from tillhouse.kpi.week_repurchase import to_week_repurchase
from tillhouse.quality import expectations
from tillhouse.quality.expectations import Identity
from tillhouse.store import Since, Store, on_days
from tillhouse.tables import gold
from tillhouse.tables.entities import PLAN
from tillhouse.tables.gold import KPI_BRANCH_DAY, KPI_BRANCH_WEEK

RULES_VERSION = 2  # grows with each change of what weeks are told of; 2: repurchase_rate


def run(store: Store, rules: KpiRules, delivered: AbstractSet[str], since: Since | None) -> dict[str, int]:
    """Publish the figures of every day and week on which something has changed that they depend on.

    ``delivered``: what the sources' records are about.

    Raises:
        QualityError: figures do not add up; nothing is published then.
    """
    dates = None if since is None else branch_day.touched_dates(store, since)
    if dates is None:
        store.expect(store.read(gold.FCT_RECEIPT).count())
    elif dates:
        store.expect(0, gold.FCT_RECEIPT)
    else:
        if since is None or not _is_compared_otherwise(store, delivered, since):
            return {}
        store.overwrite(KPI_BRANCH_WEEK, _compared(store, _stored_weeks(store), rules, delivered))
        return {"branch_days": 0}
    open_view(store)
    days = store.keep(branch_day.measure(store, dates))
    days_of_weeks, in_weeks = days, None
    if dates is not None:
        whole = branch_week.days_of(branch_week.weeks_of(dates))
        in_weeks = on_days(whole, KPI_BRANCH_DAY)
        days_of_weeks = days.unionByName(store.read(KPI_BRANCH_DAY).where(on_days({*whole} - {*dates}, KPI_BRANCH_DAY)))
    measured = ask(store, branch_day.MEASURES, branch_week.GRAIN, in_weeks)
    bought_again = to_week_repurchase(store.read(gold.FCT_RECEIPT), dates)
    weeks = store.keep(branch_week.to_measured_weeks(measured, days_of_weeks, rules, bought_again))
    receipts = store.read(gold.FCT_RECEIPT).where("true" if dates is None else on_days(dates, gold.FCT_RECEIPT))
    count, revenue = _check(receipts, days, days_of_weeks, weeks)
    every_week = weeks
    if dates is None:
        store.overwrite(KPI_BRANCH_DAY, days)
    else:
        every_week = store.keep(weeks.unionByName(_stored_weeks(store, but=branch_week.weeks_of(dates))))
        replaced = store.spark.createDataFrame([(day,) for day in dates], "business_date DATE")
        store.replace(KPI_BRANCH_DAY, days, replaced, dates)
    store.overwrite(KPI_BRANCH_WEEK, _compared(store, every_week, rules, delivered))
    return {"branch_days": count, "revenue_cents": int((revenue or Decimal(0)) * 100)}


def _stored_weeks(store: Store, but: Sequence[date] = ()) -> DataFrame:
    stored = store.read(KPI_BRANCH_WEEK).select(*branch_week.MEASURED)
    return stored.where(~F.col("starts_on").isin(list(but))) if but else stored


def _compared(store: Store, weeks: DataFrame, rules: KpiRules, delivered: AbstractSet[str]) -> DataFrame:
    holidays: dict[str, dict[str, list[date]]] = {}
    for row in store.read(gold.DIM_HOLIDAY).orderBy("date").collect():
        holidays.setdefault(row["region"], {}).setdefault(row["name"], []).append(row["date"])
    mondays = [row[0] for row in weeks.select("starts_on").distinct().collect()]
    last_years = store.spark.createDataFrame(
        branch_week.to_last_years(sorted(mondays), holidays), branch_week.LAST_YEARS
    )  # fmt: skip
    plans = store.read(PLAN) if PLAN.name in delivered else None
    return branch_week.to_kpi_branch_week(weeks, store.read(gold.DIM_BRANCH), last_years, rules, plans=plans)


def _is_compared_otherwise(store: Store, delivered: AbstractSet[str], since: Since) -> bool:
    """Whether something has changed that weeks are compared by, beside their measures."""
    plans = [PLAN] if PLAN.name in delivered else []
    return any(store.has_news(table, since) for table in (gold.DIM_BRANCH, gold.DIM_HOLIDAY, *plans))


def _check(receipts: DataFrame, days: DataFrame, days_of_weeks: DataFrame, weeks: DataFrame) -> tuple[int, Decimal | None]:
    """Days add up to their receipts, and weeks to their days; returns the number of days and their revenue."""
    baskets = F.sum("baskets")
    sides = {
        "receipts": (receipts, F.sum("revenue_amount"), F.count(F.when(F.col("is_basket"), 1))),
        "days": (days, F.sum("revenue"), baskets),
        "days of weeks": (days_of_weeks, F.sum("revenue"), baskets),
        "weeks": (weeks, F.sum("revenue"), baskets),
    }
    sums = [
        rows.agg(F.lit(side).alias("side"), F.count("*").alias("rows"), revenue.cast("DECIMAL(38,2)").alias("revenue"), count)
        for side, (rows, revenue, count) in sides.items()
    ]
    found = {row[0]: row for row in union([side.toDF("side", "rows", "revenue", "baskets") for side in sums]).collect()}
    facts, of_days, days_in_weeks, of_weeks = (found[side] for side in sides)
    expectations.expect(
        "kpi",
        [
            *expectations.keys_of({KPI_BRANCH_DAY: days, KPI_BRANCH_WEEK: weeks}),
            Identity("kpi_branch_day: revenue of the branches is that of fct_receipt", facts["revenue"], of_days["revenue"]),
            Identity("kpi_branch_day: baskets of the branches are those of fct_receipt", facts["baskets"], of_days["baskets"]),
            Identity(
                "kpi_branch_week: revenue of the weeks is that of their days", days_in_weeks["revenue"], of_weeks["revenue"]
            ),
            Identity(
                "kpi_branch_week: baskets of the weeks are those of their days", days_in_weeks["baskets"], of_weeks["baskets"]
            ),
        ],
    )
    return of_days["rows"], of_days["revenue"]
