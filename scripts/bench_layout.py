#!/usr/bin/env python3
"""Benchmark: the share of gold.fct_sale_line that a query of one branch and one week reads, by layout of the files.

Weeks within a month and across two. Counted three ways: whole files that the log's statistics leave over, row groups that the
statistics in these files leave over (what readers without Spark fetch), and the bytes that Spark really reads of them, by its
file system's own count. Each as a share of the same for the whole table.
"""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from statistics import mean

import pyarrow as pa
import pyarrow.parquet as pq
from bench_night import measure
from bench_pipeline import say
from deltalake import DeltaTable
from demo import ROOT
from make_gold import FIRST, Made, Sizes, add_sizes, sizes_of, to_tables
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tillhouse.keys import surrogate_key
from tillhouse.session import open_session
from tillhouse.store import Store
from tillhouse.tables import silver
from tillhouse.tables.contract import MONTH
from tillhouse.tables.gold import FCT_SALE_LINE

TARGET = 0.05
WEEK = 7
QUESTIONS = 12
LINES = 2_000_000
# Spark's count leaves out what is read in several ranges at once.
COUNTED = {"spark.hadoop.parquet.hadoop.vectored.io.enabled": "false", "spark.driver.extraJavaOptions": "-XX:+UseParallelGC"}


@dataclass(frozen=True, slots=True)
class Question:
    """All lines of a branch and week."""

    branch_id: str
    first: date

    @property
    def last(self) -> date:
        return self.first + timedelta(days=WEEK - 1)

    @property
    def is_within_a_month(self) -> bool:
        return self.first.month == self.last.month

    def ask(self, rows: DataFrame) -> DataFrame:
        return rows.where(f"branch_id = '{self.branch_id}' AND business_date BETWEEN '{self.first}' AND '{self.last}'")

    def may_be_in(self, low: tuple[str, date], high: tuple[str, date]) -> bool:
        """Whether the smallest and largest branch and day of a part leave it over."""
        return low[0] <= self.branch_id <= high[0] and low[1] <= self.last and self.first <= high[1]


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench layout", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / ".bench" / "layout", help="folder to work in (.bench/layout)")
    parser.add_argument("--lines", type=int, default=LINES, help=f"({LINES})")
    parser.add_argument("--lake", type=Path, help="a lake that scripts/bench gold --keep has left, in place of making one")
    add_sizes(parser)
    given = parser.parse_args()
    spark = open_session("bench layout", COUNTED)
    out: Path = given.out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    sizes = sizes_of(given, given.lines)
    store = open_lake(spark, given.lake.resolve()) if given.lake else make_lake(spark, sizes, out)
    stored = Path(store.path(FCT_SALE_LINE))
    rows = store.read(FCT_SALE_LINE)
    questions = list(to_questions(sizes))
    say(f"{rows.count():,} lines, {sizes.branches} branches, {sizes.days} days; {len(questions)} questions")
    say(f"\n{'':<36} {'MiB':>7} {'files':>6} {'write s':>8}   files: mean / worst    row groups           Spark")
    tell(spark, "month, sorted, as the store writes it", stored, questions, 0.0)
    for name, write in layouts(size_of(stored), len(DeltaTable(str(stored)).file_uris())).items():
        path = out / re.sub(r"\W+", "_", name)
        tell(spark, name, path, questions, measure(partial(write, rows, path)).wall)
    say(f"\nhalf of the questions lie across two months, and read a part of both; target {TARGET:.0%}")
    return 0


def open_lake(spark: SparkSession, lake: Path) -> Store:
    return Store(spark, str(lake), str(lake.parent / "vault"))


def make_lake(spark: SparkSession, sizes: Sizes, out: Path) -> Store:
    """Lines as silver would have them become those of gold, written as gold writes them."""
    store = open_lake(spark, out / "lake")
    store.create_missing([FCT_SALE_LINE])
    lines = to_tables(Made(spark, sizes).receipts(0, sizes.receipts))[silver.RECEIPT_LINE]
    of_gold = {
        "product_id": F.col("product_ref"),
        "product_key": surrogate_key("product_ref"),
        "is_revenue": F.lit(True),
        "is_return": F.col("gross_amount") < 0,
        "item_count": F.col("quantity"),
    }
    store.overwrite(FCT_SALE_LINE, FCT_SALE_LINE.filled(lines.withColumns(of_gold)))
    return store


