"""Coverage beside any figures: how much of them is assigned to customers, what is unclear, kept out, open or did not come."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.kpi.ask import ask
from tillhouse.products.lookup import holds_on
from tillhouse.store import Store
from tillhouse.tables import gold

OF_RECEIPTS = ("identified_share", "unclear_amount", "lines_share")
OF_DAYS = ("excluded_amount", "open_exceptions", "missing_days")
# What is known of a branch and day also where no receipt came.
DAY_DIMENSIONS = (
    "branch_id", "branch_name", "region", "format", "business_date", "week", "month", "weekday", "currency",
)  # fmt: skip


def ask_with_coverage(store: Store, measures: Sequence[str], by: Sequence[str], where: str | None) -> tuple[DataFrame, bool]:
    """Measures by dimensions as ``ask`` gives them, with their coverage behind them.

    What is kept out, open or missing is known by branch and day; returns whether it could be told for these dimensions. A group
    of which nothing but that is known has a row, too: a day that did not come is not left out in silence.

    Raises:
        ConfigError: as ``ask``.
    """
    further = [name for name in OF_RECEIPTS if name not in measures]
    figures = ask(store, [*measures, *further], by, where)
    days = of_days(store.read(gold.KPI_BRANCH_DAY), store.read(gold.DIM_BRANCH), store.read(gold.DIM_DATE))
    try:
        days = days.where(where) if where else days
        told = days.groupBy(*by).agg(
            F.sum("excluded_amount").alias("excluded_amount"),
            F.sum("open_exceptions").alias("open_exceptions"),
            F.count_if(F.col("delivery_status") == "missing").alias("missing_days"),
        )
    except AnalysisException:  # a dimension of single receipts
        return figures, False
    return beside(figures, told, by), True


def of_days(days: DataFrame, branches: DataFrame, dates: DataFrame) -> DataFrame:
    """gold.kpi_branch_day with the dimensions that hold on the day: one row per branch, day and currency stays one row."""
    day = F.col("business_date")
    valid = holds_on(day, F.col("valid_from"), F.col("valid_to"))
    named = branches.select(F.col("branch_id").alias("_branch_id"), "branch_name", "region", "format", "valid_from", "valid_to")
    calendar = dates.select(F.col("date").alias("_date"), "iso_year", "iso_week", "weekday")
    joined = days.join(F.broadcast(named), on=(F.col("branch_id") == F.col("_branch_id")) & valid, how="left").join(
        F.broadcast(calendar), on=day == F.col("_date"), how="left"
    )
    week = F.concat("iso_year", F.lit("-W"), F.lpad(F.col("iso_week").cast("string"), 2, "0"))
    dimensions = joined.withColumns({"week": week, "month": F.date_format(day, "yyyy-MM")})
    return dimensions.select(*DAY_DIMENSIONS, "excluded_amount", "open_exceptions", "delivery_status")


def beside(figures: DataFrame, told: DataFrame, by: Sequence[str]) -> DataFrame:
    """Both by the same dimensions; the figures of a group that only one of them has are NULL."""
    left, right = figures.alias("figures"), told.alias("told")
    same = reduce(lambda one, other: one & other, (_same(name) for name in by), F.lit(True))
    joined = left.join(right, on=same, how="full_outer" if by else "left")
    keys = [F.coalesce(f"figures.{name}", f"told.{name}").alias(name) for name in by]
    measured = [F.col(f"figures.{name}") for name in figures.columns if name not in by]
    rows = joined.select(*keys, *measured, *(F.col(f"told.{name}") for name in OF_DAYS))
    return rows.orderBy(*by) if by else rows


def _same(name: str) -> Column:
    return F.col(f"figures.{name}").eqNullSafe(F.col(f"told.{name}"))
