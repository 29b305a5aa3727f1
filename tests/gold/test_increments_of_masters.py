"""Where master data is told late, gold follows as if it had been known from the first: the same rows as of one full run."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tests.gold.test_history import Version, branch_versions, filled, product_versions
from tillhouse.gold import step
from tillhouse.keys import BEGINNING
from tillhouse.products.returns import ReturnRules
from tillhouse.products.rules import ProductRules
from tillhouse.store import Since, Store
from tillhouse.tables import gold, silver

RULES = ProductRules(counted_by_line={"category_l1": ("FUEL",)})
DAYS = (date(2025, 1, 31), date(2025, 2, 1), date(2025, 3, 15), date(2026, 1, 2))
FEB, MARCH = DAYS[1], date(2025, 3, 1)
BRANCHES: tuple[Version, ...] = (("F1", BEGINNING, "N"), ("F2", BEGINNING, "W"))
PRODUCTS: tuple[Version, ...] = (("P1", BEGINNING, "CHEESE"), ("P2", BEGINNING, "FUEL"), ("P2", MARCH, "DELI"))


def masters(spark: SparkSession, store: Store, branches: tuple[Version, ...], products: tuple[Version, ...]) -> None:
    """The versions, and of each product the last of them, which is what counts now."""
    versions = product_versions(spark, *products)
    now = {product: {"product_id": product, "parent_product_id": product, "category_l1": group} for product, _, group in products}
    store.overwrite(silver.BRANCH_VERSION, branch_versions(spark, *branches))
    store.overwrite(silver.PRODUCT_VERSION, versions)
    store.overwrite(silver.PRODUCT, filled(spark, silver.PRODUCT, list(now.values())))


def sales(spark: SparkSession, store: Store) -> None:
    """On each day a receipt of each branch with two pieces of P1, P2 and P9, which has no master data."""
    keys = {f"{branch} {day}": (branch, day) for branch in ("F1", "F2") for day in DAYS}
    of_receipt = {
        key: {"receipt_key": key, "branch_id": branch, "business_date": day, "_month": f"{day:%Y-%m}", "currency": "EUR"}
        for key, (branch, day) in keys.items()
    }
    valid = {"status": "FINAL", "transaction_type": "SALE", "detail_level": "lines", "is_day_total": False}
    amounts = {"gross_amount": Decimal(9), "net_amount": Decimal(9), "tax_amount": Decimal(0), "line_count": 3}
    receipts = [told | valid | amounts for told in of_receipt.values()]
    piece = {"line_type": "ITEM", "quantity": Decimal(2), "gross_amount": Decimal(3), "net_amount": Decimal(3)}
    lines = [
        told | piece | {"line_number": number, "product_ref": product, "tax_amount": Decimal(0), "discount_amount": Decimal(0)}
        for told in of_receipt.values()
        for number, product in enumerate(("P1", "P2", "P9"), start=1)
    ]
    store.overwrite(silver.RECEIPT, filled(spark, silver.RECEIPT, receipts))
    store.overwrite(silver.RECEIPT_LINE, filled(spark, silver.RECEIPT_LINE, lines))


def run(store: Store, since: Since | None = None) -> Since:
    """The gold step; returns how far it has come then."""
    step.run(store, RULES, frozenset(), None, since, returns=ReturnRules())
    tables = (*silver.TABLES, *gold.TABLES)
    return Since({table.full_name: store.version(table)[1] for table in tables}, frozenset())


def changed(store: Store, since: Since) -> dict[str, set[str]]:
    """The receipts of which a fact is another now than then."""
    facts = (gold.FCT_RECEIPT, gold.FCT_SALE_LINE)
    return {
        table.name: {row["receipt_key"] for row in store.read_before(table, since).exceptAll(store.read(table)).collect()}
        for table in facts
        if store.has_news(table, since)
    }


@pytest.mark.long
def test_what_is_told_late_of_branches_and_products_touches_what_it_changes_and_gives_the_star_of_a_full_run(
    spark: SparkSession, tmp_path: Path
) -> None:
    store = Store(spark, str(tmp_path / "lake"), str(tmp_path / "vault"))
    store.create_missing([*silver.TABLES, *gold.TABLES])
    masters(spark, store, BRANCHES, PRODUCTS)
    sales(spark, store)
    since = run(store)
    assert store.read(gold.FCT_RECEIPT).count() == 2 * len(DAYS)

    masters(spark, store, (*BRANCHES, ("F1", FEB, "S"), ("F1", MARCH, "N")), PRODUCTS)
    moved = run(store, since)
    assert changed(store, since) == {"fct_receipt": {f"F1 {day}" for day in DAYS[1:]}}

    known = (("P1", BEGINNING, "CHEESE"), ("P1", DAYS[3], "FUEL"), PRODUCTS[1], ("P2", FEB, "X"), PRODUCTS[2])
    masters(spark, store, (*BRANCHES, ("F1", MARCH, "S")), (*known, ("P9", BEGINNING, "NEW"), ("P9", DAYS[3], "OLD")))
    run(store, moved)
    everything = {f"{branch} {day}" for branch in ("F1", "F2") for day in DAYS}
    found = changed(store, moved)
    assert found["fct_sale_line"] == everything  # P1 is counted by line now
    items = store.read(gold.FCT_SALE_LINE).groupBy("product_id").agg(F.min("item_count"), F.max("item_count")).collect()
    assert {row[0]: (row[1], row[2]) for row in items} == {"P1": (1, 1), "P2": (2, 2), "P9": (2, 2)}
    by_group = store.read(gold.FCT_SALE_LINE).join(store.read(gold.DIM_PRODUCT).drop("product_id"), on="product_key", how="inner")
    of_f2 = by_group.where("branch_id = 'F2'").orderBy("line_number", "business_date").collect()
    assert [row["category_l1"] for row in of_f2] == [
        "CHEESE", "CHEESE", "CHEESE", "FUEL", "FUEL", "X", "DELI", "DELI", "NEW", "NEW", "NEW", "OLD",
    ]  # fmt: skip

    versions = {table.full_name: store.version(table) for table in gold.TABLES}
    run(store)
    assert {table.full_name: store.version(table) for table in gold.TABLES} == versions
