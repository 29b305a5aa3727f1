"""The work list of exceptions: find, show, assign, waive or resolve many at once, open again, hand out as CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from tillhouse.errors import ConfigError
from tillhouse.ops.lease import Lease
from tillhouse.ops.runs import Run
from tillhouse.ops.upgrade import expect_lake
from tillhouse.store import Store
from tillhouse.tables.silver import EXCEPTION

LEAST_ID = 6  # characters of an exception_id that are enough to name it
COLUMNS = (
    "exception_id", "status", "severity", "rule", "source", "entity", "record_key", "branch_id", "business_date", "amount",
    "currency", "owner", "assigned_to", "due_at", "escalate_to", "reason", "decided_by",
)  # fmt: skip
HISTORY = ("opened_at", "escalations", "decisions")
CONTEXT = ("file", "row", "field", "value", "remedy")
BY_HAND = "resolved by hand"
_IS_OPEN = "status = 'open'"
_IS_DECIDED = f"status = 'waived' OR (status = 'resolved' AND resolution = '{BY_HAND}')"
_WORDS = {_IS_OPEN: "open", _IS_DECIDED: "waived or resolved by hand"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Filter:
    """Which exceptions: those that fulfil all that is said. ``ids`` may be the first characters of ids."""

    ids: Sequence[str] = ()
    rule: str | None = None
    source: str | None = None
    branch_id: str | None = None
    file: str | None = None
    owner: str | None = None
    status: str | None = None
    overdue_at: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing of what the exceptions are about."""
        return not (self.ids or self.rule or self.source or self.branch_id or self.file or self.owner or self.overdue_at)

    def condition(self) -> Column:
        """As a condition over silver.exception.

        Raises:
            ConfigError: an id is too short to name one exception.
        """
        short = [text for text in self.ids if len(text) < LEAST_ID]
        if short:
            raise ConfigError(f"{', '.join(short)}: write at least the first {LEAST_ID} characters of an exception_id")
        parts = [F.lit(True)]
        if self.ids:
            parts.append(reduce(lambda left, right: left | right, (F.col("exception_id").startswith(text) for text in self.ids)))
        wanted = {"rule": self.rule, "source": self.source, "branch_id": self.branch_id, "status": self.status}
        parts += [F.col(name) == value for name, value in wanted.items() if value]
        if self.file:
            parts.append(F.get_json_object("context", "$.file") == self.file)
        if self.owner:
            parts.append(F.coalesce("assigned_to", "owner") == self.owner)
        if self.overdue_at:
            parts.append((F.col("status") == "open") & (F.col("due_at") < F.lit(self.overdue_at)))
        return reduce(lambda left, right: left & right, parts)


def find(store: Store, wanted: Filter, further: Sequence[str] = ()) -> DataFrame:
    """Exceptions with their context, errors and large amounts first; ``further`` columns at the end."""
    expect_lake(store)
    parts = [F.get_json_object("context", f"$.{name}").alias(name) for name in CONTEXT]
    return (
        store.read(EXCEPTION)
        .where(wanted.condition())
        .select(*COLUMNS, *parts, *further)
        .orderBy("severity", F.abs("amount").desc_nulls_last(), "exception_id")
    )


def assign(run: Run, wanted: Filter, to: str, by: str) -> int:
    """Give open exceptions to somebody; returns how many."""
    return _decide(run, wanted, _IS_OPEN, {"assigned_to": F.lit(to)}, _Decision(f"assigned to {to}", by))


def waive(run: Run, wanted: Filter, reason: str, by: str) -> int:
    """Let open exceptions be, with reason and name; returns how many. A waived one stays so while it is found again."""
    decision = {"status": F.lit("waived"), "resolution": F.lit("waived"), "reason": F.lit(reason)}
    return _decide(run, wanted, _IS_OPEN, decision, _Decision("waived", by, reason))


def resolve(run: Run, wanted: Filter, reason: str, by: str) -> int:
    """Close open exceptions of which a person knows that they are repaired; returns how many.

    One that a later run finds again is open again: its record is judged anew when anything of it changes, and by ``--full``.
    """
    decision = {"status": F.lit("resolved"), "resolution": F.lit(BY_HAND), "reason": F.lit(reason)}
    return _decide(run, wanted, _IS_OPEN, decision, _Decision(BY_HAND, by, reason))


