"""Upkeep: small files are joined, and what no promised version needs is deleted."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from tillhouse.config import Config
from tillhouse.ops.lease import Lease
from tillhouse.ops.runs import Run, StepResult, record_steps, tell, utc_now
from tillhouse.ops.upgrade import expect_lake
from tillhouse.store import Store
from tillhouse.tables import Table, ops
from tillhouse.tables.lake import tables_of

STEP = "maintain"


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What was done to one table: its data files before and after, and files deleted that only older versions needed."""

    files_before: int
    files_after: int
    files_removed: int
    is_set: bool

    @property
    def is_changed(self) -> bool:
        return self.is_set or bool(self.files_removed) or self.files_before != self.files_after


def maintain(run: Run, tables: Iterable[Table] | None = None) -> dict[str, Upkeep]:
    """Do the upkeep of every table of the lake, and record it in ops.run_step; returns what was done to each.

    Rows stay as they are, so the next run may look at what has moved but publishes nothing.

    Raises:
        LeaseError: a run is working on the lake.
        TillhouseError: there is no lake yet.
    """
    expect_lake(run.store)
    with Lease.take(run.store, run.run_id):
        return _maintain(run, tables or tables_of(run.config.sources))


def _maintain(run: Run, tables: Iterable[Table]) -> dict[str, Upkeep]:
    store, config = run.store, run.config
    started_at, clock = utc_now(), time.monotonic()
    chosen = [table for table in tables if store.exists(table)]
    days = config.time_travel_days
    stale = forget_unreadable(store, config, days)
    done = {}
    for table in chosen:
        done[table.full_name] = upkeep(store, table, days)
        tell("table maintained", run_id=run.run_id, table=table.full_name, files=done[table.full_name].files_after)
    figures = {
        "tables": len(done),
        "files_before": sum(item.files_before for item in done.values()),
        "files_after": sum(item.files_after for item in done.values()),
        "files_removed": sum(item.files_removed for item in done.values()),
    }
    for name, item in done.items():
        if item.is_changed:
            figures |= {f"{name} {part}": getattr(item, part) for part in ("files_before", "files_after", "files_removed")}
    status = "done" if stale or any(item.is_changed for item in done.values()) else "unchanged"
    reason = f"time_travel_days {days}" + (f"; to be made anew: {', '.join(stale)}" if stale else "")
    record_steps(run, [StepResult(STEP, status, reason, started_at, time.monotonic() - clock, figures)])
    return done


def upkeep(store: Store, table: Table, days: int) -> Upkeep:
    """Promise ``days`` of time travel for a table, join its small files, and delete what is older than promised."""
    kept = f"interval {days} days"
    is_set = store.set_properties(table, {"delta.logRetentionDuration": kept, "delta.deletedFileRetentionDuration": kept})
    before = store.file_count(table)
    store.compact(table)
    return Upkeep(before, store.file_count(table), store.vacuum(table, days), is_set)


def forget_unreadable(store: Store, config: Config, days: int) -> list[str]:
    """Forget how far a step has come that has not run for longer than promised: the files of what changed since may be gone.

    The next run makes its tables anew. Returns the names of these steps.
    """
    tables = {table.full_name: table for table in tables_of(config.sources)}
    oldest = utc_now() - timedelta(days=days)
    marks = store.read(ops.WATERMARK).collect()
    stale = set()
    for mark in marks:
        table = tables.get(mark["upstream"])
        if table is None or not store.exists(table) or mark["version"] >= store.version(table)[1]:
            continue
        next_at = store.committed_at(table, mark["version"] + 1)
        if next_at is None or next_at < oldest:
            stale.add(mark["step"])
    if stale:
        rows = [tuple(mark) for mark in marks if mark["step"] not in stale]
        store.overwrite(ops.WATERMARK, store.spark.createDataFrame(rows, ops.WATERMARK.struct))
    return sorted(stale)
