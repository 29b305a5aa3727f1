"""``tillhouse segment``: the segments of a chain, who is in them, who moves, and why a customer is where it is."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from tillhouse.config import Config
from tillhouse.errors import ConfigError, TillhouseError
from tillhouse.insight import segment_rules
from tillhouse.insight.segment_explain import Explained, Judged, explain
from tillhouse.insight.segment_rules import SegmentRules, of_window, windows_of
from tillhouse.ops import text
from tillhouse.ops.customers import only_one, starts_with
from tillhouse.ops.upgrade import expect_lake
from tillhouse.store import Store
from tillhouse.strict import did_you_mean
from tillhouse.tables.contract import Table
from tillhouse.tables.gold_customers import CUSTOMER_STATE
from tillhouse.tables.gold_segments import NO_SEGMENT, SEGMENT_MEMBER, SEGMENT_MOVE, SEGMENT_SIZE

Say = Callable[[str], None]
AddLake = Callable[[argparse.ArgumentParser], None]
# Store, as_of, months of the window or None for the whole life.
Measure = Callable[[Store, date, int | None], DataFrame]

_HELPS = {
    "list": "rule sets and segments, what they mean, their customers and share of revenue",
    "members": "the customers of a segment, greatest revenue first",
    "moves": "who went from which segment to which, as a matrix",
    "explain": "why a customer is in its segments: rules, conditions and values",
}
_MEMBER = ("customer_id", "branch_id", "currency", "revenue_total", "purchase_count", "last_purchase_date")


@dataclass(frozen=True, slots=True)
class Measures:
    """How customers are measured where gold does not keep it: ``fields`` in a window, ``categories`` also of the whole life.

    ``fields`` has the columns of ``FIELDS`` in tables/gold_customers.py, ``categories`` those of ``OF_CATEGORY`` in
    insight/segment_rules.py beside as_of, customer_id and currency; each of all customers on one day.
    """

    fields: Measure
    categories: Measure


def add_arguments(parser: argparse.ArgumentParser, add_lake_arguments: AddLake) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    parsers = {name: actions.add_parser(name, help=told) for name, told in _HELPS.items()}
    for one in parsers.values():
        add_lake_arguments(one)
        one.add_argument("--json", action="store_true", help="as JSON lines")
    for name in ("list", "members", "explain"):
        parsers[name].add_argument("--as-of", type=text.to_date, metavar="DATE", help="on this day of measurement (the last)")
    for name in ("members", "moves"):
        parsers[name].add_argument("rule_set", metavar="RULE_SET", help="rule set of conf/segments.yml")
    parsers["members"].add_argument("segment", metavar="SEGMENT", help="for example loyal, or 'category_buyer: MEAT'")
    parsers["members"].add_argument("--limit", type=int, default=50, metavar="N", help="at most so many (50)")
    parsers["moves"].add_argument("--from", dest="first", type=text.to_date, metavar="DATE", help="the earlier day")
    parsers["moves"].add_argument("--to", dest="until", type=text.to_date, metavar="DATE", help="the later day (the last)")
    parsers["explain"].add_argument("customer", metavar="CUSTOMER", help="customer_id, or its first characters")
    parsers["explain"].add_argument("--rule-set", metavar="R", help="only this rule set")


def run(given: argparse.Namespace, config: Config, open_store: Callable[[], Store], measures: Measures, say: Say) -> int:
    """What was asked for.

    Raises:
        ConfigError: a rule set, segment, day or customer is unknown.
        TillhouseError: there is no lake yet, or one that no run of this release has worked on.
    """
    rules = segment_rules.load(config)
    if not rules.rule_sets:
        say(f"no segments: {config.conf_dir} has no rule sets in {segment_rules.FILE}; copy that of conf/")
        return 0
    if given.action in ("members", "moves"):
        _refuse(given, rules)
    if given.action == "explain" and given.rule_set is not None:
        rules.rule_set(given.rule_set)
    store = open_store()
    expect_lake(store)
    actions = {"list": _list, "members": _members, "moves": _moves}
    if given.action == "explain":
        _explain(given, rules, store, measures, say)
    else:
        actions[given.action](given, rules, store, say)
    return 0


def _refuse(given: argparse.Namespace, rules: SegmentRules) -> None:
    asked = rules.rule_set(given.rule_set)
    if given.action == "moves" and asked.kind != "exclusive":
        raise ConfigError(
            f"{asked.name} is overlapping: a customer is in several of its segments, so nobody moves from one to another. "
            f"Exclusive ones are: {', '.join(one.name for one in rules.rule_sets if one.kind == 'exclusive') or 'none'}"
        )
    if given.action == "members":
        name = given.segment.partition(": ")[0] if asked.for_each else given.segment
        if name not in asked.meanings:
            hint, known = did_you_mean(name, asked.meanings), ", ".join(asked.meanings)
            raise ConfigError(f"{asked.name} has no segment {name!r}{hint}. There are: {known}")


def _list(given: argparse.Namespace, rules: SegmentRules, store: Store, say: Say) -> None:
    sizes = _read(store, SEGMENT_SIZE)
    as_of = _one_of(_days(sizes, "as_of"), given.as_of)
    sums = sizes.where(F.col("as_of") == F.lit(as_of)).groupBy("rule_set", "segment", "currency").agg(
        F.sum("customers").alias("customers"), F.sum("revenue").alias("revenue"), F.sum("revenue_share").alias("revenue_share")
    )  # fmt: skip
    found = sums.orderBy("rule_set", "segment", "currency").collect()
    rows = [row for one in rules.rule_sets for row in _lines(one, [row for row in found if row["rule_set"] == one.name])]
    if given.json:
        say("\n".join(json.dumps({"as_of": as_of, **row}, default=str) for row in rows))
        return
    say(f"as of {as_of}; revenue_share is that of all who bought, in the window of the rule set if it has one")
    shown = ("rule_set", "segment", "customers", "currency", "revenue", "revenue_share", "meaning")
    say(text.as_table(shown, [[row[name] for name in shown] for row in rows]))


def _lines(rules: segment_rules.RuleSet, found: Sequence[Row]) -> Iterable[Mapping[str, object]]:
    """The segments of a rule set in its order, also those that nobody is in."""
    rows = [row.asDict() for row in found]
    for name, meaning in rules.meanings.items():
        of_name = [row for row in rows if (row["segment"].partition(": ")[0] if rules.for_each else row["segment"]) == name]
        told = {"rule_set": rules.name, "kind": rules.kind, "window_months": rules.window_months, "meaning": meaning}
        if not of_name:
            yield {**told, "segment": name, "customers": 0, "currency": None, "revenue": None, "revenue_share": None}
        for row in of_name:
            share = None if row["revenue_share"] is None else round(row["revenue_share"], 4)
            yield {**told, **row, "revenue_share": share}


def _members(given: argparse.Namespace, rules: SegmentRules, store: Store, say: Say) -> None:  # noqa: ARG001
    members = _read(store, SEGMENT_MEMBER)
    as_of = _one_of(_days(members.where(F.col("rule_set") == given.rule_set), "as_of"), given.as_of)
    asked = members.where(
        (F.col("as_of") == F.lit(as_of)) & (F.col("rule_set") == given.rule_set) & (F.col("segment") == given.segment)
    )
    states = _read(store, CUSTOMER_STATE).where(F.col("as_of") == F.lit(as_of))
    rows = asked.join(states, on=["as_of", "customer_id"], how="left")
    ordered = rows.orderBy(F.desc("revenue_total"), "first_purchase_date", "smallest_receipt_key").select(*_MEMBER)
    found = ordered.limit(given.limit).collect()
    if given.json:
        say("\n".join(json.dumps({"as_of": as_of, **row.asDict()}, default=str) for row in found))
        return
    say(text.as_table(_MEMBER, found) if found else f"nobody as of {as_of}")
    more = asked.count() - len(found)
    if more > 0:
        say(f"and {more:,} more; --limit")


def _moves(given: argparse.Namespace, rules: SegmentRules, store: Store, say: Say) -> None:
    moves = _read(store, SEGMENT_MOVE).where(F.col("rule_set") == given.rule_set)
    pairs = sorted((row[0], row[1]) for row in moves.select("from_as_of", "to_as_of").distinct().collect())
    asked = [pair for pair in pairs if given.first in (None, pair[0]) and given.until in (None, pair[1])]
    if not asked:
        known = ", ".join(f"{first} to {until}" for first, until in pairs)
        raise ConfigError(
            f"there are no moves between these days. There are: {known or 'none yet, customers were measured once'}"
        )
    first, until = asked[-1]
    rows = moves.where((F.col("from_as_of") == F.lit(first)) & (F.col("to_as_of") == F.lit(until))).collect()
    if given.json:
        say("\n".join(json.dumps(row.asDict(), default=str) for row in sorted(rows, key=_cell)))
        return
    known_names = [*rules.rule_set(given.rule_set).meanings, NO_SEGMENT]
    counts = {_cell(row): row["customers"] for row in rows}
    # Names of a definition that the next run replaces are told as they were.
    names = [*known_names, *sorted({name for cell in counts for name in cell} - {*known_names})]
    say(f"from {first} (rows) to {until} (columns); {NO_SEGMENT}: no purchase yet, or none in the window")
    say(text.as_table(["", *names, "all"], [_of_row(counts, name, names) for name in (*names, "all")]))


def _cell(row: Row) -> tuple[str, str]:
    return row["from_segment"], row["to_segment"]


def _of_row(counts: Mapping[tuple[str, str], int], name: str, names: Sequence[str]) -> list[object]:
    """A row of the matrix with its sum; ``all`` is the sum of the columns."""
    starts = names if name == "all" else [name]
    cells = [sum(counts.get((start, end), 0) for start in starts) for end in names]
    return [name, *cells, sum(cells)]


def _explain(given: argparse.Namespace, rules: SegmentRules, store: Store, measures: Measures, say: Say) -> None:
    states = _read(store, CUSTOMER_STATE)
    as_of = _one_of(_days(states, "as_of"), given.as_of)
    of_day = states.where(F.col("as_of") == F.lit(as_of))
    named = of_day.where(starts_with("customer_id", [given.customer])).select("customer_id").limit(6).collect()
    remedy = f"`tillhouse customer find` finds customers; only those known before {as_of} are measured"
    customer_id = only_one(named, "customer_id", given.customer, remedy)["customer_id"]
    is_asked = F.col("customer_id") == customer_id
    wanted = [one for one in rules.definitions if given.rule_set in (None, one.rule_set)]
    told: dict[str, Explained] = {}
    for window in windows_of(wanted):
        definitions = of_window(wanted, window)
        fields = of_day if window is None else measures.fields(store, as_of, window)
        groups = measures.categories(store, as_of, window) if any(one.for_each for one in definitions) else None
        found = explain(fields.where(is_asked), definitions, None if groups is None else groups.where(is_asked))
        told |= {one.rule_set: one for one in found}
    in_order = [told[one.rule_set] for one in wanted]
    kept = {row["rule_set"]: row["definition_version"] for row in _kept(store, as_of)}
    if given.json:
        head = {"as_of": as_of, "customer_id": customer_id}
        say("\n".join(json.dumps({**head, **asdict(one)}, default=str) for one in in_order))
        return
    say(f"customer {customer_id} as of {as_of}")
    for one in in_order:
        say(as_text(one, kept.get(one.rule_set, one.definition_version) != one.definition_version))


def _kept(store: Store, as_of: date) -> list[Row]:
    """The definitions that what gold holds of a day was made with."""
    sizes = _read(store, SEGMENT_SIZE).where(F.col("as_of") == F.lit(as_of))
    return sizes.select("rule_set", "definition_version").distinct().collect()


def as_text(one: Explained, is_changed: bool = False) -> str:
    """What a rule set says of a customer, for people: the segments, and below them each rule that was asked."""
    window = f", last {one.window_months} months" if one.window_months else ""
    lines = ["", f"{one.rule_set}{window}: {', '.join(one.segments)}"]
    if is_changed:
        lines.append("  the rule set has been changed; gold follows with the next run")
    if one.reason is not None:
        lines.append(f"  {one.reason}")
    for rule in one.rules:
        lines.append(f"  {_ANSWERS[rule.holds]:<8} {rule.segment}: {rule.condition}")
        lines.append(f"           {_values(rule)}")
    if one.reason is None and not any(rule.holds for rule in one.rules):
        lines.append("  no rule fits" if one.rules else "  nothing was bought that the rules could be asked of")
    return "\n".join(lines)


_ANSWERS = {True: "yes", False: "no", None: "unknown"}


def _values(rule: Judged) -> str:
    return ", ".join(f"{name} = {_value(value)}" for name, value in rule.values.items())


def _value(value: object) -> str:
    if value is None:
        return "not known"
    told = str(value)
    return told.rstrip("0").rstrip(".") if "." in told else told


def _days(rows: DataFrame, name: str) -> list[date]:
    return sorted(row[0] for row in rows.select(name).distinct().collect())


def _one_of(days: Sequence[date], wanted: date | None) -> date:
    if not days:
        raise TillhouseError("no customer has been measured yet. Remedy: `tillhouse run`")
    if wanted is None:
        return days[-1]
    if wanted not in days:
        raise ConfigError(f"customers were not measured as of {wanted}. There are: {', '.join(map(str, days))}")
    return wanted


def _read(store: Store, table: Table) -> DataFrame:
    if not store.exists(table):
        raise TillhouseError(f"this lake has no {table.full_name} yet. Remedy: `tillhouse run`, which makes missing tables")
    return store.read(table)
