"""Values that belong to no one person: the card that a till uses for everybody, the telephone of a switchboard."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.frames import union


def shared_values(records: DataFrame, limits: Mapping[str, int]) -> DataFrame:
    """Values (of_column, value, names, records) that records of more differently sounding names have than the limit says."""
    parts = [
        records.select(
            F.explode(column).alias("value"), "record_id", F.concat_ws(" ", "given_sound", "family_sound").alias("_name")
        )
        .groupBy(F.lit(column).alias("of_column"), "value")
        .agg(F.countDistinct("_name").alias("names"), F.countDistinct("record_id").alias("records"))
        .where(F.col("names") > limit)
        for column, limit in limits.items()
    ]
    return union(parts)


def without_shared_values(records: DataFrame, shared: DataFrame, columns: Mapping[str, int]) -> DataFrame:
    """The records without such values: they neither bring records together nor count as agreement."""
    for column in columns:
        of_record = (
            records.select("record_id", F.explode(column).alias("value"))
            .join(F.broadcast(shared.where(F.col("of_column") == column).select("value")), on="value", how="inner")
            .groupBy("record_id")
            .agg(F.collect_set("value").alias("_shared"))
        )
        left = F.array_except(F.col(column), F.coalesce("_shared", F.array().cast("array<string>")))
        records = (
            records.join(of_record, on="record_id", how="left").withColumn(column, F.when(F.size(left) > 0, left)).drop("_shared")
        )
    return records
