"""What is known of a customer as of a day, on receipts of a few customers worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import pytest
from pyspark.sql import DataFrame, Row, SparkSession

from tillhouse.insight.customers import PERIODS, Sources, to_categories, to_fields, with_rfm
from tillhouse.insight.rules import InsightRules, period_starts

RECEIPTS = (
    "receipt_key STRING, customer_id STRING, branch_id STRING, business_date DATE, started_at TIMESTAMP, currency STRING, "
    "is_basket BOOLEAN, channel STRING, fulfilment STRING, revenue_amount DECIMAL(18,2), return_amount DECIMAL(18,2), "
    "discount_amount DECIMAL(18,2)"
)
LINES = (
    "receipt_key STRING, line_number INT, product_key STRING, line_type STRING, is_revenue BOOLEAN, is_return BOOLEAN, "
    "is_voided BOOLEAN, gross_amount DECIMAL(18,2)"
)
MEMBERS = (
    "customer_id STRING, customer_type STRING, age_band STRING, postal_area STRING, country STRING, language STRING, "
    "valid_from DATE, valid_to DATE"
)
JULY, OCTOBER = date(2017, 7, 1), date(2017, 10, 1)


def receipt(key: str, customer: str | None, day: str, revenue: str, **told: object) -> tuple[object, ...]:
    """A purchase in branch A, if nothing else is told."""
    row: dict[str, object] = {
        "branch_id": "A", "currency": "EUR", "is_basket": True, "channel": None, "fulfilment": "store", "return_amount": "0",
        "discount_amount": "0", **told,
    }  # fmt: skip
    amounts = (Decimal(str(value)) for value in (revenue, row["return_amount"], row["discount_amount"]))
    return (
        key, customer, row["branch_id"], date.fromisoformat(day), None, row["currency"], row["is_basket"], row["channel"],
        row["fulfilment"], *amounts,
    )  # fmt: skip


def line(key: str, number: int, product: str, amount: str, *, kind: str = "ITEM", is_return: bool = False) -> tuple[object, ...]:
    return key, number, product, kind, True, is_return, False, Decimal(amount)


def made(spark: SparkSession, rows: Sequence[tuple[object, ...]], schema: str) -> DataFrame:
    return spark.createDataFrame(list(rows), schema)


@pytest.fixture(scope="module")
def fields(spark: SparkSession) -> dict[tuple[date, str], Row]:
    """Of Ann, Bob, Cleo (who only complained) and Dan (who only brought something back), as of July and October."""
    receipts = [
        receipt("r01", "ann", "2017-01-02", "10", channel="web", discount_amount="2.50"),
        receipt("r02", "ann", "2017-01-02", "30.55", branch_id="B"),
        receipt("r03", "ann", "2017-01-12", "20", branch_id="B", fulfilment="ship"),
        receipt("r04", "ann", "2017-06-30", "5"),
        receipt("r05", "ann", "2017-07-01", "100", branch_id="C"),
        receipt("r06", "ann", "2017-07-03", "-30.55", is_basket=False, return_amount="30.55", branch_id="B"),
        receipt("r07", "ann", "2017-07-04", "7", currency="CHF"),
        receipt("r08", "bob", "2016-01-01", "1", branch_id="B"),
        receipt("r09", "bob", "2016-01-05", "1", branch_id="B"),
        receipt("r10", "bob", "2017-06-24", "1", branch_id="A"),
        receipt("r11", None, "2017-06-24", "900"),
        receipt("r12", "dan", "2017-06-01", "-3", is_basket=False, return_amount="3"),
    ]
    lines = [
        line("r01", 1, "p1", "10"), line("r02", 1, "p1", "10.55"), line("r02", 2, "p2", "20"), line("r03", 1, "p2", "20"),
        line("r04", 1, "p3", "5"), line("r05", 1, "p1", "0.10"), line("r05", 2, "none", "99.90"),
        line("r06", 1, "p2", "-20", is_return=True), line("r06", 2, "p1", "-10.55", is_return=True),
        line("r08", 1, "p1", "1", kind="DISCOUNT"),
    ]  # fmt: skip
    products = [("p1", "Bread"), ("p2", "Cake"), ("p3", "Apples"), ("none", None)]
    returns = [("r06", "damaged", "-20"), ("r06", "wrong size", "-10.55"), ("r12", None, "-3")]
    customers = [
        ("ann", "B2C", "25-34", "10", "DE", "de", date(1900, 1, 1), date(2017, 8, 1)),
        ("ann", "B2B", "25-34", "20", "DE", "de", date(2017, 8, 1), None),
    ]
    branches = [
        ("A", "North", date(1900, 1, 1), date(2017, 7, 1)), ("A", "South", date(2017, 7, 1), None),
        ("B", "West", date(1900, 1, 1), None), ("C", "West", date(1900, 1, 1), None),
    ]  # fmt: skip
    tickets = [
        ("cleo", date(2017, 3, 1), "complaint", date(2017, 8, 1), False),
        ("cleo", date(2017, 9, 30), "question", None, True),
        (None, date(2017, 9, 30), "question", None, True),
    ]
    items = [
        ("bob", "invoice", date(2017, 5, 1), date(2017, 6, 1), date(2017, 6, 1)),
        ("bob", "invoice", date(2017, 5, 1), date(2017, 6, 1), date(2017, 6, 2)),
        ("bob", "invoice", date(2017, 6, 1), date(2017, 7, 1), None),
        ("bob", "dunning", date(2017, 7, 20), None, None),
    ]
    contacts = [("bob", date(2017, 6, 30), True), ("bob", date(2017, 6, 30), False)]
    sources = Sources(
        receipts=made(spark, receipts, RECEIPTS),
        lines=made(spark, lines, LINES),
        products=made(spark, products, "product_key STRING, category_l1 STRING"),
        returns=made(
            spark,
            [(key, reason, Decimal(amount)) for key, reason, amount in returns],
            "receipt_key STRING, reason STRING, gross_amount DECIMAL(18,2)",
        ),
        customers=made(spark, customers, MEMBERS),
        branches=made(spark, branches, "branch_id STRING, region STRING, valid_from DATE, valid_to DATE"),
        contacts=made(spark, contacts, "customer_id STRING, contacted_on DATE, is_contact BOOLEAN"),
        tickets=made(spark, tickets, "customer_id STRING, opened_on DATE, ticket_type STRING, closed_on DATE, is_open BOOLEAN"),
        open_items=made(spark, items, "customer_id STRING, item_type STRING, issued_on DATE, due_on DATE, paid_on DATE"),
    )
    periods = spark.createDataFrame([(JULY, None), (OCTOBER, None), (date(2018, 1, 1), OCTOBER)], PERIODS)
    rules = InsightRules()
    found = to_fields(sources, periods, to_categories(sources, periods), rules).collect()
    rows = {(row["as_of"], row["customer_id"]): row for row in found}
    assert len(rows) == len(found)
    return rows


def told(row: Row, names: str) -> tuple[object, ...]:
    return tuple(row[name] for name in names.split())


def test_what_happens_on_the_day_itself_is_not_known_yet(fields: dict[tuple[date, str], Row]) -> None:
    ann = fields[JULY, "ann"]
    names = (
        "purchase_count purchase_dates revenue_total sales_total largest_basket last_purchase_date inactivity_days tenure_days"
    )
    assert told(ann, names) == (
        4, 3, Decimal("65.55"), Decimal("65.55"), Decimal("30.55"), date(2017, 6, 30), 1, 180,
    )  # fmt: skip


def test_gaps_are_between_distinct_days(fields: dict[tuple[date, str], Row]) -> None:
    assert told(fields[JULY, "ann"], "gap_count median_gap_days mean_gap_days active_weeks_13") == (
        2, Decimal("89.5"), Decimal("89.5"), 1,
    )  # fmt: skip
    assert told(fields[JULY, "bob"], "gap_count median_gap_days mean_gap_days") == (2, Decimal("270.0"), Decimal("270.0"))
    assert told(fields[JULY, "dan"], "gap_count median_gap_days first_purchase_date") == (0, None, None)


def test_a_return_is_no_purchase_and_keeps_its_reason(fields: dict[tuple[date, str], Row]) -> None:
    ann = fields[OCTOBER, "ann"]
    names = "purchase_count return_count return_amount return_rate main_return_reason revenue_total last_purchase_date"
    assert told(ann, names) == (
        6, 2, Decimal("30.55"), Decimal("0.184536393839"), "damaged", Decimal("135.00"), date(2017, 7, 4),
    )  # fmt: skip
    dan = fields[JULY, "dan"]
    assert told(dan, "purchase_count return_count main_return_reason return_rate channels recency_score") == (
        0, 1, None, None, None, None,
    )  # fmt: skip


def test_amounts_of_another_currency_are_not_added(fields: dict[tuple[date, str], Row]) -> None:
    ann = fields[OCTOBER, "ann"]
    assert told(ann, "currency sales_total average_basket") == ("EUR", Decimal("165.55"), Decimal("33.110000000000"))


def test_branches_are_told_as_they_were(fields: dict[tuple[date, str], Row]) -> None:
    names = "home_branch_id home_region favourite_branch_id"
    assert told(fields[JULY, "ann"], names) == ("A", "North", "A")  # twice in A and in B, the last time in A
    assert told(fields[JULY, "bob"], names) == ("A", "North", "B")
    assert told(fields[OCTOBER, "bob"], names) == ("A", "South", "B")


def test_attributes_are_told_as_they_were(fields: dict[tuple[date, str], Row]) -> None:
    names = "customer_type postal_area"
    assert told(fields[JULY, "ann"], names) == ("B2C", "10")
    assert told(fields[OCTOBER, "ann"], names) == ("B2B", "20")
    assert told(fields[JULY, "bob"], names) == ("B2C", None)


def test_the_favourite_category_is_that_of_most_revenue_and_a_tie_goes_by_name(fields: dict[tuple[date, str], Row]) -> None:
    names = "favourite_category favourite_category_share"
    assert told(fields[JULY, "ann"], names) == ("Cake", Decimal("0.610221205187"))
    assert told(fields[OCTOBER, "ann"], names) == ("Cake", Decimal("0.148148148148"))
    assert told(fields[OCTOBER, "bob"], names) == ("Bread", Decimal("0.333333333333"))


def test_places_and_days_of_purchases(fields: dict[tuple[date, str], Row]) -> None:
    names = "channels online_count favourite_channel favourite_weekday discount_share"
    assert told(fields[JULY, "ann"], names) == ("both", 2, "web", 1, Decimal("0.036737692873"))
    assert told(fields[JULY, "bob"], names) == ("store", 0, None, 2, Decimal(0))


def test_support_is_told_as_it_stood(fields: dict[tuple[date, str], Row]) -> None:
    names = "ticket_count complaint_count open_ticket_count contact_count purchase_count"
    assert told(fields[JULY, "cleo"], names) == (1, 1, 1, 0, 0)
    assert told(fields[OCTOBER, "cleo"], names) == (2, 1, 1, 0, 0)
    names = "invoice_count late_invoice_count dunning_count contact_count"
    assert told(fields[JULY, "bob"], names) == (2, 1, 0, 1)
    assert told(fields[OCTOBER, "bob"], names) == (3, 2, 1, 1)


def test_a_period_counts_only_what_lies_in_it(fields: dict[tuple[date, str], Row]) -> None:
    assert {customer for as_of, customer in fields if as_of == date(2018, 1, 1)} == set()


def test_quintiles_are_over_those_who_have_bought(fields: dict[tuple[date, str], Row]) -> None:
    names = "recency_score frequency_score monetary_score"
    assert told(fields[OCTOBER, "bob"], names) == (1, 1, 1)
    assert told(fields[OCTOBER, "ann"], names) == (2, 2, 2)
    assert told(fields[OCTOBER, "cleo"], names) == (None, None, None)


def test_equal_values_have_equal_quintiles_where_that_is_wanted(spark: SparkSession) -> None:
    schema = (
        "customer_id STRING, purchase_count BIGINT, inactivity_days INT, revenue_total DECIMAL(18,2), currency STRING, tie INT"
    )
    values = [(f"c{number}", 1 if number < 6 else 9, 3, Decimal(number), "EUR", number) for number in range(1, 11)]
    rows = made(spark, values, schema).selectExpr("DATE'2017-01-01' AS as_of", "*")
    found = {
        ties: {row["customer_id"]: tuple(row)[-3:] for row in with_rfm(rows, ties, ["tie"]).collect()}
        for ties in ("order", "equal")
    }
    assert [found["order"][f"c{number}"] for number in (1, 5, 6, 10)] == [(1, 1, 1), (3, 3, 3), (3, 3, 3), (5, 5, 5)]
    assert [found["equal"][f"c{number}"] for number in (1, 5, 6, 10)] == [(1, 1, 1), (1, 1, 3), (1, 3, 3), (1, 3, 5)]


def test_customers_are_measured_at_the_beginning_of_each_period_and_now() -> None:
    assert period_starts(date(2017, 2, 3), date(2017, 8, 9), "quarter") == [date(2017, 4, 1), date(2017, 7, 1), date(2017, 8, 9)]
    assert period_starts(date(2016, 12, 31), date(2017, 1, 1), "month") == [date(2017, 1, 1)]
    assert period_starts(date(2016, 11, 30), date(2017, 1, 2), "month") == [
        date(2016, 12, 1), date(2017, 1, 1), date(2017, 1, 2),
    ]  # fmt: skip
