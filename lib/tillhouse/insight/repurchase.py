"""gold.kpi_repurchase: whether customers buy again, and after how many days (KPI 11 and 12)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.insight.figures import MONEY, RATIO, day, member, quantile, ratio, spread_of_days
from tillhouse.tables.gold_repurchase import KPI_REPURCHASE

_BY = ["dimension", "member"]


def to_kpi_repurchase(days: DataFrame, buyers: DataFrame, *, as_of: date, windows: Sequence[int]) -> DataFrame:
    """Repurchase rates without limit and within windows (days), gaps, and revenue per customer, by each dimension.

    ``days``, ``buyers``: see ``insight/buyers.py``, of the same ``as_of``. Who cannot have come back within a window yet, because
    their first date + window >= ``as_of``, is not among its buyers.
    """
    told = buyers.select("*", F.inline("members")).drop("members")
    counted = told.groupBy(*_BY).agg(*_counts(), *(count for window in windows for count in _in_window(window, as_of)))
    joined = counted.join(to_gaps(days, buyers), on=_BY, how="full_outer").join(to_money(told), on=_BY, how="left")
    rows = joined.withColumn("_of", F.explode(F.array(_without_window(), *map(_window, windows))))
    figures = {name: F.when(F.col("_of.window_days").isNull(), F.col(name)) for name in _OF_NO_WINDOW}
    told_once = rows.select(*_BY, "_of.*", *(value.alias(name) for name, value in figures.items()))
    return KPI_REPURCHASE.conform(
        told_once.withColumns(
            {
                "as_of": day(as_of),
                "repurchase_rate": ratio("repeat_buyers", "buyers"),
                "repurchase_date_rate": ratio("repeat_date_buyers", "buyers"),
            }
        )
    )


def to_gaps(days: DataFrame, buyers: DataFrame) -> DataFrame:
    """KPI 12: gaps and their days by dimension. A gap belongs to the branch of the purchase before it, else to its customer.

    Days are counted before they are sorted: there are few different ones.
    """
    others = F.filter("members", lambda of: of["dimension"] != "branch")
    own = buyers.select("customer_id", others.alias("_others"))
    branch = F.array(member("branch", F.col("branch_id")))
    gaps = days.join(own, on="customer_id", how="inner").select(
        F.col("gap_days").alias("_days"), F.inline(F.concat("_others", branch))
    )
    counted = gaps.groupBy(*_BY, "_days").agg(F.count("*").alias("_times"))
    is_open = F.col("_days").isNull()
    return counted.groupBy(*_BY).agg(
        F.sum(F.when(is_open, 0).otherwise(F.col("_times"))).alias("gaps"),
        F.sum(F.when(is_open, F.col("_times")).otherwise(0)).alias("open_gaps"),
        *spread_of_days("days_to_next"),
    )


def to_money(told: DataFrame) -> DataFrame:
    """Revenue per customer and average basket by dimension, in the currency of the most customers; others are not added."""
    by_currency = told.groupBy(*_BY, "currency").agg(
        F.count("*").alias("currency_buyers"),
        F.sum("revenue").cast(MONEY).alias("revenue"),
        ratio(F.sum("revenue"), F.count("*")).alias("revenue_per_customer"),
        ratio(F.sum("sales"), F.sum("currency_purchases")).alias("average_basket"),
    )
    names = ("currency", "currency_buyers", "revenue", "revenue_per_customer", "average_basket")
    most = F.min(F.struct((-F.col("currency_buyers")).alias("_order"), *names))
    return by_currency.groupBy(*_BY).agg(most.alias("_most")).select(*_BY, *(f"_most.{name}" for name in names))


def _counts() -> list[Column]:
    days_to_second = F.date_diff("second_date", "first_date")
    mean_gap = ratio("gap_days", F.col("purchase_dates") - 1)
    return [
        F.count("*").alias("buyers"),
        F.count_if(F.col("purchases") > 1).alias("repeat_buyers"),
        F.count_if(F.col("purchase_dates") > 1).alias("repeat_date_buyers"),
        F.sum("purchases").alias("purchases"),
        ratio(F.sum("purchases"), F.count("*")).alias("mean_purchases"),
        quantile("purchases", 0.5).alias("median_purchases"),
        ratio(F.sum(days_to_second), F.count(days_to_second)).alias("mean_days_to_second"),
        F.percentile(days_to_second, 0.5).cast(RATIO).alias("median_days_to_second"),
        quantile("median_gap_days", 0.5).alias("median_of_customer_medians"),
        F.avg(mean_gap).cast(RATIO).alias("mean_of_customer_means"),
        F.percentile(mean_gap, 0.5).cast(RATIO).alias("median_of_customer_means"),
    ]


def _in_window(window: int, as_of: date) -> tuple[Column, Column]:
    is_eligible = F.date_add("first_date", window) < day(as_of)
    is_back = F.col("second_date") <= F.date_add("first_date", window)
    return (
        F.count_if(is_eligible).alias(f"_buyers_{window}"),
        F.count_if(is_eligible & is_back).alias(f"_repeat_{window}"),
    )


def _window(window: int) -> Column:
    return _row(F.lit(window), f"_buyers_{window}", f"_repeat_{window}", f"_repeat_{window}")


def _without_window() -> Column:
    return _row(F.lit(None).cast("int"), "buyers", "repeat_buyers", "repeat_date_buyers")


def _row(window: Column, buyers: str, repeat_buyers: str, repeat_date_buyers: str) -> Column:
    """A branch in which gaps begin, but nobody's first purchase was, has no buyers."""
    counts = {"buyers": buyers, "repeat_buyers": repeat_buyers, "repeat_date_buyers": repeat_date_buyers}
    told = (F.coalesce(F.col(column), F.lit(0).cast("bigint")).alias(name) for name, column in counts.items())
    return F.struct(window.alias("window_days"), *told)


_OF_NO_WINDOW = (
    "purchases", "mean_purchases", "median_purchases", "gaps", "open_gaps", "mean_days_to_next", "median_days_to_next",
    "p90_days_to_next", "maximum_days_to_next", "mean_days_to_second", "median_days_to_second", "median_of_customer_medians",
    "mean_of_customer_means", "median_of_customer_means", "currency", "currency_buyers", "revenue", "revenue_per_customer",
    "average_basket",
)  # fmt: skip