def reopen(run: Run, wanted: Filter, by: str) -> int:
    """Take waivers back, and what was resolved by hand; returns how many."""
    decision = {"status": F.lit("open"), "resolution": F.lit(None)}
    return _decide(run, wanted, _IS_DECIDED, decision, _Decision("reopened", by))


@dataclass(frozen=True)
class _Decision:
    """What a person has decided, as it is kept for ever in the exception's row: one commit changes both."""

    decision: str
    by: str
    reason: str | None = None

    def entry(self, decided_at: datetime) -> Column:
        values = {"decision": self.decision, "decided_by": self.by, "decided_at": decided_at, "reason": self.reason}
        return F.struct(*(F.lit(value).alias(name) for name, value in values.items()))


def _decide(run: Run, wanted: Filter, may_be: str, changes: Mapping[str, Column], decision: _Decision) -> int:
    """Change the exceptions that fulfil ``may_be`` (SQL) in one commit.

    Raises:
        ConfigError: nothing says which ones, or there are none.
        LeaseError: a run is working on the lake.
    """
    if wanted.is_empty:
        raise ConfigError("say which exceptions: ids, or --rule, --source, --branch, --file, --owner, --overdue")
    store = run.store
    expect_lake(store)
    with Lease.take(store, run.run_id, run.wait_seconds):
        existing = store.read(EXCEPTION)
        is_meant = F.coalesce(wanted.condition() & F.expr(may_be), F.lit(False))
        count = existing.where(is_meant).count()
        if not count:
            raise ConfigError(
                f"none that is {_WORDS[may_be]} is meant by that; `tillhouse exceptions list --status any` shows them"
            )
        history = F.array_append(F.coalesce("decisions", F.array()), decision.entry(run.started_at))
        changes = {**changes, "decisions": history}
        if "status" in changes:
            changes |= {"decided_by": F.lit(decision.by), "decided_at": F.lit(run.started_at)}
        kinds = {item.name: item.dataType for item in EXCEPTION.struct}
        changed = {
            name: F.when(F.col("_is_meant"), value.cast(kinds[name])).otherwise(F.col(name)) for name, value in changes.items()
        }
        marked = existing.withColumn("_is_meant", is_meant)
        store.overwrite(EXCEPTION, marked.withColumns(changed).drop("_is_meant"))
    return count


def as_lines(rows: Sequence[Row]) -> str:
    """A list for people: one exception per line."""
    lines = []
    for row in rows:
        amount = f"{row['amount']:,} {row['currency'] or ''}".strip() if row["amount"] is not None else "-"
        who = row["assigned_to"] or row["owner"] or "-"
        due = f"{row['due_at']:%Y-%m-%d}" if row["due_at"] else "-"
        lines.append(
            f"{row['exception_id'][:8]}  {row['status']:<8} {row['severity']:<7} {row['rule']:<22} {row['source'] or '-':<18} "
            f"{row['record_key'][:40]:<40} {amount:>16}  {who} by {due}"
        )
    return "\n".join(lines)


def as_page(row: Row) -> str:
    """All that is known of one exception, with who hears of it when, and every decision, the oldest first."""
    facts = row.asDict(recursive=True)
    levels, decisions = facts.pop("escalations") or (), facts.pop("decisions") or ()
    lines = [f"{name:<14} {value}" for name, value in facts.items() if value is not None]
    lines += [f"level {number:<8} {level['to']} from {level['at']}" for number, level in enumerate(levels, start=1)]
    lines += [
        f"decision       {item['decided_at']:%Y-%m-%d %H:%M} {item['decided_by']}: {item['decision']}"
        + (f" ({item['reason']})" if item["reason"] else "")
        for item in decisions
    ]
    return "\n".join(lines)


def as_json(rows: Sequence[Row]) -> str:
    return json.dumps([row.asDict() for row in rows], default=str, indent=2)


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """A work list for a spreadsheet; a text that a spreadsheet would take for a formula gets an apostrophe before it."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, *CONTEXT])
        writer.writerows([[harmless(value) for value in row] for row in rows])


def harmless(value: Any) -> Any:  # noqa: ANN401 - a cell of any type
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
