"""Questions about who is who: list, show, hand out as CSV, and take the answers back in."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from tillhouse.errors import ConfigError
from tillhouse.frames import column_of
from tillhouse.identity import vault
from tillhouse.identity.decisions import APART, TOGETHER
from tillhouse.identity.explain import meaning, to_odds
from tillhouse.identity.review import DIFFERENT, GONE, OPEN, SAME
from tillhouse.ops.customers import only_one, starts_with
from tillhouse.ops.identity_decisions import Decision, add, mark_questions
from tillhouse.ops.lease import Lease
from tillhouse.ops.runs import Run, utc_now
from tillhouse.ops.upgrade import expect_lake
from tillhouse.ops.worklist import harmless
from tillhouse.store import Store
from tillhouse.tables import silver
from tillhouse.tables.silver import IDENTITY_DECISION, IDENTITY_REVIEW

COLUMNS = (
    "review_id", "candidate", "of", "question", "value_amount", "owner", "due_at", "party_key", "candidate_party_key", "odds",
    "log_odds", "levels", "record_shown", "candidate_shown", "decision", "reason",
)  # fmt: skip
ANSWERED = ("review_id", "candidate_party_key", "decision")  # what a file of answers must have
KINDS = {SAME: TOGETHER, DIFFERENT: APART}
MOST_FAULTS = 20  # that are told of one file
WHY = {
    "possible": "much agrees, too little to be sure",
    "contradiction": "much agrees, but something contradicts",
    "between_two": "the record fits several customers who are not one",
    "unclear": "identifiers of several customers are named together",
}


def open_questions(store: Store) -> DataFrame:
    """What is to be answered, most value first."""
    expect_lake(store)
    return store.read(IDENTITY_REVIEW).where(F.col("status") == OPEN).orderBy(F.desc("value_amount"), "review_id")


def question(store: Store, text: str) -> Row:
    """A question, whatever its state, by its review_id or the first characters of it.

    Raises:
        ConfigError: it is unknown or ambiguous.
    """
    expect_lake(store)
    rows = store.read(IDENTITY_REVIEW).where(starts_with("review_id", [text])).limit(6).collect()
    return only_one(rows, "review_id", text, "`tillhouse customer review list` shows the open ones")


def to_plain(row: Row) -> dict[str, Any]:
    """A question for programs, its evidence opened."""
    return row.asDict() | {"evidence": json.loads(row.evidence)}


def as_lines(rows: Sequence[Row]) -> str:
    """A list for people: one question per line."""
    return "\n".join(
        f"{row.review_id[:8]}  {'OVERDUE' if _is_overdue(row) else '':<7}  {row.value_amount:>14,}  {row.reason:<13} "
        f"{len(row.party_keys) - 1:>2} candidates  {_values(json.loads(row.evidence).get('masked'))[:60]:<60}  "
        f"{row.owner} by {_day(row.due_at)}"
        for row in rows
    )


def as_page(row: Row) -> str:
    """A question with its candidates: what agrees, how much it says, and what may be shown of them."""
    evidence = json.loads(row.evidence)
    state = f"{row.status}{', overdue' if _is_overdue(row) else ''}"
    if row.decision:
        state += f": {row.decision}, by {row.decided_by} at {row.decided_at:%Y-%m-%d %H:%M}"
    lines = [
        f"question  {row.review_id}",
        f"status    {state}",
        f"why       {row.reason}: {WHY.get(row.reason, '')}",
        f"value     {row.value_amount:,}",
        f"owner     {row.owner} by {_day(row.due_at)}" + (f", then {row.escalate_to}" if row.escalate_to else ""),
        f"record    {row.party_key}  {_values(evidence.get('masked'))}",
    ]
    for number, candidate in enumerate(evidence["candidates"], start=1):
        lines += ["", f"candidate {number}  {candidate['party_key']}  customer {candidate['customer_id']}"]
        lines.append(f"  {_values(candidate.get('masked'))}")
        if candidate.get("log_odds") is not None:
            lines.append(f"  odds {to_odds(candidate['log_odds'])} that it is the same customer")
        if candidate.get("contradiction"):
            lines.append(f"  contradiction: {candidate['contradiction']}")
        lines += [f"  {name:<16} {level:<16} {meaning(name, level)}" for name, level in (candidate.get("levels") or {}).items()]
    return "\n".join(lines)


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """One line for each candidate; columns ``decision`` (same, different, or empty) and ``reason`` are for the answers."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerows([harmless(value) for value in line] for line in _lines(row))


