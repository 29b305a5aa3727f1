"""What people decide about who is who. A decision is kept for ever, and the next run applies it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.errors import ConfigError
from tillhouse.identity.decisions import APART, DETACH, TOGETHER
from tillhouse.identity.review import decided_pairs, with_answers
from tillhouse.ops.customers import Named, only_one, refuse_same, resolve, starts_with
from tillhouse.ops.lease import Lease
from tillhouse.ops.runs import Run
from tillhouse.ops.upgrade import expect_lake
from tillhouse.store import Store
from tillhouse.tables import silver
from tillhouse.tables.silver import IDENTITY_DECISION, IDENTITY_REVIEW

_WORDS = {TOGETHER: "to be one customer", APART: "to be different customers"}


@dataclass(frozen=True)
class Decision:
    """A row to come of silver.identity_decision."""

    kind: str
    left_keys: Sequence[str] | None = None
    right_keys: Sequence[str] | None = None
    receipt_key: str | None = None
    review_id: str | None = None
    reason: str | None = None


def merge(run: Run, one: str, other: str, by: str, reason: str) -> str:
    """Two customers or records are one customer; returns the decision's id.

    Raises:
        ConfigError: one is unknown or ambiguous, or both are one customer already, or that is decided already.
        LeaseError: a run is working on the lake.
    """
    with _lease(run):
        left, right = resolve(run.store, [one, other])
        if left.customer_id is not None and left.customer_id == right.customer_id:
            raise ConfigError(
                f"{one!r} and {other!r} are the same customer already ({left.customer_id}). Remedy: name two different ones; to "
                "take a decision back that keeps them apart: `tillhouse customer undo`"
            )
        refuse_same(left, right)
        return _about_two(run, TOGETHER, left.records, right.records, by=by, reason=reason)


def keep_apart(run: Run, one: str, other: str, by: str, reason: str) -> str:
    """Two customers or records are different customers; returns the decision's id. Errors are those of ``merge``."""
    with _lease(run):
        left, right = resolve(run.store, [one, other])
        refuse_same(left, right)
        if left.customer_id is not None and left.customer_id == right.customer_id and not (left.record and right.record):
            raise ConfigError(
                f"{one!r} and {other!r} are a customer and a record of it. Remedy: `tillhouse customer split CUSTOMER PARTY` "
                "sets a record apart from the others of its customer"
            )
        return _about_two(run, APART, left.records, right.records, by=by, reason=reason)


def split(run: Run, customer: str, parties: Sequence[str], by: str, reason: str) -> str:
    """Records of a customer are of another customer than the rest of it; returns the decision's id.

    Raises:
        ConfigError: they are not of this customer, or nothing would be left of it.
        LeaseError: a run is working on the lake.
    """
    with _lease(run):
        whole, *parts = resolve(run.store, [customer, *parties])
        if whole.record:
            raise ConfigError(f"{customer!r} is a record, not a customer. Remedy: name the customer first, then its records")
        others = [part for part in parts if part.record is None or part.record not in whole.parties]
        if others:
            raise ConfigError(
                f"{', '.join(repr(part.text) for part in others)}: no record of {whole}. Remedy: "
                f"`tillhouse customer show {whole.text}` lists its records"
            )
        away = [part.record for part in parts if part.record]
        rest = _rest(whole, away)
        if not rest:
            raise ConfigError(f"nothing would be left of {whole}. Remedy: name only those records that are of somebody else")
        return _about_two(run, APART, sorted(set(away)), rest, by=by, reason=reason)


def _rest(whole: Named, away: Sequence[str]) -> list[str]:
    """What stays: contact records, or where none stays, whatever else there is."""
    return [key for key in whole.records if key not in away] or [key for key in whole.parties if key not in away]


