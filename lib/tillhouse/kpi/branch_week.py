"""gold.kpi_branch_week: the metric view's measures for each branch and ISO week, and what they are compared with.

The measures of a week are computed from its receipts and stored; whatever compares weeks is computed from the stored measures of
all weeks, because a new week may change what is normal for a branch, and with it the flags of its earlier weeks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.kpi.branch_day import MEASURES
from tillhouse.kpi.last_year import counterpart, monday
from tillhouse.kpi.rules import KpiRules, WeekAnomaly
from tillhouse.sources.delivery import WEEKDAYS
from tillhouse.tables.gold import KPI_BRANCH_WEEK

GRAIN = ("branch_id", "week", "currency")
SERIES = ("branch_id", "currency")
MEASURED = (
    "branch_id", "iso_year", "iso_week", "currency", "starts_on", *MEASURES, "excluded_amount", "open_exceptions",
    "days_delivered", "is_full_week", "repurchase_rate",
)  # fmt: skip
_EXACT = "DECIMAL(36,20)"
_RATIO = "DECIMAL(28,12)"
_HALF = Decimal("0.5")
_FINEST_FIRST = ("day", "week", "month", "year")


def weeks_of(dates: Sequence[date]) -> list[date]:
    """Mondays of the ISO weeks that the dates lie in."""
    return sorted({monday(day) for day in dates})


def days_of(weeks: Sequence[date]) -> list[date]:
    return [week + timedelta(days=number) for week in weeks for number in range(7)]


def to_measured_weeks(measured: DataFrame, days: DataFrame, rules: KpiRules, repurchases: DataFrame | None = None) -> DataFrame:
    """One row per branch, ISO week and currency with its measures, and whether the week is full (columns MEASURED).

    A week is full where on each of its days but the chain's closed weekdays some branch of the chain has sold, no delivery of the
    branch is missing, and the branch has sold in it. ``measured``: MEASURES by GRAIN; ``days``: kpi_branch_day, whole weeks;
    ``repurchases``: see ``to_week_repurchase``, of the same weeks.
    """
    is_open = ~(F.weekday("business_date").isin([WEEKDAYS.index(name) for name in rules.closed_weekdays]))
    has_traded = F.max(F.col("revenue").isNotNull()).over(Window.partitionBy("business_date"))
    told = days.withColumns({"starts_on": _monday("business_date"), "_is_open": is_open, "_has_traded": has_traded})
    traded = (
        told.where("_has_traded").groupBy("starts_on").agg(
            F.count_distinct("business_date").alias("_traded"),
            F.count_distinct(F.when(F.col("_is_open"), F.col("business_date"))).alias("_open"),
        )
    )  # fmt: skip
    lacking = F.when((F.col("delivery_status") == "missing") & F.col("_has_traded"), F.col("business_date"))
    sums = told.groupBy("branch_id", "starts_on", "currency").agg(
        F.sum("excluded_amount").cast("DECIMAL(18,2)").alias("excluded_amount"),
        F.sum("open_exceptions").alias("open_exceptions"),
        F.collect_set(lacking).alias("_lacking"),
    )
    of_branch = Window.partitionBy("branch_id", "starts_on")
    missing = F.array_distinct(F.flatten(F.collect_list("_lacking").over(of_branch)))
    figures = measured.withColumn("starts_on", _monday_of_week("week")).drop("week")
    joined = sums.withColumn("_missing", missing).join(figures, on=["branch_id", "starts_on", "currency"], how="left")
    thursday = F.date_add("starts_on", 3)
    demanded = 7 - len(set(rules.closed_weekdays))
    is_full = (F.col("_open") == demanded) & (F.size("_missing") == 0) & F.col("revenue").isNotNull()
    rows = joined.join(F.broadcast(traded), on="starts_on", how="left").withColumns(
        {
            "iso_year": F.year(thursday),
            "iso_week": F.weekofyear("starts_on"),
            "days_delivered": F.coalesce("_traded", F.lit(0)) - F.size("_missing"),
            "is_full_week": F.coalesce(is_full, F.lit(False)),
        }
    )
    if repurchases is None:
        rows = rows.withColumn("repurchase_rate", F.lit(None))
    else:
        rows = rows.join(repurchases, on=["branch_id", "currency", "starts_on"], how="left")
    return rows.select(*(F.col(name).cast(KPI_BRANCH_WEEK.field(name).dataType).alias(name) for name in MEASURED))


def to_kpi_branch_week(
    weeks: DataFrame, branches: DataFrame, last_years: DataFrame, rules: KpiRules, plans: DataFrame | None = None
) -> DataFrame:
    """Weeks beside the week before, last year, the branches like them and their plan; conspicuous ones are flagged.

    ``weeks``: columns MEASURED, all weeks of every branch; ``branches``: dim_branch; ``last_years``: see ``to_last_years``;
    ``plans``: silver.plan. Formats and regions are those that the branches have now.
    """
    now = branches.where("is_current").select("branch_id", "region", "format", F.col("currency").alias("_branch_currency"))
    rows = (
        weeks.join(F.broadcast(now), on="branch_id", how="left")
        .transform(with_last_year, last_years)
        .transform(with_change)
        .transform(with_anomalies, rules.week_anomaly)
        .transform(with_peer_change, rules.peers)
    )
    nothing = F.lit(None).cast("DECIMAL(18,2)")
    if plans is None:
        planned = rows.withColumn("plan_amount", nothing)
    else:
        planned = rows.join(to_planned_weeks(plans, now), on=["branch_id", "starts_on", "currency"], how="left")
    return KPI_BRANCH_WEEK.conform(planned)


def with_change(weeks: DataFrame) -> DataFrame:
    """KPI 20: ``change`` = revenue / that of the week before - 1, where both are full and the one before is above 0.

    ``_change`` has 20 decimals, because a score divides by how little a branch's changes usually differ.
    """
    series = Window.partitionBy(*SERIES).orderBy("starts_on")
    is_next = F.lag("starts_on").over(series) == F.date_sub("starts_on", 7)
    before = F.when(is_next, F.lag("revenue").over(series))
    are_full = F.coalesce(is_next & F.col("is_full_week") & F.lag("is_full_week").over(series), F.lit(False))
    rows = weeks.withColumns({"previous_week_revenue": before, "_are_full": are_full})
    change = F.when(F.col("_are_full"), _change("revenue", "previous_week_revenue"))
    return rows.withColumn("_change", change).withColumn("change", F.col("_change").try_cast(_RATIO))


def with_anomalies(weeks: DataFrame, anomaly: WeekAnomaly) -> DataFrame:
    """KPI 20: ``deviation_score`` = 0.6745 (c - median) / MAD over all changes c of the branch, and what follows of it.

    Medians are the middle of the sorted changes, or the exact mean of the two in the middle; changes, medians and differences are
    decimals with 20 places, and only the last quotient is computed in binary, of three values rounded once each. So the score is
    the same in whatever order and partitions the weeks come, and that of exact fractions to 1e-9.
    """
    usual = weeks.groupBy(*SERIES).agg(F.collect_list("_change").alias("_changes"))
    usual = usual.withColumn("_median", _median(F.col("_changes")))
    deviations = F.transform("_changes", lambda change: F.abs(change - F.col("_median")).cast(_EXACT))
    spread = usual.select(*SERIES, "_median", _median(deviations).alias("_mad"))
    rows = weeks.join(F.broadcast(spread), on=list(SERIES), how="left")
    signed = (F.col("_change") - F.col("_median")).cast("DOUBLE")
    score = F.when(F.col("_mad") > 0, F.lit(0.6745) * signed / F.col("_mad").cast("DOUBLE")).try_cast(_RATIO)
    previous, is_judged = F.col("previous_week_revenue"), F.col("_are_full")
    if anomaly.rule == "score":
        is_above = F.abs("deviation_score") > F.lit(anomaly.score_above)
        reason = F.when(F.col("_mad") == 0, "no_spread").when(is_above, "deviation")
    else:
        is_above = F.abs("_change") > F.lit(anomaly.change_above)
        reason = F.when(is_above, "change")
    told = F.when(is_judged & (previous <= 0), "previous_not_positive").when(is_judged, reason)
    rows = rows.withColumn("deviation_score", score).withColumn("anomaly_reason", told)
    return rows.withColumn("is_anomaly", F.coalesce(F.col("anomaly_reason").isin("deviation", "change"), F.lit(False)))


def with_peer_change(weeks: DataFrame, peers: str) -> DataFrame:
    """``peer_change``: median of the changes of the other branches that have the same format or region, in the same week."""
    alike = ["starts_on", "currency", peers]
    every = weeks.groupBy(*alike).agg(F.sort_array(F.collect_list("_change")).alias("_alike"))
    own = F.coalesce(F.array_position("_alike", F.col("_change")), F.lit(0))  # from 1 on; 0: none
    count = F.size("_alike") - (own > 0).cast("int")

    def of_others(place: Column) -> Column:
        return F.get("_alike", (place + ((own > 0) & (place >= own - 1)).cast("int")).cast("int"))

    low, high = (of_others(F.floor(place / 2)) for place in (count - 1, count))
    median = ((low + high) * F.lit(_HALF)).cast(_EXACT)
    return weeks.join(every, on=alike, how="left").withColumn("peer_change", median.try_cast(_RATIO))


def with_last_year(weeks: DataFrame, last_years: DataFrame) -> DataFrame:
    """The week of last year beside each week; the change only where both have as many days delivered."""
    calendars = F.broadcast(last_years)
    known = last_years.select("region").distinct().withColumn("_calendar", F.col("region"))
    named = weeks.join(F.broadcast(known), on="region", how="left").withColumn("_calendar", F.coalesce("_calendar", F.lit("")))
    compared = named.join(calendars.withColumnRenamed("region", "_calendar"), on=["_calendar", "starts_on"], how="left")
    then = weeks.select(
        *SERIES,
        F.col("starts_on").alias("_last_starts_on"),
        F.col("revenue").alias("last_year_revenue"),
        F.col("days_delivered").alias("_last_days"),
    )
    rows = compared.join(then, on=[*SERIES, "_last_starts_on"], how="left")
    are_alike = F.col("days_delivered") == F.col("_last_days")
    thursday = F.date_add("_last_starts_on", 3)
    return rows.withColumns(
        {
            "last_year_iso_year": F.year(thursday),
            "last_year_iso_week": F.weekofyear("_last_starts_on"),
            "last_year_change": F.when(are_alike, _change("revenue", "last_year_revenue")).try_cast(_RATIO),
        }
    )


LAST_YEARS = "region STRING, starts_on DATE, _last_starts_on DATE, last_year_holiday STRING"


def to_last_years(weeks: Sequence[date], holidays: Mapping[str, Mapping[str, Sequence[date]]]) -> list[tuple[object, ...]]:
    """Rows of LAST_YEARS: for each region with holidays and each week the week of last year; '' is a region without holidays.

    ``holidays``: by region and name.
    """
    return [
        (region, week, then.week, ", ".join(then.holidays) or None)
        for region, of_region in sorted({**holidays, "": {}}.items())
        for week in weeks
        if (then := counterpart(week, of_region)) is not None
    ]


def to_planned_weeks(plans: DataFrame, branches: DataFrame) -> DataFrame:
    """``plan_amount`` of each branch, week and currency: the sum of what is planned for its days.

    An amount for a longer period is spread evenly over its days, to the cent: the days of a month add up to the month. Where a
    day is planned in several ways, the finest period counts (day, week, month, year), and in it the amount for all product groups
    before those of single groups, which are added. A plan without currency is in that of the branch.
    """
    start = F.col("starts_on")
    last = {
        "day": start,
        "week": F.date_add(start, 6),
        "month": F.date_sub(F.add_months(start, 1), 1),
        "year": F.date_sub(F.add_months(start, 12), 1),
    }
    end, rank = F.lit(None).cast("date"), F.lit(None).cast("int")
    for number, period in enumerate(_FINEST_FIRST):
        end = F.when(F.col("period") == period, last[period]).otherwise(end)
        rank = F.when(F.col("period") == period, number).otherwise(rank)
    spread = plans.withColumns({"_end": end, "_rank": rank}).where("_end IS NOT NULL").select(
        "branch_id", "currency", "category_l1", "revenue_amount", "_rank",
        (F.date_diff("_end", "starts_on") + 1).alias("_length"),
        F.posexplode(F.sequence("starts_on", "_end")).alias("_number", "_day"),
    )  # fmt: skip
    until, before = (F.round(F.col("revenue_amount") * number / F.col("_length"), 2) for number in _running("_number"))
    daily = spread.withColumn("_amount", (until - before).cast("DECIMAL(18,2)"))
    of_all = F.sum(F.when(F.col("category_l1").isNull(), F.col("_amount")))
    by_period = daily.groupBy("branch_id", "currency", "_day", "_rank").agg(F.coalesce(of_all, F.sum("_amount")).alias("_amount"))
    finest = by_period.groupBy("branch_id", "currency", "_day").agg(F.min_by("_amount", "_rank").alias("_amount"))
    own = branches.select("branch_id", "_branch_currency")
    priced = finest.join(F.broadcast(own), on="branch_id", how="left")
    return (
        priced.withColumns({"currency": F.coalesce("currency", "_branch_currency"), "starts_on": _monday("_day")})
        .groupBy("branch_id", "starts_on", "currency")
        .agg(F.sum("_amount").cast("DECIMAL(18,2)").alias("plan_amount"))
    )


def _running(number: str) -> tuple[Column, Column]:
    """How many days of the period have passed with and before a day."""
    return F.col(number) + 1, F.col(number)


def _change(new: str, old: str) -> Column:
    """Quotient less 1 with 20 decimals; NULL unless old is above 0."""
    difference = (F.col(new) - F.col(old)).cast("DECIMAL(18,2)")
    return F.when(F.col(old) > 0, F.try_divide(difference, F.col(old))).try_cast(_EXACT)


def _median(values: Column) -> Column:
    """The exact median of an array of decimals; NULL values are left out, and of nothing there is none."""
    ordered = F.sort_array(F.array_compact(values))
    size = F.size(ordered)
    low, high = (F.get(ordered, F.floor(place / 2).cast("int")) for place in (size - 1, size))
    return ((low + high) * F.lit(_HALF)).cast(_EXACT)


def _monday(day: str) -> Column:
    return F.date_sub(day, F.weekday(day))


def _monday_of_week(week: str) -> Column:
    """Monday of an ISO week such as 2026-W07. The fourth of January lies in week 1."""
    fourth = F.make_date(F.substring(week, 1, 4).cast("int"), F.lit(1), F.lit(4))
    return F.date_add(F.date_sub(fourth, F.weekday(fourth)), (F.substring(week, 7, 2).cast("int") - 1) * 7)
