#!/usr/bin/env python3
"""Benchmark: what the star and its figures cost: all at once, one day, a correction two years back, two customers merged.

The chain is made (scripts/make_gold.py) and laid into an empty lake as silver would have it; only the steps gold and kpi run
(scripts/bench kpi measures what follows). The session is started before. Beside it DuckDB computes the same figures from silver,
and they must be equal. CPU seconds are those of this process and all its descendants. Needs Linux.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
from bench_customers import peak_gib
from bench_night import Cost, measure, used_cpu
from bench_pipeline import say
from deltalake import DeltaTable
from demo import ROOT
from make_gold import Made, Sizes, add_sizes, sizes_of, to_tables
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tillhouse import pipeline
from tillhouse.config import Config, load_config
from tillhouse.ops.runs import Run, StepResult, new_run_id, utc_now
from tillhouse.session import open_session
from tillhouse.store import Store
from tillhouse.tables import Table, gold, silver

TARGETS = {"one new day": 1 / 20, "a correction two years back": 1 / 20, "two customers merged": 1 / 10}
GROWTH = 1.2  # CPU of a line among many, of that among few
BACK = 2 * 365
STEPS = "gold", "kpi"
CONF = {"spark.driver.memory": "12g"}

# The branch figures straight from silver: what the rules come to where there are but plain sales and returns.
FIGURES = """
WITH receipts AS (
    SELECT r.receipt_key, r.branch_id, r.business_date, r.transaction_type, c.customer_id
    FROM silver_receipt r
    LEFT JOIN (SELECT party_key, customer_id FROM silver_party_customer WHERE valid_to_run IS NULL) c USING (party_key)
), lines AS (
    SELECT receipt_key, sum(gross_amount) AS revenue, sum(net_amount) AS net, sum(discount_amount) AS discount,
        -sum(CASE WHEN gross_amount < 0 THEN gross_amount ELSE 0 END) AS returned,
        sum(CASE WHEN gross_amount < 0 THEN 0 ELSE quantity END) AS items
    FROM silver_receipt_line GROUP BY 1
)
SELECT branch_id, business_date, sum(revenue)::DECIMAL(18,2), sum(net)::DECIMAL(18,2), sum(returned)::DECIMAL(18,2),
    sum(discount)::DECIMAL(18,2), count(*), count(*) FILTER (transaction_type = 'SALE'), sum(items)::DECIMAL(18,3),
    count(DISTINCT customer_id) FILTER (transaction_type = 'SALE')
FROM receipts JOIN lines USING (receipt_key) GROUP BY 1, 2
"""
PUBLISHED = """
SELECT branch_id, business_date, revenue, revenue_excl_tax, return_amount, discount_amount, receipts, baskets, items, customers
FROM gold_kpi_branch_day
"""
BY_PRODUCT = "SELECT {product}, sum(gross_amount)::DECIMAL(18,2), count(*) FROM {table} GROUP BY 1"


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench gold", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / ".bench" / "gold", help="folder to work in (.bench/gold)")
    parser.add_argument("--lines", type=int, nargs="+", default=[5_000_000, 20_000_000], help="sizes (5000000 20000000)")
    parser.add_argument("--keep", action="store_true", help="leave the lakes there")
    add_sizes(parser)
    given = parser.parse_args()
    os.environ.setdefault("TILLHOUSE_TOKEN_KEY", secrets.token_hex(32))
    cpu, wall = used_cpu(), time.monotonic()
    spark = open_session("bench gold", CONF)
    cpu, wall = used_cpu() - cpu, time.monotonic() - wall
    say(f"session start {wall:.1f} s, CPU {cpu:.1f} s, not counted below; {os.cpu_count()} processors")
    per_line: dict[int, float] = {}
    for lines in sorted(given.lines):
        folder: Path = (given.out / str(lines)).resolve()
        shutil.rmtree(folder, ignore_errors=True)
        sizes = sizes_of(given, lines)
        if lines != max(given.lines) and given.customers == Sizes().customers:
            sizes = replace(sizes, customers=max(1, sizes.customers * lines // max(given.lines)))
        per_line[lines] = bench(spark, sizes, folder) / lines
        if not given.keep:
            shutil.rmtree(folder, ignore_errors=True)
    few, many = min(per_line), max(per_line)
    if few < many:
        ratio = per_line[many] / per_line[few]
        say(f"\nthe full build of a line among {many:,} costs {ratio:.2f} of what one among {few:,} costs; target {GROWTH}")
    return 0


def bench(spark: SparkSession, sizes: Sizes, folder: Path) -> float:
    """All changes to one lake; returns the CPU seconds of the full build."""
    store, made = Store(spark, str(folder / "lake"), str(folder / "vault")), Made(spark, sizes)
    say(f"\n{sizes.lines:,} lines, {sizes.branches:,} branches, {sizes.days:,} days, {sizes.customers:,} customers")
    making = measure(lambda: make(made, store))
    say(f"made in {making.wall:.0f} s, CPU {making.cpu:.0f} s; silver {stored_mib(store, silver.TABLES):,.0f} MiB")
    config = load_config(ROOT / "conf", *(str(folder / name) for name in ("lake", "vault", "landing")))
    costs: dict[str, Cost] = {}
    steps: dict[str, list[StepResult]] = {}

    def night(name: str) -> None:
        costs[name] = measure(lambda: run_steps(store, config, steps.setdefault(name, [])))

    night("all at once")
    say(f"gold {stored_mib(store, gold.TABLES):,.0f} MiB, memory {peak_gib():.1f} GiB at most")
    compare(folder, costs["all at once"])
    night("nothing new")
    made.add(store, sizes.receipts, sizes.first_of(sizes.days + 1))
    night("one new day")
    correct(store, made, sizes.first_of(max(0, sizes.days - BACK)) + 1)
    night("a correction two years back")
    merge(store)
    night("two customers merged")
    compare(folder, None)
    report(costs, steps)
    return costs["all at once"].cpu


def run_steps(store: Store, config: Config, results: list[StepResult]) -> list[str]:
    """The steps from gold to kpi; their audit must agree."""
    now, commits = utc_now(), list[str]()
    store.before_commit = commits.append
    run = Run(store, config, new_run_id(now), now)
    pipeline.run(run, pipeline.select(from_step=STEPS[0], to_step=STEPS[-1]), results.append)
    pipeline.check_audit(run)
    return commits


def correct(store: Store, made: Made, number: int) -> None:
    """One receipt comes again with twice the quantity of everything."""
    receipt = made.receipts(number, number + 1)
    names = ("line_number", "product", "quantity", "gross", "discount", "tax")
    twice = F.transform(
        "_lines",
        lambda line: F.struct(*(((2 if name in names[2:] else 1) * line[name]).cast("bigint").alias(name) for name in names)),
    )
    changed = receipt.withColumn("_lines", twice)
    keys = store.keep(receipt.select("receipt_key", "business_date"))
    dates = [row["business_date"] for row in keys.collect()]
    for table, rows in to_tables(changed).items():
        store.replace(table, store.keep(rows), keys.select("receipt_key"), dates)


def merge(store: Store) -> None:
    """The card of one customer becomes another's, as the identity step writes it."""
    run, merged, into = "merge", "customer0", "customer1"
    history = store.read(silver.PARTY_CUSTOMER)
    moved = store.keep(history.where(F.col("customer_id") == F.md5(F.lit(merged))))
    ended = moved.withColumn("valid_to_run", F.lit(run))
    begun = moved.withColumns({"customer_id": F.md5(F.lit(into)), "valid_from_run": F.lit(run)})
    rows = store.keep(ended.unionByName(begun))
    store.replace_where(silver.PARTY_CUSTOMER, rows, moved.select("party_key"), "true")


