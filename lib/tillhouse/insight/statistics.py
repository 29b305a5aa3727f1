"""Statistics of a row as native expressions, and the limit of false discoveries over the rows of a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.insight.figures import RATIO

_LARGEST_EXACT = 20  # of factorials in 64 bits


def times(rate: Column, factor: Column) -> Column:
    """Product of two ratios; wider ones would lose decimals, and one above a million is none."""
    return (rate.try_cast("DECIMAL(18,12)") * factor.try_cast("DECIMAL(18,12)")).cast(RATIO)


def of_count(rate: Column, count: Column) -> Column:
    """What a rate makes of a count."""
    return (rate.try_cast("DECIMAL(18,12)") * count.cast("DECIMAL(12,0)")).cast(RATIO)


def median(values: Column, kind: str) -> Column:
    """The exact median of an array of numbers without NULL: the middle, or half the sum of the two in the middle."""
    ordered = F.sort_array(values)
    low, high = (F.get(ordered, F.floor(place / 2).cast("int")) for place in (F.size(values) - 1, F.size(values)))
    return ((low + high).cast("DECIMAL(30,12)") * F.lit(Decimal("0.5"))).cast(kind)


def gaps(days: Column) -> Column:
    """Days between each of an array of dates in order and the one before."""
    later, earlier = (F.slice(days, F.lit(start), F.greatest(F.size(days) - 1, F.lit(0))) for start in (2, 1))
    return F.zip_with(later, earlier, F.date_diff)


def log_factorial(number: Column) -> Column:
    """ln(n!): exact up to 20, then Stirling's series (NIST DLMF 5.11.1), whose error is below 1e-12 from there on."""
    n = F.greatest(number, F.lit(1)).cast("double")
    series = 1 / (12 * n) - 1 / (360 * n * n * n) + 1 / (1260 * n * n * n * n * n)
    large = (n + 0.5) * F.log(n) - n + 0.5 * math.log(2 * math.pi) + series
    small = F.log(F.factorial(F.least(number, F.lit(_LARGEST_EXACT)).cast("int")).cast("double"))
    return F.when(number <= _LARGEST_EXACT, small).otherwise(large)


def binomial_tail(successes: Column, trials: Column, share: Column) -> Column:
    """P(X >= successes) of a binomial X with ``trials`` trials of probability ``share``; 1 where not above the mean.

    Above the mean the terms fall: each is the one before it times (T - k) / (k + 1) * share / (1 - share). So the tail is its
    first term times a series of which eight standard deviations and thirty terms hold all but 1e-12. It has no difference of
    near numbers and is right however small it is. ``successes`` and ``trials`` are whole numbers, ``share`` lies between 0 and
    1.
    """
    is_above = (successes > 0) & (share > 0) & (share < 1) & (successes > trials * share)
    safe = F.when(is_above, share).otherwise(0.5)
    odds = safe / (1 - safe)
    first = F.exp(
        log_factorial(trials) - log_factorial(successes) - log_factorial(trials - successes)
        + successes * F.log(safe) + (trials - successes) * F.log(1 - safe)
    )  # fmt: skip
    count = (30 + 8 * F.sqrt(trials * safe * (1 - safe))).cast("int")
    none = F.struct(F.lit(1.0).alias("term"), F.lit(1.0).alias("total"))

    def add(series: Column, place: Column) -> Column:
        left = F.greatest(trials - successes - place + 1, F.lit(0))
        term = series["term"] * left / (successes + place) * odds
        return F.struct(term.alias("term"), (series["total"] + term).alias("total"))

    total = F.aggregate(F.sequence(F.lit(1), count), none, add, lambda series: series["total"])
    return F.when(is_above, F.least(first * total, F.lit(1.0))).otherwise(1.0)


def with_q_value(rows: DataFrame, p_value: str, report: Sequence[str]) -> DataFrame:
    """``q_value`` of Benjamini and Hochberg (1995) over the rows of each report; NULL where ``p_value`` is.

    Of the rows of a report with q <= r that are flagged, at most the share r is false on average. q is the least of
    p * tests / (rows with a p as small) over all p as great.
    """
    tests = F.count(p_value).over(Window.partitionBy(*report))
    up = Window.partitionBy(*report).orderBy(F.asc_nulls_last(p_value)).rangeBetween(Window.unboundedPreceding, Window.currentRow)
    down = Window.partitionBy(*report).orderBy(F.desc_nulls_last(p_value)).rangeBetween(
        Window.unboundedPreceding, Window.currentRow
    )  # fmt: skip
    of_row = F.when(F.col(p_value).isNotNull(), F.col(p_value) * tests / F.count(p_value).over(up))
    rows = rows.withColumn("_q", of_row)
    least = F.min("_q").over(down)
    return rows.withColumn("q_value", F.when(F.col(p_value).isNotNull(), F.least(least, F.lit(1.0)))).drop("_q")


# Over ``series``, an array of structs (week INT, rate DECIMAL) without NULL, in order.
_PAIRS = (
    "flatten(transform({series}, (one, number) -> transform(filter({series}, (other, place) -> place > number), other -> "
    "named_struct('sign', CAST(signum(other.rate - one.rate) AS INT), "
    "'slope', CAST((other.rate - one.rate) / (other.week - one.week) AS DECIMAL(28,12))))))"
)
_TIES = (
    "aggregate(transform({series}, one -> size(filter({series}, other -> other.rate = one.rate))), 0, "
    "(total, alike) -> total + (alike - 1) * (2 * alike + 5))"
)
SIGNIFICANT = 1.96  # two-sided, 5 percent


def with_mann_kendall(rows: DataFrame, series: str) -> DataFrame:
    """``trend``, ``trend_score`` and ``trend_slope`` of the rates in an array of (week, rate), in the order of the weeks.

    S = sum of sign(x_j - x_i) over all pairs i < j; Z = (S - sign(S)) / sqrt(var), var = (n(n-1)(2n+5) - sum of t(t-1)(2t+5) over
    groups of t equal rates) / 18 (Mann 1945, Kendall 1975). The slope is the median of (x_j - x_i) / (j - i) (Sen 1968). A trend
    is told where abs(Z) > 1.96. NULL where there are fewer than four rates; score 0 where all are equal.
    """
    n = F.size(series).cast("double")
    is_long = F.coalesce(F.size(series) >= 4, F.lit(False))
    found = rows.withColumn("_pairs", F.when(is_long, F.expr(_PAIRS.format(series=series))))
    score = F.aggregate("_pairs", F.lit(0), lambda total, pair: total + pair["sign"])
    variance = (n * (n - 1) * (2 * n + 5) - F.expr(_TIES.format(series=series))) / 18
    found = found.withColumns({"_score": score, "_variance": F.when(is_long, variance)})
    z = F.when(F.col("_variance") > 0, (F.col("_score") - F.signum("_score")) / F.sqrt("_variance")).when(is_long, 0.0)
    slope = F.when(is_long, median(F.transform("_pairs", lambda pair: pair["slope"]), RATIO))
    found = found.withColumns({"trend_score": z.cast(RATIO), "trend_slope": slope})
    trend = F.when(F.col("trend_score") > SIGNIFICANT, "up").when(F.col("trend_score") < -SIGNIFICANT, "down").otherwise("none")
    return found.withColumn("trend", trend).drop("_pairs", "_score", "_variance")
