"""Values that belong to no one person: the card that a till uses for everybody, the telephone of a switchboard."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.frames import small

Keep = Callable[[DataFrame], DataFrame]
CARDS = "cards"


VALUE = ("of_column", "value")


def shared_values(
    records: DataFrame, limits: Mapping[str, int], staff_cards: Collection[str] = (), *, among: DataFrame | None = None
) -> DataFrame:
    """Values (of_column, value, names, records) that records of more differently sounding names have than the limit says.

    ``staff_cards`` are such values whoever has them. ``among``: only these values are looked at.
    """
    limit = F.coalesce(*(F.when(F.col("of_column") == column, limit) for column, limit in limits.items()))
    is_staffs = (F.col("of_column") == CARDS) & F.col("value").isin(*staff_cards) if staff_cards else F.lit(False)
    named = values_of(records, limits, F.concat_ws(" ", "given_sound", "family_sound").alias("_name"))
    if among is not None:
        named = named.join(among, on=list(VALUE), how="left_semi")
    by_name = named.groupBy(*VALUE, "_name").agg(F.count(F.lit(1)).alias("_records"))
    counted = by_name.groupBy(*VALUE).agg(F.count(F.lit(1)).alias("names"), F.sum("_records").alias("records"))
    return counted.where((F.col("names") > limit) | is_staffs)


def holders(records: DataFrame, values: DataFrame, columns: Collection[str]) -> DataFrame:
    """The records (record_id) that have one of the values (of_column, value)."""
    held = values_of(records, columns).join(F.broadcast(values), on=list(VALUE), how="left_semi")
    return held.select("record_id").distinct()


def values_of(records: DataFrame, columns: Collection[str], *further: Column) -> DataFrame:
    """The values of some columns (record_id, of_column, value), each once a record."""
    lists = (
        f"transform(array_distinct({column}), value -> named_struct('of_column', '{column}', 'value', value))"
        for column in columns
    )
    every = F.expr(f"concat({', '.join(f'coalesce({values}, array())' for values in lists)})")
    return (
        records.select("record_id", *further, F.explode(every).alias("_of")).select("*", "_of.of_column", "_of.value").drop("_of")
    )


def without_shared_values(records: DataFrame, shared: DataFrame, columns: Collection[str], keep: Keep) -> DataFrame:
    """The records without such values: they neither bring records together nor count as agreement."""
    of_record = (
        values_of(records, columns)
        .join(F.broadcast(shared.select(*VALUE)), on=list(VALUE), how="inner")
        .groupBy("record_id")
        .agg(*(F.collect_set(F.when(F.col("of_column") == column, F.col("value"))).alias(f"_{column}") for column in columns))
    )
    joined = records.join(small(keep(of_record)), on="record_id", how="left")
    left = {column: F.array_except(column, F.coalesce(f"_{column}", F.array().cast("array<string>"))) for column in columns}
    return joined.select(
        *(F.when(F.size(left[name]) > 0, left[name]).alias(name) if name in left else F.col(name) for name in records.columns)
    )
