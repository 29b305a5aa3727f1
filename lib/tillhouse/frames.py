"""What is done with data frames of any layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pyspark.sql import DataFrame, SparkSession


def union(frames: Sequence[DataFrame]) -> DataFrame:
    """All rows. Halves of halves: each step is planned anew, with all that it holds."""
    if len(frames) == 1:
        return frames[0]
    middle = len(frames) // 2
    return union(frames[:middle]).unionByName(union(frames[middle:]))


def column_of(spark: SparkSession, values: Iterable[str], name: str) -> DataFrame:
    """Texts as the rows of one column, in order."""
    return spark.createDataFrame([(value,) for value in sorted(values)], f"{name} STRING")
