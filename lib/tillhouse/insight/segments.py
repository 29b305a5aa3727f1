"""Who is in which segment, how great segments are, who moves between them and what comes of it: KPI 15 and 16.

Every frame has a column as_of, so that all days are told in one pass. ``fields`` is one row per as_of and customer, with the
columns of ``FIELDS`` in tables/gold_customers.py, measured in the window of the definitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from tillhouse.insight.figures import MONEY, ratio
from tillhouse.insight.segment_rules import THRESHOLD_TYPE, Definition, Threshold
from tillhouse.tables.gold_segments import (
    NO_BRANCH,
    NO_SEGMENT,
    SEGMENT_CHANGE,
    SEGMENT_EFFECT,
    SEGMENT_MEMBER,
    SEGMENT_MOVE,
    SEGMENT_SIZE,
)

_OF_CUSTOMER = ("as_of", "customer_id", "branch_id", "currency", "revenue")


class Period(NamedTuple):
    """A period whose beginning customers are judged at; ``before``: where the period of the same length before begins."""

    before: date | None
    first: date
    until: date


def periods_of(first_date: date, as_ofs: Sequence[date]) -> list[Period]:
    """The periods between following days. Whole months are compared with as many months, others with as many days.

    ``first_date``: the first trading day that is known; a period before it is not wholly known and compared with nothing.
    """
    periods = []
    for first, until in pairwise(as_ofs):
        months = (until.year - first.year) * 12 + until.month - first.month
        is_in_months = first.day == until.day == 1
        before = _months_before(first, months) if is_in_months else first - (until - first)
        periods.append(Period(before if before >= first_date else None, first, until))
    return periods


def _months_before(first: date, months: int) -> date:
    """The first of a month so many months before."""
    year, month = divmod(first.year * 12 + first.month - 1 - months, 12)
    return date(year, month + 1, 1)


def only_buyers(fields: DataFrame) -> DataFrame:
    """Those with a purchase before as_of, in the window that they are measured in: the population of segments."""
    return fields.where("purchase_count > 0")


def to_memberships(fields: DataFrame, definitions: Sequence[Definition], categories: DataFrame | None = None) -> DataFrame:
    """The segments of each customer and day by definitions of one window, with home branch, currency and revenue.

    ``categories``: as_of, customer_id, currency, category_l1, category_revenue, category_share, category_purchase_count, for
    definitions that ask each product group. In an exclusive rule set the first rule that is true counts, else ``other``; in an
    overlapping one each that is true.
    """
    buyers = only_buyers(fields)
    whole = [one for one in definitions if one.for_each is None]
    parted = [one for one in definitions if one.for_each is not None]
    found = _found(buyers, whole)
    if not parted:
        return found
    assert categories is not None, "rule sets with for_each need what customers buy of each product group"
    of_categories = categories.where("category_l1 IS NOT NULL").join(buyers, on=["as_of", "customer_id", "currency"], how="inner")
    return found.unionByName(_found(of_categories, parted)) if whole else _found(of_categories, parted)


def with_thresholds(rows: DataFrame, definitions: Sequence[Definition]) -> DataFrame:
    """Add the thresholds that definitions name, as they are for each customer."""
    thresholds = {name: threshold for one in definitions for name, threshold in one.thresholds.items()}
    return rows.withColumns({name: _value(threshold) for name, threshold in thresholds.items()})


def to_members(memberships: DataFrame) -> DataFrame:
    """gold.segment_member of the memberships of all rule sets."""
    return SEGMENT_MEMBER.conform(memberships)


def to_sizes(memberships: DataFrame, fields: DataFrame) -> DataFrame:
    """gold.segment_size: customers and revenue by segment and home branch.

    ``fields`` is what the memberships were told from: the share is that of the revenue of all who bought then.
    """
    of_all = only_buyers(fields).groupBy("as_of", "currency").agg(F.sum("revenue_total").alias("_of_all"))
    segments = memberships.groupBy("as_of", "rule_set", "segment", "definition_version", "branch_id", "currency").agg(
        F.count("*").alias("customers"), F.sum("revenue").cast(MONEY).alias("revenue")
    )
    sizes = segments.join(F.broadcast(of_all), on=["as_of", "currency"], how="left")
    return SEGMENT_SIZE.conform(sizes.withColumn("revenue_share", ratio(F.col("revenue"), F.col("_of_all"))))


def to_moves(memberships: DataFrame, fields: DataFrame, definitions: Sequence[Definition], as_ofs: Sequence[date]) -> DataFrame:
    """gold.segment_move: KPI 16, for exclusive definitions and each two following days, the full matrix.

    ``fields`` is of the whole life and of all days. Everybody with a purchase before the later day is counted once; who has
    bought only after the earlier one, or not in the window of a definition, is ``none`` on it.
    """
    exclusive = [one for one in definitions if one.kind == "exclusive"]
    names = [one.rule_set for one in exclusive]
    known = only_buyers(fields).groupBy("customer_id").agg(F.min("as_of").alias("_known_from"))
    entry = F.struct(_place("as_of"), F.col("segment"))
    of_exclusive = memberships.where(F.col("rule_set").isin(names))
    said = of_exclusive.groupBy("customer_id").agg(F.map_from_entries(F.collect_list(entry)).alias("_said"))
    pairs, sets = _pairs(as_ofs), _sets(exclusive)
    customers = known.join(said, on="customer_id", how="left")
    in_pairs = customers.select(
        "_said", F.inline(F.filter(pairs, lambda pair: pair["to_as_of"] >= F.col("_known_from")))
    )  # fmt: skip
    in_sets = in_pairs.select("*", F.inline(sets)).drop("_segments")
    moved = in_sets.select(
        *_OF_PAIR, _said_on("from_as_of").alias("from_segment"), _said_on("to_as_of").alias("to_segment")
    )  # fmt: skip
    counts = moved.groupBy(*_OF_PAIR, "from_segment", "to_segment").agg(F.count("*").alias("_customers"))
    cells = known.limit(1).select(F.inline(pairs)).select("*", F.inline(sets))
    cells = cells.select(*_OF_PAIR, "_segments", F.explode("_segments").alias("from_segment"))
    cells = cells.select(*_OF_PAIR, "from_segment", F.explode("_segments").alias("to_segment"))
    filled = cells.join(counts, on=[*_OF_PAIR, "from_segment", "to_segment"], how="left")
    matrix = filled.withColumn("customers", F.coalesce("_customers", F.lit(0).cast("bigint")))
    of_row = F.sum("customers").over(Window.partitionBy(*_OF_PAIR, "from_segment"))
    return SEGMENT_MOVE.conform(matrix.withColumn("move_share", ratio(F.col("customers"), of_row)))


def to_effects(memberships: DataFrame, receipts: DataFrame, periods: Sequence[Period]) -> DataFrame:
    """gold.segment_effect: what the customers of a segment did in the period after they were found to be in it.

    ``receipts``: customer_id, business_date, currency, revenue_amount, is_basket, one row per valid receipt.
    """
    begun = memberships.select("*", F.inline(F.filter(_periods(periods), lambda period: period["from_as_of"] == F.col("as_of"))))
    paid = _paid(receipts, periods)
    joined = begun.join(paid, on=["customer_id", "from_as_of"], how="left")
    own = F.try_element_at("_paid", F.col("currency"))
    sums = joined.groupBy("rule_set", "segment", "definition_version", "from_as_of", "to_as_of", "before_as_of", "currency").agg(
        F.count("*").alias("customers"),
        F.count_if(F.col("_purchases") > 0).alias("active_customers"),
        F.coalesce(F.sum(own["before"]), F.lit(0)).alias("_before"),
        F.coalesce(F.sum(own["after"]), F.lit(0)).cast(MONEY).alias("revenue_after"),
    )
    effects = sums.withColumns(
        {
            "retention": ratio(F.col("active_customers"), F.col("customers")),
            "revenue_before": F.when(F.col("before_as_of").isNotNull(), F.col("_before").cast(MONEY)),
        }
    )
    compared = F.when(F.col("revenue_before") > 0, F.col("revenue_before"))
    change = ratio(F.col("revenue_after") - F.col("revenue_before"), compared)
    return SEGMENT_EFFECT.conform(effects.withColumn("revenue_change", change))


def to_changes(before: DataFrame, after: DataFrame, changed: Sequence[tuple[Definition, Definition]]) -> DataFrame:
    """gold.segment_change: the same customers on the same day by the old and by the new definition.

    ``before`` and ``after``: memberships of one day by the old and the new definitions in ``changed``. Of exclusive rule sets
    each customer is counted once. Of overlapping ones each segment is told by itself: who stays in it, joins and leaves.
    """
    overlapping = [new.rule_set for old, new in changed if "overlapping" in (old.kind, new.kind)]
    by_segment = F.when(F.col("rule_set").isin(overlapping), F.col("segment")).otherwise("")
    key = ["as_of", "rule_set", "customer_id", "_part"]
    sides = [
        side.withColumn("_part", by_segment).select(*key, F.col("segment").alias(name))
        for side, name in ((before, "from_segment"), (after, "to_segment"))
    ]
    both = sides[0].join(sides[1], on=key, how="full").select("as_of", "rule_set", *map(_or_none, ("from_segment", "to_segment")))
    counted = both.groupBy("as_of", "rule_set", "from_segment", "to_segment").agg(F.count("*").alias("customers"))
    versions = F.array(*(_versions(old, new) for old, new in changed)).cast(
        "array<struct<name: string, from_version: string, to_version: string>>"
    )
    of_set = F.filter(versions, lambda version: version["name"] == F.col("rule_set"))
    return SEGMENT_CHANGE.conform(counted.select("*", F.inline(of_set)).drop("name"))


def _found(rows: DataFrame, definitions: Sequence[Definition]) -> DataFrame:
    found = F.array(*(segment for one in definitions for segment in _segments(one))).cast(f"array<{_SEGMENT}>")
    described = with_thresholds(rows, definitions).withColumns(
        {"branch_id": F.coalesce("home_branch_id", F.lit(NO_BRANCH)), "revenue": F.col("revenue_total")}
    )
    return described.select(*_OF_CUSTOMER, F.inline(found)).where("segment IS NOT NULL")


_SEGMENT = "struct<rule_set: string, definition_version: string, segment: string>"


def _segments(definition: Definition) -> list[Column]:
    """The segments that a row may be in; NULL where it is not. An exclusive definition has one that is never NULL."""
    fitting = [F.when(F.expr(rule.when), _segment(definition, rule.segment)) for rule in definition.rules]
    if definition.kind == "exclusive":
        return [F.coalesce(*fitting, _segment(definition, str(definition.other)))]
    return fitting


def _segment(definition: Definition, name: str) -> Column:
    """A segment of a definition; one of each product group has that in its name."""
    told = F.concat(F.lit(f"{name}: "), F.col(definition.for_each)) if definition.for_each else F.lit(name)
    return F.struct(
        F.lit(definition.rule_set).alias("rule_set"), F.lit(definition.version).alias("definition_version"), told.alias("segment")
    )


def _value(threshold: Threshold) -> Column:
    places = (
        (threshold.branches, "home_branch_id"),
        (threshold.regions, "home_region"),
        (threshold.customer_types, "customer_type"),
    )
    own = [F.when(F.col(column) == name, F.lit(value)) for values, column in places for name, value in values.items()]
    return F.coalesce(*(value.cast(THRESHOLD_TYPE) for value in (*own, F.lit(threshold.default))))


_OF_PAIR = ("from_as_of", "to_as_of", "rule_set", "definition_version")


def _pairs(as_ofs: Sequence[date]) -> Column:
    pairs = [F.struct(F.lit(first).alias("from_as_of"), F.lit(until).alias("to_as_of")) for first, until in pairwise(as_ofs)]
    return F.array(*pairs).cast("array<struct<from_as_of: date, to_as_of: date>>")


def _sets(definitions: Sequence[Definition]) -> Column:
    sets = [
        F.struct(F.lit(one.rule_set), F.lit(one.version), F.array(*(F.lit(name) for name in (*one.names, NO_SEGMENT))))
        for one in definitions
    ]
    return F.array(*sets).cast("array<struct<rule_set: string, definition_version: string, _segments: array<string>>>")


def _periods(periods: Sequence[Period]) -> Column:
    known = [F.struct(F.lit(period.before), F.lit(period.first), F.lit(period.until)) for period in periods]
    return F.array(*known).cast("array<struct<before_as_of: date, from_as_of: date, to_as_of: date>>")


def _place(day: str) -> Column:
    return F.concat_ws("|", F.col("rule_set"), F.col(day))


def _said_on(day: str) -> Column:
    return F.coalesce(F.try_element_at("_said", _place(day)), F.lit(NO_SEGMENT))


def _or_none(name: str) -> Column:
    return F.coalesce(F.col(name), F.lit(NO_SEGMENT)).alias(name)


def _versions(old: Definition, new: Definition) -> Column:
    return F.struct(F.lit(new.rule_set), F.lit(old.version), F.lit(new.version))


def _paid(receipts: DataFrame, periods: Sequence[Period]) -> DataFrame:
    """Of each customer and period: the purchases, and by currency what was paid in the period and in that before it."""
    day = F.col("business_date")
    in_reach = F.filter(
        _periods(periods),
        lambda period: (day >= F.coalesce(period["before_as_of"], period["from_as_of"])) & (day < period["to_as_of"]),
    )
    reached = receipts.where("customer_id IS NOT NULL").select(
        "customer_id", "currency", "revenue_amount", "is_basket", "business_date", F.inline(in_reach)
    )
    is_after = F.col("business_date") >= F.col("from_as_of")
    sums = reached.groupBy("customer_id", "from_as_of", "currency").agg(
        F.sum(F.when(~is_after, F.col("revenue_amount"))).alias("before"),
        F.sum(F.when(is_after, F.col("revenue_amount"))).alias("after"),
        F.count_if(is_after & F.col("is_basket")).alias("_count"),
    )
    by_currency = F.collect_list(F.struct(F.col("currency"), F.struct("before", "after")))
    return sums.groupBy("customer_id", "from_as_of").agg(
        F.sum("_count").alias("_purchases"), F.map_from_entries(by_currency).alias("_paid")
    )
