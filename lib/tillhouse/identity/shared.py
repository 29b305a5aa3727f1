"""Values that belong to no one person: the card that a till uses for everybody, the telephone of a switchboard."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

CARDS = "cards"


def shared_values(records: DataFrame, limits: Mapping[str, int], staff_cards: Collection[str] = ()) -> DataFrame:
    """Values (of_column, value, names, records) that records of more differently sounding names have than the limit says.

    ``staff_cards`` are such values whoever has them.
    """
    limit = F.coalesce(*(F.when(F.col("of_column") == column, limit) for column, limit in limits.items()))
    is_staffs = (F.col("of_column") == CARDS) & F.col("value").isin(*staff_cards) if staff_cards else F.lit(False)
    named = _values(records, limits, F.concat_ws(" ", "given_sound", "family_sound").alias("_name"))
    counted = named.groupBy("of_column", "value").agg(
        F.countDistinct("_name").alias("names"), F.countDistinct("record_id").alias("records")
    )
    return counted.where((F.col("names") > limit) | is_staffs)


def holders(records: DataFrame, values: DataFrame, columns: Collection[str]) -> DataFrame:
    """The records (record_id) that have one of the values (of_column, value)."""
    held = _values(records, columns).join(F.broadcast(values), on=["of_column", "value"], how="left_semi")
    return held.select("record_id").distinct()


def _values(records: DataFrame, columns: Collection[str], *further: Column) -> DataFrame:
    """The values of some columns (record_id, of_column, value), one row each."""
    lists = (f"transform({column}, value -> named_struct('of_column', '{column}', 'value', value))" for column in columns)
    every = F.expr(f"concat({', '.join(f'coalesce({values}, array())' for values in lists)})")
    return records.select("record_id", *further, F.explode(every).alias("_of")).select("*", "_of.of_column", "_of.value")


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
