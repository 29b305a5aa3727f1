"""Master data: products and branches, as last delivered, and as they were told before.

What a record says begins on its own ``valid_from`` where the source maps that (since ever where it is empty), else on the day
of its change or export time, as the clock shows it in the zone in which the source writes that. History is made of all that
was ever delivered, never of when it came in.
"""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import available_timezones

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.keys import BEGINNING, as_one_text
from tillhouse.quality.rules import BRANCH_RULES, REJECTED, VIOLATIONS, RowRule, with_violations
from tillhouse.silver.versions import day_told
from tillhouse.sources.fields import BRANCH_FIELDS, PRODUCT_FIELDS, Field
from tillhouse.sources.mapping import map_records
from tillhouse.sources.model import Source
from tillhouse.tables.silver import BRANCH, BRANCH_VERSION, PRODUCT, PRODUCT_VERSION

BRANCH_ATTRIBUTES = ("branch_name", "region", "location", "format", "time_zone", "currency", "opened_on", "closed_on")
PRODUCT_ATTRIBUTES = (
    "gtin", "product_name", "category_l1", "category_l2", "category_l3", "product_line", "brand", "price_tier", "variant_of",
    "is_bundle",
)  # fmt: skip


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
        "source", *names, F.col("_version_at").alias("version_at"), _begins_on(source).alias("_begins_on"),
        "_file", "_file_id", "_row", VIOLATIONS, REJECTED,
    )  # fmt: skip


def _begins_on(source: Source) -> Column:
    """First day of what a record says, NULL where nothing tells it."""
    if source.tells("valid_from"):
        return F.coalesce("valid_from", F.lit(BEGINNING))
    return day_told("_version_at", source)


def to_branch_statements(records: DataFrame, are_several: bool = True) -> DataFrame:
    return _to_statements(records, "branch_id", BRANCH_ATTRIBUTES, are_several)


def to_product_statements(records: DataFrame, are_several: bool = True) -> DataFrame:
    return _to_statements(records, "product_id", (*PRODUCT_ATTRIBUTES, "category_ref"), are_several)


def _to_statements(records: DataFrame, key: str, attributes: Sequence[str], are_several: bool) -> DataFrame:
    """What counts of all that was ever told of each member: the newest record (``_is_last``), and each that says something new.

    Of one day the newest by the source's own order counts; ties go to the first row of the first file. A record of which
    nothing tells the day makes no history: it counts where it is the newest, and holds since ever then.

    Where sources ``are_several``, of one member that one is believed that told last, from its own first day on; what others
    told counts for the days before that. So two lists that are delivered side by side do not take turns, and one that replaces
    another goes on with its history.
    """
    newest = Window.partitionBy(key).orderBy(F.col("version_at").desc_nulls_last(), "_file", "_row")
    ranked = records.where(~F.col(REJECTED)).drop(REJECTED, VIOLATIONS).withColumn("_rank", F.row_number().over(newest))
    is_last, ever = F.col("_rank") == 1, F.lit(BEGINNING)
    begins_on = F.when(F.col("_begins_on").isNotNull(), F.greatest("_begins_on", ever)).when(is_last, ever)
    dated = ranked.withColumns({"_begins_on": begins_on, "_is_last": is_last}).where("_begins_on IS NOT NULL")
    if are_several:
        source_rank = F.min("_rank").over(Window.partitionBy(key, "source"))
        later = Window.partitionBy(key).orderBy("_source_rank").rangeBetween(Window.unboundedPreceding, -1)
        believed = dated.withColumn("_source_rank", source_rank).withColumn("_taken_over_on", F.min("_begins_on").over(later))
        dated = believed.where("_taken_over_on IS NULL OR _begins_on < _taken_over_on").drop("_source_rank", "_taken_over_on")
    of_day = Window.partitionBy(key, "_begins_on").orderBy("_rank")
    of_days = dated.withColumn("_of_day", F.row_number().over(of_day)).where("_of_day = 1").drop("_rank", "_of_day")
    return _with_what_was_before(of_days, key, attributes).where("_is_first OR _is_new OR _is_last").drop("_is_first", "_is_new")


def to_history(statements: DataFrame, key: str, attributes: Sequence[str]) -> DataFrame:
    """One row per version of a member, with the day from which it holds (``valid_from``).

    A version differs from the one before it in one of the ``attributes``; NULL is a value like any other. The first version
    holds since ever, so that every fact has one.
    """
    versions = _with_what_was_before(statements, key, attributes).where("_is_first OR _is_new")
    return versions.withColumn("valid_from", F.when(F.col("_is_first"), F.lit(BEGINNING)).otherwise(F.col("_begins_on")))


def _with_what_was_before(statements: DataFrame, key: str, attributes: Sequence[str]) -> DataFrame:
    """Whether a statement is the first of its member, and whether it says something else than the one before it."""
    before = F.lag("_content").over(Window.partitionBy(key).orderBy("_begins_on"))
    compared = statements.withColumn("_content", as_one_text(*attributes)).withColumn("_before", before)
    is_new = F.coalesce(F.col("_before") != F.col("_content"), F.lit(False))
    return compared.withColumns({"_is_first": F.col("_before").isNull(), "_is_new": is_new}).drop("_content", "_before")


def to_products(statements: DataFrame) -> DataFrame:
    """Each product as last delivered; which one it is a variant of has not been asked yet."""
    return PRODUCT.conform(statements.where("_is_last").withColumn("parent_product_id", F.col("product_id")))


def to_branches(statements: DataFrame) -> DataFrame:
    """Each branch as last delivered."""
    return BRANCH.conform(statements.where("_is_last"))


def to_branch_versions(statements: DataFrame) -> DataFrame:
    return BRANCH_VERSION.conform(to_history(statements, "branch_id", BRANCH_ATTRIBUTES))


def to_product_versions(statements: DataFrame, products: DataFrame) -> DataFrame:
    """Versions of each product. The top of its variants is the one of today (``products``), so that its sums span its history."""
    tops = products.select("product_id", "parent_product_id")
    versions = to_history(statements, "product_id", PRODUCT_ATTRIBUTES)
    return PRODUCT_VERSION.conform(versions.join(tops, on="product_id", how="inner"))
