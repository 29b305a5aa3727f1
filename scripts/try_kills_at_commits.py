#!/usr/bin/env python3
"""For each commit of a night's run: what a kill just before it leaves on disk, a run on that, and gold beside the undisturbed.

The chain is four branches of the demo, on both till systems, after its first week. What comes then concerns nearly every table:
the second week, a corrected receipt, one that moves into another year, other names of a branch and of a product.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
from pathlib import Path

from bench_night import put, run_chain
from bench_pipeline import say
from compare_lakes import COMPARED, compare
from demo import ROOT
from make_demo_exports import make_exports
from pyspark.sql import SparkSession
from try_orders import by_week, later

from tillhouse import pipeline
from tillhouse.config import load_config
from tillhouse.session import open_session
from tillhouse.store import Store
from tillhouse.tables import ops
from tillhouse.tables.bronze import bronze_table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / ".bench" / "commits", help="folder to work in (.bench/commits)")
    given = parser.parse_args()
    out: Path = given.out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    os.environ.setdefault("TILLHOUSE_TOKEN_KEY", secrets.token_hex(32))
    make_exports(out, 2, 4, plain=True)
    first, second = by_week(sorted(path for path in (out / "landing").rglob("*") if path.is_file()))
    spark = open_session("kills")
    quiet = out / "quiet"
    put(out, quiet, first)
    run_chain(spark, quiet)
    put(out, quiet, [*second, *changes(out / "landing")])
    moments = list[tuple[str, Path]]()

    def keep(table: str) -> None:
        then = out / f"before_{len(moments)}"
        shutil.copytree(quiet, then)
        shutil.rmtree(then / "lake/ops/_lease")  # that of a killed process is free, but this one lives
        moments.append((table, then))

    store = run_chain(spark, quiet, keep)
    idle = written(store) - {table for table, _ in moments}
    say(f"{len(moments)} commits; tables without one: {', '.join(sorted(idle)) or 'none'}")
    failures = 0
    for number, (table, folder) in enumerate(moments):
        run_chain(spark, folder)
        wrong = [other.full_name for other in COMPARED if compare(quiet / "lake", folder / "lake", other).differing]
        wrong += ["bronze"] if records(spark, folder) != records(spark, quiet) else []
        failures += bool(wrong)
        say(f"killed before commit {number}, to {table}: tables that differ: {', '.join(wrong) or 'none'}")
        shutil.rmtree(folder)
    say(f"{len(moments)} kills, {failures} with another result")
    return 1 if failures else 0


def changes(landing: Path) -> list[Path]:
    """Later deliveries that change a branch, a product and two receipts."""
    made = []
    for path in [path for path in landing.rglob("*.csv") if "sales" not in path.parts]:
        head, first, *others = path.read_bytes().splitlines(keepends=True)
        number, _, rest = first.partition(b";")
        made.append(later(path, "20300101T0000"))
        made[-1].write_bytes(b"".join([head, number, b";Anders ", rest, *others]))
    [cloud, *_] = sorted((landing / "cloud_till/sales").iterdir())
    corrected, moved = (json.loads(line) for line in cloud.read_text("utf-8").splitlines()[:2])
    corrected["items"][0]["amount"] = "77.77"
    moved["completed_at"] = "2018" + moved["completed_at"][4:]
    made.append(later(cloud, "20300101T0000"))
    made[-1].write_text("\n".join(json.dumps(record) for record in (corrected, moved)) + "\n", "utf-8")
    return made


def written(store: Store) -> set[str]:
    """All tables that a run writes."""
    config = load_config(ROOT / "conf", store.lake, store.vault)
    of_the_run = (ops.RUN_STEP, ops.RUN_AUDIT, ops.WATERMARK)
    return {table.full_name for table in (*of_the_run, *(table for step in pipeline.STEPS for table in step.writes(config)))}


def records(spark: SparkSession, folder: Path) -> dict[str, int]:
    """Records in each table of bronze."""
    store = Store(spark, str(folder / "lake"), str(folder / "vault"))
    tables = [bronze_table(source.name, source.personal_data) for source in load_config(ROOT / "conf").sources]
    return {table.full_name: store.read(table).count() for table in tables}


if __name__ == "__main__":
    raise SystemExit(main())
