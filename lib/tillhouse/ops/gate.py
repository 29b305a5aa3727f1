"""The gate of publishing: files that exceed a limit of their source are held until somebody decides or they come again.

A file is judged by its own content and path alone, not by master data or other files, so that it does not matter when it comes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from tillhouse.bronze import ingest
from tillhouse.bronze.files import Inspection
from tillhouse.errors import HeldError
from tillhouse.ops.runs import Run
from tillhouse.ops.worklist import BY_HAND
from tillhouse.quality.rules import REJECTED, VIOLATIONS, with_violations
from tillhouse.silver import lines
from tillhouse.silver.exceptions import BRANCH_UNKNOWN, newest_of_paths
from tillhouse.sources import policy
from tillhouse.sources.entities import FIELDS
from tillhouse.sources.mapping import instant, map_records
from tillhouse.sources.model import Source
from tillhouse.store import Store
from tillhouse.tables import ops, silver

_NO_BRANCHES = (
    "branch_id STRING, time_zone STRING, currency STRING, day_start STRING, region STRING, opened_on DATE, closed_on DATE"
)


@dataclass(frozen=True)
class Facts:
    """What a file holds, as its mapping reads it."""

    rejected: int = 0
    amount: Decimal = Decimal(0)
    receipts: int = 0
    differing: int = 0
    exported_at: datetime | None = None


def judge(run: Run, inspections: Sequence[Inspection]) -> list[Inspection]:
    """The inspections, of which those that exceed a limit say so, and are held where it is ``stop`` and nobody lets them pass."""
    by_source: dict[str, list[Inspection]] = {}
    for item in inspections:
        if item.status == "loaded" and item.delivery.source is not None and item.delivery.source.quality is not None:
            by_source.setdefault(item.delivery.source.name, []).append(item)
    judged: dict[str, Inspection] = {}
    for name, items in by_source.items():
        source = run.config.source(name)
        facts = to_facts(run.store, source, items)
        judged |= {
            item.delivery.path: replace(item, checks=tuple(exceeded(source, item, facts[item.delivery.path]))) for item in items
        }
    decided = _decisions(run.store) if any(item.checks for item in judged.values()) else {}
    gated = [with_hold(judged.get(item.delivery.path, item), decided) for item in inspections]
    held = {item.file_id: item for item in gated if item.hold}  # the same content under another name is held as well
    return [
        with_hold(replace(held[item.file_id], delivery=item.delivery, hold=None, reason=None), decided)
        if item.is_duplicate and item.file_id in held
        else item
        for item in gated
    ]


def exceeded(source: Source, item: Inspection, facts: Facts) -> list[policy.Check]:
    """The limits that a file exceeds."""
    limits = source.quality
    assert limits is not None
    checks = policy.exceeded_rejected(limits.rejected, facts.rejected, item.rows_read)
    checks += policy.exceeded_stated(limits.stated_totals, facts.differing, facts.receipts)
    held = {"records": Decimal(item.rows_read), "amount": facts.amount}
    checks += policy.exceeded_control(limits.control_totals, item.stated, held, source.locale)
    plan = source.delivery
    if limits.delay is not None and plan is not None and plan.from_path is not None and facts.exported_at is not None:
        start = plan.start_from(item.delivery.captured.get(plan.from_path, ""))
        if start is not None:
            checks += policy.exceeded_delay(limits.delay, plan.due_at(start), facts.exported_at)
    return checks


def with_hold(item: Inspection, decided: Mapping[tuple[str, str], str]) -> Inspection:
    """A file with an error is held; where each of them is waived it flows, where one was resolved by hand it stays out.

    ``decided``: status of exceptions by rule and key of the file.
    """
    errors = [check for check in item.checks if check.severity == "error"]
    key = f"{item.delivery.path}#{(item.file_id or '')[:8]}"
    states = {decided.get((check.rule, key), "open") for check in errors}
    if states <= {"waived"}:
        return item
    assert item.delivery.source is not None
    told = "; ".join(map(str, errors))
    if "resolved" in states:
        return replace(item, hold="refused", reason=f"{told}. A person has decided that the file stays out.")
    remedy = (
        f"Rule: quality in {item.delivery.source.conf_file}. Remedy: deliver the file again under this name, correct the mapping "
        f"or the limit, or let it pass: tillhouse exceptions waive --file {item.delivery.path} --reason TEXT --by NAME"
    )
    return replace(item, hold="held", reason=f"{told}. {remedy}")


def _decisions(store: Store) -> dict[tuple[str, str], str]:
    """What people have decided about files: an exception that was resolved by hand, not by its disappearance, counts."""
    is_decided = (F.col("status") == "waived") | ((F.col("status") == "resolved") & (F.col("resolution") == BY_HAND))
    rows = store.read(silver.EXCEPTION).where(F.col("rule").isin(*policy.FILE_RULES) & is_decided)
    return {(row["rule"], row["record_key"]): row["status"] for row in rows.select("rule", "record_key", "status").collect()}


def to_facts(store: Store, source: Source, items: Sequence[Inspection], bronze: DataFrame | None = None) -> dict[str, Facts]:
    """What the files of a source hold, by path. ``bronze`` are their records, where they have been read already."""
    limits = source.quality
    assert limits is not None
    found = {item.delivery.path: Facts() for item in items}
    filled = [item for item in items if item.rows_read]
    if filled and (limits.rejected or limits.stated_totals or limits.control_totals):
        read = ingest.to_bronze(store.spark, source, filled, "") if bronze is None else bronze
        rows = store.keep(_judged(read, source))
        for row in count(rows, source.entity == "receipt").collect():
            found[row["_file"]] = Facts(row["rejected"], row["amount"] or Decimal(0), row["receipts"], row["differing"])
    if limits.delay is not None:
        exported = _export_times(store.spark, source, items)
        found = {path: replace(facts, exported_at=exported.get(path)) for path, facts in found.items()}
    return found


def _judged(bronze: DataFrame, source: Source) -> DataFrame:
    """Records with what is wrong with them. No branch is known here, so the rule that asks for it is not asked."""
    if source.entity != "receipt":
        mapped, problems = map_records(bronze, source, FIELDS[source.entity])
        return with_violations(mapped, (), problems).select("_file", "_row", REJECTED)
    branches = bronze.sparkSession.createDataFrame([], _NO_BRANCHES)
    judged = lines.with_marks(lines.to_lines(bronze, source, branches))
    return judged.withColumn(REJECTED, F.exists(VIOLATIONS, _is_error))


def _is_error(violation: Column) -> Column:
    return (violation["severity"] == "error") & (violation["rule"] != BRANCH_UNKNOWN)


def count(judged: DataFrame, is_receipts: bool) -> DataFrame:
    """Of each file: records kept out, and of receipts the amount as delivered and how many differ from their stated total."""
    rejected = F.count_distinct(F.when(F.col(REJECTED), F.col("_row"))).alias("rejected")
    if not is_receipts:
        nothing = F.lit(0)
        empty = {"amount": nothing.cast("DECIMAL(38,5)"), "receipts": nothing, "differing": nothing}
        return judged.groupBy("_file").agg(rejected).withColumns(empty)
    read = judged.groupBy("_file").agg(rejected, F.sum("amount_read").alias("amount"))
    receipts = lines.settle(lines.accepted(judged)).groupBy("_file", "receipt_key").agg(
        F.sum("gross_amount").cast("DECIMAL(18,2)").alias("_sum"), F.max("stated_gross_amount").alias("_stated")
    )  # fmt: skip
    differs = F.col("_stated").cast("DECIMAL(18,2)") != F.col("_sum")
    totals = receipts.groupBy("_file").agg(F.count("*").alias("receipts"), F.count_if(differs).alias("differing"))
    return read.join(totals, on="_file", how="left").fillna(0, ["receipts", "differing"])


def _export_times(spark: SparkSession, source: Source, items: Sequence[Inspection]) -> dict[str, datetime]:
    """When files say that they were exported, by path; without a readable time there is no entry."""
    order = source.version_order
    assert order is not None
    assert order.from_path is not None
    rows = [(item.delivery.path, item.delivery.captured.get(order.from_path)) for item in items]
    exported = instant(F.col("exported"), order.date_formats, F.lit(order.timezone))
    read = spark.createDataFrame(rows, "path STRING, exported STRING").select("path", F.unix_seconds(exported).alias("at"))
    return {row["path"]: datetime.fromtimestamp(row["at"], UTC) for row in read.collect() if row["at"] is not None}


def check(run: Run) -> None:
    """Raises HeldError if files are held: what they feed is not published, everything else is."""
    held = held_files(run.store)
    if held:
        told = "\n".join(f"  {row['path']}: {row['reason']}" for row in held)
        raise HeldError(
            f"files are held and not published ({len(held)}):\n{told}\nEverything else is published. What these "
            "files would change is in gold and kpi as it was published last."
        )


def held_files(store: Store) -> list[dict[str, str]]:
    """Files that wait for a decision, with the reason; the newest delivery of a path decides."""
    newest = newest_of_paths(store.read(ops.FILE_LEDGER)).where("status = 'held'")
    return [row.asDict() for row in newest.select("source", "path", "reason").orderBy("path").collect()]
