"""Amounts to the cent."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F


def with_largest_remainder(
    rows: DataFrame, group: list[str], column: str, order: list[str], total: Column | None = None
) -> DataFrame:
    """Round ``column`` to cents so that each group's sum is its exact sum rounded half up (method of Hamilton).

    The cents that rounding down leaves go to the largest fractions; ties go by ``order``. The type of the column stays. A group's
    ``total`` in cents, where there is one, is what its sum becomes if the two are the same but for rounding.
    """
    exact = F.col(column)
    down = F.floor(exact * 100).cast("DECIMAL(20,0)")
    fraction = exact * 100 - down
    whole = Window.partitionBy(*group)
    exact_sum = F.sum(exact).over(whole)
    target = F.round(exact_sum, 2)
    if total is not None:
        target = F.when(F.abs(total - exact_sum) < 0.01, total).otherwise(target)
    left = (target * 100 - F.sum(down).over(whole)).cast("INT")
    rank = F.row_number().over(whole.orderBy(fraction.desc_nulls_last(), *order))
    rounded = (down + F.when(rank <= left, 1).otherwise(0)) / 100
    return rows.withColumn(column, rounded.cast(rows.schema[column].dataType))
