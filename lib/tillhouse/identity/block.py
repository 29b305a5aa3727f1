"""Which records are compared at all: those that agree in the columns of a declared rule."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.identity.rules import BlockingRule

SEPARATOR = "\x1f"


def key_sql(rule: BlockingRule, name: str, is_split: bool) -> str:
    """The block of a record as a SQL expression; NULL where one of the columns is missing.

    In a block that is split, a missing column of ``split_by`` counts as a value of its own.
    """
    missing = " OR ".join(f"{column} IS NULL" for column in rule.same)
    return f"CASE WHEN {missing} THEN NULL ELSE concat_ws('{SEPARATOR}', {_parts_sql(rule, name, is_split)}) END"


def _parts_sql(rule: BlockingRule, name: str, is_split: bool) -> str:
    """What the records of a block have in common, as arguments of a SQL function."""
    columns = ", ".join(rule.same)
    values = f"least({columns}), greatest({columns})" if rule.in_any_order else columns
    split = [f"coalesce({column}, '')" for column in rule.split_by] if is_split else []
    return ", ".join([f"'{name}'", values, *split])


def memberships(records: DataFrame, rules: Mapping[str, BlockingRule]) -> DataFrame:
    """The blocks of each record by every rule: ``whole``, and ``split`` should that be too large."""
    every = F.expr(f"concat({', '.join(_blocks_sql(name, rule) for name, rule in rules.items())})")
    return records.select("record_id", F.explode(every).alias("_of")).select("_of.rule", "_of.whole", "_of.split", "record_id")


def _blocks_sql(name: str, rule: BlockingRule) -> str:
    """The blocks of a record by one rule, as an array: one for each value of a list; none where a column is missing."""
    keys = ", ".join(
        f"'{of}', xxhash64({_parts_sql(rule, name, is_split)})" for of, is_split in (("whole", False), ("split", True))
    )
    block = f"named_struct('rule', '{name}', {keys})"
    column = rule.list_column
    blocks = f"array({block})" if column is None else f"transform({column}, {column} -> {block})"
    return f"IF({' AND '.join(f'{column} IS NOT NULL' for column in rule.same)}, {blocks}, array())"


def within_limit(found: DataFrame, limit: int) -> tuple[DataFrame, DataFrame]:
    """Records by block (rule, block, record_id), and the blocks that were refused (rule, block, records).

    ``found``: memberships, of each ``whole`` all or none. A block with more records than the limit is split by the further
    columns of its rule; what is still larger is refused.
    """
    sized = found.withColumn("_size", _count("rule", "whole"))
    large = sized.where(F.col("_size") > limit).withColumn("_size", _count("rule", "split"))
    kept = sized.where(F.col("_size").between(2, limit)).select("rule", F.col("whole").alias("block"), "record_id")
    of_split = large.where(F.col("_size").between(2, limit)).select("rule", F.col("split").alias("block"), "record_id")
    refused = large.where(F.col("_size") > limit).groupBy("rule", F.col("split").alias("block"))
    return kept.unionByName(of_split), refused.agg(F.count(F.lit(1)).alias("records"))


def with_blocks(records: DataFrame, rules: Mapping[str, BlockingRule], limit: int) -> tuple[DataFrame, DataFrame]:
    """Records by block, and the blocks that were refused, as ``within_limit``."""
    return within_limit(memberships(records, rules), limit)


def _count(*columns: str) -> Column:
    return F.count(F.lit(1)).over(Window.partitionBy(*columns))


def to_pairs(blocks: DataFrame, touched: DataFrame | None = None) -> DataFrame:
    """Each pair of records in a block once (left < right), with the rules that found it.

    ``touched`` (record_id): only pairs with one of these.
    """
    one = blocks.select("rule", "block", F.col("record_id").alias("_one"))
    other = blocks.select("rule", "block", F.col("record_id").alias("_other"))
    is_pair = F.col("_one") < F.col("_other")
    if touched is not None:
        one = one.join(touched.toDF("_one"), on="_one", how="left_semi")
        is_pair = F.col("_one") != F.col("_other")
    return (
        one.join(other, on=["rule", "block"], how="inner")
        .where(is_pair)
        .groupBy(F.least("_one", "_other").alias("left"), F.greatest("_one", "_other").alias("right"))
        .agg(F.sort_array(F.collect_set("rule")).alias("rules"))
    )


def count_by_rule(pairs: DataFrame) -> DataFrame:
    """What each rule is good for: the pairs that it found, and those that no other rule found."""
    return (
        pairs.select(F.explode("rules").alias("rule"), (F.size("rules") == 1).alias("_is_only"))
        .groupBy("rule")
        .agg(F.count(F.lit(1)).alias("pairs"), F.count_if("_is_only").alias("pairs_only_here"))
    )
