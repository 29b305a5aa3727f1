"""What other rules of the quality score would change, before they are switched on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.identity import vault
from tillhouse.insight import score, score_rules
from tillhouse.insight.score_rules import ScoreRules
from tillhouse.ops import text
from tillhouse.ops.scores import of_day, signed
from tillhouse.store import Store
from tillhouse.tables.gold_customers import CUSTOMER_STATE

MOVERS = 10
_MOVER = ("customer_id", "score_before", "score_after", "change", "colour_before", "colour_after")
_MOVED = ("before", "after", "customers")


def what_if(store: Store, as_of: date | None, now: tuple[Path, ScoreRules], other: tuple[Path, ScoreRules]) -> dict[str, Any]:
    """Who would move if the rules of another file counted, over the figures of gold.customer_state. Changes nothing.

    Raises:
        ConfigError: the rules are wrong, or there are no figures yet.
    """
    for path, rules in (now, other):
        score_rules.check(rules, store.spark, path)
    fields = of_day(store, CUSTOMER_STATE, as_of)
    objections = score.to_objections(vault.consents(store))
    before, after = (store.keep(score.to_scores(fields, rules, objections)) for _, rules in (now, other))
    moves = store.keep(score.to_moves(before, after))
    groups = [_groups(scores, rules) for scores, (_, rules) in ((before, now), (after, other))]
    movers = score.top_movers(moves, MOVERS).orderBy("direction", "place").collect()
    return {
        "as_of": fields.select("as_of").head(1)[0][0],
        "before": {"file": str(now[0]), "definition_version": now[1].definition_version},
        "after": {"file": str(other[0]), "definition_version": other[1].definition_version},
        "customers": _counts(moves),
        "colours": _moved(moves, "colour", _ranks(now[1], other[1])),
        "group_moves": _moved(moves, "points_from", {}),
        "groups": _side_by_side(*groups),
        "movers": {
            side: [{name: row[name] for name in _MOVER} for row in movers if row.direction == side] for side in ("gains", "loses")
        },
    }


def _counts(moves: DataFrame) -> dict[str, int]:
    [row] = moves.agg(
        F.count("score_before").alias("before"),
        F.count("score_after").alias("after"),
        F.count_if(F.expr("colour_before <> colour_after")).alias("in_another_colour"),
        F.count_if(F.expr("NOT points_from_before <=> points_from_after")).alias("in_another_group"),
        F.count_if(F.col("change") > 0).alias("gain"),
        F.count_if(F.col("change") < 0).alias("lose"),
        F.count_if(F.col("change") == 0).alias("stay"),
    ).collect()
    return row.asDict()


def _ranks(*of_rules: ScoreRules) -> dict[object, Decimal]:
    """Colours by where they begin, so that the best comes first."""
    return {item.colour: item.start for rules in of_rules for item in rules.colours}


def _moved(moves: DataFrame, by: str, ranks: dict[object, Decimal]) -> list[dict[str, Any]]:
    """From where to where customers go, the best first; those who stay are there too, and ``none`` comes last."""

    def place(value: Any) -> Decimal:  # noqa: ANN401 - a colour, or the begin of a group
        return -(value if isinstance(value, Decimal) else ranks.get(value, Decimal("-Infinity")))

    rows = score.count_moves(moves, by).collect()
    found = sorted(rows, key=lambda row: (place(row.before), place(row.after)))
    return [{name: score.NONE if row[name] is None else row[name] for name in _MOVED} for row in found]


def _groups(scores: DataFrame, rules: ScoreRules) -> dict[Decimal, int]:
    """Customers by group of points."""
    return {row.points_from: row.customers for row in score.to_groups(scores, rules).collect()}


def _side_by_side(before: dict[Decimal, int], after: dict[Decimal, int]) -> list[dict[str, Any]]:
    """Groups of both, the best first: how many are in each, and how many reach at least its lower end."""

    def side(groups: dict[Decimal, int], name: str, start: Decimal) -> dict[str, int]:
        reached = sum(customers for lower, customers in groups.items() if lower >= start)
        return {name: groups.get(start, 0), f"reached_{name}": reached}

    starts = sorted({*before, *after}, reverse=True)
    return [{"points_from": start, **side(before, "before", start), **side(after, "after", start)} for start in starts]


def as_text(page: dict[str, Any]) -> str:
    """What would change, for people."""
    counts = page["customers"]
    before, after = page["before"], page["after"]
    lines = [
        f"as of {page['as_of']}, over the stored figures; nothing was changed",
        f"  now     {before['file']} ({before['definition_version']}): {counts['before']:,} customers with a score",
        f"  instead {after['file']} ({after['definition_version']}): {counts['after']:,} customers with a score",
        "",
        f"in another colour {counts['in_another_colour']:,}, in another group {counts['in_another_group']:,}; "
        f"{counts['gain']:,} gain points, {counts['lose']:,} lose some, {counts['stay']:,} keep their score",
        "",
        "colours",
        _moves_table(page["colours"]),
        "",
        "groups of points",
        _groups_table(page["groups"]),
    ]
    for title, side in (("who gains most", "gains"), ("who loses most", "loses")):
        if page["movers"][side]:
            lines += ["", title, _movers_table(page["movers"][side])]
    return "\n".join(lines)


def _moves_table(moves: Sequence[dict[str, Any]]) -> str:
    rows = [[row["before"], row["after"], f"{row['customers']:,}", _mark(row)] for row in moves]
    return text.as_table(("now", "instead", "customers", ""), rows)


def _mark(row: dict[str, Any]) -> str:
    return "" if row["before"] == row["after"] else "moves"


def _groups_table(groups: Sequence[dict[str, Any]]) -> str:
    names = ("points", "now", "instead", "change", "reached now", "reached instead")
    rows = [
        [
            f"from {row['points_from']}", f"{row['before']:,}", f"{row['after']:,}", f"{row['after'] - row['before']:+,}",
            f"{row['reached_before']:,}", f"{row['reached_after']:,}",
        ]
        for row in groups
    ]  # fmt: skip
    return text.as_table(names, rows)


def _movers_table(movers: Sequence[dict[str, Any]]) -> str:
    rows = [
        [
            row["customer_id"], row["score_before"], row["score_after"], signed(row["change"]),
            f"{row['colour_before']} -> {row['colour_after']}",
        ]
        for row in movers
    ]  # fmt: skip
    return text.as_table(("customer", "now", "instead", "change", "colour"), rows)
