"""Tills, teams and types of payment are those that valid receipts name; a campaign is one of its source."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from tests.gold.test_history import filled
from tillhouse.gold import small
from tillhouse.store import Since, Store
from tillhouse.tables import Table, gold
from tillhouse.tables.entities import CAMPAIGN

# branch, till, team, source, types of payment
RECEIPTS: tuple[tuple[str | list[str] | None, ...], ...] = (
    ("F1", "K1", "Bakery", "erp", ["CASH"]), ("F1", "K1", "Cheese", "cloud", ["CASH", "DEBIT"]), ("F2", "K1", None, "erp", []),
    ("F2", None, "Bakery", "erp", ["CASH"]), ("F1", "K1", "Bakery", "erp", ["CASH"]),
)  # fmt: skip
NAMES = ("branch_id", "register_id", "team", "source", "payment_types")


def receipts(spark: SparkSession, *numbers: int) -> DataFrame:
    rows = [
        {"receipt_key": f"r{number}", "business_date": date(2025, 1, 1), **dict(zip(NAMES, RECEIPTS[number], strict=True))}
        for number in numbers
    ]
    return filled(spark, gold.FCT_RECEIPT, rows)


@pytest.fixture
def store(spark: SparkSession, tmp_path: Path) -> Store:
    made = Store(spark, str(tmp_path / "lake"), str(tmp_path / "vault"))
    made.create_missing([gold.DIM_REGISTER, gold.DIM_TEAM, gold.DIM_PAYMENT_TYPE, gold.DIM_CAMPAIGN, CAMPAIGN])
    return made


def told(store: Store, published: dict[Table, DataFrame]) -> dict[str, list[tuple[object, ...]]]:
    """Publish and tell all rows."""
    for table, rows in published.items():
        store.overwrite(table, rows)
    return {table.name: [tuple(row) for row in store.read(table).orderBy(*table.key).collect()] for table in published}


def test_members_are_what_receipts_name_and_go_with_the_last_that_names_them(spark: SparkSession, store: Store) -> None:
    nothing = receipts(spark)
    everything = {
        "dim_register": [("F1", "K1", ["cloud", "erp"]), ("F2", "K1", ["erp"])],
        "dim_team": [("F1", "Bakery"), ("F1", "Cheese"), ("F2", "Bakery")],
        "dim_payment_type": [("CASH", False), ("DEBIT", False), ("mixed", True)],
    }
    assert told(store, small.of_receipts(store, receipts(spark, 0, 1, 2, 3, 4), None, nothing)) == everything
    # r4 is delivered again as it was, r0 goes and r4 still names what it named
    assert small.of_receipts(store, receipts(spark, 4), receipts(spark, 4, 4), receipts(spark, 0, 1, 2, 3)) == {}
    # r1 goes, which was the only one of the cheese counter and of another source
    [register, teams, types] = told(
        store, small.of_receipts(store, nothing, receipts(spark, 1), receipts(spark, 0, 2, 3, 4))
    ).values()
    assert register == [("F1", "K1", ["erp"]), ("F2", "K1", ["erp"])]
    assert teams == [("F1", "Bakery"), ("F2", "Bakery")]
    assert types == [("CASH", False)]
    # and comes again
    assert told(store, small.of_receipts(store, receipts(spark, 1), nothing, receipts(spark, 0, 2, 3, 4))) == everything


def test_campaigns_follow_what_is_delivered_of_them(spark: SparkSession, store: Store) -> None:
    rows = [{"record_key": f"{source} S", "source": source, "campaign_id": "S"} for source in ("crm", "shop")]
    store.overwrite(CAMPAIGN, filled(spark, CAMPAIGN, rows))
    assert small.campaigns(store, frozenset(), None) == {}
    found = told(store, small.campaigns(store, {CAMPAIGN.name}, None))["dim_campaign"]
    assert [row[:3] for row in found] == [("crm S", "S", "crm"), ("shop S", "S", "shop")]
    since = Since({CAMPAIGN.full_name: store.version(CAMPAIGN)[1]}, frozenset())
    assert small.campaigns(store, {CAMPAIGN.name}, since) == {}
    assert told(store, small.campaigns(store, frozenset(), None)) == {"dim_campaign": []}
