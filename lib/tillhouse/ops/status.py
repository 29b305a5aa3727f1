"""How the lake is: last runs, audit, coverage, open exceptions by owner."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.errors import TillhouseError
from tillhouse.store import Store
from tillhouse.tables import gold, ops, silver

RUNS = 5


def read(store: Store) -> dict[str, Any]:
    """The report as plain values.

    Raises:
        TillhouseError: there is no lake yet.
    """
    if not store.exists(ops.RUN_STEP):
        raise TillhouseError(f"{store.lake} holds no lake yet; start with `tillhouse run` or scripts/demo")
    steps = store.read(ops.RUN_STEP)
    step = F.struct("started_at", "step", "status", F.round("seconds", 1).alias("seconds"))
    runs = steps.groupBy("run_id").agg(
        F.min("started_at").alias("started_at"),
        F.round(F.sum("seconds"), 1).alias("seconds"),
        F.when(F.max(F.col("status") == "failed"), "failed")
        .when(F.max(F.col("status") == "done"), "done")
        .otherwise("unchanged")
        .alias("status"),
        F.array_sort(F.collect_list(step)).alias("steps"),
    )  # fmt: skip
    audit = store.read(ops.RUN_AUDIT)
    newest = audit.groupBy("step", "source", "measure").agg(
        F.max_by(F.struct("run_id", "expected", "actual", "ok"), "run_id").alias("_last")
    )
    days = store.read(gold.KPI_BRANCH_DAY)
    coverage = days.groupBy("currency").agg(
        F.sum("revenue").alias("revenue"),
        *(
            F.round(F.sum(column) / F.nullif(F.sum("revenue"), F.lit(0)), 4).alias(name)
            for name, column in (
                ("identified_share", "identified_revenue"),
                ("unclear_share", "unclear_amount"),
                ("excluded_share", "excluded_amount"),
                ("lines_share", "lines_revenue"),
            )
        ),
        F.count_distinct("branch_id").alias("branches"),
        F.min("business_date").alias("first_day"),
        F.max("business_date").alias("last_day"),
    )
    exceptions = store.read(silver.EXCEPTION).where("status = 'open'").groupBy("owner", "rule", "severity").agg(
        F.count("*").alias("open"), F.sum("amount").alias("amount"), F.min("due_at").alias("due_at")
    )  # fmt: skip
    files = store.read(ops.FILE_LEDGER).groupBy("source", "status").agg(
        F.count("*").alias("files"), F.sum("rows_read").alias("rows_read"), F.sum("rows_rejected").alias("rows_rejected")
    )  # fmt: skip
    return {
        "lake": store.lake,
        "runs": _rows(runs.orderBy(F.col("started_at").desc()).limit(RUNS)),
        "files": _rows(files.orderBy("source", "status")),
        "audit": _rows(newest.select("step", "source", "measure", "_last.*").orderBy("step", "source", "measure")),
        "coverage": _rows(coverage.orderBy("currency")),
        "exceptions": _rows(exceptions.orderBy("owner", "rule")),
    }


def _rows(frame: DataFrame) -> list[dict[str, Any]]:
    return [row.asDict(recursive=True) for row in frame.collect()]


def as_text(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = [f"lake {report['lake']}", "", "last runs"]
    for run in report["runs"]:
        steps = ", ".join(f"{step['step']} {step['status']} {step['seconds']} s" for step in run["steps"])
        lines.append(f"  {run['run_id']}  {run['status']:<9} {run['seconds']:>6} s  ({steps})")
    lines += ["", "files"]
    lines += [
        f"  {row['source'] or '(no source)':<20} {row['status']:<10} {row['files']:>6} files {row['rows_read']:>12,} records"
        f" {row['rows_rejected']:>8,} broken"
        for row in report["files"]
    ]
    agreeing = sum(row["ok"] for row in report["audit"])
    lines += ["", f"audit: {agreeing} of {len(report['audit'])} measures agree"]
    lines += [
        f"  {row['step']} {row['source'] or ''} {row['measure']}: {row['expected']} <> {row['actual']} (run {row['run_id']})"
        for row in report["audit"]
        if not row["ok"]
    ]
    lines += ["", "coverage"]
    for row in report["coverage"]:
        shares = ", ".join(
            f"{name.removesuffix('_share')} {float(row[name] or 0):.1%}"
            for name in ("identified_share", "unclear_share", "excluded_share", "lines_share")
        )
        days = f"{row['first_day']} to {row['last_day']}"
        lines.append(f"  {row['branches']} branches, {days}: revenue {row['revenue']:,} {row['currency']}; {shares}")
    lines += ["", "open exceptions"]
    lines += [
        f"  {row['owner']:<18} {row['severity']:<8} {row['rule']:<22} {row['open']:>8,}  amount {row['amount'] or 0:,}"
        for row in report["exceptions"]
    ] or ["  none"]
    return "\n".join(lines)
