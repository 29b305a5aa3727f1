"""Which days are measured again after a night: those after the first day of which something is told otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tests.kpi.star import filled
from tillhouse.insight import days
from tillhouse.insight.days import ATTRIBUTES, Days
from tillhouse.insight.rules import InsightRules
from tillhouse.store import Since, Store
from tillhouse.tables import Table, gold

READ = (
    gold.FCT_RECEIPT, gold.FCT_RETURN, gold.FCT_CONTACT, gold.FCT_TICKET, gold.FCT_OPEN_ITEM, gold.DIM_CUSTOMER,
    gold.DIM_PRODUCT, gold.DIM_BRANCH,
)  # fmt: skip
EVER, AUGUST = date(1900, 1, 1), date(2017, 8, 9)
QUARTERS = (date(2017, 4, 1), date(2017, 7, 1), AUGUST)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Store:
    folder: Path = tmp_path_factory.mktemp("days")
    store = Store(spark, str(folder / "lake"), str(folder / "vault"))
    store.create_missing((*READ, gold.CUSTOMER_STATE))
    receipts = [
        {"receipt_key": "r1", "business_date": date(2017, 2, 3)},
        {"receipt_key": "r2", "business_date": date(2017, 8, 8)},
    ]
    write(store, gold.FCT_RECEIPT, receipts)
    write(store, gold.CUSTOMER_STATE, [{"as_of": day, "customer_id": "c"} for day in QUARTERS])
    write(store, gold.DIM_PRODUCT, [{"product_key": "p", "category_l1": "A", "valid_from": date(2017, 5, 5)}])
    return store


def write(store: Store, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    store.overwrite(table, filled(store.spark, table, rows))


def now(store: Store, *changed: str) -> Since:
    versions = {table.full_name: store.version(table)[1] for table in READ}
    return Since(versions, frozenset(changed), AUGUST)


def anew(store: Store, since: Since, as_of: date | None = None) -> tuple[date, ...]:
    found = days.of(store, InsightRules(), as_of, since)
    assert found is not None
    return found.anew


def test_without_since_all_are_measured_and_the_last_one_is_the_day_after_the_last_trading_day(store: Store) -> None:
    found = days.of(store, InsightRules(), None, None)
    assert found == Days(QUARTERS, QUARTERS)
    assert found.condition("as_of") == "true"


def test_nothing_new_is_nothing_to_measure(store: Store) -> None:
    assert anew(store, now(store)) == ()


def test_the_days_after_a_late_receipt_are_measured_again(store: Store) -> None:
    since = now(store)
    late = {"receipt_key": "r3", "business_date": date(2017, 5, 6)}
    store.append(gold.FCT_RECEIPT, filled(store.spark, gold.FCT_RECEIPT, [late]))
    assert anew(store, since) == QUARTERS[1:]
    assert Days(QUARTERS, QUARTERS[1:]).condition("as_of") == "as_of > DATE'2017-04-01'"


def test_another_category_of_a_product_that_was_known_counts_from_its_first_day_on(store: Store) -> None:
    since = now(store)
    known = {"product_key": "p", "category_l1": "A", "valid_from": date(2017, 5, 5)}
    write(store, gold.DIM_PRODUCT, [known, {"product_key": "q", "category_l1": "B", "valid_from": EVER}])
    assert anew(store, since) == (), "a new product is in new receipts alone"
    write(store, gold.DIM_PRODUCT, [{**known, "category_l1": "C"}])
    assert anew(store, since) == QUARTERS[1:]


def test_a_customer_of_whom_nothing_is_told_touches_no_day_and_one_who_moves_does(store: Store) -> None:
    since = now(store)
    assert "postal_area" in ATTRIBUTES
    new = {"customer_key": "c1", "customer_id": "c1", "customer_type": "B2C", "valid_from": EVER}
    write(store, gold.DIM_CUSTOMER, [new])
    assert anew(store, since) == ()
    moved = {**new, "customer_key": "c2", "postal_area": "10", "valid_from": date(2017, 7, 20)}
    write(store, gold.DIM_CUSTOMER, [new, moved])
    assert anew(store, since) == QUARTERS[2:]


def test_a_support_case_counts_from_the_day_on_which_it_was_opened(store: Store) -> None:
    since = now(store)
    case = {"record_key": "t", "opened_on": date(2017, 3, 31), "opened_at": datetime(2017, 3, 31, 9, tzinfo=UTC)}
    write(store, gold.FCT_TICKET, [case])
    assert anew(store, since) == QUARTERS


def test_another_day_of_reporting_is_measured_even_where_nothing_else_is_new(store: Store) -> None:
    assert anew(store, now(store, "as_of"), AUGUST) == (AUGUST,)
    assert anew(store, now(store, "as_of"), date(2017, 10, 2)) == (date(2017, 10, 1), date(2017, 10, 2))
