"""The small plain demo: its figures are those of the purchases, it is loaded once, and no card number leaves the vault."""

from __future__ import annotations

import csv
import json
import shutil
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable
from pyspark.sql import functions as F

from tests.conftest import Chain
from tests.integration.personal_data import clear_text_in
from tillhouse.errors import TillhouseError
from tillhouse.kpi.ask import ask, open_view
from tillhouse.ops import status
from tillhouse.tables import Table, gold, receipt_details, silver, vault
from tillhouse.tables.bronze import bronze_table

PUBLIC = (*silver.TABLES, *vault.TABLES, *gold.TABLES)


def versions(chain: Chain) -> dict[str, int]:
    tables = [*PUBLIC, *(bronze_table(source.name, source.personal_data) for source in chain.config.sources)]
    return {table.full_name: chain.store.version(table)[1] for table in tables}


def show(chain: Chain, *tables: Table) -> duckdb.DuckDBPyConnection:
    """Tables of the lake for DuckDB, by their names."""
    con = duckdb.connect()
    for table in tables:
        con.register(table.name, DeltaTable(str(chain.lake / table.schema / table.name)).to_pyarrow_table())
    return con


def test_the_figures_of_a_week_are_those_of_its_receipts_and_a_customer_counts_once(demo_lake: Chain) -> None:
    con = show(demo_lake, gold.KPI_BRANCH_WEEK, gold.FCT_RECEIPT, gold.DIM_CUSTOMER)
    names = "branch_id, iso_year, iso_week, revenue, baskets, customers, new_customers"
    differing = con.sql(f"""
        WITH expected AS (
            SELECT branch_id, isoyear(business_date)::INT AS iso_year, week(business_date)::INT AS iso_week,
                   sum(revenue_amount)::DECIMAL(18,2) AS revenue, count(*) FILTER (is_basket) AS baskets,
                   count(DISTINCT customer_id) FILTER (is_basket) AS customers,
                   count(DISTINCT customer_id) FILTER (receipt_key = first_purchase_receipt_key) AS new_customers
            FROM fct_receipt r LEFT JOIN dim_customer c USING (customer_key, customer_id) GROUP BY ALL)
        (SELECT {names} FROM expected EXCEPT ALL SELECT {names} FROM kpi_branch_week)
        UNION ALL (SELECT {names} FROM kpi_branch_week EXCEPT ALL SELECT {names} FROM expected)""")
    assert differing.fetchall() == []
    told = con.sql("SELECT count(*) FILTER (is_full_week), count(change), count(DISTINCT branch_id) FROM kpi_branch_week")
    full, changes, branches = told.fetchall()[0]
    assert full > changes > 0
    assert branches == 4


def cards(chain: Chain) -> list[str]:
    with (chain.truth / "cards.csv").open(encoding="utf-8", newline="") as file:
        return [row["card_number"] for row in csv.DictReader(file)]


def test_revenue_and_baskets_of_every_branch_and_day_are_those_of_the_purchases(demo_lake: Chain) -> None:
    rows = demo_lake.store.read(gold.KPI_BRANCH_DAY).collect()
    found = {(row["branch_id"], str(row["business_date"]), str(row["revenue"]), row["baskets"]) for row in rows}
    with (demo_lake.truth / "branch_day_revenue.csv").open(encoding="utf-8", newline="") as file:
        wanted = {(r["branch_id"], r["business_date"], r["revenue"], int(r["baskets"])) for r in csv.DictReader(file)}
    assert found == wanted


def test_the_chains_totals_are_those_of_the_purchases(demo_lake: Chain) -> None:
    truth = json.loads((demo_lake.truth / "totals.json").read_text("utf-8"))
    receipts = demo_lake.store.read(gold.FCT_RECEIPT).agg(
        F.sum("revenue_amount"), F.sum("discount_amount"), F.count("*"), F.count_distinct("branch_id"),
        F.count_distinct("customer_id"),
    ).collect()[0]  # fmt: skip
    unknown = demo_lake.store.read(gold.DIM_PRODUCT).where("NOT is_known").count()
    assert [str(receipts[0]), str(receipts[1]), *receipts[2:], unknown] == [
        truth["revenue"], truth["discount"], truth["baskets"], truth["branches"], truth["households"],
        truth["products_without_master"],
    ]  # fmt: skip


def test_what_no_source_tells_is_not_written(demo_lake: Chain) -> None:
    assert {table.full_name: demo_lake.store.version(table)[1] for table in receipt_details.TABLES} == {
        table.full_name: 0 for table in receipt_details.TABLES
    }


def test_coupons_and_promotions_reach_the_lines_of_gold_unchanged(demo_lake: Chain) -> None:
    truth = json.loads((demo_lake.truth / "totals.json").read_text("utf-8"))
    lines = demo_lake.store.read(gold.FCT_SALE_LINE).agg(F.sum("coupon_amount"), F.sum("promotion_amount"), F.count("*"))
    assert [str(value) for value in lines.collect()[0]] == [
        truth["manufacturer_coupon"], truth["promotion"], str(truth["lines"])
    ]  # fmt: skip


def test_the_same_card_in_two_till_systems_is_one_customer(demo_lake: Chain) -> None:
    store = demo_lake.store
    parties = store.read(silver.PARTY).join(store.read(silver.PARTY_CUSTOMER), on="party_key")
    customers_per_card = parties.groupBy("card_token").agg(
        F.count_distinct("customer_id").alias("n"), F.count("*").alias("parties")
    )
    rows = customers_per_card.collect()
    assert {row["n"] for row in rows} == {1}
    assert max(row["parties"] for row in rows) == 2