def _lines(row: Row) -> Iterator[tuple[object, ...]]:
    evidence = json.loads(row.evidence)
    candidates = evidence["candidates"]
    for number, candidate in enumerate(candidates, start=1):
        log_odds = candidate.get("log_odds")
        levels = ", ".join(f"{name} {level}" for name, level in (candidate.get("levels") or {}).items())
        yield (
            row.review_id, number, len(candidates), row.reason, row.value_amount, row.owner, _day(row.due_at), row.party_key,
            candidate["party_key"], None if log_odds is None else to_odds(log_odds), log_odds, levels,
            _values(evidence.get("masked")), _values(candidate.get("masked")), None, None,
        )  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """One row of a file of answers."""

    row: int
    review_id: str
    candidate: str
    decision: str
    reason: str | None


@dataclass(frozen=True)
class _Fault:
    row: int
    field: str
    value: str
    rule: str
    remedy: str

    def told(self, path: Path) -> str:
        return f"{path}, row {self.row}, column {self.field}: {self.value!r} {self.rule}. Remedy: {self.remedy}"


def read_answers(path: Path) -> list[Answer]:
    """What a steward has written into an exported file, with commas, semicolons or tabs; rows without an answer are left out.

    Raises:
        ConfigError: the file cannot be read, or an answer is none; with row, column, value and remedy for each.
    """
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8. Remedy: save it as CSV UTF-8") from None
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.DictReader(StringIO(text, newline=""), delimiter=delimiter)
    missing = [name for name in ANSWERED if name not in (reader.fieldnames or ())]
    if missing:
        raise ConfigError(
            f"{path}, row 1: no column {', '.join(missing)}. Remedy: keep the columns of `tillhouse customer review export`"
        )
    answers, faults = [], []
    for row in reader:
        decision = (row["decision"] or "").strip().lower()
        if decision in KINDS:
            review_id, candidate, reason = ((row.get(name) or "").strip() for name in (*ANSWERED[:2], "reason"))
            answers.append(Answer(reader.line_num, review_id, candidate, decision, reason or None))
        elif decision:
            faults.append(
                _Fault(reader.line_num, "decision", row["decision"], "is no answer", f"write {SAME}, {DIFFERENT}, or nothing")
            )
    _refuse(path, faults)
    return answers


def import_answers(run: Run, path: Path, by: str) -> int:
    """Keep the answers of a file as decisions and mark its questions; returns how many answers were new.

    All of them or none: a fault in one row keeps the whole file out. What has been answered so before is left as it is.

    Raises:
        ConfigError: the file, or an answer in it, does not fit; with row, column, value and remedy for each.
        LeaseError: a run is working on the lake.
    """
    answers, store = read_answers(path), run.store
    expect_lake(store)
    with Lease.take(store, run.run_id, run.wait_seconds):
        asked = _asked(store, answers)
        before = _before(store)
        _refuse(path, _faults(answers, asked, before))
        new = [item for item in {(item.review_id, item.candidate): item for item in answers}.values()
               if (item.review_id, item.candidate) not in before]  # fmt: skip
        others = _records_of_customers(store, [item.candidate for item in new if item.decision == DIFFERENT])
        made = [
            Decision(
                KINDS[item.decision],
                [asked[item.review_id].party_key],
                [item.candidate, *(key for key in others.get(item.candidate, ()) if item.decision == DIFFERENT)],
                review_id=item.review_id,
                reason=item.reason,
            )
            for item in new
        ]
        if made:
            add(run, made, by)
        mark_questions(store)
        return len(made)


