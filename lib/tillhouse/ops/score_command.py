"""``tillhouse score``: who has which quality score and why, how many reach which group, and what other rules would change."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.config import Config
from tillhouse.errors import ConfigError
from tillhouse.identity import vault
from tillhouse.insight import score, score_rules
from tillhouse.insight.score_rules import ScoreRules
from tillhouse.ops import addresses, score_what_if, scores, text
from tillhouse.ops.scores import as_json
from tillhouse.store import Store
from tillhouse.tables.gold_scores import QUALITY_GROUP, QUALITY_SCORE

Say = Callable[[str], None]
AddLake = Callable[[argparse.ArgumentParser], None]
_HELPS = {
    "list": "customers by score, the best first",
    "show": "the points of a customer by criterion, and what led to them",
    "groups": "how many customers are in each group of points, and how many reach it",
    "statistics": "what scores look like as a whole, to print",
    "what-if": "who would move under other rules; changes nothing",
    "addresses": "an address list of those chosen who consent, as CSV",
}
_LISTED = ("position", "rank", "customer_id", "score", "colour", "points_from", "branch_id", "revenue_total", "currency")


def add_arguments(parser: argparse.ArgumentParser, add_lake_arguments: AddLake) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    parsers = {name: actions.add_parser(name, help=help_text) for name, help_text in _HELPS.items()}
    for one in parsers.values():
        add_lake_arguments(one)
        one.add_argument("--as-of", type=text.to_date, help="scores of all that happened before this day (the latest)")
    for name in ("list", "addresses"):
        chosen = parsers[name].add_mutually_exclusive_group(required=name == "addresses")
        chosen.add_argument("--min", type=_points, metavar="N", help="only scores of at least N")
        chosen.add_argument(
            "--rank",
            type=_positive,
            metavar="N",
            help="all groups down to the one that holds rank N; may be more than N customers",
        )
    parsers["list"].add_argument("--limit", type=_positive, default=50, metavar="N", help="show at most so many (50)")
    parsers["show"].add_argument("customer", metavar="CUSTOMER", help="customer_id, or its first characters")
    parsers["what-if"].add_argument("file", type=Path, metavar="FILE", help="other rules, written like conf/score.yml")
    parsers["addresses"].add_argument("--channel", required=True, choices=addresses.CHANNELS, help="how they are to be reached")
    parsers["addresses"].add_argument("--purpose", default="marketing", choices=addresses.PURPOSES, help="what for (marketing)")
    parsers["addresses"].add_argument("--to", type=Path, required=True, metavar="FILE", help="the CSV file to write")
    for name in ("list", "show", "groups", "statistics", "what-if"):
        parsers[name].add_argument("--json", action="store_true", help="as JSON")


def _points(given: str) -> Decimal:
    try:
        points = Decimal(given)
    except InvalidOperation:
        points = Decimal("NaN")
    if not points.is_finite():
        raise argparse.ArgumentTypeError(f"{given!r} is not a number of points; write for example 65")
    return points


def _positive(given: str) -> int:
    if not given.isdecimal() or int(given) < 1:
        raise argparse.ArgumentTypeError(f"{given!r} is not a whole number from 1 on; write for example 100")
    return int(given)


def run(given: argparse.Namespace, config: Config, open_store: Callable[[], Store], say: Say) -> int:
    """What was asked for. Rules are read before Spark is started.

    Raises:
        ConfigError: there is no score, the customer is unknown, or the rules are wrong.
    """
    match given.action:
        case "what-if":
            now, other = (config.conf_dir / score_rules.FILE, _rules(config)), (given.file, score_rules.read(given.file))
            moved = score_what_if.what_if(open_store(), given.as_of, now, other)
            say(as_json(moved) if given.json else score_what_if.as_text(moved))
        case "show":
            rules = _rules(config)
            page = scores.show(open_store(), rules, given.customer, given.as_of)
            say(as_json(page) if given.json else scores.show_text(page))
        case "groups":
            rows = scores.of_day(open_store(), QUALITY_GROUP, given.as_of).orderBy(F.desc("points_from")).collect()
            say(as_json([row.asDict() for row in rows]) if given.json else scores.groups_text(rows))
        case "statistics":
            figures = scores.statistics(scores.of_day(open_store(), QUALITY_SCORE, given.as_of))
            say(as_json(figures) if given.json else scores.statistics_text(figures))
        case "addresses":
            _addresses(open_store(), given, say)
        case _:
            _list(open_store(), given, say)
    return 0


def _rules(config: Config) -> ScoreRules:
    found = score_rules.load(config)
    if found is None:
        path = config.conf_dir / score_rules.FILE
        raise ConfigError(f"{path}: file not found, so nobody is scored. Remedy: copy conf/score.yml of this project there")
    return found


def _chosen(store: Store, given: argparse.Namespace) -> DataFrame:
    of_day = scores.of_day(store, QUALITY_SCORE, given.as_of)
    return score.select_from(of_day, minimum=given.min, rank=given.rank)


def _list(store: Store, given: argparse.Namespace, say: Say) -> None:
    chosen = _chosen(store, given)
    rows = chosen.select("as_of", *_LISTED).orderBy("position").limit(given.limit).collect()
    if given.json:
        say(as_json([row.asDict() for row in rows]))
        return
    if not rows:
        say("nobody reaches that")
        return
    count = chosen.count()
    say(text.as_table(_LISTED, [[row[name] for name in _LISTED] for row in rows]))
    more = f"; {count - len(rows):,} more, see --limit" if count > len(rows) else ""
    say(f"{count:,} customers as of {rows[0].as_of}{more}")


def _addresses(store: Store, given: argparse.Namespace, say: Say) -> None:
    chosen = _chosen(store, given).select("position", "customer_id", "score", "colour")
    known, consents = vault.customers(store), vault.consents(store)
    rows = addresses.to_addresses(chosen, known, consents, given.channel, given.purpose).orderBy("position")
    found = addresses.to_list(rows, given.channel, ("score", "colour"))
    addresses.write_csv(found, given.to)
    say(
        f"wrote {len(found.rows):,} addresses to {given.to}; left out: {found.without_consent:,} without consent to "
        f"{given.purpose} by {given.channel}, {found.without_address:,} without address. The file holds personal data: "
        "delete it after use"
    )
