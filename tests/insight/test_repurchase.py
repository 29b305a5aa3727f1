"""Repurchase, gaps, cohorts, retention and conversion of a few customers, computed by hand.

As of 2026-03-15: c1 buys twice on a day, again ten days later, and brings something back; c2 buys once, thirty days before; c3
twice on one day, in two currencies; c4 after exactly thirty days, and again after as_of; c5 only brings something back.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from tests.conftest import time_zone
from tests.kpi.star import filled
from tillhouse.insight.buyers import to_buyers, to_first_products, to_purchase_days, to_visits
from tillhouse.insight.cohorts import to_kpi_cohort
from tillhouse.insight.conversion import to_kpi_conversion
from tillhouse.insight.repurchase import to_kpi_repurchase
from tillhouse.insight.retention import to_kpi_retention
from tillhouse.kpi.week_repurchase import to_week_repurchase
from tillhouse.tables import gold

AS_OF = date(2026, 3, 15)
JANUARY, FEBRUARY = date(2026, 1, 1), date(2026, 2, 1)
SEGMENT_MEMBER = "as_of DATE, rule_set STRING, segment STRING, customer_id STRING"
Key = tuple[Any, ...]


def day(text: str) -> date:
    return date.fromisoformat(f"2026-{text}")


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)


def receipt(key: str, customer: str | None, on: str, hour: str | None = "09:00", **more: object) -> dict[str, object]:
    branch = str(more.get("branch_id", "A"))
    usual: dict[str, object] = {
        "receipt_key": key, "customer_id": customer, "customer_status": "identified", "business_date": day(on),
        "started_at": at(f"{on}T{hour}") if hour else None, "branch_id": branch, "branch_key": f"{branch}1",
        "customer_key": f"k-{customer}", "currency": "EUR", "is_basket": True, "revenue_amount": Decimal("10.00"),
    }  # fmt: skip
    return usual | more


def returned(key: str, customer: str, on: str, amount: str) -> dict[str, object]:
    return receipt(key, customer, on, is_basket=False, revenue_amount=-Decimal(amount), return_amount=Decimal(amount))


CHF = {"currency": "CHF"}
RECEIPTS = [
    receipt("r1b", "c1", "01-05", "17:00", branch_id="B"),
    receipt("r1", "c1", "01-05", "09:00"),
    receipt("r1c", "c1", "01-15"),
    returned("r1d", "c1", "02-01", "4.00"),
    receipt("r2", "c2", "02-13", branch_id="B"),
    receipt("r3", "c3", "01-20", "10:00", branch_key="A2"),
    receipt("r3b", "c3", "01-20", "12:00", revenue_amount=Decimal("50.00"), **CHF),
    receipt("r4", "c4", "01-10", None, **CHF),
    receipt("r4b", "c4", "02-09", branch_id="C", **CHF),
    receipt("r4c", "c4", "03-20", **CHF),
    returned("r5", "c5", "01-08", "2.00"),
    receipt("r6", None, "01-05", customer_status="anonymous"),
    receipt("r7", None, "01-05", customer_status="unclear"),
    receipt("r8", "c4", "03-15", **CHF),
]
BRANCHES = [("A1", "A", "North"), ("A2", "A", "South"), ("B1", "B", "South"), ("C1", "C", None)]
CUSTOMERS = [("k-c1", "c1", "B2B"), ("k-c3", "c3", "B2C"), ("k-c4", "c4", "B2C")]
PRODUCTS = [("p1", "Tools", "Garden"), ("p2", "Paint", "Home"), ("p3", None, "Home")]


def line(key: str, number: int, product: str, amount: str, **more: object) -> dict[str, object]:
    usual: dict[str, object] = {
        "receipt_key": key, "line_number": number, "product_key": product, "gross_amount": Decimal(amount), "is_revenue": True,
        "line_type": "ITEM",
    }  # fmt: skip
    return usual | more


LINES = [
    line("r1", 1, "p1", "6.00"),
    line("r1", 2, "p1", "-3.00", line_type="DISCOUNT"),
    line("r1", 3, "p2", "4.00"),
    line("r1", 4, "p1", "99.00", is_voided=True),
    line("r1b", 1, "p1", "100.00"),
    line("r3", 1, "p1", "5.00"),
    line("r3", 2, "p2", "5.00"),
    line("r4", 1, "p3", "10.00"),
]
SEGMENTS = [
    (AS_OF, "value", "regular", "c1"),
    (AS_OF, "value", "regular", "c2"),
    (AS_OF, "rf", "loyal", "c1"),
    (JANUARY, "rf", "old", "c4"),
    (FEBRUARY, "rf", "new", "c4"),
]


def contact(key: str, customer: str | None, on: str, hour: str | None = None, **more: object) -> dict[str, object]:
    usual: dict[str, object] = {
        "record_key": key, "source": "crm", "customer_id": customer, "customer_status": "identified", "is_contact": True,
        "contacted_on": day(on), "started_at": at(f"{on}T{hour}") if hour else None, "channel": "email", "campaign_id": "S1",
    }  # fmt: skip
    return usual | more


CONTACTS = [
    contact("k1", "c1", "01-05", "12:00"),
    contact("k2", "c1", "01-10", channel="post"),
    contact("k3", "c2", "02-03", campaign_id=None, channel="phone"),
    contact("k4", "c4", "01-12", campaign_id=None),
    contact("k5", "c3", "02-01", channel=None),
    contact("k6", "c4", "03-01"),
    contact("k7", "c3", "01-20", campaign_id="S2"),
    contact("k8", "c2", "01-01", is_contact=False),
    contact("k9", None, "01-01", customer_status="unclear"),
    contact("k10", "c2", "03-15"),
]


def computed(spark: SparkSession) -> dict[str, DataFrame]:
    receipts = filled(spark, gold.FCT_RECEIPT, RECEIPTS)
    lines = filled(spark, gold.FCT_SALE_LINE, LINES)
    products = spark.createDataFrame(PRODUCTS, "product_key STRING, product_line STRING, category_l1 STRING")
    branches = spark.createDataFrame(BRANCHES, "branch_key STRING, branch_id STRING, region STRING")
    customers = spark.createDataFrame(CUSTOMERS, "customer_key STRING, customer_id STRING, customer_type STRING")
    segments = spark.createDataFrame(SEGMENTS, SEGMENT_MEMBER)
    visits = to_visits(receipts, as_of=AS_OF).localCheckpoint()
    days = to_purchase_days(visits).localCheckpoint()
    bought = to_first_products(visits, lines, products)
    buyers = to_buyers(visits, days, bought, branches, customers, segments=segments.where(segments.as_of == AS_OF))
    buyers = buyers.localCheckpoint()
    contacts = filled(spark, gold.FCT_CONTACT, CONTACTS)
    return {
        "repurchase": to_kpi_repurchase(days, buyers, as_of=AS_OF, windows=(30,)),
        "cohort": to_kpi_cohort(visits, buyers, as_of=AS_OF),
        "retention": to_kpi_retention(visits, buyers, branches, segments, as_of=AS_OF, every="month"),
        "conversion": to_kpi_conversion(contacts, visits, as_of=AS_OF),
    }


def collected(spark: SparkSession) -> dict[str, list[Row]]:
    return {name: rows.collect() for name, rows in computed(spark).items()}


@pytest.fixture(scope="module")
def tables(spark: SparkSession) -> dict[str, list[Row]]:
    return collected(spark)


@pytest.fixture(scope="module")
def repurchase(tables: dict[str, list[Row]]) -> dict[Key, Row]:
    return {(row["dimension"], row["member"], row["window_days"]): row for row in tables["repurchase"]}


@pytest.fixture(scope="module")
def cohort(tables: dict[str, list[Row]]) -> dict[Key, Row]:
    return {
        (row["currency"], row["cohort_month"].month, row["month_number"]): row
        for row in tables["cohort"]
        if row["dimension"] == "all"
    }


@pytest.fixture(scope="module")
def retention(tables: dict[str, list[Row]]) -> dict[Key, Row]:
    return {(row["from_period"].month, row["dimension"], row["member"]): row for row in tables["retention"]}


@pytest.fixture(scope="module")
def conversion(tables: dict[str, list[Row]]) -> dict[Key, Row]:
    return {(row["dimension"], row["member"]): row for row in tables["conversion"]}


def values(row: Row, *names: str) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)


def number(text: str) -> Decimal:
    return Decimal(text).quantize(Decimal("1e-12"))


COUNTS = ("buyers", "repeat_buyers", "repeat_date_buyers")


def test_a_second_purchase_on_the_same_day_repeats_but_not_on_another_date(repurchase: dict[Key, Row]) -> None:
    row = repurchase["all", "all", None]
    assert values(row, *COUNTS) == (4, 3, 2)
    assert values(row, "repurchase_rate", "repurchase_date_rate") == (number("0.75"), number("0.5"))
    assert values(row, "purchases", "mean_purchases", "median_purchases") == (8, number("2"), number("2"))


def test_who_cannot_be_back_within_the_window_yet_is_not_eligible(repurchase: dict[Key, Row]) -> None:
    """c2 bought first thirty days before as_of; c4 was back on the last day of the window."""
    row = repurchase["all", "all", 30]
    assert values(row, *COUNTS) == (3, 2, 2)
    assert row["repurchase_rate"] == number("0.666666666667")
    assert values(row, "gaps", "open_gaps", "revenue", "currency", "median_purchases") == (None,) * 5


def test_nobody_within_a_window_has_no_rate(repurchase: dict[Key, Row]) -> None:
    row = repurchase["branch", "B", 30]
    assert values(row, "buyers", "repurchase_rate", "repurchase_date_rate") == (0, None, None)


def test_gaps_are_between_dates_and_open_ones_are_counted_apart(repurchase: dict[Key, Row]) -> None:
    row = repurchase["all", "all", None]
    assert values(row, "gaps", "open_gaps", "maximum_days_to_next") == (2, 4, 30)
    named = ("mean_days_to_next", "median_days_to_next", "p90_days_to_next")
    assert values(row, *named) == (number("20"), number("20"), number("28"))
    assert values(row, "mean_days_to_second", "median_days_to_second") == (number("20"), number("20"))
    assert values(row, "median_of_customer_medians", "mean_of_customer_means", "median_of_customer_means") == (number("20"),) * 3


def test_a_gap_belongs_to_the_branch_of_the_last_purchase_before_it(repurchase: dict[Key, Row]) -> None:
    shown = ("buyers", "gaps", "open_gaps", "mean_days_to_next")
    assert values(repurchase["branch", "A", None], *shown) == (3, 1, 2, number("30"))
    assert values(repurchase["branch", "B", None], *shown) == (1, 1, 1, number("10"))
    assert values(repurchase["branch", "C", None], *shown, "repurchase_rate") == (0, 0, 1, None, None)


def test_amounts_are_those_of_the_customers_with_the_commonest_currency(repurchase: dict[Key, Row]) -> None:
    """Two customers each: the first by name. c3 has as many purchases in either, and so is in CHF with its CHF alone."""
    shown = ("currency", "currency_buyers", "revenue", "revenue_per_customer", "average_basket")
    expected = ("CHF", 2, Decimal("70.00"), number("35"), number("23.333333333333"))
    assert values(repurchase["all", "all", None], *shown) == expected
    euro = ("EUR", 2, Decimal("36.00"), number("18"), number("10"))
    assert values(repurchase["currency", "EUR", None], *shown) == euro


def test_regions_and_types_are_as_they_were_at_the_first_purchase(repurchase: dict[Key, Row]) -> None:
    found = {
        key[:2]: row["buyers"] for key, row in repurchase.items() if key[0] in ("region", "customer_type") and key[2] is None
    }
    assert found == {
        ("region", "North"): 2, ("region", "South"): 2,
        ("customer_type", "B2B"): 1, ("customer_type", "B2C"): 2, ("customer_type", "unknown"): 1,
    }  # fmt: skip


def test_the_product_line_of_the_first_purchase_is_that_with_the_most_revenue_after_discounts(
    repurchase: dict[Key, Row],
) -> None:
    """c1: 4.00 of paint against 6.00 - 3.00 of tools; c3: as much of both; c4: no product line; c2: no lines."""
    found = {
        key[:2]: row["buyers"] for key, row in repurchase.items() if key[0] in ("product_line", "category") and key[2] is None
    }
    assert found == {
        ("product_line", "Paint"): 2, ("product_line", "unknown"): 2,
        ("category", "Home"): 2, ("category", "Garden"): 1, ("category", "unknown"): 1,
    }  # fmt: skip


def test_a_customer_is_in_each_of_its_segments(repurchase: dict[Key, Row]) -> None:
    found = {key[1]: row["buyers"] for key, row in repurchase.items() if key[0] == "segment" and key[2] is None}
    assert found == {"value: regular": 2, "rf: loyal": 1}


def test_each_buyer_is_in_one_member_of_a_dimension(repurchase: dict[Key, Row]) -> None:
    sums: dict[str, list[int]] = {}
    for (dimension, _, window), row in repurchase.items():
        if window is None and dimension != "segment":
            sums.setdefault(dimension, []).append(row["buyers"])
    assert {dimension: sum(counts) for dimension, counts in sums.items()} == dict.fromkeys(sums, 4)
    assert len(sums) == 7


CELL = ("cohort_size", "active_customers", "retention", "revenue", "is_partial")


def test_a_month_without_purchase_is_nought_and_one_after_as_of_is_null(cohort: dict[Key, Row]) -> None:
    found = {key: values(row, *CELL) for key, row in cohort.items()}
    none, whole = number("0"), number("1")
    nothing = Decimal("0.00")
    assert found == {
        ("EUR", 1, 0): (1, 1, whole, Decimal("30.00"), False),
        ("EUR", 1, 1): (1, 0, none, Decimal("-4.00"), False),
        ("EUR", 1, 2): (1, 0, none, nothing, True),
        ("EUR", 2, 0): (1, 1, whole, Decimal("10.00"), False),
        ("EUR", 2, 1): (1, 0, none, nothing, True),
        ("EUR", 2, 2): (1, None, None, None, False),
        ("CHF", 1, 0): (2, 2, whole, Decimal("60.00"), False),
        ("CHF", 1, 1): (2, 1, number("0.5"), Decimal("10.00"), False),
        ("CHF", 1, 2): (2, 0, none, nothing, True),
    }


KEPT = ("active_before", "active_both", "active_both_anywhere", "retention_rate", "churn_rate", "is_partial")


def test_a_branch_keeps_who_buys_there_again(retention: dict[Key, Row]) -> None:
    third = number("0.333333333333")
    assert values(retention[1, "all", "all"], *KEPT) == (3, 1, 1, third, 1 - third, False)
    assert values(retention[1, "branch", "A"], *KEPT) == (3, 0, 1, number("0"), number("1"), False)
    assert values(retention[1, "branch", "B"], *KEPT) == (1, 0, 0, number("0"), number("1"), False)
    assert values(retention[1, "region", "South"], *KEPT[:3]) == (2, 0, 0)


def test_a_period_that_is_not_over_is_flagged_and_one_that_has_not_begun_is_not_told(retention: dict[Key, Row]) -> None:
    assert values(retention[2, "all", "all"], *KEPT) == (2, 0, 0, number("0"), number("1"), True)
    assert {key[0] for key in retention} == {1, 2}


def test_segments_are_those_at_the_beginning_of_the_first_period(retention: dict[Key, Row]) -> None:
    found = {(key[0], key[2]): values(row, *KEPT[:3]) for key, row in retention.items() if key[1] == "segment"}
    assert found == {(1, "rf: old"): (1, 1, 1), (2, "rf: new"): (1, 0, 0)}


def test_retention_of_customers_of_a_kind_is_that_in_the_whole_chain(retention: dict[Key, Row]) -> None:
    assert values(retention[1, "customer_type", "B2C"], *KEPT[:3]) == (2, 1, 1)
    assert values(retention[1, "category", "Home"], *KEPT[:3]) == (2, 1, 1)


BOUGHT = ("contacts", "converted", "open", "mean_days", "median_days", "p90_days", "maximum_days")


def test_the_first_contact_counts_until_the_next_purchase(conversion: dict[Key, Row]) -> None:
    """c1 had bought at 9 and bought again at 17, five hours after the contact; of c3's second day no instant is told."""
    expected = (5, 3, 2, number("3.333333333333"), number("0"), number("8"), 10)
    assert values(conversion["all", "all"], *BOUGHT) == expected
    assert values(conversion["campaign", "crm: S1"], *BOUGHT) == (3, 1, 2, *(number("0"),) * 3, 0)
    assert values(conversion["campaign", "crm: S2"], *BOUGHT[:3]) == (1, 1, 0)
    assert conversion["all", "all"]["conversion_rate"] == number("0.6")