def _asked(store: Store, answers: Sequence[Answer]) -> dict[str, Row]:
    """The questions that a file answers."""
    if not answers:
        return {}
    named = column_of(store.spark, {item.review_id for item in answers}, "review_id")
    rows = store.read(IDENTITY_REVIEW).join(F.broadcast(named), on="review_id", how="left_semi").collect()
    return {row.review_id: row for row in rows}


def _before(store: Store) -> dict[tuple[str, str], str]:
    """What was answered already: question and candidate, and the kind of the decision."""
    active = store.read(IDENTITY_DECISION).where("undone_at IS NULL AND review_id IS NOT NULL")
    return {(row.review_id, row.right_keys[0]): row.kind for row in active.select("review_id", "right_keys", "kind").collect()}


def _faults(answers: Sequence[Answer], asked: Mapping[str, Row], before: Mapping[tuple[str, str], str]) -> list[_Fault]:
    faults = []
    given: dict[tuple[str, str], str] = {}
    for item in answers:
        known, key = asked.get(item.review_id), (item.review_id, item.candidate)
        if known is None:
            rule, remedy = "is no question", "copy the review_id from `tillhouse customer review export`"
            faults.append(_Fault(item.row, "review_id", item.review_id, rule, remedy))
        elif item.candidate not in known.party_keys[1:]:
            rule, remedy = "is no candidate of this question", "leave review_id and candidate_party_key as they were exported"
            faults.append(_Fault(item.row, "candidate_party_key", item.candidate, rule, remedy))
        elif given.setdefault(key, item.decision) != item.decision:
            rule, remedy = f"contradicts an earlier row, which says {given[key]}", "leave one of the two"
            faults.append(_Fault(item.row, "decision", item.decision, rule, remedy))
        elif before.get(key, KINDS[item.decision]) != KINDS[item.decision]:
            rule = f"was answered otherwise by {known.decided_by or 'somebody'}"
            remedy = "leave it empty, or take that decision back first (`tillhouse customer decisions`, `undo`)"
            faults.append(_Fault(item.row, "decision", item.decision, rule, remedy))
        elif known.status == GONE and key not in before:
            remedy = "leave the decision empty; `tillhouse customer merge` or `keep-apart` still decide about the two"
            faults.append(_Fault(item.row, "review_id", item.review_id, "is no longer asked", remedy))
    return faults


def _refuse(path: Path, faults: Sequence[_Fault]) -> None:
    if faults:
        more = [f"and {len(faults) - MOST_FAULTS:,} more"] if len(faults) > MOST_FAULTS else []
        raise ConfigError("\n".join([*(fault.told(path) for fault in faults[:MOST_FAULTS]), *more, "nothing was changed"]))


def _records_of_customers(store: Store, keys: Sequence[str]) -> dict[str, list[str]]:
    """The other contact records of each record's customer: who is not this customer is none of them."""
    if not keys:
        return {}
    valid = store.read(silver.PARTY_CUSTOMER).where("valid_to_run IS NULL").select("party_key", "customer_id")
    named = column_of(store.spark, set(keys), "party_key")
    of = valid.join(F.broadcast(named), on="party_key", how="left_semi").withColumnRenamed("party_key", "named")
    contacts = valid.join(vault.records(store), on=F.col("party_key") == F.col("record_id"), how="left_semi")
    rows = (
        contacts.join(F.broadcast(of), on="customer_id", how="inner").where("party_key <> named").orderBy("party_key").collect()
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.named, []).append(row.party_key)
    return found


def _is_overdue(row: Row) -> bool:
    # Spark hands over times of the machine's zone, without it
    return row.status == OPEN and row.due_at is not None and row.due_at.astimezone() < utc_now()


def _day(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d}" if at else "-"


def _values(shown: Mapping[str, Any] | None) -> str:
    """Masked values of a record side by side."""
    texts = [", ".join(value) if isinstance(value, list) else str(value) for value in (shown or {}).values() if value]
    return "; ".join(texts) or "no contact record"
