"""A table holds exactly what its contract says: nothing missing, nothing cast on the way, nothing else."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import date
from decimal import Decimal

import pytest
from pyspark.sql import Row, SparkSession

from tillhouse.errors import ContractError
from tillhouse.tables import Table
from tillhouse.tables.bronze import bronze_table
from tillhouse.tables.contract import MONTH

DAY = Table(
    schema="gold",
    name="day",
    grain="one row per branch and day",
    columns="branch_id STRING NOT NULL COMMENT 'branch', amount DECIMAL(18,2) COMMENT 'money', note STRING COMMENT 'free text'",
    key=("branch_id",),
)
MONTHLY = Table(
    schema="gold",
    name="monthly",
    grain="one row per day",
    columns=f"business_date DATE NOT NULL COMMENT 'day', {MONTH} STRING NOT NULL COMMENT 'month'",
    key=("business_date",),
    partition_by=(MONTH,),
)
OPEN = Table(
    schema="bronze",
    name="till",
    grain="one row per record",
    columns="_row BIGINT NOT NULL COMMENT 'line'",
    key=("_row",),
    open_ended=True,
)


def test_a_contract_is_named_by_schema_and_table() -> None:
    assert DAY.full_name == "gold.day"


def test_a_contract_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        DAY.name = "other"  # type: ignore[misc]


def test_bronze_of_personal_data_is_personal_and_takes_further_columns() -> None:
    assert bronze_table("till", personal=True).personal
    assert not bronze_table("till", personal=False).personal
    assert bronze_table("till", personal=False).open_ended


def test_what_must_not_be_null_is_said_in_the_columns(spark: SparkSession) -> None:
    assert spark
    assert DAY.column_names == ["branch_id", "amount", "note"]
    assert [field.nullable for field in DAY.struct] == [False, True, True]
    assert DAY.field("amount").metadata["comment"] == "money"


def test_columns_come_in_the_order_of_the_contract_and_others_are_left_out(spark: SparkSession) -> None:
    rows = spark.sql(
        "SELECT 'x' AS extra, CAST(1.25 AS DECIMAL(18,2)) AS amount, CAST(NULL AS STRING) AS note, 'B1' AS branch_id"
    )
    conformed = DAY.conform(rows)
    assert conformed.columns == ["branch_id", "amount", "note"]
    assert conformed.collect() == [Row(branch_id="B1", amount=Decimal("1.25"), note=None)]


def test_missing_columns_are_named_with_table_and_remedy(spark: SparkSession) -> None:
    with pytest.raises(ContractError, match=r"gold\.day: columns missing: amount, note\. .*tables/gold\.py"):
        DAY.conform(spark.sql("SELECT 'B1' AS branch_id"))


@pytest.mark.parametrize("found", ["DECIMAL(18,5)", "DECIMAL(19,2)", "DOUBLE", "STRING"])
def test_a_wrong_type_is_an_error_and_no_cent_is_lost_by_a_cast(spark: SparkSession, found: str) -> None:
    rows = spark.sql(f"SELECT 'B1' AS branch_id, CAST('1.235' AS {found}) AS amount, 'x' AS note")
    with pytest.raises(ContractError, match=r"gold\.day: amount is .* instead of decimal\(18,2\)\. Cast explicitly"):
        DAY.conform(rows)


def test_all_wrong_types_are_told_at_once(spark: SparkSession) -> None:
    with pytest.raises(ContractError, match=r"branch_id is int instead of string; note is boolean instead of string"):
        DAY.conform(spark.sql("SELECT 1 AS branch_id, CAST(1 AS DECIMAL(18,2)) AS amount, true AS note"))


def test_the_month_is_that_of_the_trading_day(spark: SparkSession) -> None:
    rows = spark.sql("SELECT DATE '2025-12-31' AS business_date")
    assert MONTHLY.conform(rows).collect() == [Row(business_date=date(2025, 12, 31), _month="2025-12")]


def test_a_month_that_is_there_is_kept(spark: SparkSession) -> None:
    rows = spark.sql("SELECT DATE '2025-12-31' AS business_date, '2025-11' AS _month")
    assert [row[MONTH] for row in MONTHLY.conform(rows).collect()] == ["2025-11"]


def test_an_open_ended_table_keeps_the_columns_of_the_export_behind_its_own(spark: SparkSession) -> None:
    rows = spark.sql("SELECT '1,50' AS Betrag, '7' AS `Menge-Stk`, 1L AS _row")
    assert OPEN.conform(rows).columns == ["_row", "Betrag", "Menge-Stk"]
