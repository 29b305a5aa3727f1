"""Exceptions: whatever cannot be used as it is, with its context, until it is repaired or waived."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.keys import surrogate_key
from tillhouse.quality.duties import ESCALATIONS, Duties, with_duties
from tillhouse.quality.rules import REMEDIES, VIOLATION_TYPE, VIOLATIONS
from tillhouse.sources.fields import LINE_FIELDS
from tillhouse.store import Store
from tillhouse.tables.silver import EXCEPTION

FOUND_COLUMNS = (
    "exception_id", "rule", "severity", "source", "entity", "record_key", "branch_id", "business_date", "amount", "currency",
    "context", "_scope",
)  # fmt: skip
_KNOWN = {
    "branch_id": "string",
    "business_date": "date",
    "amount": "DECIMAL(18,2)",
    "currency": "string",
    "_scope": "string",
}
BRANCH_UNKNOWN = "branch_unknown"
PRODUCT_UNKNOWN, CONFLICTING, REGISTER = "product_unknown", "conflicting_versions", "register_in_two_branches"
DELIVERY = "delivery"
_LINE_ONLY = [field.name for field in LINE_FIELDS]


def of_lines(lines: DataFrame) -> DataFrame:
    """Exceptions of delivered receipt lines; a fault of the receipt's own fields is told once, not on each of its lines."""
    repeated = F.when(
        F.col("_repeats_number") & ~F.col("_repeats_content"),
        F.array(
            F.struct(
                F.lit("line_number_repeated").alias("rule"),
                F.lit("error").alias("severity"),
                F.lit("line_number").alias("field"),
                F.col("line_number").cast("string").alias("value"),
            )
        ).cast(VIOLATION_TYPE),
    )
    no_violation = F.array().cast(VIOLATION_TYPE)
    judged = lines.withColumn(VIOLATIONS, F.concat(VIOLATIONS, F.coalesce(repeated, no_violation))).where(
        (F.size(VIOLATIONS) > 0) & ~F.col("_repeats_content")
    )
    has_key = F.col("branch_id").isNotNull() & F.col("receipt_id").isNotNull()
    receipt = F.concat_ws(
        "/", *(F.coalesce(name, F.lit("-")) for name in ("branch_id", "register_id", "closing_id", "receipt_id"))
    )
    place = F.concat_ws("#", "_file", "_row")
    is_line = F.col("_violation.field").isin(*_LINE_ONLY, "(record)")
    line = F.concat_ws("/", receipt, F.coalesce(F.col("line_number").cast("string"), F.concat(F.lit("row "), "_row")))
    exploded = judged.select("*", F.posexplode(VIOLATIONS).alias("_position", "_violation")).withColumns(
        {
            "entity": F.when(is_line, "receipt_line").otherwise("receipt"),
            "record_key": F.when(~has_key, place).when(is_line, line).otherwise(receipt),
        }
    )
    first_error = F.array_position(F.transform(VIOLATIONS, lambda v: v["severity"]), "error") - 1
    counts_amount = (first_error == F.col("_position")) | (F.col("_violation.severity") == "warning")
    found = exploded.select(
        *_identity(),
        "branch_id",
        "business_date",
        F.when(counts_amount, F.col("gross_amount")).alias("amount"),
        "currency",
        F.when(has_key, F.col("receipt_key")).alias("_scope"),
        F.struct("_row", "_file", F.col("_violation.field").alias("field"), F.col("_violation.value").alias("value")).alias(
            "_at"
        ),
    )
    grouped = found.groupBy("exception_id", "rule", "severity", "source", "entity", "record_key").agg(
        F.min("branch_id").alias("branch_id"),
        F.min("business_date").alias("business_date"),
        F.sum("amount").cast("DECIMAL(18,2)").alias("amount"),
        F.min("currency").alias("currency"),
        F.min("_scope").alias("_scope"),
        F.min("_at").alias("_at"),
    )
    at = {"file": "_file", "row": "_row", "field": "field", "value": "value"}
    context = _context("rule", **{name: F.col(f"_at.{column}") for name, column in at.items()})
    return grouped.withColumn("context", context).select(*FOUND_COLUMNS)


