"""What is measured after a step holds on a lake that knows no customer."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from pyspark.sql import SparkSession

from tests.conftest import ROOT
from tests.kpi.star import filled
from tillhouse.config import load_config
from tillhouse.ops import audit
from tillhouse.ops.runs import Run, utc_now
from tillhouse.store import Store
from tillhouse.tables import gold

READ = (gold.CUSTOMER_STATE, gold.QUALITY_SCORE, gold.FCT_RECEIPT, gold.KPI_RETURN)


@pytest.fixture(scope="module")
def store(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two anonymous receipts, of two days, took goods back."""
    folder = tmp_path_factory.mktemp("audit")
    made = Store(spark, str(folder / "lake"), str(folder / "vault"))
    made.create_missing(READ)
    receipts = [
        {"receipt_key": f"r{day}", "business_date": date(2025, 1, day), "return_amount": Decimal(day), "is_basket": True}
        for day in (1, 9)
    ]
    made.overwrite(gold.FCT_RECEIPT, filled(spark, gold.FCT_RECEIPT, receipts))
    weeks = [{"branch_id": "F1", "starts_on": date(2025, 1, 6), "return_amount": Decimal(10)}]
    made.overwrite(gold.KPI_RETURN, filled(spark, gold.KPI_RETURN, weeks))
    return made


def measured(store: Store, as_of: date | None) -> dict[str, bool]:
    config = load_config(ROOT / "conf", store.lake, store.vault)
    return {one.measure: one.ok for one in audit.insight(Run(store, config, "night", utc_now(), as_of), None)}


def test_returns_of_anonymous_receipts_agree_where_nobody_is_measured(store: Store) -> None:
    assert set(measured(store, None).values()) == {True}


def test_only_what_is_before_the_day_is_expected(store: Store) -> None:
    assert measured(store, date(2025, 1, 9)) == {
        "purchases: receipts = customers": True,
        "returned: receipts = weeks of branches and product groups": False,
        "points: criteria = score": True,
    }
