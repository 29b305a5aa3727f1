"""The benchmarks of gold measure what they say: the made chain is right, DuckDB comes to the same, files lie by month."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import bench_gold
import bench_layout
import pytest
from make_gold import Made, Sizes, last_day
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.conftest import ROOT

from tillhouse.config import load_config
from tillhouse.store import Store
from tillhouse.tables import gold, silver

SIZES = Sizes(lines=3_000, branches=4, days=28, customers=50, products=40)


@pytest.fixture(scope="module")
def store(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """After gold's full build over a made chain. Tests change it in the order in which they stand here."""
    folder = tmp_path_factory.mktemp("made")
    made = Store(spark, str(folder / "lake"), str(folder / "vault"))
    Made(spark, SIZES).write(made)
    run(made)
    return made


def run(store: Store) -> list[str]:
    folder = Path(store.lake).parent
    config = load_config(ROOT / "conf", *(str(folder / name) for name in ("lake", "vault", "landing")))
    return bench_gold.run_steps(store, config, [])


@pytest.mark.long
def test_what_is_made_is_a_chain_of_the_sizes_asked_for(store: Store) -> None:
    receipts, lines = store.read(silver.RECEIPT), store.read(silver.RECEIPT_LINE)
    assert 0.9 < lines.count() / SIZES.lines < 1.1
    [days] = receipts.agg(F.min("business_date"), F.max("business_date"), F.count_distinct("branch_id")).collect()
    assert tuple(days) == (date(2023, 1, 2), last_day(SIZES), SIZES.branches)
    sums = lines.groupBy("receipt_key").agg(F.sum("gross_amount").alias("_sum"), F.count("*").alias("_lines"))
    assert receipts.join(sums, on="receipt_key").where("_sum <> gross_amount OR _lines <> line_count").count() == 0
    assert sums.count() == receipts.count()


@pytest.mark.long
def test_what_comes_back_was_bought_before_by_the_same(store: Store) -> None:
    references = store.read(silver.RECEIPT_REFERENCE).select("receipt_key", F.col("ref_receipt_key").alias("_bought"))
    columns = ("receipt_key", "party_key", "business_date", "product_ref", "gross_amount")
    receipts = store.read(silver.RECEIPT).select("receipt_key", "party_key")
    first = store.read(silver.RECEIPT_LINE).where("line_number = 1").join(receipts, on="receipt_key").select(*columns)
    back = first.join(references, on="receipt_key").alias("back")
    bought = first.alias("bought")
    wrong = back.join(bought, on=F.expr("back._bought = bought.receipt_key"), how="left").where(
        "bought.receipt_key IS NULL OR NOT back.product_ref = bought.product_ref OR back.gross_amount <> -bought.gross_amount "
        "OR NOT back.party_key <=> bought.party_key OR back.business_date < bought.business_date"
    )
    assert references.count() > 5
    assert wrong.collect() == []


def test_a_week_of_a_branch_lies_in_a_small_part_of_the_files(spark: SparkSession, tmp_path: Path) -> None:
    """As the store lays them out: of two years by month, it reads one month."""
    store = bench_layout.make_lake(spark, replace(SIZES, days=730), tmp_path)
    question = bench_layout.Question("B00001", date(2023, 5, 8))
    files, groups, _ = bench_layout.shares(spark, Path(store.path(gold.FCT_SALE_LINE)), [question])
    assert question.is_within_a_month
    assert 0 < files[0] <= bench_layout.TARGET
    assert groups == pytest.approx(files, rel=0.3)  # one row group each, as small as this is


@pytest.mark.long
def test_gold_after_each_change_is_what_duckdb_computes_from_silver(store: Store) -> None:
    folder, made = Path(store.lake).parent, Made(store.spark, SIZES)
    bench_gold.compare(folder, None)
    assert all(name.startswith("ops.") for name in run(store))
    made.add(store, SIZES.receipts, SIZES.first_of(SIZES.days + 1))
    bench_gold.correct(store, made, 40)
    bench_gold.merge(store)
    with pytest.raises(SystemExit, match="branches and days"):
        bench_gold.compare(folder, None)
    assert run(store)
    bench_gold.compare(folder, None)
