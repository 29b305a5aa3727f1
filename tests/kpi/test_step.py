"""The kpi step works on what has changed, and leaves what a run over everything would have left."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from pyspark.sql import SparkSession

from tests.kpi.star import EVER, filled
from tillhouse.kpi import step
from tillhouse.kpi.rules import KpiRules
from tillhouse.store import Since, Store
from tillhouse.tables import gold, ops, silver
from tillhouse.tables.entities import PLAN

MONDAY = date(2025, 3, 3)
READ = (
    gold.FCT_RECEIPT, gold.DIM_BRANCH, gold.DIM_CUSTOMER, gold.DIM_DATE, gold.DIM_HOLIDAY, silver.EXCEPTION, ops.DELIVERY, PLAN,
)  # fmt: skip
MADE = (gold.KPI_BRANCH_DAY, gold.KPI_BRANCH_WEEK)
Receipt = dict[str, object]


def receipt(key: str, branch: str, day: date, amount: Decimal, customer: str | None = None) -> Receipt:
    return {
        "receipt_key": key, "branch_id": branch, "branch_key": branch, "business_date": day, "_month": f"{day:%Y-%m}",
        "currency": "EUR", "customer_id": customer, "customer_key": customer, "is_basket": True, "is_receipt": True,
        "customer_status": "identified" if customer else "anonymous", "revenue_amount": amount, "detail_level": "lines",
        "sold_item_count": Decimal(1), "item_count": Decimal(1),
    }  # fmt: skip


def receipts(weeks: int) -> list[Receipt]:
    """Every day of some weeks one receipt of each of three branches; customers come several times a week."""
    lot = random.Random(11)
    return [
        receipt(
            f"{branch}{number}", branch, MONDAY + timedelta(days=number), Decimal(lot.randrange(500, 900)) / 100,
            f"customer {lot.randrange(3)}",
        )
        for number in range(7 * weeks)
        for branch in "ABC"
    ]  # fmt: skip


def write(store: Store, rows: Sequence[Receipt], region: str = "Nord") -> None:
    """The star of these receipts."""
    spark = store.spark
    version = {"valid_from": EVER, "is_current": True}
    branches = [version | {"branch_key": name, "branch_id": name, "region": region, "format": "City"} for name in "ABC"]
    first: dict[object, Receipt] = {}
    for row in sorted(rows, key=lambda row: (str(row["business_date"]), str(row["receipt_key"]))):
        first.setdefault(row["customer_id"], row)
    customers = [
        version
        | {
            "customer_key": name, "customer_id": name, "customer_type": "B2C", "first_purchase_date": row["business_date"],
            "first_purchase_receipt_key": row["receipt_key"],
        }
        for name, row in first.items()
        if name
    ]  # fmt: skip
    days = [date(2024, 1, 1) + timedelta(days=number) for number in range(731)]
    calendar = [
        {"date": day, "iso_year": day.isocalendar().year, "iso_week": day.isocalendar().week, "weekday": day.isoweekday()}
        for day in days
    ]
    fridays = (date(2024, 3, 29), date(2025, 4, 18))
    holidays = [{"date": day, "region": "Süd", "name": "Karfreitag"} for day in fridays]
    for table, of_table in (
        (gold.FCT_RECEIPT, rows), (gold.DIM_BRANCH, branches), (gold.DIM_CUSTOMER, customers), (gold.DIM_DATE, calendar),
        (gold.DIM_HOLIDAY, holidays),
    ):  # fmt: skip
        store.overwrite(table, filled(spark, table, of_table))


def plan(store: Store, amount: str) -> None:
    row = {"branch_id": "A", "starts_on": MONDAY, "period": "week", "revenue_amount": Decimal(amount), "currency": "EUR"}
    store.overwrite(PLAN, filled(store.spark, PLAN, [row]))


def state(store: Store) -> dict[str, int]:
    return {table.full_name: store.version(table)[1] for table in (*READ, *MADE)}


def commits(store: Store, before: dict[str, int]) -> set[str]:
    return {name for name, version in state(store).items() if version != before[name]}


def run(store: Store, since: dict[str, int] | None) -> set[str]:
    """Which tables a run has written."""
    before = state(store)
    step.run(store, KpiRules(), {PLAN.name}, None if since is None else Since(since, frozenset()))
    return commits(store, before)


def test_weeks_follow_what_has_changed_and_are_those_of_a_run_over_everything(spark: SparkSession, tmp_path: Path) -> None:
    store = Store(spark, str(tmp_path / "lake"), str(tmp_path / "vault"))
    store.create_missing((*READ, *MADE))
    day, week = (table.full_name for table in MADE)
    known = receipts(9)
    plan(store, "40.00")
    write(store, known)
    assert run(store, None) == {day, week}
    weeks = {(row["branch_id"], row["starts_on"]): row for row in store.read(gold.KPI_BRANCH_WEEK).collect()}
    of_a = weeks["A", MONDAY]
    assert len(weeks) == 27
    assert all(row["is_full_week"] for row in weeks.values())
    assert of_a["revenue"] == sum(row["revenue_amount"] for row in known[:21] if row["branch_id"] == "A")  # type: ignore[misc]
    assert of_a["customers"] == len({row["customer_id"] for row in known[:21] if row["branch_id"] == "A"})
    assert of_a["plan_amount"] == Decimal("40.00")

    def follow(expected: set[str]) -> None:
        assert run(store, mark) == expected
        assert run(store, state(store)) == set()

    mark = state(store)
    late = receipt("late", "A", MONDAY + timedelta(days=30), Decimal("99.00"), "customer 7")
    write(store, [*known, late, *receipts(10)[-21:]])
    follow({day, week})
    flagged = store.read(gold.KPI_BRANCH_WEEK).where("is_anomaly").select("branch_id", "starts_on").collect()
    assert ("A", MONDAY + timedelta(weeks=4)) in [tuple(row) for row in flagged]

    mark = state(store)
    write(store, [row for row in known if row["receipt_key"] != "B62"])  # a receipt of the last day is taken back, and a week
    follow({day, week})

    mark = state(store)
    write(store, [row for row in known if row["receipt_key"] != "B62"], region="Süd")
    follow({week})

    mark = state(store)
    plan(store, "50.00")
    follow({week})
    store.expect(None)
    assert run(store, None) == set(), "a run over everything finds nothing to write"
