#!/usr/bin/env python3
"""Deliver a chain week by week, all at once and in shuffled orders, with disturbed files among them, and compare the lakes.

Among the files are some that were sent again, renamed, overlap with others, correct them or take a receipt back.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import secrets
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from bench_night import put, run_chain
from bench_pipeline import say
from compare_lakes import COMPARED, compare
from demo import ROOT
from make_demo_exports import make_exports
from pyspark.sql import SparkSession

from tillhouse.session import open_session


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / ".bench" / "orders", help="folder to work in (.bench/orders)")
    parser.add_argument("--weeks", type=int, help="only the first N weeks (all 53)")
    parser.add_argument("--branches", type=int, help="only the N largest branches (all)")
    parser.add_argument("--orders", type=int, default=3, help="shuffled orders (3)")
    parser.add_argument("--batches", type=int, default=4, help="runs in which a shuffled order is delivered (4)")
    parser.add_argument("--without-weeks", action="store_true", help="leave out the 53 runs of the order week by week")
    given = parser.parse_args()
    out: Path = given.out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    os.environ.setdefault("TILLHOUSE_TOKEN_KEY", secrets.token_hex(32))
    make_exports(out, given.weeks, given.branches, plain=True)
    disturb(out / "landing")
    files = sorted(path for path in (out / "landing").rglob("*") if path.is_file())
    spark = open_session("orders")
    orders = {"all at once": [files]} | ({} if given.without_weeks else {"week by week": by_week(files)})
    for number in range(1, given.orders + 1):
        shuffled = random.Random(number).sample(files, len(files))  # noqa: S311 - no secret
        size = -(-len(files) // given.batches)
        orders[f"shuffled {number}"] = [shuffled[start : start + size] for start in range(0, len(files), size)]
    first = out / next(iter(orders)).replace(" ", "_")
    differing = 0
    for name, batches in orders.items():
        folder, started = out / name.replace(" ", "_"), time.monotonic()
        for batch in batches:
            put(out, folder, batch)
            run(spark, folder)
        wrong = [table.full_name for table in COMPARED if compare(first / "lake", folder / "lake", table).differing]
        differing += len(wrong)
        seconds = time.monotonic() - started
        say(f"{name}: {len(batches)} runs, {len(files)} files, {seconds:.0f} s; tables that differ: {', '.join(wrong) or 'none'}")
        idle = run(spark, folder)
        differing += bool(idle)
        say(f"{name}: once more without news: commits outside ops: {', '.join(idle) or 'none'}")
    return 1 if differing else 0


def run(spark: SparkSession, folder: Path) -> list[str]:
    """One run; returns the tables outside ops that it committed to."""
    commits = list[str]()
    run_chain(spark, folder, commits.append)
    return sorted({table for table in commits if not table.startswith("ops.")})


def by_week(files: Sequence[Path]) -> list[list[Path]]:
    """Each week's deliveries, what comes later by their own export time at the end; master data comes first."""
    master = [path for path in files if "sales" not in path.parts]
    weeks = sorted({path.name.split("_")[1] for path in files if path not in master})
    batches = [[path for path in files if path not in master and f"_{week}_" in path.name] for week in weeks]
    batches[0] = [*master, *batches[0]]
    return batches


def disturb(landing: Path) -> None:
    """Add files to a chain's that are sent again, are renamed, overlap, correct, take back and come under a name of no source."""
    erp = sorted((landing / "erp/sales").iterdir())
    cloud = sorted((landing / "cloud_till/sales").iterdir())
    shutil.copy2(erp[1], later(erp[1], "20300101T0000"))  # sent again
    shutil.copy2(erp[1], erp[1].with_name(f"Kopie von {erp[1].name}"))  # renamed by hand: no source's
    first, second = (path.read_bytes().splitlines(keepends=True) for path in erp[2:4])
    later(erp[3], "20300102T0000").write_bytes(b"".join([first[0], *first[-30:], *second[1:40]]))  # two weeks overlap
    records = [json.loads(line) for line in cloud[1].read_text("utf-8").splitlines()]
    wrong, moved = records[3], records[5]
    wrong["items"][0]["amount"] = "77.77"
    moved["completed_at"] = records[-1]["completed_at"]
    text = "\n".join(json.dumps(record) for record in (wrong, moved, records[6])) + "\n"
    later(cloud[1], "20300103T0000").write_text(text, "utf-8")  # a correction of an old week, one receipt on another day
    keys = ("location", "register", "receipt_id")
    gone = [{key: record[key] for key in keys} for record in records[8:10]]
    empty: dict[str, object] = {"completed_at": None, "items": [], "state": "deleted"}
    text = "\n".join(json.dumps({**record, **empty}) for record in gone) + "\n"
    later(cloud[1], "20300104T0000").write_text(text, "utf-8")  # receipts that the source takes back
    [branches], [products] = (list((landing / "erp" / name).iterdir()) for name in ("branches", "products"))
    retold(branches, "20170109T0000", "Region", "Elsewhere")  # lists of other days, which begin in the midst of the sales
    retold(branches, "20170116T0000", "Format", "")
    retold(products, "20170112T0000", "Marke", "Another")


def retold(path: Path, exported: str, column: str, value: str) -> None:
    """The list as exported at another time, in which every second row has another value."""
    with path.open(encoding="cp1252", newline="") as file:
        names, *rows = csv.reader(file, delimiter=";")
    position = names.index(column)
    told = [[*row[:position], value, *row[position + 1 :]] if number % 2 else row for number, row in enumerate(rows)]
    with later(path, exported).open("w", encoding="cp1252", newline="") as file:
        csv.writer(file, delimiter=";", lineterminator="\r\n").writerows([names, *told])


def later(path: Path, exported: str) -> Path:
    """The same delivery as exported at another time."""
    return path.with_name(f"{path.stem.rsplit('_', 1)[0]}_{exported}{path.suffix}")


if __name__ == "__main__":
    raise SystemExit(main())
