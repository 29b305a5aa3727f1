"""What becomes known of customers touches the receipts that it changes, and gives the star of one full run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tests.gold.test_history import filled
from tests.gold.test_increments_of_masters import changed, masters, run
from tillhouse.keys import BEGINNING
from tillhouse.store import Since, Store
from tillhouse.tables import gold, silver

DAYS = (date(2025, 1, 31), date(2025, 2, 1), date(2025, 3, 15), date(2026, 1, 2))
EVER, FEB, MARCH, NEW_YEAR = BEGINNING, DAYS[1], date(2025, 3, 1), date(2026, 1, 1)
History = Mapping[str, list[tuple[date, Mapping[str, object]]]]
SEPARATE = {"p1": "c1", "p2": "c2", "p3": "c3"}
FIRST: History = {
    "c1": [(EVER, {"postal_area": "10"}), (MARCH, {"postal_area": "80"})],
    "c2": [(EVER, {"language": "fr"})],
}


def sales(spark: SparkSession, store: Store) -> None:
    """On each day a receipt of each party, and one of nobody known."""
    receipts = [
        {
            "receipt_key": f"{party} {day}", "branch_id": "F1", "business_date": day, "_month": f"{day:%Y-%m}", "currency": "EUR",
            "party_key": party, "status": "FINAL", "transaction_type": "SALE", "detail_level": "lines", "is_day_total": False,
            "gross_amount": Decimal(3), "net_amount": Decimal(3), "tax_amount": Decimal(0), "line_count": 1,
        }
        for party in ("p1", "p2", "p3", None)
        for day in DAYS
    ]  # fmt: skip
    line = {"line_number": 1, "line_type": "ITEM", "product_ref": "P1", "quantity": Decimal(1), "discount_amount": Decimal(0)}
    store.overwrite(silver.RECEIPT, filled(spark, silver.RECEIPT, receipts))
    store.overwrite(silver.RECEIPT_LINE, filled(spark, silver.RECEIPT_LINE, [{**row, **line} for row in receipts]))


def customers(spark: SparkSession, store: Store, of_party: Mapping[str, str], history: History) -> None:
    """Who is who, and the versions of those that a contact tells of."""
    parties = [{"party_key": party, "customer_id": customer} for party, customer in of_party.items()]
    versions = [
        {"customer_id": customer, "valid_from": day, "customer_type": "B2C", **told}
        for customer, versions in history.items()
        for day, told in versions
    ]
    store.overwrite(silver.PARTY_CUSTOMER, filled(spark, silver.PARTY_CUSTOMER, parties))
    store.overwrite(silver.CUSTOMER_VERSION, filled(spark, silver.CUSTOMER_VERSION, versions))


def touched(store: Store, since: Since) -> set[str]:
    return changed(store, since).get("fct_receipt", set())


def told(store: Store, *columns: str) -> dict[str, list[tuple[object, ...]]]:
    """What is told of the customer of each receipt on its day, by party, in order of the days."""
    members = store.read(gold.DIM_CUSTOMER).drop("home_branch_id", "customer_id")
    joined = store.read(gold.FCT_RECEIPT).join(members, on="customer_key", how="left").orderBy("business_date")
    assert joined.count() == 4 * len(DAYS)
    found: dict[str, list[tuple[object, ...]]] = {}
    for row in joined.collect():
        found.setdefault(row["receipt_key"].split()[0], []).append(tuple(row[name] for name in columns))
    return found


@pytest.mark.long
def test_late_versions_merges_splits_and_ages_give_the_star_of_a_full_run(spark: SparkSession, tmp_path: Path) -> None:
    store = Store(spark, str(tmp_path / "lake"), str(tmp_path / "vault"))
    store.create_missing([*silver.TABLES, *gold.TABLES])
    masters(spark, store, (("F1", EVER, "N"),), (("P1", EVER, "X"),))
    sales(spark, store)
    customers(spark, store, SEPARATE, {})
    known = run(store)
    assert {row["customer_id"] for row in store.read(gold.DIM_CUSTOMER).collect()} == {"c1", "c2", "c3"}

    customers(spark, store, SEPARATE, FIRST)
    since, known = known, run(store, known)
    assert touched(store, since) == {f"p1 {day}" for day in DAYS[2:]}
    assert told(store, "postal_area", "language") == {
        "p1": [("10", None)] * 2 + [("80", None)] * 2, "p2": [(None, "fr")] * 4, "p3": [(None, None)] * 4,
        "None": [(None, None)] * 4,
    }  # fmt: skip

    late = {**FIRST, "c1": [FIRST["c1"][0], (FEB, {"postal_area": "50"}), FIRST["c1"][1]]}
    customers(spark, store, SEPARATE, late)
    since, known = known, run(store, known)
    assert touched(store, since) == {f"p1 {FEB}"}

    together = {"c1": [*late["c1"], (NEW_YEAR, {"language": "fr"})]}
    customers(spark, store, {**SEPARATE, "p2": "c1", "p4": "c4"}, {**together, "c4": [(EVER, {})]})
    since, known = known, run(store, known)
    assert touched(store, since) == {f"p1 {DAYS[3]}", *(f"p2 {day}" for day in DAYS)}
    assert told(store, "postal_area")["p2"] == [("10",), ("50",), ("80",), (None,)]
    members = store.read(gold.DIM_CUSTOMER)
    assert [row["valid_from"] for row in members.where("customer_id = 'c1'").orderBy("valid_from").collect()] == [
        EVER, FEB, MARCH, NEW_YEAR,
    ]  # fmt: skip
    assert members.where("customer_id = 'c4' AND first_purchase_date IS NULL").count() == 1
    first = store.read(gold.FCT_RECEIPT).join(members, on="customer_key", how="inner")
    first = first.where(F.col("receipt_key") == F.col("first_purchase_receipt_key"))
    assert sorted(row["receipt_key"] for row in first.collect()) == [f"p1 {DAYS[0]}", f"p3 {DAYS[0]}"]

    customers(spark, store, SEPARATE, {**late, "c3": [(EVER, {"birth_year": 1991})]})
    since, known = known, run(store, known)
    assert touched(store, since) == {f"{party} {DAYS[3]}" for party in ("p1", "p3")} | {f"p2 {day}" for day in DAYS}
    assert told(store, "age_band")["p3"] == [("25-34",)] * 3 + [("35-44",)]

    customers(spark, store, {**SEPARATE, "p5": "c5"}, {**late, "c3": [(EVER, {"birth_year": 1992})], "c5": [(EVER, {})]})
    since, known = known, run(store, known)
    assert touched(store, since) == {f"p3 {DAYS[3]}"}
    customers(spark, store, {**SEPARATE, "p5": "c5"}, {**late, "c3": [(EVER, {"birth_year": 1993})], "c5": [(EVER, {})]})
    facts = store.version(gold.FCT_RECEIPT)
    run(store, known)
    assert store.version(gold.FCT_RECEIPT) == facts

    versions = {table.full_name: store.version(table) for table in gold.TABLES}
    run(store)
    assert {table.full_name: store.version(table) for table in gold.TABLES} == versions