def of_records(records: DataFrame, entity: str, key: str, scope: str | None = None) -> DataFrame:
    """Exceptions of records that are no receipt lines: products, branches, payments, contacts and the like.

    ``scope``: the column they are judged by.
    """
    exploded = records.withColumn("_violation", F.explode(VIOLATIONS)).withColumns(
        {"entity": F.lit(entity), "record_key": F.coalesce(key, F.concat_ws("#", "_file", "_row"))}
    )
    known = {"branch_id": "branch_id"} if entity != "product" and "branch_id" in records.columns else {}
    context = _context(file=F.col("_file"), row=F.col("_row"), field=F.col("_violation.field"), value=F.col("_violation.value"))
    return _told(exploded, context, **known, _scope=scope).dropDuplicates(["exception_id"])


def of_conflicts(records: DataFrame, entity: str, key: str) -> DataFrame:
    """Records that contradict another delivery of theirs, while nothing says which is newer; the first stays."""
    violation = F.struct(
        F.lit(CONFLICTING).alias("rule"), F.lit("warning").alias("severity"), F.lit("(record)").alias("field"),
        F.lit(None).cast("string").alias("value"),
    )  # fmt: skip
    judged = records.withColumns({VIOLATIONS: F.array(violation), "_scope": F.col("record_key")})
    return of_records(judged, entity, key, "_scope")


def of_files(ledger: DataFrame) -> DataFrame:
    """Exceptions of files that were rejected as a whole; the newest delivery of a path decides."""
    rejected = newest_of_paths(ledger).where("status = 'rejected'")
    rule = F.when(F.col("source").isNull(), "file_unmatched").otherwise("file_rejected")
    judged = rejected.select(
        _violation(rule, "error", "(file)").alias("_violation"),
        "source",
        F.col("path").alias("record_key"),
        F.col("path").alias("_path"),
        F.col("reason").alias("_reason"),
        F.lit(None).cast("string").alias("_value"),
    )
    return _of_files(judged)


def of_checks(ledger: DataFrame) -> DataFrame:
    """Limits of their source that files exceed, which are loaded or held; one that was refused is decided.

    The key holds the content, so that what is decided about a file does not hold for the next one of that name.
    """
    exceeding = newest_of_paths(ledger).where("status IN ('loaded', 'held')").withColumn("_check", F.explode("checks"))
    judged = exceeding.select(
        _violation(F.col("_check.rule"), F.col("_check.severity"), "(file)").alias("_violation"),
        "source",
        F.concat_ws("#", "path", F.left("file_id", F.lit(8))).alias("record_key"),
        F.col("path").alias("_path"),
        F.col("_check.limit").alias("_reason"),
        F.col("_check.found").alias("_value"),
    )
    return _of_files(judged)


def newest_of_paths(ledger: DataFrame) -> DataFrame:
    """The ledger's last word about each path."""
    told = [name for name in ledger.columns if name != "path"]
    return ledger.groupBy("path").agg(F.max_by(F.struct(*told), "loaded_at").alias("_last")).select("path", "_last.*")


def _of_files(judged: DataFrame) -> DataFrame:
    context = _context(file=F.col("_path"), value=F.col("_value"), reason=F.col("_reason"))
    return _told(judged.withColumn("entity", F.lit("file")), context)


def of_versions(versions: DataFrame, receipts: DataFrame) -> DataFrame:
    """Receipts of which two deliveries contradict each other and nothing says which is newer."""
    conflicts = versions.where("status = 'conflicting'").select(
        "receipt_key", F.col("_file_id").alias("_other_file"), "amount_read"
    )
    joined = receipts.join(conflicts, on="receipt_key", how="inner")
    return of_receipts(
        joined, CONFLICTING, "receipt_id", F.col("amount_read").cast("string"), F.col("gross_amount")
    ).dropDuplicates(["exception_id"])


def of_totals(receipts: DataFrame) -> DataFrame:
    """Receipts whose lines do not add up to the total that the receipt states; the lines count."""
    differing = receipts.where("stated_gross_amount <> gross_amount")
    return of_receipts(differing, "total_differs", "stated_gross_amount", *instead_of("stated_gross_amount", "gross_amount"))


