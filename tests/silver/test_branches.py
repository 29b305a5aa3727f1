"""Each receipt belongs to exactly one branch: days on which it did not trade, and tills that report in two branches."""

from __future__ import annotations

from datetime import date

import pytest
from pyspark.sql import Row, SparkSession

from tests.sources.mappings import source
from tillhouse.errors import ConfigError
from tillhouse.quality.rules import RECEIPT_RULES, REJECTED, VIOLATIONS, with_violations
from tillhouse.silver.exceptions import of_registers

RECEIPTS = (
    "source STRING, branch_id STRING, register_id STRING, business_date DATE, gross_amount DOUBLE, currency STRING, "
    "_file STRING, _row BIGINT"
)
DAY, NEXT = date(2026, 2, 2), date(2026, 2, 3)


def receipt(branch: str, register: str, day: date, row: int = 2) -> tuple[object, ...]:
    return "till", branch, register, day, 1.5, "EUR", f"{branch}.csv", row


def found(spark: SparkSession, *receipts: tuple[object, ...]) -> list[Row]:
    return of_registers(spark.createDataFrame(list(receipts), RECEIPTS)).orderBy("record_key").collect()


def test_a_till_that_reports_in_two_branches_on_a_day_is_told_of_both(spark: SparkSession) -> None:
    """K2 changes the branch overnight, K3 is in one branch only; both are right."""
    rows = found(
        spark,
        receipt("F1", "K1", DAY, 2),
        receipt("F1", "K1", DAY, 3),
        receipt("F2", "K1", DAY),
        receipt("F1", "K1", NEXT),
        receipt("F1", "K2", DAY),
        receipt("F2", "K2", NEXT),
        receipt("F3", "K3", DAY),
    )
    assert [(row["record_key"], row["amount"], row["severity"], row["entity"]) for row in rows] == [
        ("F1/K1/2026-02-02", 3, "warning", "register"),
        ("F2/K1/2026-02-02", 1.5, "warning", "register"),
    ]
    assert [(row["branch_id"], row["business_date"], row["_scope"]) for row in rows] == [
        ("F1", DAY, "till/K1/2026-02-02"),
        ("F2", DAY, "till/K1/2026-02-02"),
    ]
    assert '"file":"F1.csv","row":2,"field":"register_id","value":"K1 also in F2"' in rows[0]["context"]


def test_the_order_of_receipts_makes_no_difference(spark: SparkSession) -> None:
    receipts = [receipt("F2", "K1", DAY), receipt("F1", "K1", DAY, 9), receipt("F1", "K1", DAY, 4), receipt("F3", "K1", DAY)]
    rows = found(spark, *receipts)
    assert rows == found(spark, *reversed(receipts))
    assert "K1 also in F1, F3" in rows[1]["context"]


def test_tills_of_the_chain_need_a_number() -> None:
    with pytest.raises(ConfigError, match="key 'registers': of_chain needs the field register_id; map it under columns"):
        source(changes="registers: of_chain")


def test_receipts_of_a_day_on_which_their_branch_did_not_trade_flow_and_are_told(spark: SparkSession) -> None:
    """The days of opening and closing are trading days; a branch without these dates is always open."""
    opened, closed = date(2026, 2, 2), date(2026, 2, 6)
    days = [(date(2026, 2, day), opened, closed) for day in (1, 2, 6, 7)] + [(date(2026, 2, 1), None, None)]
    columns = (
        "business_date DATE, _branch_opened_on DATE, _branch_closed_on DATE, branch_id STRING, _branch_is_known BOOLEAN, "
        "currency STRING, line_number INT, started_at TIMESTAMP, is_time_ambiguous BOOLEAN, gross_amount DOUBLE, "
        "net_amount DOUBLE, tax_amount DOUBLE, _broken STRING"
    )
    rows = [(*day, "F1", True, "EUR", 1, None, False, 1.0, None, None, None) for day in days]
    judged = with_violations(spark.createDataFrame(rows, columns), RECEIPT_RULES).collect()
    told = [[(item["rule"], item["severity"], item["value"]) for item in row[VIOLATIONS]] for row in judged]
    assert told == [
        [("branch_not_trading", "warning", "2026-02-01")],
        [],
        [],
        [("branch_not_trading", "warning", "2026-02-07")],
        [],
    ]
    assert not any(row[REJECTED] for row in judged)