def compare(folder: Path, full: Cost | None) -> None:
    """DuckDB computes the same from silver; stops the benchmark where a figure differs."""
    lake = duckdb.connect()
    for table in (silver.RECEIPT, silver.RECEIPT_LINE, silver.PARTY_CUSTOMER, gold.KPI_BRANCH_DAY, gold.FCT_SALE_LINE):
        files = DeltaTable(str(folder / "lake" / table.schema / table.name)).file_uris()
        lake.read_parquet(files, hive_partitioning=True).create_view(table.full_name.replace(".", "_"))
    cpu, wall = used_cpu(), time.monotonic()
    lake.execute(f"CREATE TABLE figures AS {FIGURES}")
    cpu, wall = used_cpu() - cpu, time.monotonic() - wall
    sold = BY_PRODUCT.format(product="product_ref", table="silver_receipt_line")
    stored = BY_PRODUCT.format(product="product_id", table="gold_fct_sale_line")
    for name, computed, published in (
        ("branches and days", "SELECT * FROM figures", PUBLISHED),
        ("products", sold, stored),
    ):
        sides = (lake.sql(computed), lake.sql(published))
        differing = [len(one.except_(other)) for one, other in (sides, sides[::-1])]
        if any(differing) or not len(sides[0]):
            raise SystemExit(f"{name}: {differing[0]} rows of DuckDB are not in gold, {differing[1]} of gold not in DuckDB's")
    if full is not None:
        say(f"the branch figures from silver in DuckDB: {wall:.1f} s, CPU {cpu:.1f} s; equal to gold's")


def report(costs: dict[str, Cost], steps: dict[str, list[StepResult]]) -> None:
    full = costs["all at once"]
    say(f"\n{'':<30} {'wall s':>8} {'CPU s':>8} {'of all':>8} {'target':>8} {'commits':>8}  steps")
    for name, cost in costs.items():
        target = f"{TARGETS[name]:.0%}" if name in TARGETS else ""
        seconds = ", ".join(f"{result.step} {result.seconds:.1f}" for result in steps[name])
        say(
            f"{name:<30} {cost.wall:8.1f} {cost.cpu:8.1f} {cost.cpu / full.cpu:8.1%} {target:>8} {len(cost.commits):8}  {seconds}"
        )
    say("'of all': CPU of the full build")


def stored_mib(store: Store, tables: Sequence[Table]) -> float:
    """Size of what lies below the tables' folders."""
    return sum(path.stat().st_size for table in tables for path in Path(store.path(table)).rglob("*.parquet")) / 2**20


def make(made: Made, store: Store) -> Sequence[str]:
    made.write(store)
    return ()


if __name__ == "__main__":
    raise SystemExit(main())