def instead_of(told: str, computed: str) -> tuple[Column, Column]:
    """The value that an exception of two columns shows, and the amount at stake."""
    value = F.concat_ws(" instead of ", F.col(told).cast("string"), F.col(computed).cast("string"))
    return value, F.col(told) - F.col(computed)


def of_receipts(
    receipts: DataFrame,
    rule: str,
    field: str,
    value: Column,
    amount: Column,
    *,
    entity: str = "receipt",
    parts: Sequence[str] = ("branch_id", "register_id", "closing_id", "receipt_id"),
    scope: str = "receipt_key",
) -> DataFrame:
    """A warning for each row of ``receipts``, or of what else ``parts`` name."""
    judged = receipts.withColumns(
        {
            "_violation": _violation(F.lit(rule), "warning", field),
            "entity": F.lit(entity),
            "record_key": F.concat_ws("/", *(F.coalesce(F.col(name).cast("string"), F.lit("-")) for name in parts)),
        }
    )
    context = _context(file=F.col("_file"), row=F.col("_row"), field=F.lit(field), value=value)
    known = {name: name for name in ("branch_id", "business_date", "currency")}
    return _told(judged, context, **known, amount=amount, _scope=scope)


def of_products(lines: DataFrame, products: DataFrame) -> DataFrame:
    """Sold products without master data: kept, listed once each with the amount that they carry."""
    unknown = lines.where("product_ref IS NOT NULL").groupBy("product_ref").agg(
        F.sum("gross_amount").cast("DECIMAL(18,2)").alias("amount"),
        F.min("currency").alias("currency"),
        F.min(F.struct("_file", "_row", "source")).alias("_first"),
    ).join(products, on=F.col("product_ref") == F.col("product_id"), how="left_anti")  # fmt: skip
    told = unknown.withColumns(
        {"rule": F.lit(PRODUCT_UNKNOWN), "record_key": F.col("product_ref"), "value": F.col("product_ref")}
    )
    return to_found(told.select("*", "_first._file", "_first._row"), "product", "product_ref")


def to_found(rows: DataFrame, entity: str, field: str) -> DataFrame:
    """Warnings from rows that name their rule, record_key, value, _file and _row, and what else is known of them."""
    source = F.col("source") if "source" in rows.columns else F.lit(None).cast("string")
    judged = rows.withColumns(
        {"_violation": _violation(F.col("rule"), "warning", field), "entity": F.lit(entity), "source": source}
    )
    context = _context(file=F.col("_file"), row=F.col("_row"), field=F.lit(field), value=F.col("value"))
    return _told(judged, context, **{name: name for name in _KNOWN if name in rows.columns})


def of_registers(receipts: DataFrame) -> DataFrame:
    """Tills that have receipts of several branches on a day: one for each of these branches, with what it sold there."""
    till = Window.partitionBy("source", "register_id", "business_date")
    sold = receipts.groupBy("source", "register_id", "business_date", "branch_id").agg(
        F.sum("gross_amount").cast("DECIMAL(18,2)").alias("amount"),
        F.min("currency").alias("currency"),
        F.min(F.struct("_file", "_row")).alias("_first"),
    )  # fmt: skip
    several = sold.withColumn("_branches", F.array_sort(F.collect_set("branch_id").over(till))).where("size(_branches) > 1")
    others = F.array_join(F.array_remove("_branches", F.col("branch_id")), ", ")
    told = several.withColumns(
        {
            "rule": F.lit(REGISTER),
            "record_key": F.concat_ws("/", "branch_id", "register_id", F.col("business_date").cast("string")),
            "value": F.concat(F.col("register_id"), F.lit(" also in "), others),
            "_scope": register_day(),
        }
    )
    return to_found(told.select("*", "_first.*"), "register", "register_id")


def register_day() -> Column:
    """What an exception of a till is judged again with: any receipt of it on the day."""
    return F.concat_ws("/", "source", "register_id", F.col("business_date").cast("string"))


