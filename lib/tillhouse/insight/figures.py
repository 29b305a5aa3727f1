"""What figures of several tables are made of: exact ratios, and how days are spread."""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column
from pyspark.sql import functions as F

RATIO = "DECIMAL(28,12)"
MONEY = "DECIMAL(18,2)"
UNKNOWN = "unknown"
_DIVIDED = "DECIMAL(24,3)"  # of wider numbers Spark cuts decimals off


def ratio(part: str | Column, whole: str | Column) -> Column:
    """Quotient of two counts, quantities or amounts, in decimal; NULL where the whole is 0 or the quotient above 16 digits."""
    part, whole = (F.col(side) if isinstance(side, str) else side for side in (part, whole))
    return F.try_divide(part.cast(_DIVIDED), whole.cast(_DIVIDED)).try_cast(RATIO)


def quantile(values: str, share: float, times: str | None = None) -> Column:
    """Exact quantile by linear interpolation of whole numbers or halves; ``times``: how often each value occurs."""
    return (F.percentile(values, share) if times is None else F.percentile(values, share, F.col(times))).cast(RATIO)


def spread_of_days(suffix: str) -> list[Column]:
    """Mean, median, p90 and maximum of ``_days``, each of which occurs ``_times`` times; NULL days are left out."""
    known = F.col("_days").isNotNull()
    total, count = F.sum(F.col("_days") * F.col("_times")), F.sum(F.when(known, F.col("_times")))
    return [
        ratio(total, count).alias(f"mean_{suffix}"),
        quantile("_days", 0.5, "_times").alias(f"median_{suffix}"),
        quantile("_days", 0.9, "_times").alias(f"p90_{suffix}"),
        F.max("_days").alias(f"maximum_{suffix}"),
    ]


def day(value: date) -> Column:
    return F.lit(value).cast("date")


def member(dimension: str, name: Column) -> Column:
    """What a row is told by; ``unknown`` where the name is not known."""
    told = F.coalesce(name, F.lit(UNKNOWN))
    return F.struct(F.lit(dimension).alias("dimension"), told.alias("member"))
