"""The SQL that customers are compared with, over a star that is counted by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from customer_sql import RATIOS, fields_of

STAR = """
CREATE TABLE fct_receipt AS SELECT receipt_key, nullif(customer, '-') AS customer_id, business_date, business_date::TIMESTAMP AS
    started_at, branch_id, nullif(channel, '-') AS channel, 'EUR' AS currency, is_basket,
    revenue::DECIMAL(18,2) AS revenue_amount, back::DECIMAL(18,2) AS return_amount, discount::DECIMAL(18,2) AS discount_amount
FROM (VALUES
    ('r1', 'anna', DATE '2025-06-30', 'B', 'web', true, 10, 0, 0),
    ('r2', 'anna', DATE '2025-07-01', 'B', '-', true, 20, 0, 5),
    ('r3', 'anna', DATE '2026-04-01', 'A', 'till', true, 30, 0, 0),
    ('r4', 'anna', DATE '2026-04-02', 'B', 'till', false, -6, 6, 0),
    ('r5', 'anna', DATE '2026-07-01', 'B', 'till', true, 99, 0, 0),
    ('r6', 'bert', DATE '2026-06-30', 'A', '-', true, 1, 0, 0),
    ('r7', 'cleo', DATE '2026-06-30', 'A', '-', false, -2, 2, 0),
    ('r8', '-', DATE '2026-06-30', 'A', '-', true, 7, 0, 0)
) t(receipt_key, customer, business_date, branch_id, channel, is_basket, revenue, back, discount);
CREATE TABLE fct_sale_line AS FROM (VALUES
    ('r1', 'p1', true, 10.00), ('r2', 'p2', true, 12.00), ('r2', 'p3', true, 8.00), ('r2', 'p2', false, 50.00),
    ('r3', 'p1', true, 10.00), ('r3', 'p2', true, 20.00), ('r4', 'p2', true, -6.00),
    ('r6', 'p1', true, 1.00), ('r7', 'p2', true, -2.00)
) t(receipt_key, product_key, is_revenue, gross_amount);
CREATE TABLE dim_product AS FROM (VALUES ('p1', 'Dairy'), ('p2', 'Bakery'), ('p3', NULL)) t(product_key, category_l1);
CREATE TABLE fct_return AS FROM (VALUES ('r4', 'defect', -2.00), ('r4', 'disliked', -4.00), ('r7', NULL, -2.00))
    t(receipt_key, reason, gross_amount);
CREATE TABLE dim_branch AS FROM (VALUES
    ('A', 'North', DATE '1900-01-01', DATE '2026-07-01'), ('A', 'South', DATE '2026-07-01', NULL),
    ('B', 'West', DATE '1900-01-01', NULL)
) t(branch_id, region, valid_from, valid_to);
CREATE TABLE dim_customer AS SELECT *, NULL::VARCHAR AS age_band, '10' AS postal_area, 'DE' AS country, 'de' AS language
FROM (VALUES
    ('anna', 'B2C', DATE '1900-01-01', DATE '2026-06-30'), ('anna', 'B2B', DATE '2026-06-30', NULL),
    ('bert', 'B2C', DATE '1900-01-01', NULL), ('cleo', 'B2C', DATE '1900-01-01', NULL)
) t(customer_id, customer_type, valid_from, valid_to);
"""
ANNA = {
    "as_of": date(2026, 7, 1), "customer_type": "B2B", "age_band": None, "postal_area": "10",
    # in the twelve months one purchase in each branch: the later one counts
    "home_branch_id": "A", "home_region": "North", "favourite_branch_id": "B", "currency": "EUR",
    "first_purchase_date": date(2025, 6, 30), "smallest_receipt_key": "r1", "last_purchase_date": date(2026, 4, 1),
    "inactivity_days": 91, "tenure_days": 366, "purchase_count": 3, "purchase_dates": 3, "active_weeks_13": 1, "gap_count": 2,
    "median_gap_days": 137.5, "mean_gap_days": 137.5, "revenue_total": Decimal("54.00"), "sales_total": Decimal("60.00"),
    "average_basket": 20.0, "largest_basket": Decimal("30.00"), "discount_amount": Decimal("5.00"), "discount_share": 5 / 65,
    "return_count": 2, "return_amount": Decimal("6.00"), "return_rate": 0.1, "main_return_reason": "disliked",
    "favourite_category": "Bakery", "favourite_category_share": 26 / 54, "favourite_weekday": 1,
    "favourite_channel": "till", "channels": "both", "online_count": 1, "recency_score": 1, "frequency_score": 2,
    "monetary_score": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def customers() -> dict[str, dict[str, Any]]:
    con = duckdb.connect()
    con.execute(STAR)
    found = fields_of(con, date(2026, 7, 1))
    return {row[1]: dict(zip(found.columns, row, strict=True)) for row in found.fetchall()}


def test_who_has_no_name_is_no_customer(customers: dict[str, dict[str, Any]]) -> None:
    assert set(customers) == {"anna", "bert", "cleo"}


def test_a_customer_is_known_as_of_the_day_and_not_after_it(customers: dict[str, dict[str, Any]]) -> None:
    anna = customers["anna"]
    # till is told once: r3; web once: r1; the first by name counts. Mondays, Tuesdays and Wednesdays are as frequent
    assert {name: anna[name] for name in ANNA if name not in RATIOS} == {k: v for k, v in ANNA.items() if k not in RATIOS}
    assert [anna[name] for name in RATIOS] == pytest.approx([ANNA[name] for name in RATIOS])


def test_who_has_only_brought_something_back_has_no_purchase(customers: dict[str, dict[str, Any]]) -> None:
    cleo = customers["cleo"]
    assert (cleo["purchase_count"], cleo["channels"], cleo["recency_score"], cleo["average_basket"]) == (0, None, None, None)
    assert (cleo["revenue_total"], cleo["sales_total"], cleo["return_rate"]) == (Decimal(-2), Decimal(0), None)
    assert (cleo["return_count"], cleo["main_return_reason"], cleo["home_region"]) == (1, None, None)
    assert (customers["bert"]["median_gap_days"], customers["bert"]["favourite_category"]) == (None, "Dairy")
    assert cleo["favourite_category"] is None