def of_deliveries(deliveries: DataFrame, by_branch: Collection[str]) -> DataFrame:
    """What did not come, and what came with gaps: rows of ops.delivery as exceptions.

    A missing file is told once, not for each branch and day that it should have held; ``by_branch`` are the sources that deliver
    a file for each branch.
    """
    is_file = ~F.col("is_file_there")
    is_of_chain = is_file & ~F.col("source").isin(*by_branch)
    missing = deliveries.where("status = 'missing'").withColumns(
        {
            "_branch": F.when(~is_of_chain, F.col("branch_id")),
            "_start": F.when(is_file, F.col("period_start")).otherwise(F.col("business_date")),
        }
    )
    overdue = missing.groupBy("source", "_branch", "_start").agg(
        F.concat_ws(" to ", F.min("business_date"), F.nullif(F.max("business_date"), F.min("business_date"))).alias("_value"),
        F.min("due_at").alias("_due_at"),
        F.count_distinct("branch_id").alias("_branches"),
        F.lit("delivery_missing").alias("_rule"),
    )
    partial = deliveries.where("status = 'partial'").select(
        "source",
        F.col("branch_id").alias("_branch"),
        F.col("business_date").alias("_start"),
        F.col("gaps").alias("_value"),
        F.col("due_at").alias("_due_at"),
        F.lit(1).cast("bigint").alias("_branches"),
        F.lit("delivery_partial").alias("_rule"),
    )
    is_missing = F.col("_rule") == "delivery_missing"
    field = F.when(is_missing, "business_date").otherwise("(numbers)")
    judged = overdue.unionByName(partial).withColumns(
        {
            "_violation": F.struct(F.col("_rule").alias("rule"), F.lit("warning").alias("severity"), field.alias("field")),
            "entity": F.lit(DELIVERY),
            "record_key": F.concat_ws("/", F.coalesce("_branch", F.lit("all branches")), F.col("_start").cast("string")),
        }
    )
    context = _context(value=F.col("_value"), branches=F.col("_branches"), expected_by=F.col("_due_at").cast("string"))
    return _told(judged, context, branch_id="_branch", business_date="_start")


def of_identity(rows: DataFrame, rule: str, entity: str, key: str, value: Column) -> DataFrame:
    """What people should know of who is who; ``value`` holds no clear text. A row without ``source`` is of the whole chain."""
    judged = rows.withColumns(
        {
            "_violation": _violation(F.lit(rule), "warning", "customer_id"),
            "source": F.col("source") if "source" in rows.columns else F.lit(None).cast("string"),
            "entity": F.lit(entity),
            "record_key": F.col(key),
        }
    )
    return _told(judged, _context(value=value))


def _told(judged: DataFrame, context: Column, **known: Column | str | None) -> DataFrame:
    """Exceptions from rows with their ``_violation``, source, entity and record_key, and what else is ``known`` of them."""

    def value(name: str) -> Column:
        given = known.get(name)
        return F.lit(given) if given is None else F.col(given) if isinstance(given, str) else given

    return judged.select(*_identity(), *(value(name).cast(kind).alias(name) for name, kind in _KNOWN.items()), context)


def _violation(rule: Column, severity: Column | str, field: str) -> Column:
    return F.struct(rule.alias("rule"), F.lit(severity).alias("severity"), F.lit(field).alias("field"))


def _identity() -> list[Column]:
    """The same fault in tomorrow's file is the same exception: its id leaves out the place."""
    rule = F.col("_violation.rule")
    return [
        surrogate_key(rule, "source", "entity", "record_key", "_violation.field").alias("exception_id"),
        rule.alias("rule"),
        F.col("_violation.severity").alias("severity"),
        *(F.col(name) for name in ("source", "entity", "record_key")),
    ]


def _context(rule: str = "_violation.rule", **facts: Column) -> Column:
    """What a person needs to find and mend the fault, as JSON."""
    remedies = F.create_map(*(F.lit(text) for pair in REMEDIES.items() for text in pair))
    parts = [value.alias(name) for name, value in facts.items()]
    return F.to_json(F.struct(*parts, F.col(rule).alias("rule"), F.try_element_at(remedies, F.col(rule)).alias("remedy"))).alias(
        "context"
    )


@dataclass(frozen=True)
class Judged:
    """What was found, and which exceptions were judged again by it: they are gone unless they are among ``found``.

    ``covers`` is a condition over silver.exception; where ``scopes`` is given, its only column further restricts the
    exceptions' column ``scope``.
    """

    found: DataFrame | None
    covers: Column
    scope: str | None = None
    scopes: DataFrame | None = None