def detach_receipt(run: Run, receipt_key: str, by: str, reason: str) -> str:
    """A receipt is of no customer, whoever it names; returns the decision's id.

    Raises:
        ConfigError: there is no such receipt, it names nobody, or that is decided already.
        LeaseError: a run is working on the lake.
    """
    store = run.store
    with _lease(run):
        is_named = starts_with("receipt_key", [receipt_key])
        rows = store.read(silver.RECEIPT).where(is_named).select("receipt_key", "party_key").limit(6).collect()
        row = only_one(rows, "receipt_key", receipt_key, "gold.fct_receipt tells the receipt_key of each receipt")
        if row.party_key is None:
            raise ConfigError(f"receipt {row.receipt_key} names nobody and is of no customer already. Remedy: nothing to do")
        before = _active(store).where(F.col("receipt_key") == row.receipt_key).limit(1).collect()
        if before:
            raise ConfigError(_decided_already(before[0].decision_id, before[0].decided_by, "to be of no customer"))
        [made] = add(run, [Decision(DETACH, receipt_key=row.receipt_key, reason=reason)], by)
        return made


def undo(run: Run, decision_id: str, by: str) -> str:
    """Take a decision back; returns its id. A question that it answered is open again.

    Raises:
        ConfigError: there is no such decision, or it is taken back already.
        LeaseError: a run is working on the lake.
    """
    store = run.store
    with _lease(run):
        existing = store.read(IDENTITY_DECISION)
        rows = existing.where(starts_with("decision_id", [decision_id])).limit(6).collect()
        row = only_one(rows, "decision_id", decision_id, "`tillhouse customer decisions` lists them")
        if row.undone_at is not None:
            raise ConfigError(f"decision {row.decision_id} is taken back already, by {row.undone_by}. Remedy: nothing to do")
        is_meant = F.col("decision_id") == row.decision_id
        changes = {"undone_by": F.lit(by), "undone_at": F.lit(run.started_at)}
        changed = {name: F.when(is_meant, value).otherwise(F.col(name)) for name, value in changes.items()}
        store.overwrite(IDENTITY_DECISION, existing.withColumns(changed))
        mark_questions(store)
        return str(row.decision_id)


def decisions(store: Store) -> DataFrame:
    """All decisions, the latest first."""
    expect_lake(store)
    return store.read(IDENTITY_DECISION).orderBy(F.desc("decided_at"), "decision_id")


def add(run: Run, made: Sequence[Decision], by: str) -> list[str]:
    """Keep decisions, in one commit. The caller holds the lease."""
    rows = [
        (
            uuid4().hex, item.kind, list(item.left_keys) if item.left_keys else None,
            list(item.right_keys) if item.right_keys else None, item.receipt_key, item.review_id, item.reason, by, run.started_at,
            None, None,
        )
        for item in made
    ]  # fmt: skip
    run.store.append(IDENTITY_DECISION, run.store.spark.createDataFrame(rows, IDENTITY_DECISION.struct))
    return [str(row[0]) for row in rows]


def mark_questions(store: Store) -> None:
    """Questions as the decisions answer them. The caller holds the lease."""
    questions = store.read(IDENTITY_REVIEW)
    store.overwrite(IDENTITY_REVIEW, with_answers(questions, store.read(IDENTITY_DECISION)))


def _lease(run: Run) -> Lease:
    expect_lake(run.store)
    return Lease.take(run.store, run.run_id, run.wait_seconds)


def _active(store: Store) -> DataFrame:
    return store.read(IDENTITY_DECISION).where("undone_at IS NULL")


def _about_two(run: Run, kind: str, left: Sequence[str], right: Sequence[str], *, by: str, reason: str) -> str:
    """Decide about each record of one side with each of the other, unless all of it is decided so already."""
    known = decided_pairs(run.store.read(IDENTITY_DECISION)).where(F.col("left").isin(*left, *right) & (F.col("kind") == kind))
    found = {frozenset((row.left, row.right)): row for row in known.collect()}
    wanted = {frozenset((one, other)) for one in left for other in right}
    if wanted <= found.keys():
        row = found[next(iter(wanted))]
        raise ConfigError(_decided_already(row.decision_id, row.decided_by, _WORDS[kind]))
    [made] = add(run, [Decision(kind, left, right, reason=reason)], by)
    return made


def _decided_already(decision_id: str, by: str, what: str) -> str:
    return (
        f"already decided {what}: decision {decision_id} by {by}. Remedy: nothing to do; `tillhouse customer undo` takes it back"
    )
