"""gold.kpi_retention: of the customers of a period, how many buy in the next one (KPI 16b)."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.insight.buyers import as_members, to_named_segments
from tillhouse.insight.figures import day, member, ratio
from tillhouse.tables.gold_repurchase import KPI_RETENTION

_MONTHS = {"month": 1, "quarter": 3}
_OF_CUSTOMERS = ("customer_type", "product_line", "category", "currency")


def to_kpi_retention(
    visits: DataFrame, buyers: DataFrame, branches: DataFrame, segments: DataFrame | None = None,
    *, as_of: date, every: Literal["month", "quarter"],
) -> DataFrame:  # fmt: skip
    """KPI 16b for each two periods that follow each other, the second of which begins before ``as_of``.

    Active is who has bought at least once. A branch or region counts who has bought there in the first period, and as retained
    who has bought there again in the second; ``active_both_anywhere`` also has those who went elsewhere in the chain.
    ``visits``, ``buyers``: see ``insight/buyers.py``, of the same ``as_of``; ``branches``: gold.dim_branch; ``segments``: rows of
    gold.segment_member, of which those as of the beginning of the first period count.
    """
    periods = to_active_periods(visits, branches, every)
    own = F.filter("members", lambda of: of["dimension"].isin(*_OF_CUSTOMERS))
    rows = periods.join(buyers.select("customer_id", own.alias("_own")), on="customer_id", how="inner")
    if segments is not None:
        named = to_named_segments(segments, "customer_id", "as_of").withColumnRenamed("as_of", "from_period")
        rows = rows.join(named, on=["customer_id", "from_period"], how="left")
        rows = rows.withColumn("_own", F.concat("_own", as_members("segments")))
    to_period = F.add_months("from_period", _MONTHS[every])
    told = rows.select("from_period", F.inline(F.concat(_with_return("_places"), _with_return("_own", is_place=False))))
    counted = told.where(to_period < day(as_of)).groupBy("from_period", "dimension", "member").agg(
        F.count("*").alias("active_before"),
        F.count_if("is_back").alias("active_both"),
        F.count_if("is_back_anywhere").alias("active_both_anywhere"),
    )  # fmt: skip
    rate = ratio("active_both", "active_before")
    return KPI_RETENTION.conform(
        counted.withColumns(
            {
                "as_of": day(as_of),
                "every": F.lit(every),
                "to_period": to_period,
                "retention_rate": rate,
                "churn_rate": (1 - rate).cast("DECIMAL(28,12)"),
                "is_partial": F.add_months("from_period", 2 * _MONTHS[every]) > day(as_of),
            }
        )
    )


def to_active_periods(visits: DataFrame, branches: DataFrame, every: Literal["month", "quarter"]) -> DataFrame:
    """One row per customer and period with a purchase: ``_places`` where they bought, and ``_next`` where in the period after.

    ``_next`` is NULL where nothing was bought in it. Regions are as they were on the day.
    """
    regions = F.broadcast(branches.select("branch_key", "region"))
    bought = visits.where("is_basket").join(regions, on="branch_key", how="left")
    places = (F.collect_set(member(name, F.col(column))) for name, column in (("branch", "branch_id"), ("region", "region")))
    active = bought.groupBy("customer_id", F.trunc("business_date", every).alias("from_period")).agg(
        F.concat(F.array(member("all", F.lit("all"))), *places).alias("_places")
    )
    order = Window.partitionBy("customer_id").orderBy("from_period")
    is_next = F.lead("from_period").over(order) == F.add_months("from_period", _MONTHS[every])
    return active.withColumn("_next", F.when(is_next, F.lead("_places").over(order)))


def _with_return(members: str, is_place: bool = True) -> Column:
    """Each member with whether the customer has come back, to this place or anywhere."""
    is_back = F.col("_next").isNotNull()

    def back(of: Column) -> Column:
        returned = F.coalesce(F.array_contains(F.col("_next"), of), F.lit(False)) if is_place else is_back
        return F.struct(of["dimension"].alias("dimension"), of["member"].alias("member"), returned.alias("is_back"),
                        is_back.alias("is_back_anywhere"))  # fmt: skip

    return F.transform(members, back)
