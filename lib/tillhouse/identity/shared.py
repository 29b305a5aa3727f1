"""Values that belong to no one person: the card that a till uses for everybody, the telephone of a switchboard."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

CARDS = "cards"


def shared_values(records: DataFrame, limits: Mapping[str, int], staff_cards: Collection[str] = ()) -> DataFrame:
    """Values (of_column, value, names, records) that records of more differently sounding names have than the limit says.

    ``staff_cards`` are such values whoever has them.
    """
    is_staffs = F.col("value").isin(*staff_cards) if staff_cards else F.lit(False)
    parts = [
        records.select(
            F.explode(column).alias("value"), "record_id", F.concat_ws(" ", "given_sound", "family_sound").alias("_name")
        )
        .groupBy(F.lit(column).alias("of_column"), "value")
        .agg(F.countDistinct("_name").alias("names"), F.countDistinct("record_id").alias("records"))
        .where((F.col("names") > limit) | (is_staffs if column == CARDS else F.lit(False)))
        for column, limit in limits.items()
    ]
    return union(parts)


def holders(records: DataFrame, values: DataFrame, columns: Collection[str]) -> DataFrame:
    """The records (record_id) that have one of the values (of_column, value)."""
    parts = [
        records.select("record_id", F.lit(column).alias("of_column"), F.explode(column).alias("value")) for column in columns
    ]
    held = reduce(DataFrame.unionByName, parts)
    return held.join(F.broadcast(values), on=["of_column", "value"], how="left_semi").select("record_id").distinct()


def without_shared_values(records: DataFrame, shared: DataFrame, columns: Collection[str]) -> DataFrame:
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
