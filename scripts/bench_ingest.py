#!/usr/bin/env python3
"""Benchmark: reading every format, rows per second and CPU, beside a plain parser of the same file and beside text tables.

A row is one receipt line, whatever the format nests it in. All readers find the same rows and the same sum, or the benchmark
fails. Readers run in one process and one thread; --spark adds the whole bronze step, in which each file is read twice: judged,
then loaded. Needs Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from bench_night import used_cpu
from bench_pipeline import say
from demo import ROOT
from ingest_files import KINDS, Found, Kind, Line, make_lines, total_of
from make_demo_exports import positive

from tillhouse.bronze import ingest
from tillhouse.config import read_yaml, to_model
from tillhouse.ops.runs import utc_now
from tillhouse.session import open_session
from tillhouse.sources.model import Source
from tillhouse.sources.readers import read_records
from tillhouse.sources.records import Records
from tillhouse.store import Store
from tillhouse.tables import ops
from tillhouse.tables.bronze import bronze_table

LEAST = 1 / 3  # of the rows per CPU second of text tables that every format should reach
FILES = 4


@dataclass(frozen=True)
class Cost:
    wall: float
    cpu: float

    def rows_per_second(self, rows: int) -> float:
        return rows / self.wall

    def micros_per_row(self, rows: int) -> float:
        return self.cpu / rows * 1e6


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench ingest", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / ".bench" / "ingest", help="folder to work in (.bench/ingest)")
    parser.add_argument("--rows", type=positive, default=60_000, help="receipt lines in each format (60,000)")
    parser.add_argument("--runs", type=positive, default=5, help="runs of each reader; the median counts (5)")
    parser.add_argument("--spark", action="store_true", help="the bronze step too")
    given = parser.parse_args()
    out: Path = given.out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    lines = make_lines(given.rows)
    say(f"{given.rows:,} receipt lines in each format, {given.runs} runs, {os.cpu_count()} processors")
    report(measure_readers(out / "readers", lines, given.runs), len(lines))
    if given.spark:
        report_bronze(measure_bronze(out / "bronze", lines), len(lines))
    return 0


def source_of(kind: Kind) -> Source:
    """The mapping of a format, under a name and pattern of its own."""
    shipped = kind.mapping.endswith(".yml")
    data = read_yaml(ROOT / "conf" / "library" / kind.mapping) if shipped else yaml.safe_load(kind.mapping)
    name = "".join(character if character.isalnum() else "_" for character in kind.name.lower())
    return to_model(Source, {**data, "source": name, "file_pattern": f"{name}/{{exported}}_*.{kind.suffix}"}, kind.name)


def measure_readers(folder: Path, lines: list[Line], runs: int) -> dict[str, tuple[Kind, int, Cost, Cost]]:
    """For each format: bytes, our reader, the plain one. The readers take turns."""
    wanted = total_of(lines)
    found = {}
    for kind in KINDS:
        source, content = source_of(kind), kind.write(lines)
        path = folder / f"{source.name}.{kind.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        ours, plain = [], []
        kind.plain(path)  # both once before, so that what they import is not measured
        _read(path, source)
        for _ in range(runs):
            cost, records = measure(partial(_read, path, source))
            expect(f"{kind.name}, tillhouse", total_in(records, kind), wanted)
            ours.append(cost)
            cost, total = measure(partial(kind.plain, path))
            expect(f"{kind.name}, {kind.plain_name}", total, wanted)
            plain.append(cost)
        found[kind.name] = kind, len(content), middle(ours), middle(plain)
        say(f"  {kind.name}: rows and sums right")
    return found


def _read(path: Path, source: Source) -> Records:
    return read_records(path.read_bytes(), source)


def measure(work: Callable[[], Any]) -> tuple[Cost, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu), result


def middle(costs: Iterable[Cost]) -> Cost:
    rows = list(costs)
    return Cost(median(row.wall for row in rows), median(row.cpu for row in rows))


def total_in(records: Records, kind: Kind) -> Found:
    """Rows and sum in what bronze would get."""
    if records.broken:
        raise SystemExit(f"{kind.name}: broken record in row {records.broken[0].row}: {records.broken[0].reason}")
    if kind.lines is None:
        amounts = records.table.column(kind.amount).to_pylist()
    else:
        nested = records.table.column(kind.lines).to_pylist()
        amounts = [line[kind.amount] for text in nested for line in json.loads(text) if kind.amount in line]
    return len(amounts), sum((Decimal(amount) for amount in amounts), Decimal(0))


def expect(who: str, found: Found, wanted: Found) -> None:
    """Raises SystemExit if a reader has not found all rows and cents."""
    if found != wanted:
        raise SystemExit(f"{who}: {found[0]:,} rows with sum {found[1]} instead of {wanted[0]:,} with {wanted[1]}")


def report(found: dict[str, tuple[Kind, int, Cost, Cost]], rows: int) -> None:
    text_tables = found["csv"][2].micros_per_row(rows)
    head = ("format", "bytes/row", "rows/s", "CPU us/row", "of csv", "plain parser", "CPU us/row", "ours")
    say("\n{:<16} {:>9} {:>10} {:>10} {:>7}   {:<14} {:>10} {:>7}".format(*head))
    for name, (kind, size, ours, plain) in found.items():
        micros, theirs = ours.micros_per_row(rows), plain.micros_per_row(rows)
        say(
            f"{name:<16} {size / rows:>9.0f} {ours.rows_per_second(rows):>10,.0f} {micros:>10.1f} {text_tables / micros:>7.2f}   "
            f"{kind.plain_name:<14} {theirs:>10.1f} {micros / theirs:>6.1f}x"
        )
    slow = [name for name, (_, _, ours, _) in found.items() if text_tables / ours.micros_per_row(rows) < LEAST]
    say(f"below a third of csv per row: {', '.join(slow) or 'none'} (reasons in docs/operations.md)")


def measure_bronze(folder: Path, lines: list[Line]) -> dict[str, Cost]:
    """The bronze step of each format, on files of equal size in a lake of its own; the first one twice, to be measured warm."""
    spark = open_session("bench ingest")
    share = len(lines) // FILES
    found = {}
    for kind in (KINDS[0], *KINDS):
        source, place = source_of(kind), folder / kind.suffix
        shutil.rmtree(place, ignore_errors=True)
        (place / "landing" / source.name).mkdir(parents=True)
        for number in range(FILES):
            part = lines[number * share : (number + 1) * share] if number < FILES - 1 else lines[number * share :]
            (place / "landing" / source.name / f"20251025T2000_{number}.{kind.suffix}").write_bytes(kind.write(part))
        store = Store(spark, str(place / "lake"), str(place / "vault"))
        store.create_missing([ops.FILE_LEDGER, ops.FILE_COLUMN, bronze_table(source.name, source.personal_data)])
        wall, cpu = time.monotonic(), used_cpu()
        figures = ingest.run(store, [source], str(place / "landing"), "bench", utc_now())
        found[kind.name] = Cost(time.monotonic() - wall, used_cpu() - cpu)
        records = len(lines) if kind.lines is None else -(-len(lines) // 3)
        if figures["files_loaded"] != FILES or not records <= figures["rows_read"]:
            raise SystemExit(f"{kind.name}: bronze has read {figures}")
    return found


def report_bronze(found: dict[str, Cost], rows: int) -> None:
    text_tables = found["csv"].micros_per_row(rows)
    say(f"\n{'bronze step':<16} {'rows/s':>10} {'CPU us/row':>10} {'of csv':>7}")
    for name, cost in found.items():
        micros = cost.micros_per_row(rows)
        say(f"{name:<16} {cost.rows_per_second(rows):>10,.0f} {micros:>10.1f} {text_tables / micros:>7.2f}")


if __name__ == "__main__":
    raise SystemExit(main())