def to_questions(sizes: Sizes) -> Iterator[Question]:
    """Branches and weeks spread over the whole; every second week begins within a month and ends in the next."""
    for number in range(QUESTIONS):
        branch = number * sizes.branches // QUESTIONS
        first = FIRST + timedelta(days=number * (sizes.days - 2 * WEEK) // QUESTIONS)
        fifth = first.replace(day=5)
        across = (fifth + timedelta(days=31)).replace(day=1) - timedelta(days=WEEK // 2)
        yield Question(f"B{branch:05d}", across if number % 2 else fifth)


Write = Callable[[DataFrame, Path], Sequence[str]]


def layouts(size: int, files: int) -> dict[str, Write]:
    """What the store's layout is compared with; ``size``, ``files``: of the table as the store writes it."""
    return {
        "month, sorted, row groups of 128 MiB": lambda rows, path: by_month(rows, path, 128),
        "month, sorted, row groups of 1 MiB": lambda rows, path: by_month(rows, path, 1),
        "liquid clustering, as many files": lambda rows, path: clustered(rows, path, size // files),
        "liquid clustering, eight times as many": lambda rows, path: clustered(rows, path, size // files // 8),
    }


def by_month(rows: DataFrame, path: Path, mib: int) -> Sequence[str]:
    ordered = rows.repartition(MONTH).sortWithinPartitions(MONTH, *FCT_SALE_LINE.sort_by)
    rows.sparkSession.conf.set("parquet.block.size", str(mib << 20))  # Delta takes it from the session, not from the writer
    ordered.write.format("delta").partitionBy(MONTH).save(str(path))
    return ()


def clustered(rows: DataFrame, path: Path, file_size: int) -> Sequence[str]:
    spark = rows.sparkSession
    spark.sql(
        f"CREATE TABLE delta.`{path}` ({FCT_SALE_LINE.struct.toDDL()}) USING DELTA CLUSTER BY (branch_id, business_date) "
        "TBLPROPERTIES ('delta.enableDeletionVectors' = 'false')"
    )
    rows.write.format("delta").mode("append").save(str(path))
    spark.conf.set("spark.databricks.delta.optimize.maxFileSize", str(file_size))
    spark.sql(f"OPTIMIZE delta.`{path}`")
    return ()


def tell(spark: SparkSession, name: str, path: Path, questions: Sequence[Question], seconds: float) -> None:
    files, groups, read = shares(spark, path, questions)
    table = DeltaTable(str(path))
    shown = "   ".join(f"{mean(found):6.2%} / {max(found):6.2%}" for found in (files, groups, read))
    say(f"{name:<36} {size_of(path) / 2**20:7.1f} {len(table.file_uris()):6} {seconds:8.1f}      {shown}")


def shares(spark: SparkSession, path: Path, questions: Sequence[Question]) -> tuple[list[float], list[float], list[float]]:
    """For each question the share of files, row groups and bytes read by Spark."""
    actions = pa.table(DeltaTable(str(path)).get_add_actions(flatten=True)).to_pylist()
    groups = [group for action in actions for group in row_groups(path / action["path"])]
    in_files, in_groups = sum(action["size_bytes"] for action in actions), sum(size for *_, size in groups)
    rows = spark.read.format("delta").load(str(path))
    everything = bytes_read(spark, rows)
    by_file, by_group, by_spark = [], [], []
    for question in questions:
        fitting = [
            action["size_bytes"]
            for action in actions
            if question.may_be_in(
                (action["min.branch_id"], action["min.business_date"]), (action["max.branch_id"], action["max.business_date"])
            )
        ]
        by_file.append(sum(fitting) / in_files)
        by_group.append(sum(size for low, high, size in groups if question.may_be_in(low, high)) / in_groups)
        by_spark.append(bytes_read(spark, question.ask(rows)) / everything)
    return by_file, by_group, by_spark


def row_groups(path: Path) -> Iterator[tuple[tuple[str, date], tuple[str, date], int]]:
    """Smallest and largest branch and day of each row group, and its size."""
    metadata = pq.read_metadata(path)
    places = {metadata.schema.column(i).name: i for i in range(metadata.num_columns)}
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        found = [group.column(places[name]).statistics for name in ("branch_id", "business_date")]
        size = sum(group.column(i).total_compressed_size for i in range(metadata.num_columns))
        yield (found[0].min, found[1].min), (found[0].max, found[1].max), size


def bytes_read(spark: SparkSession, rows: DataFrame) -> int:
    """Bytes that a query fetches from the disk; asked twice, because the first time the table's log is among them."""
    jvm = spark.sparkContext._jvm
    assert jvm is not None
    counts = jvm.org.apache.hadoop.fs.FileSystem.getGlobalStorageStatistics().get("file")
    rows.write.format("noop").mode("overwrite").save()
    before = int(counts.getLong("bytesRead"))
    rows.write.format("noop").mode("overwrite").save()
    return int(counts.getLong("bytesRead")) - before


def size_of(path: Path) -> int:
    """Bytes of the files of a table's newest version."""
    return sum(action["size_bytes"] for action in pa.table(DeltaTable(str(path)).get_add_actions()).to_pylist())


if __name__ == "__main__":
    raise SystemExit(main())
