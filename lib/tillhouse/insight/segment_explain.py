"""Why a customer is in a segment: each rule that was asked, its condition, and the values of what it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from tillhouse.insight.conditions import words_of
from tillhouse.insight.segment_rules import Definition
from tillhouse.insight.segments import with_thresholds
from tillhouse.tables.gold_segments import NO_SEGMENT


@dataclass(frozen=True, slots=True)
class Judged:
    """One rule that was asked of a customer; ``holds`` is None where a value is missing that it needs."""

    segment: str
    condition: str
    holds: bool | None
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Explained:
    """What a rule set says of a customer, and the rules that were asked for it, in order.

    Rules of an exclusive set after the one that fits are not asked. ``reason`` tells why nothing was asked at all.
    """

    rule_set: str
    definition_version: str
    window_months: int | None
    segments: tuple[str, ...]
    rules: tuple[Judged, ...]
    reason: str | None = None


def explain(customers: DataFrame, definitions: Sequence[Definition], categories: DataFrame | None = None) -> list[Explained]:
    """What definitions of one window say of one customer.

    ``customers``: the row of the customer on one day, or none; ``categories``: what the customer buys of each product group, for
    definitions that ask each of them.
    """
    whole = [one for one in definitions if one.for_each is None]
    parted = [one for one in definitions if one.for_each is not None]
    rows = _asked(customers, whole)
    is_known = bool(rows) and rows[0]["purchase_count"] > 0
    of_categories: list[Row] = []
    if parted and is_known and categories is not None:
        bought = categories.where("category_l1 IS NOT NULL").join(customers, on=["as_of", "customer_id", "currency"], how="inner")
        of_categories = sorted(_asked(bought, parted), key=lambda row: (-(row["category_revenue"] or 0), row["category_l1"]))
    told = []
    for one in definitions:
        if not is_known:
            told.append(_nothing(one))
        elif one.for_each is None:
            told.append(_explained(one, rows))
        else:
            told.append(_explained(one, of_categories))
    return told


def _asked(rows: DataFrame, definitions: Sequence[Definition]) -> list[Row]:
    """Rows with their thresholds and, for each definition, the answers of its rules in order."""
    answers = [F.array(*(F.expr(condition) for condition in one.conditions)).alias(f"_{one.rule_set}") for one in definitions]
    return with_thresholds(rows, definitions).select("*", *answers).collect()


def _nothing(one: Definition) -> Explained:
    within = f" in the {one.window_months} months" if one.window_months else ""
    return Explained(one.rule_set, one.version, one.window_months, (NO_SEGMENT,), (), f"no purchase{within} before this day")


def _explained(one: Definition, rows: Sequence[Row]) -> Explained:
    judged: list[Judged] = []
    for row in rows:
        of_group = f": {row[one.for_each]}" if one.for_each else ""
        for rule, holds in zip(one.rules, row[f"_{one.rule_set}"], strict=True):
            values = {name: row[name] for name in words_of(rule.when) if name in row}
            judged.append(Judged(rule.segment + of_group, rule.when, holds, values))
            if holds and one.kind == "exclusive":
                break
    segments = tuple(rule.segment for rule in judged if rule.holds) or (one.other or NO_SEGMENT,)
    return Explained(one.rule_set, one.version, one.window_months, segments, tuple(judged))
