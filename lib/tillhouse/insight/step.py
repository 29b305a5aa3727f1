"""The insight step: what is known of customers, their segments and score, whether they come back, and what is conspicuous."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.config import Config
from tillhouse.frames import union
from tillhouse.insight import (
    affinity,
    backtest,
    buyers,
    cohorts,
    conversion,
    customers,
    days,
    reorder,
    repurchase,
    retention,
    returns,
    rules,
    score_rules,
    segment_history,
    segment_rules,
    segments,
)
from tillhouse.insight import score as scores
from tillhouse.insight.conditions import words_of
from tillhouse.insight.customers import Sources
from tillhouse.insight.days import Days
from tillhouse.insight.rules import InsightRules
from tillhouse.insight.score_rules import ScoreRules
from tillhouse.insight.segment_rules import Definition, SegmentRules
from tillhouse.quality import expectations
from tillhouse.quality.expectations import Identity
from tillhouse.store import Since, Store
from tillhouse.tables import Table, gold, vault
from tillhouse.tables.gold_customers import FIELDS

SERVICE_LEVEL = "service_level"  # the rule set that tells it
RULES_VERSION = 1  # grows with each change of a rule in this room


READS = (
    gold.FCT_RECEIPT, gold.FCT_SALE_LINE, gold.FCT_RETURN, gold.FCT_CONTACT, gold.FCT_TICKET, gold.FCT_OPEN_ITEM,
    gold.DIM_PRODUCT, gold.DIM_CUSTOMER, gold.DIM_BRANCH, gold.KPI_BRANCH_WEEK,
)  # fmt: skip
WRITES = gold.INSIGHT_TABLES


@dataclass(frozen=True)
class Rules:
    """What a chain decides about its customers."""

    insight: InsightRules
    segments: SegmentRules
    score: ScoreRules | None
    conf_dir: Path
    week_score_above: Decimal

    @classmethod
    def of(cls, config: Config, week_score_above: Decimal) -> Rules:
        """As conf says. ``week_score_above``: from which deviation score on a branch's week is conspicuous.

        Raises:
            ConfigError: a file is wrong.
        """
        return cls(rules.load(config), segment_rules.load(config), score_rules.load(config), config.conf_dir, week_score_above)

    @property
    def parts(self) -> Mapping[str, object]:
        """What decides, by its file; what a segment means to people decides nothing."""
        return {
            "rules": RULES_VERSION, rules.FILE: self.insight, segment_rules.FILE: self.segments.definitions,
            score_rules.FILE: self.score and self.score.definition_version,
            "week_score_above": str(self.week_score_above),
        }  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """What is known of customers in one window: of the whole life, or of some months before each day."""

    fields: DataFrame
    categories: DataFrame


def run(store: Store, told: Rules, as_of: date | None, since: Since | None) -> dict[str, int]:
    """Measure customers as of the days on which something may be told otherwise than before, and publish what follows from it.

    Raises:
        ConfigError: a condition of conf cannot be asked.
        QualityError: figures do not add up; nothing is published then.
    """
    segment_rules.check(store.spark, told.segments, told.conf_dir / segment_rules.FILE)
    if told.score is not None:
        score_rules.check(told.score, store.spark, told.conf_dir / score_rules.FILE)
    if since is not None and _objects_otherwise(store, since):
        since = None
    found = days.of(store, told.insight, as_of, since)
    if found is None or not found.anew:
        return {}
    lines = store.read(gold.FCT_SALE_LINE).count()
    store.expect(lines)
    sources, definitions = sources_of(store), told.segments.definitions
    windows = {
        window: measure(
            store, sources, found.periods(store, window), told.insight,
            with_categories=window is None or _asks_for_categories(segment_rules.of_window(definitions, window)),
        )
        for window in {None, *segment_rules.windows_of(definitions)}
    }  # fmt: skip
    store.expect(windows[None].fields.count())
    published = _judged(store, told, windows)
    customer_count = _check(store, found, published)
    store.expect(lines)
    _keep_changes(store, found, told, definitions)
    for table, rows in published.items():
        _replace(store, table, rows, found.condition("as_of"))
    _publish_moves(store, found, definitions)
    for table, rows in {**_of_present(store, found, told.insight), **_flags(store, found, told)}.items():
        store.overwrite(table, rows)
    return {"days_measured": len(found.anew), "customers": customer_count}


def _asks_for_categories(definitions: Sequence[Definition]) -> bool:
    named = {word for one in definitions for condition in one.conditions for word in words_of(condition)}
    return any(one.for_each for one in definitions) or bool(named & {"favourite_category", "favourite_category_share"})


def _judged(store: Store, told: Rules, windows: Mapping[int | None, Measured]) -> dict[Table, DataFrame]:
    """Segments, score and state of each customer and day; kept, because all of them is checked before it is published."""
    definitions = told.segments.definitions
    of_windows = {
        window: store.keep(segments.to_memberships(one.fields, segment_rules.of_window(definitions, window), one.categories))
        for window, one in windows.items()
    }
    memberships = union(list(of_windows.values()))
    whole = windows[None].fields
    judged = {
        gold.SEGMENT_MEMBER: segments.to_members(memberships),
        gold.SEGMENT_SIZE: union([segments.to_sizes(rows, windows[window].fields) for window, rows in of_windows.items()]),
        **_scored(store, told, whole),
    }
    judged[gold.CUSTOMER_STATE] = to_states(whole, memberships, judged.get(gold.QUALITY_SCORE))
    return {table: store.keep(rows) for table, rows in judged.items()}


def _objects_otherwise(store: Store, since: Since) -> bool:
    """Whether others object to being scored than before; that holds for every day."""
    if not store.has_news(vault.CONSENT, since):
        return False
    now, before = (scores.to_objections(rows) for rows in (store.read(vault.CONSENT), store.read_before(vault.CONSENT, since)))
    return not now.exceptAll(before).union(before.exceptAll(now)).isEmpty()


def sources_of(store: Store) -> Sources:
    """The tables of gold that tell of customers."""
    return Sources(
        receipts=store.read(gold.FCT_RECEIPT),
        lines=store.read(gold.FCT_SALE_LINE),
        products=store.read(gold.DIM_PRODUCT),
        returns=store.read(gold.FCT_RETURN),
        customers=store.read(gold.DIM_CUSTOMER),
        branches=store.read(gold.DIM_BRANCH),
        contacts=store.read(gold.FCT_CONTACT),
        tickets=store.read(gold.FCT_TICKET),
        open_items=store.read(gold.FCT_OPEN_ITEM),
    )


def measure(store: Store, sources: Sources, periods: DataFrame, told: InsightRules, *, with_categories: bool = True) -> Measured:
    """What is known of customers in these periods. Without categories, which need every line, the favourite one is not known."""
    if with_categories:
        categories = store.keep(customers.to_categories(sources, periods))
    else:
        nothing = f"as_of DATE, customer_id STRING, currency STRING, {segment_rules.OF_CATEGORY}"
        categories = store.spark.createDataFrame([], nothing)
    return Measured(store.keep(customers.to_fields(sources, periods, categories, told)), categories)


def categories_of(store: Store, as_of: date, months: int | None = None) -> DataFrame:
    """What customers bought by product group as of any day, of the whole life or of some months before it."""
    return customers.to_categories(sources_of(store), Days((as_of,), (as_of,)).periods(store, months))


def fields_of(store: Store, told: InsightRules, as_of: date, months: int | None = None) -> DataFrame:
    """What is known of customers as of any day, of the whole life or of some months before it."""
    periods = Days((as_of,), (as_of,)).periods(store, months)
    return customers.to_fields(sources_of(store), periods, categories_of(store, as_of, months), told)


def to_states(fields: DataFrame, memberships: DataFrame, scored: DataFrame | None) -> DataFrame:
    """gold.customer_state: the fields with what rules say of each customer."""
    level = memberships.where(F.col("rule_set") == SERVICE_LEVEL).select(*customers.KEY, F.col("segment").alias("service_level"))
    states = fields.join(level, on=customers.KEY, how="left")
    if scored is not None:
        told = scored.select(*customers.KEY, F.col("score").alias("quality_score"), F.col("colour").alias("quality_colour"))
        states = states.join(told, on=customers.KEY, how="left")
    return gold.CUSTOMER_STATE.conform(gold.CUSTOMER_STATE.filled(states))


def _scored(store: Store, told: Rules, fields: DataFrame) -> Mapping[Table, DataFrame]:
    if told.score is None:
        return {
            table: store.spark.createDataFrame([], table.struct)
            for table in (gold.QUALITY_SCORE, gold.QUALITY_GROUP)
            if store.version(table)[1] > 0
        }
    objections = scores.to_objections(store.read(vault.CONSENT))
    scored = store.keep(scores.to_scores(fields, told.score, objections))
    return {gold.QUALITY_SCORE: scored, gold.QUALITY_GROUP: scores.to_groups(scored, told.score)}


def _replace(store: Store, table: Table, rows: DataFrame, condition: str) -> None:
    store.overwrite(table, rows, None if condition == "true" else condition)


def _publish_moves(store: Store, found: Days, definitions: Sequence[Definition]) -> None:
    """Who moved between the days of which one was measured again, and what segments did in between."""
    pairs = [pair for pair in pairwise(found.every) if pair[1] in found.anew]
    as_ofs = sorted({day for pair in pairs for day in pair})
    receipts = store.read(gold.FCT_RECEIPT)
    members, states = (
        store.read(table).where(F.col("as_of").isin(as_ofs)) for table in (gold.SEGMENT_MEMBER, gold.CUSTOMER_STATE)
    )
    fields = states.select("as_of", "customer_id", "currency", "purchase_count")
    moves = segments.to_moves(members, fields, definitions, as_ofs)
    first = receipts.agg(F.min("business_date")).collect()[0][0]
    own = members.join(fields, on=customers.KEY, how="inner")
    effects = segments.to_effects(own, receipts, segments.periods_of(first, as_ofs))
    condition = found.condition("to_as_of")
    _replace(store, gold.SEGMENT_MOVE, moves, condition)
    _replace(store, gold.SEGMENT_EFFECT, effects, condition)


def _keep_changes(store: Store, found: Days, told: Rules, definitions: Sequence[Definition]) -> None:
    """Another definition of a rule set is kept as a change: the same customers of the same day by the old and the new one."""
    kept = [segment_history.Kept(*row) for row in store.read(gold.SEGMENT_DEFINITION).collect()]
    history = segment_history.to_history(kept, definitions, found.as_of)
    if sorted(kept) == sorted(history):
        return
    changed = segment_history.changed(
        kept, definitions, store.spark.createDataFrame([], f"{FIELDS}, {segment_rules.OF_CATEGORY}")
    )
    if changed:
        present, sources = Days((found.as_of,), (found.as_of,)), sources_of(store)
        sides: list[list[DataFrame]] = [[], []]
        for window in segment_history.windows_of_changes(changed):
            one = measure(store, sources, present.periods(store, window), told.insight)
            for which, side in enumerate(sides):
                asked = [pair[which] for pair in changed if pair[which].window_months == window]
                side.extend([segments.to_memberships(one.fields, asked, one.categories)] if asked else [])
        changes = segments.to_changes(union(sides[0]), union(sides[1]), changed)
        store.overwrite(gold.SEGMENT_CHANGE, segment_history.with_earlier(changes, store.read(gold.SEGMENT_CHANGE)))
    rows = store.spark.createDataFrame([tuple(row) for row in history], gold.SEGMENT_DEFINITION.struct)
    store.overwrite(gold.SEGMENT_DEFINITION, rows)


def _of_present(store: Store, found: Days, told: InsightRules) -> dict[Table, DataFrame]:
    """Figures as of the present alone; those of another day are asked of the same functions."""
    as_of, sources = found.as_of, sources_of(store)
    members = store.read(gold.SEGMENT_MEMBER)
    visits = store.keep(buyers.to_visits(sources.receipts, as_of=as_of))
    bought_on = store.keep(buyers.to_purchase_days(visits))
    first = buyers.to_first_products(visits, sources.lines, sources.products)
    of_now = members.where(F.col("as_of") == as_of)
    known = store.keep(buyers.to_buyers(visits, bought_on, first, sources.branches, sources.customers, segments=of_now))
    return {
        gold.KPI_REPURCHASE: repurchase.to_kpi_repurchase(bought_on, known, as_of=as_of, windows=told.repurchase_windows),
        gold.KPI_COHORT: cohorts.to_kpi_cohort(visits, known, as_of=as_of),
        gold.KPI_RETENTION: retention.to_kpi_retention(visits, known, sources.branches, members, as_of=as_of, every=told.every),
        gold.KPI_CONVERSION: conversion.to_kpi_conversion(sources.contacts, visits, as_of=as_of),
        gold.PRODUCT_AFFINITY: affinity.to_product_affinity(
            sources.receipts, sources.lines, sources.products, told.affinity, as_of=as_of
        ),
    }


def _flags(store: Store, found: Days, told: Rules) -> dict[Table, DataFrame]:
    """What is conspicuous as of the present, and how often such flags were right before."""
    as_of, sources, limits = found.as_of, sources_of(store), told.insight.reorder
    cells = store.keep(returns.to_return_cells(sources.lines, sources.returns, sources.products, as_of=as_of))
    rates = store.keep(returns.to_kpi_return(cells, told.insight.returns))
    states = store.read(gold.CUSTOMER_STATE)
    purchases = store.keep(
        reorder.to_purchase_days(sources.receipts, sources.lines, sources.products, by_product_line=limits.by_product_line)
    )
    rhythms = store.keep(reorder.to_reorder_state(states, purchases, limits))
    stayed = backtest.to_judged_customers(rhythms, purchases, limits, as_of=as_of)
    weeks = store.read(gold.KPI_BRANCH_WEEK)
    return {
        gold.KPI_RETURN: rates,
        gold.REORDER_SIGNAL: reorder.to_reorder_signals(rhythms.where(F.col("as_of") == as_of), limits),
        gold.FLAG_BACKTEST: backtest.to_flag_backtest(
            weeks, rates, stayed, limits, as_of=as_of, every=told.insight.every, score_above=told.week_score_above
        ),
    }


def _check(store: Store, found: Days, published: Mapping[Table, DataFrame]) -> int:
    """What is known of customers adds up to the receipts; returns how many customers are known as of the present."""
    now = F.col("as_of") == found.as_of
    states = published[gold.CUSTOMER_STATE].where(now)
    buyers_ = F.count_if(F.col("purchase_count") > 0)
    identified = store.read(gold.FCT_RECEIPT).where("customer_id IS NOT NULL AND is_basket")
    identified = identified.where(F.col("business_date") < found.as_of)
    sides = {
        "states": states.agg(F.count("*"), buyers_, F.sum("purchase_count")),
        "receipts": identified.agg(F.lit(0).cast("bigint"), F.count_distinct("customer_id"), F.count("*")),
    }
    if gold.QUALITY_SCORE in published:
        points = F.aggregate(
            F.map_values("points"), F.lit(0).cast("DECIMAL(18,2)"), lambda sum_, part: (sum_ + part).cast("DECIMAL(18,2)")
        )
        scored = published[gold.QUALITY_SCORE].where(now)
        sides["score"] = scored.agg(F.count("*"), (F.sum("score") * 100).cast("bigint"), (F.sum(points) * 100).cast("bigint"))
    told = [rows.toDF("rows", "first", "second").withColumn("side", F.lit(side)) for side, rows in sides.items()]
    sums = {row["side"]: row for row in union(told).collect()}
    state, receipts = sums["states"], sums["receipts"]
    identities = [
        Identity("customer_state: customers who have bought are those of fct_receipt", receipts["first"], state["first"]),
        Identity("customer_state: purchases are those of fct_receipt", receipts["second"], state["second"] or 0),
    ]
    if "score" in sums:
        identities.append(
            Identity(
                "quality_score: points of the criteria are the score, in hundredths",
                sums["score"]["first"],
                sums["score"]["second"],
            )
        )
    expectations.expect("insight", [*expectations.keys_of(published), *identities])
    return int(state["rows"])
