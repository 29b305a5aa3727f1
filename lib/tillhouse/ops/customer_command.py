"""``tillhouse customer``: who is who, asked, explained and decided by people."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tillhouse.config import Config
from tillhouse.errors import ConfigError
from tillhouse.identity import conf as identity_conf
from tillhouse.identity import explain as explaining
from tillhouse.ops import customers, identity_decisions, reviews
from tillhouse.ops.runs import Run, new_run_id
from tillhouse.store import Store

if TYPE_CHECKING:
    from pyspark.sql import Row

Say = Callable[[str], None]
AddLake = Callable[[argparse.ArgumentParser], None]
FOLLOWS = "the next run applies it"
_HELPS = {
    "find": "customers that have an e-mail address, phone, card or customer number",
    "show": "a customer with its records, cards and receipts",
    "explain": "why two customers or records are one customer, or are not",
    "merge": "two customers or records are one customer",
    "keep-apart": "two customers or records are different customers",
    "split": "records are of another customer than the rest of theirs",
    "detach-receipt": "a receipt is of no customer",
    "decisions": "what people have decided, the latest first",
    "undo": "take a decision back",
}
_REVIEW_HELPS = {
    "list": "open questions, most value first",
    "show": "all that may be shown of a question",
    "export": "open questions as CSV, to be answered in it",
    "import": "take the answers of such a file in",
}


def add_arguments(parser: argparse.ArgumentParser, add_lake_arguments: AddLake) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    parsers = {name: actions.add_parser(name, help=text) for name, text in _HELPS.items()}
    review = actions.add_parser("review", help="questions about who is who: list, show, export, import").add_subparsers(
        dest="review_action", required=True
    )
    asked = {name: review.add_parser(name, help=text) for name, text in _REVIEW_HELPS.items()}
    for one in (*parsers.values(), *asked.values()):
        add_lake_arguments(one)
    for name in customers.IDENTIFIERS:
        parsers["find"].add_argument(f"--{name.replace('_', '-')}", dest=name, metavar="VALUE", help=f"that has this {name}")
    parsers["show"].add_argument("customer", help="customer_id or a party_key of it, or the first characters")
    parsers["show"].add_argument("--clear", action="store_true", help="with name, address and contacts, from the vault")
    for name in ("explain", "merge", "keep-apart"):
        parsers[name].add_argument("one", metavar="A", help="customer_id or party_key, or the first characters")
        parsers[name].add_argument("other", metavar="B", help="the other one")
    parsers["split"].add_argument("customer", metavar="CUSTOMER", help="customer_id, or its first characters")
    parsers["split"].add_argument("parties", metavar="PARTY", nargs="+", help="party_keys of the records to set apart")
    parsers["detach-receipt"].add_argument("receipt_key", metavar="RECEIPT_KEY", help="or its first characters")
    parsers["undo"].add_argument("decision_id", metavar="DECISION_ID", help="or its first characters")
    for name in ("merge", "keep-apart", "split", "detach-receipt"):
        parsers[name].add_argument("--reason", required=True, help="why")
    for one in (*(parsers[name] for name in ("merge", "keep-apart", "split", "detach-receipt", "undo")), asked["import"]):
        one.add_argument("--by", required=True, help="who decides")
    asked["list"].add_argument("--limit", type=int, default=50, help="at most so many (50)")
    asked["show"].add_argument("review_id", metavar="ID", help="review_id, or its first characters")
    asked["export"].add_argument("--to", type=Path, required=True, metavar="FILE", help="the CSV file to write")
    asked["import"].add_argument("file", type=Path, metavar="FILE", help="an exported file with answers in column decision")
    for one in (*(parsers[name] for name in ("find", "show", "explain", "decisions")), asked["list"], asked["show"]):
        one.add_argument("--json", action="store_true", help="as JSON")


def run(given: argparse.Namespace, config: Config, store: Store, now: datetime, say: Say) -> int:
    """What was asked for.

    Raises:
        ConfigError: something is unknown, ambiguous or decided already; nothing was changed.
        LeaseError: a run is working on the lake.
    """
    job = Run(store, config, new_run_id(now), now)
    match given.action:
        case "review":
            _review(given, job, say)
        case "find":
            _find(given, job, say)
        case "show":
            page = customers.show(store, given.customer, given.clear)
            say(customers.as_json(page) if given.json else customers.as_page(page))
        case "explain":
            found = customers.explain(store, conf_of(config), given.one, given.other)
            say(customers.as_json(customers.to_plain(found)) if given.json else explaining.as_text(found))
        case "decisions":
            rows = identity_decisions.decisions(store).collect()
            say(customers.as_json([row.asDict() for row in rows]) if given.json else _decisions(rows))
        case _:
            say(_decide(given, job))
    return 0


def conf_of(config: Config) -> identity_conf.Conf:
    """What the chain decides about who is who.

    Raises:
        ConfigError: it says nothing of it, or a file is wrong.
    """
    found = identity_conf.load(config)
    if found is None:
        raise ConfigError(
            f"{config.conf_dir} has no {identity_conf.RULES}, so no records are compared. Remedy: copy that of conf/"
        )
    return found


def _decide(given: argparse.Namespace, job: Run) -> str:
    match given.action:
        case "merge":
            made = identity_decisions.merge(job, given.one, given.other, given.by, given.reason)
        case "keep-apart":
            made = identity_decisions.keep_apart(job, given.one, given.other, given.by, given.reason)
        case "split":
            made = identity_decisions.split(job, given.customer, given.parties, given.by, given.reason)
        case "detach-receipt":
            made = identity_decisions.detach_receipt(job, given.receipt_key, given.by, given.reason)
        case _:
            return f"decision {identity_decisions.undo(job, given.decision_id, given.by)} is taken back; {FOLLOWS}"
    return f"decision {made}; {FOLLOWS}"


def _find(given: argparse.Namespace, job: Run, say: Say) -> None:
    wanted = {name: getattr(given, name) for name in customers.IDENTIFIERS if getattr(given, name)}
    if not wanted:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in customers.IDENTIFIERS)
        raise ConfigError(f"say what to find: {options}")
    rows = customers.find(job.store, job.config, wanted).collect()
    if given.json:
        say(customers.as_json([row.asDict() for row in rows]))
        return
    lines = [
        f"{row.customer_id or 'no customer':<32}  record {row.party_key}  {row.source:<18} {row.party_type:<8} "
        f"{row.rule or '-'}{'' if row.is_complete else '  incomplete'}"
        for row in rows
    ]
    say("\n".join(lines) or "none; only what was delivered and has gone through a run is found")


def _review(given: argparse.Namespace, job: Run, say: Say) -> None:
    store = job.store
    match given.review_action:
        case "show":
            row = reviews.question(store, given.review_id)
            say(customers.as_json(reviews.to_plain(row)) if given.json else reviews.as_page(row))
        case "export":
            rows = reviews.open_questions(store).collect()
            reviews.write_csv(rows, given.to)
            say(f"wrote {len(rows):,} questions to {given.to}; write same or different into column decision")
        case "import":
            count = reviews.import_answers(job, given.file, given.by)
            say(f"{count:,} new answers; {FOLLOWS}" if count else "nothing new: every answer is known already")
        case _:
            found = reviews.open_questions(store)
            rows = found.limit(given.limit).collect()
            say(customers.as_json([reviews.to_plain(row) for row in rows]) if given.json else reviews.as_lines(rows) or "none")
            more = found.count() - len(rows)
            if more > 0 and not given.json:
                say(f"and {more:,} more; --limit, or `tillhouse customer review export`")


def _decisions(rows: list[Row]) -> str:
    return "\n".join(_as_line(row.asDict()) for row in rows) or "none"


def _as_line(row: dict[str, Any]) -> str:
    if row["receipt_key"]:
        what = f"receipt {row['receipt_key']}"
    else:
        what = " / ".join(", ".join(key[:8] for key in row[side] or ()) for side in ("left_keys", "right_keys"))
    undone = f"  taken back {row['undone_at']:%Y-%m-%d} {row['undone_by']}" if row["undone_at"] else ""
    reason = f"  ({row['reason']})" if row["reason"] else ""
    said = f"{row['decided_by']:<14} {row['kind']:<9} {what}{reason}{undone}"
    return f"{row['decision_id'][:8]}  {row['decided_at']:%Y-%m-%d %H:%M}  {said}"
