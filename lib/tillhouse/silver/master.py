"""Master data: products and branches, as last delivered."""

from __future__ import annotations

from zoneinfo import available_timezones

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.quality.rules import BRANCH_RULES, REJECTED, VIOLATIONS, RowRule, with_violations
from tillhouse.sources.fields import BRANCH_FIELDS, PRODUCT_FIELDS, Field
from tillhouse.sources.mapping import map_records
from tillhouse.sources.model import Source
from tillhouse.tables.silver import BRANCH, PRODUCT


def to_product_records(bronze: DataFrame, source: Source) -> DataFrame:
    """Every delivered version of a product, with its violations."""
    return _records(bronze, source, PRODUCT_FIELDS, (), {"is_bundle": F.coalesce("is_bundle", F.lit(False))})


def to_branch_records(bronze: DataFrame, source: Source) -> DataFrame:
    """Every delivered version of a branch, with its violations."""
    zones = F.array(*(F.lit(zone) for zone in sorted(available_timezones())))
    return _records(
        bronze,
        source,
        BRANCH_FIELDS,
        BRANCH_RULES,
        {
            "day_start": F.coalesce("day_start", F.lit("00:00")),
            "_time_zone_is_known": F.array_contains(zones, F.col("time_zone")),
        },
    )


def _records(
    bronze: DataFrame,
    source: Source,
    fields: tuple[Field, ...],
    rules: tuple[RowRule, ...],
    derived: dict[str, Column],
) -> DataFrame:
    mapped, found = map_records(bronze, source, fields)
    checked = with_violations(mapped.withColumns({"source": F.lit(source.name), **derived}), rules, found)
    names = [field.name for field in fields]
    return checked.select(
        "source", *names, F.col("_version_at").alias("version_at"), "_file", "_file_id", "_row", VIOLATIONS, REJECTED
    )


def to_products(records: DataFrame) -> DataFrame:
    """Each product as last delivered; which one it is a variant of has not been asked yet."""
    return PRODUCT.conform(_latest(records, "product_id").withColumn("parent_product_id", F.col("product_id")))


def to_branches(records: DataFrame) -> DataFrame:
    return BRANCH.conform(_latest(records, "branch_id"))


def _latest(records: DataFrame, key: str) -> DataFrame:
    """The newest sound version of each record by the source's own order; ties go to the first row of the first file."""
    newest = Window.partitionBy(key).orderBy(F.col("version_at").desc_nulls_last(), "_file", "_row")
    sound = records.where(~F.col(REJECTED))
    return sound.withColumn("_rank", F.row_number().over(newest)).where("_rank = 1")
