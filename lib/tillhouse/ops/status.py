"""How the lake is: last runs, audit, deliveries, coverage, open exceptions by owner."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.errors import HeldError, TillhouseError
from tillhouse.ops import gate, overdue
from tillhouse.ops.runs import Run, StepResult, utc_now
from tillhouse.store import Store
from tillhouse.tables import gold, ops, silver

RUNS = 5


def read(store: Store, now: datetime | None = None) -> dict[str, Any]:
    """The report as plain values; ``now`` says what is overdue.

    Raises:
        TillhouseError: there is no lake yet.
    """
    if not store.exists(ops.RUN_STEP):
        raise TillhouseError(f"{store.lake} holds no lake yet; start with `tillhouse run` or scripts/demo")
    steps = store.read(ops.RUN_STEP)
    step = F.struct("started_at", "step", "status", F.round("seconds", 1).alias("seconds"), "reason", "figures")
    runs = steps.groupBy("run_id").agg(
        F.min("started_at").alias("started_at"),
        F.round(F.sum("seconds"), 1).alias("seconds"),
        F.when(F.max(F.col("status") == "failed"), "failed")
        .when(F.max(F.col("status") == "done"), "done")
        .otherwise("unchanged")
        .alias("status"),
        F.array_sort(F.collect_list(step), _by_start).alias("steps"),
    )  # fmt: skip
    deliveries = store.read(ops.DELIVERY).groupBy("source", "status").agg(
        F.count("*").alias("branch_days"),
        F.min("business_date").alias("first_day"),
        F.max("business_date").alias("last_day"),
        F.sum("missing_numbers").alias("missing_numbers"),
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
        "held": gate.held_files(store),
        "deliveries": _rows(deliveries.orderBy("source", "status")),
        "audit": _rows(newest.select("step", "source", "measure", "_last.*").orderBy("step", "source", "measure")),
        "coverage": _rows(coverage.orderBy("currency")),
        "exceptions": _rows(exceptions.orderBy("owner", "rule")),
        "overdue": _rows(overdue.to_overdue(store.read(silver.EXCEPTION), now or utc_now())),
    }


def _by_start(left: Column, right: Column) -> Column:
    """A map cannot be ordered, so the structs of steps are ordered by their start."""
    a, b = left["started_at"], right["started_at"]
    return F.when(a < b, -1).when(a > b, 1).otherwise(0)


def write_report(run: Run, results: Sequence[StepResult], error: Exception | None, path: Path) -> None:
    """What a run did and how the lake is after it, as a JSON file for schedulers; also of a run that failed."""
    steps = [
        {
            "step": item.step,
            "status": item.status,
            "reason": item.reason,
            "seconds": round(item.seconds, 1),
            "figures": item.figures,
        }
        for item in results
    ]
    is_held = isinstance(error, HeldError)  # the run is done
    is_failed = error is not None and not is_held
    worked = any(item.status == "done" for item in results)
    report: dict[str, Any] = {
        "run_id": run.run_id,
        "status": "failed" if is_failed else "held" if is_held else "done" if worked else "unchanged",
        "error": f"{type(error).__name__}: {error}"
        if isinstance(error, TillhouseError)
        else type(error).__name__
        if error
        else None,
        "as_of": run.as_of,
        "started_at": run.started_at,
        "ended_at": utc_now(),
        "steps": steps,
    }
    if not is_failed:
        report |= {name: value for name, value in read(run.store).items() if name != "runs"}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, default=str, indent=2) + "\n", "utf-8")


def _told(figures: Mapping[str, int] | None) -> str:
    return "".join(f" {name}={value:,}" for name, value in sorted((figures or {}).items()) if value)


def _rows(frame: DataFrame) -> list[dict[str, Any]]:
    return [row.asDict(recursive=True) for row in frame.collect()]


def as_text(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = [f"lake {report['lake']}", "", "last runs"]
    for run in report["runs"]:
        lines.append(f"  {run['run_id']}  {run['status']:<9} {run['seconds']:>6} s")
        lines += [
            f"    {step['step']:<9} {step['status']:<9} {step['seconds']:>6} s {_told(step['figures'])}"
            + (f" {step['reason']}" if step["status"] == "failed" else "")
            for step in run["steps"]
            if step["status"] != "unchanged"
        ]
    lines += ["", "files"]
    lines += [
        f"  {row['source'] or '(no source)':<20} {row['status']:<10} {row['files']:>6} files {row['rows_read']:>12,} records"
        f" {row['rows_rejected']:>8,} broken"
        for row in report["files"]
    ]
    if report["held"]:
        lines += ["", "held files: not published, gold and kpi are without them"]
        lines += [f"  {row['path']}: {row['reason']}" for row in report["held"]]
    lines += ["", "deliveries (branch days)"]
    lines += [
        f"  {row['source']:<20} {row['status']:<10} {row['branch_days']:>9,}  {row['first_day']} to {row['last_day']}"
        + (f"  {row['missing_numbers']:,} numbers missing" if row["missing_numbers"] else "")
        for row in report["deliveries"]
    ] or ["  none is expected by conf"]
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
    if report["overdue"]:
        lines += ["", "overdue exceptions", *(f"  {line}" for line in overdue.as_lines(report["overdue"]))]
    return "\n".join(lines)
