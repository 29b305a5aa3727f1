#!/usr/bin/env python3
"""Deliver a chain up to random past days and measure it as of each; when all is delivered, ask for each of these days again.

Figures as of a day must not know what came later: gold with everything delivered, as of that day, is gold as it was when nothing
else had been delivered. All tables are compared row by row, in the state in which the night of that day has left them. The chain
is the plain demo, whose deliveries are cut between two trading days. Members of dim_customer who have bought nothing yet are left
out: who will come later is known once it is delivered, but has no figure.
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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
from bench_night import put, run_chain
from bench_pipeline import say
from compare_lakes import ONLY_IN_ONE, columns_of
from deltalake import DeltaTable
from demo import ROOT
from make_demo_exports import make_exports
from pyspark.sql import SparkSession

from tillhouse.session import open_session
from tillhouse.tables import Table, gold

FIRST, LAST = date(2017, 1, 9), date(2018, 1, 1)
CONF = "every: month\nreorder: {population: all}\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / ".bench" / "as_of", help="folder to work in (.bench/as_of)")
    parser.add_argument("--branches", type=int, help="only the N largest branches (all)")
    parser.add_argument("--days", type=int, default=20, help="random days (20)")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    out: Path = given.out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    os.environ.setdefault("TILLHOUSE_TOKEN_KEY", secrets.token_hex(32))
    make_exports(out / "exports", None, given.branches, plain=True)
    shutil.copytree(ROOT / "conf", out / "chain" / "conf")
    (out / "chain" / "conf" / "insight.yml").write_text(CONF, "utf-8")
    chain = Chained(open_session("as of"), out / "chain")
    days = random_days(given.days, given.seed)
    return 1 if differing(chain, out / "exports", days) else 0


@dataclass(frozen=True)
class Chained:
    """A chain in a folder."""

    spark: SparkSession
    folder: Path

    def night(self, as_of: date | None) -> Mapping[Table, int]:
        """One run; returns the version of each table of gold that it has left."""
        store = run_chain(self.spark, self.folder, conf=self.folder / "conf", as_of=as_of)
        return {table: store.version(table)[1] for table in gold.TABLES}

    def rows_that_differ(self, table: Table, then: int, now: int) -> int:
        """Rows that only one of two versions of a table has; technical columns aside."""
        con = duckdb.connect()
        bought = "WHERE first_purchase_date IS NOT NULL" if table is gold.DIM_CUSTOMER else ""
        for name, version in (("one", then), ("other", now)):
            stored = DeltaTable(str(self.folder / "lake" / table.schema / table.name), version=version)
            con.register(f"{name}_rows", stored.to_pyarrow_table(columns=columns_of(stored)))
            con.execute(f"CREATE VIEW {name} AS FROM {name}_rows {bought}")
        return len(con.sql(f"FROM {ONLY_IN_ONE}"))


def random_days(count: int, seed: int) -> list[date]:
    """Past days in their order."""
    every = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days)]
    return sorted(random.Random(seed).sample(every, count))  # noqa: S311 - no secret


def differing(chain: Chained, exports: Path, days: Sequence[date]) -> int:
    """Tables, over all days, that know as of the day what was delivered later."""
    files = sorted(path for path in (exports / "landing").rglob("*") if path.is_file())
    sales = [path for path in files if path.parent.name == "sales"]
    put(exports, chain.folder, [path for path in files if path not in sales])
    zones = zones_of(files)
    receipts = sorted((receipt for path in sales for receipt in read(path, zones)), key=lambda one: one.day)
    then = {}
    first = date.min
    for day in [*days, date.max]:
        deliver(chain.folder, exports, [one for one in receipts if first <= one.day < day], day)
        started = time.monotonic()
        versions = chain.night(None if day == date.max else day)
        say(f"{'everything delivered' if day == date.max else f'delivered before {day}'}: {time.monotonic() - started:.0f} s")
        then[day], first = versions, day
    wrong = 0
    for day in reversed(days):
        now = chain.night(day)
        names = {table: chain.rows_that_differ(table, then[day][table], now[table]) for table in gold.TABLES if now[table]}
        told = [f"{table.name} {count:,}" for table, count in names.items() if count]
        wrong += len(told)
        say(f"as of {day}, with everything delivered: {len(names)} tables; rows that differ: {', '.join(told) or 'none'}")
    return wrong


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a file tells of a trading day: a line of text, or a whole receipt."""

    path: Path
    day: date
    text: str


def zones_of(files: Sequence[Path]) -> dict[str, ZoneInfo]:
    """Time zones of branches."""
    [path] = [path for path in files if path.parent.name == "branches"]
    with path.open(encoding="cp1252", newline="") as file:
        return {row["Filiale"]: ZoneInfo(row["Zeitzone"]) for row in csv.DictReader(file, delimiter=";")}


def read(path: Path, zones: Mapping[str, ZoneInfo]) -> Iterator[Receipt]:
    """The content of a file, each line with its day at the branch."""
    if path.suffix == ".jsonl":
        for line in path.read_text("utf-8").splitlines():
            told = json.loads(line)
            at = datetime.fromisoformat(told["completed_at"]).astimezone(zones[told["location"]])
            yield Receipt(path, at.date(), line)
        return
    header, *lines = path.read_text("cp1252").splitlines()
    column = header.split(";").index("Datum")
    for line in lines:
        yield Receipt(path, datetime.strptime(line.split(";")[column], "%d.%m.%Y").date(), line)  # noqa: DTZ007 - a date


def deliver(folder: Path, exports: Path, receipts: Sequence[Receipt], day: date) -> None:
    """Parts of files, named as their exports but for the instant of the export."""
    by_path = sorted(receipts, key=lambda one: str(one.path))
    for path, parts in groupby(by_path, key=lambda one: one.path):
        system, week, _ = path.stem.split("_")
        target = folder / path.relative_to(exports).with_name(f"{system}_{week}_{min(day, LAST):%Y%m%d}T0500{path.suffix}")
        target.parent.mkdir(parents=True, exist_ok=True)
        texts = [part.text for part in parts]
        if path.suffix == ".csv":
            with path.open(encoding="cp1252") as file:
                texts.insert(0, file.readline().rstrip("\r\n"))
        target.write_text("\n".join(texts) + "\n", "utf-8" if path.suffix == ".jsonl" else "cp1252")


if __name__ == "__main__":
    raise SystemExit(main())