def record(
    store: Store, judged: Sequence[Judged], run_id: str, seen_at: datetime, *, duties: Duties, branches: DataFrame
) -> None:
    """Bring silver.exception up to what a run has judged, and to conf's duties; without a difference nothing is written.

    ``branches``: silver.branch, which tells regions.
    """
    existing = _with_judgement(store.read(EXCEPTION), judged)
    found = [item.found for item in judged if item.found is not None]
    new = union(found) if found else existing.select(*FOUND_COLUMNS).where("false")
    merged = merge(existing, new, run_id, seen_at.isoformat(sep=" "))
    store.overwrite(EXCEPTION, store.keep(EXCEPTION.conform(with_duties(merged, duties, branches))))


def _with_judgement(existing: DataFrame, judged: Sequence[Judged]) -> DataFrame:
    """Add ``_is_judged``: whether one of the judgements covers the exception."""
    scopes: dict[str, list[DataFrame]] = {}
    is_judged = F.lit(False)
    for number, item in enumerate(judged):
        covers = F.coalesce(item.covers, F.lit(False))
        if item.scope is not None and item.scopes is not None:
            scopes.setdefault(item.scope, []).append(item.scopes.toDF("_key").withColumn("_number", F.lit(number)))
            covers = covers & F.coalesce(F.array_contains(f"_of_{item.scope}", number), F.lit(False))
        is_judged = is_judged | covers
    for scope, keys in scopes.items():
        numbers = union(keys).groupBy("_key").agg(F.collect_set("_number").alias(f"_of_{scope}"))
        existing = existing.join(numbers, on=F.col(scope) == F.col("_key"), how="left").drop("_key")
    return existing.withColumn("_is_judged", is_judged)


def merge(existing: DataFrame, found: DataFrame, run_id: str, seen_at: str) -> DataFrame:
    """The exceptions after a run: what is still found stays, what is gone is resolved, what came back is open again.

    Gone is what was judged again (``_is_judged``) and is not found. A waived exception stays waived; one that was resolved by
    hand and is found is open again. ``seen_at`` is the instant from which the due time counts.
    """
    old = existing.alias("old")
    new = found.alias("new")
    joined = old.join(new, on=F.col("old.exception_id") == F.col("new.exception_id"), how="full_outer")
    is_found = F.col("new.exception_id").isNotNull()
    is_known = F.col("old.exception_id").isNotNull()
    is_judged = F.coalesce(F.col("old._is_judged"), F.lit(False))
    was_resolved = F.col("old.status") == "resolved"
    is_gone = is_known & is_judged & ~is_found & (F.col("old.status") == "open")
    status = F.when(~is_known, "open").when(F.col("old.status") == "waived", "waived").when(is_found, "open")
    status = status.when(is_gone, "resolved").otherwise(F.col("old.status"))
    is_reopened = ~is_known | (was_resolved & is_found)
    columns = {name: F.when(is_found, F.col(f"new.{name}")).otherwise(F.col(f"old.{name}")) for name in FOUND_COLUMNS}
    columns |= {
        "owner": F.col("old.owner"),
        "assigned_to": F.col("old.assigned_to"),
        "opened_at": F.when(is_reopened, F.lit(seen_at).cast("timestamp")).otherwise(F.col("old.opened_at")),
        "due_at": F.col("old.due_at"),
        "escalate_to": F.col("old.escalate_to"),
        "escalations": F.coalesce("old.escalations", F.array().cast(ESCALATIONS)),
        "status": status,
        "first_seen_run": F.coalesce("old.first_seen_run", F.lit(run_id)),
        "resolved_run": F.when(is_gone, F.lit(run_id)).when(~is_found, F.col("old.resolved_run")),
        "resolution": F.when(is_gone, F.lit("repaired")).when(
            ~is_found | (F.col("old.status") == "waived"), F.col("old.resolution")
        ),
        "reason": F.col("old.reason"),
        "decided_by": F.col("old.decided_by"),
        "decided_at": F.col("old.decided_at"),
        "decisions": F.coalesce("old.decisions", F.array().cast(EXCEPTION.field("decisions").dataType)),
    }
    return joined.select(*(column.alias(name) for name, column in columns.items()))
