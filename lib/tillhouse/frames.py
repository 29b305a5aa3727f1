"""What is done with data frames of any layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

IS_LITTLE = "tillhouse.little"  # of a session: whether it works on so little that tasks cost more than rows
_TASKS_FOR_LITTLE = 2
_FEW = 500_000  # keys that each task can hold


def union(frames: Sequence[DataFrame], *, fill: bool = False) -> DataFrame:
    """All rows; ``fill``: a column that a frame lacks is NULL.

    Where a session works on little, few tasks read them: each is handed the plans of all frames.
    """
    if len(frames) == 1:
        return frames[0]
    rows = _halves(frames, fill)
    return rows.coalesce(_TASKS_FOR_LITTLE) if rows.sparkSession.conf.get(IS_LITTLE, "false") == "true" else rows


def _halves(frames: Sequence[DataFrame], fill: bool) -> DataFrame:
    """Halves of halves: each step is planned anew, with all that it holds."""
    if len(frames) == 1:
        return frames[0]
    middle = len(frames) // 2
    return _halves(frames[:middle], fill).unionByName(_halves(frames[middle:], fill), allowMissingColumns=fill)


def small(keys: DataFrame) -> DataFrame:
    """Keys to join by: a few are handed to every task, so that the many rows stay where they are. They are counted: keep them."""
    return F.broadcast(keys) if keys.count() <= _FEW else keys


def column_of(spark: SparkSession, values: Iterable[str], name: str) -> DataFrame:
    """Texts as the rows of one column, in order."""
    return spark.createDataFrame([(value,) for value in sorted(values)], f"{name} STRING")


def without_repeats(rows: DataFrame, key: str, order: str, content: Sequence[str]) -> DataFrame:
    """Rows of a key that say something else than the one before them; NULL is a value like any other."""
    said = F.struct(*content)
    before = F.lag(said).over(Window.partitionBy(key).orderBy(order))
    compared = rows.withColumn("_before", before)
    return compared.where(F.col("_before").isNull() | ~F.col("_before").eqNullSafe(said)).drop("_before")
