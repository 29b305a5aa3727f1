"""What is said of the Z reports of a period: the sums of what is compared, and each thing that does not agree."""

from __future__ import annotations

import argparse
import json
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tillhouse.errors import ConfigError, TillhouseError
from tillhouse.ops import tie_out
from tillhouse.store import Store
from tillhouse.tables import gold, ops

ROWS = (
    ("1", "Z1", "2017-06-01", "BUSINESS_CASE", "ITEM", "10.00", "10.00", "agrees"),
    ("1", "Z1", "2017-06-01", "PAYMENT", "CASH", "10.00", "9.00", "differs"),
    ("2", "Z7", "2017-06-30", "BUSINESS_CASE", "ITEM", None, "5.00", "no_report"),
    ("2", "Z8", "2017-07-01", "BUSINESS_CASE", "ITEM", "99.00", "0.00", "no_receipts"),
)


@pytest.fixture
def store(spark: SparkSession, tmp_path: Path) -> Store:
    made = Store(spark, str(tmp_path / "lake"), str(tmp_path / "vault"))
    made.create_missing([ops.RUN_STEP, gold.CLOSING_TIE_OUT])
    names = (
        "branch_id STRING, closing_id STRING, day STRING, kind STRING, member STRING, stated STRING, actual STRING, status STRING"
    )
    given = made.spark.createDataFrame(ROWS, names).selectExpr(
        "closing_id AS closing_key", "'till' AS source", "branch_id", "'K1' AS register_id", "closing_id",
        "CAST(day AS DATE) AS business_date", "kind", "member", "member = 'ITEM' AS is_revenue",
        "CAST(NULL AS DECIMAL(9,5)) AS tax_rate", "'EUR' AS currency", "CAST(stated AS DECIMAL(18,2)) AS stated_amount",
        "CAST(actual AS DECIMAL(18,2)) AS actual_amount",
        "CAST(CAST(stated AS DECIMAL(18,2)) - CAST(actual AS DECIMAL(18,2)) AS DECIMAL(18,2)) AS difference_amount",
        "CAST(0 AS DECIMAL(18,2)) AS tolerance_amount", "status",
    )  # fmt: skip
    made.append(gold.CLOSING_TIE_OUT, given)
    return made


def told(store: Store, month: str = "2017-06", *, json: bool = False, limit: int = 50, branch: tuple[str, ...] = ()) -> list[str]:
    said: list[str] = []
    assert tie_out.run(argparse.Namespace(month=month, branch=branch, limit=limit, json=json), store, said.append) == 0
    return "\n".join(said).splitlines()


def test_the_sums_of_a_period_are_told_and_what_does_not_agree(store: Store) -> None:
    lines = told(store)
    assert lines[0].split() == [
        "kind", "member", "currency", "stated", "actual", "difference", "agrees", "differs", "no_report", "no_receipts",
    ]  # fmt: skip
    assert lines[2].split() == ["BUSINESS_CASE", "ITEM", "EUR", "10.00", "15.00", "-5.00", "1", "0", "1", "0"]
    assert lines[3].split() == ["PAYMENT", "CASH", "EUR", "10.00", "9.00", "1.00", "0", "1", "0", "0"]
    assert [line.split()[-1] for line in lines[7:]] == ["differs", "no_report"]
    assert told(store, limit=1)[-1] == "and 1 more; --limit, or --json"
    assert not [line for line in told(store, branch=("1",)) if "no_report" in line.split()[-1:]]


def test_every_row_is_told_to_programs(store: Store) -> None:
    rows = [json.loads(line) for line in told(store, "2017-07-01", json=True)]
    assert [(row["closing_id"], Decimal(row["difference_amount"]), row["status"]) for row in rows] == [
        ("Z8", Decimal("99.00"), "no_receipts")
    ]


def test_a_period_without_reports_says_so_and_what_is_no_period_is_refused(store: Store, tmp_path: Path) -> None:
    assert told(store, "2001-01") == [
        "nothing to compare: no source delivers Z reports (closing_totals in its mapping), or none of this period"
    ]
    with pytest.raises(ConfigError, match="is no period"):
        told(store, "June")
    with pytest.raises(TillhouseError, match="holds no lake yet"):
        told(Store(store.spark, str(tmp_path / "other"), str(tmp_path / "other_vault")))