def test_new_and_returning_customers_are_counted_over_the_whole_chain(demo_lake: Chain) -> None:
    facts = DeltaTable(demo_lake.store.path(gold.FCT_RECEIPT)).to_pyarrow_dataset()
    lake = duckdb.connect()
    lake.register("r", facts)
    wanted = lake.sql("""
        WITH first AS (
            SELECT customer_id, arg_min(receipt_key, (business_date, started_at, receipt_key)) AS k
            FROM r WHERE is_basket GROUP BY 1)
        SELECT branch_id, business_date, count(DISTINCT r.customer_id), count(DISTINCT f.customer_id)
        FROM r LEFT JOIN first f ON f.k = r.receipt_key WHERE is_basket GROUP BY 1, 2""").fetchall()
    rows = demo_lake.store.read(gold.KPI_BRANCH_DAY).collect()
    found = {(r["branch_id"], r["business_date"], r["customers"], r["new_customers"]) for r in rows}
    assert found == set(wanted)
    assert all(row["customers"] == row["new_customers"] + row["returning_customers"] for row in rows)


def test_fuel_counts_one_item_a_line(demo_lake: Chain) -> None:
    store = demo_lake.store
    fuel = store.read(gold.FCT_SALE_LINE).join(
        store.read(gold.DIM_PRODUCT).where("category_l3 = 'GASOLINE-REG UNLEADED'").select("product_key"), on="product_key"
    )  # fmt: skip
    assert {row[0] for row in fuel.select("item_count").distinct().collect()} <= {Decimal("1.000")}
    assert fuel.where("quantity > 1000").count() > 0


def test_a_run_without_news_writes_nothing_outside_ops_and_says_so(demo_lake: Chain) -> None:
    before = versions(demo_lake)
    results = demo_lake.run()
    assert {result.step: result.status for result in results} == dict.fromkeys(
        ("bronze", "silver", "delivery", "identity", "gold", "kpi"), "unchanged"
    )
    assert versions(demo_lake) == before


def test_every_measure_can_be_asked_by_every_dimension(demo_lake: Chain) -> None:
    open_view(demo_lake.store)
    by_region = ask(demo_lake.store, ["revenue", "baskets", "average_basket"], ["region", "week"]).collect()
    total = ask(demo_lake.store, ["revenue"]).collect()[0]["revenue"]
    assert sum(row["revenue"] for row in by_region) == total
    mornings = ask(demo_lake.store, ["receipts"], ["hour"], "hour < 12").collect()
    assert mornings
    assert all(row["hour"] < 12 for row in mornings)


def test_no_card_number_is_outside_the_vault_and_the_landing_area(demo_lake: Chain) -> None:
    assert clear_text_in(demo_lake.lake, cards(demo_lake)) == []


def test_the_search_for_personal_data_finds_card_numbers_where_they_are_allowed(demo_lake: Chain) -> None:
    assert clear_text_in(demo_lake.vault, cards(demo_lake))


def test_tables_with_personal_data_keep_no_statistics_in_the_log(demo_lake: Chain) -> None:
    logs = list(demo_lake.vault.rglob("_delta_log/*.json"))
    assert logs
    assert clear_text_in(demo_lake.vault, cards(demo_lake), only_logs=True) == []


def test_status_tells_runs_audit_coverage_and_exceptions(demo_lake: Chain) -> None:
    report = status.read(demo_lake.store)
    text = status.as_text(report)
    assert all(row["ok"] for row in report["audit"])
    assert len(report["audit"]) >= 12
    assert "product_unknown" in text
    assert "identified 100.0%" in text
    assert {(row["source"], row["status"]) for row in report["deliveries"]} == {
        ("cloud_till_sales", "on_time"), ("erp_sales", "on_time"),
    }  # fmt: skip


def test_every_branch_and_day_of_the_demo_was_delivered_on_time(demo_lake: Chain) -> None:
    days = demo_lake.store.read(gold.KPI_BRANCH_DAY)
    assert days.where("delivery_status <> 'on_time' OR delivery_status IS NULL").count() == 0
    assert days.count() == demo_lake.store.read(gold.FCT_RECEIPT).select("branch_id", "business_date").distinct().count()


@pytest.fixture
def broken_copy(demo_lake: Chain, tmp_path: Path) -> Chain:
    for folder in ("lake", "vault", "landing", "truth"):
        shutil.copytree(demo_lake.folder / folder, tmp_path / folder)
    return demo_lake.in_folder(tmp_path)


def test_a_cent_that_is_lost_after_silver_fails_the_audit(broken_copy: Chain) -> None:
    store = broken_copy.store
    lines = store.read(silver.RECEIPT_LINE)
    one = lines.where("gross_amount > 1").orderBy("receipt_key", "line_number").limit(1).select("receipt_key", "line_number")
    rest = lines.join(one, on=["receipt_key", "line_number"], how="left_anti")
    store.overwrite(silver.RECEIPT_LINE, rest)
    from tillhouse.ops import audit  # noqa: PLC0415
    from tillhouse.ops.runs import Run, utc_now  # noqa: PLC0415

    run = Run(store, broken_copy.config, "broken", utc_now())
    assert {item.measure for item in audit.silver_(run, None) if not item.ok} == {
        "lines: current versions = silver", "amount: current versions = silver",
    }  # fmt: skip
    with pytest.raises(TillhouseError, match="not published"):
        broken_copy.run()


def test_a_card_number_that_leaks_into_the_lake_is_found(broken_copy: Chain) -> None:
    leaked = cards(broken_copy)[0]
    store = broken_copy.store
    receipts = store.read(silver.RECEIPT).withColumn("receipt_number", F.lit(leaked))
    store.overwrite(silver.RECEIPT, receipts)
    found = clear_text_in(broken_copy.lake, [leaked])
    assert any("silver/receipt/" in place and place.endswith(".parquet") for place in found)
    assert any("_delta_log" in place for place in found)
