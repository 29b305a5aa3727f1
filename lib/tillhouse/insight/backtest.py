"""gold.flag_backtest: how often flags of the past were right, beside a simple rule and beside what was not flagged.

Each flag is raised from what was known on its day and judged by what came after it. A share of right flags says little alone: of
customers who seem lost some are always away, flagged or not. So ``base_share`` tells how often the same came true where a rule
looked and did not flag. A rule is worth its name where ``right_share`` is well above that.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.insight.figures import ratio
from tillhouse.insight.rules import Reorder
from tillhouse.insight.statistics import median
from tillhouse.tables.gold_flags import FLAG_BACKTEST

Every = Literal["month", "quarter"]
CHANGE_ABOVE = 0.5  # the simple rule for weeks
LEAST_CHANGES = 8  # of a branch, before its weeks are judged
_AMOUNT = "DECIMAL(30,12)"
_BRANCH = ("branch_id", "currency")
_CELL = ("branch_id", "category_l1", "product_line", "currency")
_JUDGED_BY = {
    "week_anomaly": "in the week after it at least half of the distance to the median week of the branch was gone",
    "return_hotspot": "in the two weeks after it returns were more frequent than expected, or mostly for the same reason",
    "reorder_signal": "no purchase within the horizon after as_of",
}


def to_flag_backtest(
    weeks: DataFrame, returns: DataFrame, state: DataFrame, rules: Reorder, *, as_of: date, every: Every, score_above: Decimal
) -> DataFrame:
    """How often the flags of each past period were right, by kind of flag and rule.

    ``weeks``: gold.kpi_branch_week; ``returns``: gold.kpi_return; ``state``: of ``to_judged_customers``; ``as_of``: what came
    after the flags is known until the day before; ``every``: weeks and cells are counted by month or quarter; ``score_above``:
    the limit of the deviation score in conf/kpis.yml.
    """
    end = _end_of_period(every, as_of)
    judged = [
        _rows("week_anomaly", to_judged_weeks(weeks, as_of=as_of, score_above=score_above), end, 7),
        _rows("return_hotspot", to_judged_hotspots(returns, as_of=as_of), end, 14),
        _rows("reorder_signal", state, F.col("known_on"), rules.horizon_days),
    ]
    return FLAG_BACKTEST.conform(union(judged).transform(_with_counts))


def to_judged_weeks(weeks: DataFrame, *, as_of: date, score_above: Decimal) -> DataFrame:
    """Full weeks of branches with ``ours`` (KPI 20), ``simple`` (change above 50 percent) and whether either was right.

    ``ours`` is computed anew from the changes up to each week: gold.kpi_branch_week judges earlier weeks by later ones as well.
    A branch is judged from eight changes on; with fewer a score says nothing. Right is a flag for a passing event: in the full
    week after it at least half of the distance to the median of the branch's full weeks so far was gone. A new lasting level is
    no anomaly of one week: who looks for its cause in that week finds none. A week whose distance is 0 cannot be right.
    """
    so_far = Window.partitionBy(*_BRANCH).orderBy("starts_on").rowsBetween(Window.unboundedPreceding, Window.currentRow)
    series = Window.partitionBy(*_BRANCH).orderBy("starts_on")
    full = weeks.where("is_full_week").where(F.date_add("starts_on", 7) <= F.lit(as_of))
    is_next = F.lead("starts_on").over(series) == F.date_add("starts_on", 7)
    rows = full.select(
        *_BRANCH, "starts_on", "change", F.col("revenue").cast(_AMOUNT).alias("revenue"),
        F.when(is_next, F.lead("revenue").over(series)).cast(_AMOUNT).alias("_next"),
        F.collect_list("change").over(so_far).alias("_changes"),
        F.collect_list("revenue").over(so_far).alias("_revenues"),
    ).where((F.col("change").isNotNull()) & (F.size("_changes") >= LEAST_CHANGES))  # fmt: skip
    rows = rows.withColumns({"_median": median(F.col("_changes"), _AMOUNT), "_level": median(F.col("_revenues"), _AMOUNT)})
    away = F.transform("_changes", lambda change: F.abs(change - F.col("_median")))
    rows = rows.withColumn("_mad", median(away, _AMOUNT))
    score = F.lit(0.6745) * (F.col("change") - F.col("_median")).cast("double") / F.col("_mad").cast("double")
    distance, left = F.abs(F.col("revenue") - F.col("_level")), F.abs(F.col("_next") - F.col("_level"))
    return rows.select(
        F.date_add("starts_on", 7).alias("known_on"),
        F.when(F.col("_mad") > 0, F.abs(score) > float(score_above)).otherwise(False).alias("ours"),
        (F.abs("change") > CHANGE_ABOVE).alias("simple"),
        F.when(F.col("_next").isNotNull(), (distance > 0) & (2 * left <= distance)).alias("is_right"),
    )


def to_judged_hotspots(returns: DataFrame, *, as_of: date) -> DataFrame:
    """Tested cells of gold.kpi_return with ``ours``, ``simple`` (twice the expected rate) and whether either was right.

    Right is a flag that a manager can still act upon: in the two weeks after it the group came back more often than expected,
    or mostly for the same reason as before. The last flag of a hotspot that has ended is not right. The weeks after it are in no
    figure of the flag. Judged where both weeks have ended and in one of them the group was sold or returned.
    """
    days = F.date_diff("starts_on", F.lit(date(1970, 1, 5)))
    later = Window.partitionBy(*_CELL).orderBy("_day").rangeBetween(7, 14)
    rows = returns.where(F.date_add("starts_on", 7) <= F.lit(as_of)).withColumn("_day", days).withColumns(
        {
            "_returned": F.sum("returned_receipts").over(later),
            "_expected": F.sum("expected_receipts").over(later),
            "_reasons": F.collect_set("reason").over(later),
        }
    )  # fmt: skip
    is_over = F.date_add("starts_on", 21) <= F.lit(as_of)
    is_same_reason = F.coalesce(F.array_contains("_reasons", F.col("reason")), F.lit(False))
    is_right = (F.col("_returned") > F.col("_expected")) | is_same_reason
    return rows.where("p_value IS NOT NULL").select(
        F.date_add("starts_on", 7).alias("known_on"),
        F.col("is_hotspot").alias("ours"),
        F.col("is_simple_hotspot").alias("simple"),
        F.when(is_over, is_right).alias("is_right"),
    )


def to_judged_customers(state: DataFrame, purchases: DataFrame, rules: Reorder, *, as_of: date) -> DataFrame:
    """Customers as of past days with ``ours`` (KPI 21), ``simple`` (2 x median gap) and whether they stayed away.

    A silence is right where no purchase came within ``horizon_days`` after the day: who comes anyhow needs no call. Only flags
    raised within so many days before as_of count: a customer lost long ago would be right at every date. Neither do
    those count who were flagged before: they are not asked again. ``state``: of ``to_reorder_state``; ``purchases``: of
    ``to_purchase_days``; ``as_of``: purchases are known until the day before.
    """
    bought = purchases.where("product_line IS NULL").select("customer_id", F.col("days").alias("_all"))
    rows = state.where("product_line IS NULL").join(bought, on="customer_id", how="inner")
    end = F.date_add("as_of", rules.horizon_days)
    is_back = F.exists("_all", lambda one: (one["day"] >= F.col("as_of")) & (one["day"] < end))
    since = {"ours": F.col("limit_days"), "simple": 2 * F.col("median_gap_days")}
    fresh = {
        name: F.when(F.col("silence_days") - rules.horizon_days <= limit, F.col("silence_days") > limit)
        for name, limit in since.items()
    }
    return rows.select(
        F.col("as_of").alias("known_on"),
        *(flag.alias(name) for name, flag in fresh.items()),
        F.when(end <= F.lit(as_of), ~is_back).alias("is_right"),
    )


def _rows(flag: str, judged: DataFrame, as_of: Column, horizon_days: int) -> DataFrame:
    """One row per rule and thing that it looked at."""
    rules = F.array(*(F.struct(F.lit(rule).alias("rule"), F.col(rule).alias("is_flagged")) for rule in ("ours", "simple")))
    rows = judged.select(as_of.alias("as_of"), "is_right", F.explode(rules).alias("_rule"))
    return rows.select(
        F.lit(flag).alias("flag"), "_rule.rule", "as_of", F.col("_rule.is_flagged").alias("_is_flagged"), "is_right",
        F.lit(horizon_days).alias("horizon_days"), F.lit(_JUDGED_BY[flag]).alias("judged_by"),
    ).where("_is_flagged IS NOT NULL")  # fmt: skip


def _end_of_period(every: Every, as_of: date) -> Column:
    """The first day after the month or quarter in which a flag became known, as_of for the last one."""
    start = F.trunc(F.date_sub("known_on", 1), every)
    return F.least(F.add_months(start, {"month": 1, "quarter": 3}[every]), F.lit(as_of))


def _with_counts(rows: DataFrame) -> DataFrame:
    is_flagged = F.col("_is_flagged")
    is_judged = F.col("is_right").isNotNull()
    counted = rows.groupBy("flag", "rule", "as_of", "horizon_days", "judged_by").agg(
        F.count_if(is_flagged).alias("flagged"),
        F.count_if(is_flagged & is_judged).alias("judged"),
        F.count_if(is_flagged & F.col("is_right")).alias("right"),
        F.count_if(~is_flagged & is_judged).alias("base_judged"),
        F.count_if(~is_flagged & F.col("is_right")).alias("base_right"),
    )
    return counted.withColumns(
        {
            "right_share": ratio(F.col("right"), F.col("judged")),
            "base_share": ratio(F.col("base_right"), F.col("base_judged")),
        }
    )
