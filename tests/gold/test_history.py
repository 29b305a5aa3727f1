"""Facts carry the version of branch and product that held on their day, and follow where versions begin or go."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from tests.conftest import ROOT
from tillhouse.gold import history
from tillhouse.gold.dimensions import to_dim_branch, to_dim_product
from tillhouse.gold.facts import is_measured, to_sale_lines
from tillhouse.keys import BEGINNING
from tillhouse.products.rules import ProductRules
from tillhouse.store import Since, Store
from tillhouse.tables import Table, gold, silver

MARCH, MAY = date(2025, 3, 10), date(2025, 5, 1)
BEFORE = date(2025, 3, 9)
Version = tuple[str, date, str | None]


def filled(spark: SparkSession, table: Table, rows: Sequence[Mapping[str, object]]) -> DataFrame:
    """Rows of a table; columns that may not be NULL and are not given hold something."""
    anything = {
        "string": "x", "date": MAY, "boolean": False, "int": 1, "bigint": 1, "decimal(18,2)": Decimal(1),
        "decimal(18,3)": Decimal(1), "decimal(18,5)": Decimal(1),
    }  # fmt: skip
    given = [
        tuple(row.get(field.name, None if field.nullable else anything[field.dataType.simpleString()]) for field in table.struct)
        for row in rows
    ]
    return spark.createDataFrame(given, table.struct)


def branch_versions(spark: SparkSession, *versions: Version) -> DataFrame:
    rows = [{"branch_id": branch, "valid_from": first, "region": region} for branch, first, region in versions]
    return filled(spark, silver.BRANCH_VERSION, rows)


def product_versions(spark: SparkSession, *versions: Version) -> DataFrame:
    rows = [
        {"product_id": product, "parent_product_id": product, "valid_from": first, "category_l1": group}
        for product, first, group in versions
    ]
    return filled(spark, silver.PRODUCT_VERSION, rows)


MOVED = (("F1", BEGINNING, "N"), ("F1", MARCH, "S"), ("F1", MAY, None), ("F2", BEGINNING, "W"))


def test_a_version_ends_where_the_next_one_begins(spark: SparkSession) -> None:
    found = to_dim_branch(branch_versions(spark, *MOVED)).orderBy("branch_id", "valid_from").collect()
    assert [(row["branch_id"], row["region"], row["valid_from"], row["valid_to"], row["is_current"]) for row in found] == [
        ("F1", "N", BEGINNING, MARCH, False),
        ("F1", "S", MARCH, MAY, False),
        ("F1", None, MAY, None, True),
        ("F2", "W", BEGINNING, None, True),
    ]
    assert len({row["branch_key"] for row in found}) == 4


def test_each_fact_has_the_version_of_its_day_and_stays_one_row(spark: SparkSession) -> None:
    branches = to_dim_branch(branch_versions(spark, *MOVED))
    days = [("F1", BEFORE), ("F1", MARCH), ("F1", MAY), ("F1", date(1850, 1, 1)), ("F2", MAY), ("F9", MAY)]
    facts = spark.createDataFrame([(*day, n) for n, day in enumerate(days)], "branch_id STRING, business_date DATE, n INT")
    found = history.with_version_key(facts, branches, history.BRANCH).join(
        branches.select("branch_key", "region"), on="branch_key", how="left"
    )
    assert {row["n"]: row["region"] for row in found.collect()} == {0: "N", 1: "S", 2: None, 3: None, 4: "W", 5: None}
    assert found.count() == len(days)
    assert [row["n"] for row in found.where("branch_key IS NULL").orderBy("n").collect()] == [3, 5]


def test_a_product_without_master_data_is_a_member_since_ever(spark: SparkSession) -> None:
    sold = spark.createDataFrame([("P1",), ("P9",), (None,)], "product_ref STRING")
    versions = product_versions(spark, ("P1", BEGINNING, "A"), ("P1", MARCH, "B"))
    found = to_dim_product(versions, sold).orderBy("product_id", "valid_from").collect()
    assert [(row["product_id"], row["valid_from"], row["is_known"], row["is_current"]) for row in found] == [
        ("P1", BEGINNING, True, False),
        ("P1", MARCH, True, True),
        ("P9", BEGINNING, False, True),
    ]
    assert len({row["product_key"] for row in found}) == 3


RECEIPT = {"status": "FINAL", "transaction_type": "SALE"}


def sale_lines(spark: SparkSession, versions: DataFrame, rules: ProductRules) -> list[Row]:
    """One line of two pieces of product P1 on the day before it changes its group, and one on that day."""
    days = {"r1": BEFORE, "r2": MARCH}
    receipts = filled(spark, silver.RECEIPT, [{"receipt_key": key, "business_date": day, **RECEIPT} for key, day in days.items()])
    lines = [
        {
            "receipt_key": key, "business_date": day, "line_type": "ITEM", "product_ref": "P1", "quantity": Decimal(2),
            "gross_amount": Decimal(3), "_amount_read": Decimal(3),
        }
        for key, day in days.items()
    ]  # fmt: skip
    products = to_dim_product(versions, spark.createDataFrame([("P1",)], "product_ref STRING"))
    found = to_sale_lines(filled(spark, silver.RECEIPT_LINE, lines), receipts, products, rules)
    named = found.join(products.select("product_key", F.col("category_l1").alias("group")), on="product_key", how="left")
    return named.orderBy("receipt_key").collect()


def test_a_line_is_of_the_product_as_it_was_and_counted_as_it_is_now(spark: SparkSession) -> None:
    versions = product_versions(spark, ("P1", BEGINNING, "CHEESE"), ("P1", MARCH, "FUEL"))
    rules = ProductRules(counted_by_line={"category_l1": ("FUEL",)})
    assert [(row["group"], row["product_id"], row["item_count"]) for row in sale_lines(spark, versions, rules)] == [
        ("CHEESE", "P1", 1),
        ("FUEL", "P1", 1),
    ]


def test_without_a_group_counted_by_line_no_product_is(spark: SparkSession) -> None:
    found = spark.range(1).select(is_measured(ProductRules()).alias("is_measured")).collect()
    assert found == [Row(is_measured=False)]


DAYS = (date(2024, 12, 31), BEFORE, MARCH, date(2025, 4, 1), MAY, date(2026, 1, 1))
N, S, W = (BEGINNING, "N"), (MARCH, "S"), (MAY, "W")
Versions = tuple[tuple[date, str | None], ...]
# branch: its versions before and after, and the days of receipts that have another version then
CHANGES: dict[str, tuple[Versions, Versions, set[date]]] = {
    "moves": ((N,), (N, W), {*DAYS[4:]}),
    "has moved before, told late": ((N, W), (N, S, W), {*DAYS[2:4]}),
    "was elsewhere at first, told late": (((BEGINNING, "S"),), (N, S), {*DAYS[2:]}),
    "has not moved after all": ((N, S, W), (N, W), {*DAYS[2:4]}),
    "moves on another day": ((N, (date(2025, 4, 1), "S")), (N, S), {*DAYS[2:]}),
    "has another region on the same days": ((N, S), ((BEGINNING, "X"), S), set()),
    "stays": ((N, S), (N, S), set()),
    "is in no list any more": ((N, S, W), (), {*DAYS[2:]}),
    "is new": ((), (N, S), set()),
}


def facts(spark: SparkSession, versions: DataFrame) -> DataFrame:
    """A receipt of each branch on each day, with the keys of these versions; without any it is that of since ever."""
    rows = [
        {"receipt_key": f"{branch} {day}", "branch_id": branch, "business_date": day, "_month": f"{day:%Y-%m}"}
        for branch in CHANGES
        for day in DAYS
        if branch != "is new"
    ]
    bare = filled(spark, gold.FCT_RECEIPT, rows).drop("branch_key")
    named = history.with_version_key(bare, to_dim_branch(versions), history.BRANCH)
    return gold.FCT_RECEIPT.conform(named.withColumn("branch_key", F.coalesce("branch_key", history.member_key("branch_id"))))


def test_receipts_whose_version_is_another_now_are_touched_and_no_others(spark: SparkSession, tmp_path: Path) -> None:
    store = Store(spark, str(tmp_path / "lake"), str(tmp_path / "vault"))
    store.create_missing([silver.BRANCH_VERSION, gold.FCT_RECEIPT])
    before = branch_versions(spark, *((branch, *version) for branch, (told, _, _) in CHANGES.items() for version in told))
    after = branch_versions(spark, *((branch, *version) for branch, (_, told, _) in CHANGES.items() for version in told))
    store.overwrite(silver.BRANCH_VERSION, before)
    store.overwrite(gold.FCT_RECEIPT, facts(spark, before))
    since = Since({silver.BRANCH_VERSION.full_name: store.version(silver.BRANCH_VERSION)[1]}, frozenset())
    assert history.touched(store, history.BRANCH, since) == []
    store.overwrite(silver.BRANCH_VERSION, after)
    expected = {f"{branch} {day}" for branch, (_, _, days) in CHANGES.items() for day in days}
    [touched] = history.touched(store, history.BRANCH, since)
    assert sorted(row["receipt_key"] for row in touched.collect()) == sorted(expected)
    # What is left alone has the key that facts made anew have.
    keys = ("receipt_key", "branch_key")
    differing = store.read(gold.FCT_RECEIPT).select(*keys).exceptAll(facts(spark, after).select(*keys))
    assert {row["receipt_key"] for row in differing.collect()} == expected


def test_the_joins_that_the_docs_show_tell_what_was_and_what_is(tmp_path: Path) -> None:
    """Between two receipts F1 moves from N to S, P1 from CHEESE to DELI, and C1; no join loses or doubles a cent."""
    page = (ROOT / "docs" / "star.md").read_text("utf-8")
    shown = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    con = duckdb.connect(tmp_path / "star.duckdb")
    con.execute("""
        CREATE SCHEMA gold;
        CREATE TABLE gold.dim_branch AS SELECT * FROM (VALUES ('F1 1', 'F1', 'N', false), ('F1 2', 'F1', 'S', true))
            AS b (branch_key, branch_id, region, is_current);
        CREATE TABLE gold.dim_product AS SELECT * FROM (VALUES
            ('P1 1', 'P1', 'CHEESE', false), ('P1 2', 'P1', 'DELI', true), ('group', 'group:DELI', 'DELI', true))
            AS p (product_key, product_id, category_l1, is_current);
        CREATE TABLE gold.dim_payment_type AS SELECT * FROM (VALUES ('CASH'), ('DEBIT'), ('mixed')) AS t (payment_type);
        CREATE TABLE gold.fct_receipt AS SELECT * FROM (VALUES
            ('r1', 'F1 1', 'F1', 'C1 1', 'C1', 1.5, ['CASH']), ('r2', 'F1 2', 'F1', 'C1 2', 'C1', 2.0, ['CASH', 'DEBIT']),
            ('r3', 'F1 2', 'F1', NULL, NULL, 0.25, ['CASH']))
            AS f (receipt_key, branch_key, branch_id, customer_key, customer_id, revenue_amount, payment_types);
        CREATE TABLE gold.dim_customer AS SELECT * FROM (VALUES ('C1 1', 'C1', '10', false), ('C1 2', 'C1', '20', true))
            AS c (customer_key, customer_id, postal_area, is_current);
        CREATE TABLE gold.fct_payment AS SELECT * FROM (VALUES
            ('r1', 'CASH', 'EUR', 1.5), ('r2', 'CASH', 'EUR', 0.5), ('r2', 'DEBIT', 'EUR', 1.5), ('r3', 'CASH', 'EUR', 0.25))
            AS p (receipt_key, tender_type, currency, amount);
        CREATE TABLE gold.fct_ticket AS SELECT * FROM (VALUES ('F1 1', 'known'), ('F1 2', 'known'), (NULL, 'unknown'))
            AS t (branch_key, branch_status);
        CREATE TABLE gold.fct_sale_line AS SELECT * FROM (VALUES
            ('P1 1', 'P1', 1.0, true), ('P1 2', 'P1', 2.0, true), ('group', NULL, 0.5, true), ('P1 1', 'P1', 9.0, false))
            AS l (product_key, product_id, gross_amount, is_revenue);
    """)
    assert [{name: float(amount) for name, amount in con.execute(text).fetchall()} for text in shown] == [
        {"N": 1.5, "S": 2.25},
        {"S": 3.75},
        {"CHEESE": 1.0, "DELI": 2.5},
        {"DELI": 3.0, None: 0.5},
        {"10": 1.5, "20": 2.0, None: 0.25},
        {"20": 3.5, None: 0.25},
        {"CASH": 1.75, "mixed": 2.0},
        {"N": 1, "S": 1, "unknown": 1},
        {"CASH": 0.75, "DEBIT": 1.5},
    ]