def test_a_lead_is_who_had_not_bought_before(conversion: dict[Key, Row]) -> None:
    assert values(conversion["kind", "lead"], *BOUGHT) == (1, 1, 0, *(number("10"),) * 3, 10)
    assert values(conversion["kind", "campaign"], "contacts") == (4,)
    assert {key[1] for key in conversion if key[0] == "channel"} == {"email", "phone", "unknown"}
    assert {key[1] for key in conversion if key[0] == "campaign"} == {"crm: S1", "crm: S2"}


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_no_figure_depends_on_the_time_zone_of_the_session(spark: SparkSession, tables: dict[str, list[Row]], zone: str) -> None:
    with time_zone(spark, zone):
        found = collected(spark)
    assert {name: sorted(rows, key=str) for name, rows in found.items()} == {
        name: sorted(rows, key=str) for name, rows in tables.items()
    }


def test_without_receipts_there_are_no_rows(spark: SparkSession) -> None:
    receipts, lines = filled(spark, gold.FCT_RECEIPT, []), filled(spark, gold.FCT_SALE_LINE, [])
    branches, customers = filled(spark, gold.DIM_BRANCH, []), filled(spark, gold.DIM_CUSTOMER, [])
    visits = to_visits(receipts, as_of=AS_OF)
    days = to_purchase_days(visits)
    bought = to_first_products(visits, lines, filled(spark, gold.DIM_PRODUCT, []))
    buyers = to_buyers(visits, days, bought, branches, customers)
    assert to_kpi_repurchase(days, buyers, as_of=AS_OF, windows=(30, 90)).count() == 0
    assert to_kpi_cohort(visits, buyers, as_of=AS_OF).count() == 0
    assert to_kpi_retention(visits, buyers, branches, as_of=AS_OF, every="quarter").count() == 0
    assert to_kpi_conversion(filled(spark, gold.FCT_CONTACT, []), visits, as_of=AS_OF).count() == 0


def test_the_repurchase_rate_of_a_week_is_of_one_branch(spark: SparkSession) -> None:
    """Week of 2026-01-05: x twice in A, y in A and B, z on the Sunday and the Monday after it; anonymous ones are out."""
    receipts = [
        receipt("1", "x", "01-05"),
        receipt("2", "x", "01-05"),
        receipt("3", "y", "01-06"),
        receipt("4", "y", "01-07", branch_id="B"),
        receipt("5", "z", "01-11"),
        receipt("6", "z", "01-12"),
        returned("7", "y", "01-08", "1.00"),
        receipt("8", None, "01-05", customer_status="anonymous"),
    ]
    dated = filled(spark, gold.FCT_RECEIPT, receipts).withColumn("_month", F.date_format("business_date", "yyyy-MM"))
    rows = to_week_repurchase(dated, [day("01-09")]).collect()
    found = {(row["branch_id"], row["starts_on"]): row["repurchase_rate"] for row in rows}
    assert found == {("A", day("01-05")): number("0.333333333333"), ("B", day("01-05")): number("0")}
