"""Random purchases: repurchase, cohorts, retention and affinity are those of SQL that was written apart from them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession

from tests.kpi.star import filled
from tillhouse.insight.affinity import to_product_affinity
from tillhouse.insight.buyers import to_buyers, to_first_products, to_purchase_days, to_visits
from tillhouse.insight.cohorts import to_kpi_cohort
from tillhouse.insight.repurchase import to_kpi_repurchase
from tillhouse.insight.retention import to_kpi_retention
from tillhouse.insight.rules import Affinity
from tillhouse.tables import gold

FIRST, AS_OF = date(2025, 11, 12), date(2026, 3, 12)
RULES = Affinity(window_days=60, minimum_baskets=5, minimum_pairs=3)
Rows = list[dict[str, Any]]

REPURCHASE = """
WITH bought AS (FROM receipts WHERE is_basket AND customer_status = 'identified' AND business_date < DATE '2026-03-12'),
dates AS (SELECT DISTINCT customer_id, business_date FROM bought),
gaps AS (
    SELECT *, lead(business_date) OVER (PARTITION BY customer_id ORDER BY business_date) - business_date AS days,
        (SELECT arg_max(b.branch_id, b.started_at) FROM bought b
         WHERE b.customer_id = dates.customer_id AND b.business_date = dates.business_date) AS branch_id
    FROM dates
),
persons AS (
    SELECT customer_id, count(*) AS purchases, arg_min(branch_id, started_at) AS branch_id,
        list_sort(list(DISTINCT business_date)) AS days
    FROM bought GROUP BY 1
),
told AS (
    SELECT 'all' AS dimension, 'all' AS member, * FROM persons UNION ALL SELECT 'branch', branch_id, * FROM persons
),
told_gaps AS (
    SELECT 'all' AS dimension, 'all' AS member, days FROM gaps UNION ALL SELECT 'branch', branch_id, days FROM gaps
)
SELECT dimension, member, buyers, repeat_buyers, repeat_date_buyers, eligible, back, median_purchases, gaps, open_gaps,
    mean_days, median_days, p90_days, maximum_days
FROM (
    SELECT dimension, member, count(*) AS buyers, count(*) FILTER (purchases > 1) AS repeat_buyers,
        count(*) FILTER (len(days) > 1) AS repeat_date_buyers, count(*) FILTER (days[1] + 20 < DATE '2026-03-12') AS eligible,
        count(*) FILTER (days[1] + 20 < DATE '2026-03-12' AND days[2] - days[1] <= 20) AS back,
        quantile_cont(purchases, 0.5) AS median_purchases
    FROM told GROUP BY ALL
) FULL JOIN (
    SELECT dimension, member, count(days) AS gaps, count(*) FILTER (days IS NULL) AS open_gaps, avg(days) AS mean_days,
        quantile_cont(days, 0.5) AS median_days, quantile_cont(days, 0.9) AS p90_days, max(days) AS maximum_days
    FROM told_gaps GROUP BY ALL
) USING (dimension, member)
"""
COHORT = """
WITH own AS (FROM receipts WHERE customer_status = 'identified' AND business_date < DATE '2026-03-12'),
persons AS (
    SELECT customer_id, date_trunc('month', min(business_date))::DATE AS cohort_month FROM own WHERE is_basket GROUP BY 1
),
sizes AS (SELECT cohort_month, count(*) AS cohort_size FROM persons GROUP BY 1),
cells AS (
    SELECT cohort_month, datediff('month', cohort_month, business_date) AS month_number,
        count(DISTINCT customer_id) FILTER (is_basket) AS active, sum(revenue_amount) AS revenue
    FROM own JOIN persons USING (customer_id) GROUP BY ALL
),
grid AS (FROM sizes, (SELECT unnest(range(0, 5)) AS month_number))
SELECT cohort_month, month_number::INT, cohort_size, CASE WHEN is_told THEN coalesce(active, 0) END,
    CASE WHEN is_told THEN coalesce(revenue, 0) END::DECIMAL(18,2), begins = DATE '2026-03-01'
FROM (SELECT *, (cohort_month + to_months(month_number::INT))::DATE AS begins, begins < DATE '2026-03-12' AS is_told FROM grid)
LEFT JOIN cells USING (cohort_month, month_number)
"""
RETENTION = """
WITH active AS (
    SELECT DISTINCT customer_id, branch_id, date_trunc('month', business_date)::DATE AS period FROM receipts
    WHERE is_basket AND customer_status = 'identified' AND business_date < DATE '2026-03-12'
)
SELECT period, branch_id, count(*), count(*) FILTER (EXISTS (
        FROM active b WHERE b.customer_id = a.customer_id AND b.branch_id = a.branch_id AND b.period = a.period + to_months(1))),
    count(*) FILTER (EXISTS (FROM active b WHERE b.customer_id = a.customer_id AND b.period = a.period + to_months(1)))
FROM active a WHERE period + to_months(1) < DATE '2026-03-12' GROUP BY ALL
"""
AFFINITY = """
WITH baskets AS (FROM receipts WHERE is_basket AND business_date >= DATE '2026-03-12' - 60 AND business_date < DATE '2026-03-12'),
items AS (SELECT DISTINCT receipt_key, product_id FROM lines SEMI JOIN baskets USING (receipt_key) WHERE NOT is_return),
counts AS (SELECT product_id, count(*) AS n FROM items GROUP BY 1 HAVING n >= 5),
pairs AS (
    SELECT a.product_id AS pa, b.product_id AS pb, count(*) AS n FROM items a JOIN items b USING (receipt_key)
    WHERE pa < pb GROUP BY ALL HAVING n >= 3
)
SELECT pa, pb, a.n, b.n, pairs.n, (SELECT count(*) FROM baskets),
    pairs.n::DOUBLE * (SELECT count(*) FROM baskets) / (a.n * b.n)
FROM pairs JOIN counts a ON a.product_id = pa JOIN counts b ON b.product_id = pb
"""


def made(seed: int) -> tuple[Rows, Rows]:
    """Receipts and lines; no two receipts begin at the same instant."""
    rng = random.Random(seed)
    receipts: Rows = []
    lines: Rows = []
    for number in range(700):
        on = FIRST + timedelta(days=int(rng.triangular(0, 130, 40)))
        status = rng.choices(["identified", "anonymous", "unclear"], [8, 1, 1])[0]
        is_return = rng.random() < 0.1
        sign = -1 if is_return else 1
        receipts.append(
            {
                "receipt_key": f"r{number:04}", "customer_id": f"c{int(rng.triangular(0, 150, 0))}",
                "customer_status": status, "business_date": on, "branch_id": rng.choice("ABC"), "currency": "EUR",
                "started_at": datetime.combine(on, time(8), UTC) + timedelta(seconds=number), "is_basket": not is_return,
                "revenue_amount": Decimal(sign * rng.randrange(100, 9999)) / 100,
            }
        )  # fmt: skip
        if status != "identified":
            receipts[-1]["customer_id"] = None
        for line in range(rng.randrange(0, 7)):
            product = f"p{int(rng.triangular(0, 14, 2)):02}"
            lines.append(
                {
                    "receipt_key": f"r{number:04}", "line_number": line, "business_date": on, "product_id": product,
                    "line_type": "ITEM", "is_return": is_return,
                }
            )  # fmt: skip
    return receipts, lines


@pytest.fixture(scope="module")
def rows() -> tuple[Rows, Rows]:
    return made(4)


@pytest.fixture(scope="module")
def lake(rows: tuple[Rows, Rows]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for name, frame in zip(("receipts", "lines"), map(pd.DataFrame, rows), strict=True):
        frame["business_date"] = pd.to_datetime(frame["business_date"])
        connection.register("_given", frame)
        connection.execute(f"CREATE TABLE {name} AS SELECT * REPLACE (business_date::DATE AS business_date) FROM _given")
    return connection


@pytest.fixture(scope="module")
def star(spark: SparkSession, rows: tuple[Rows, Rows]) -> Mapping[str, DataFrame]:
    receipts, lines = filled(spark, gold.FCT_RECEIPT, rows[0]), filled(spark, gold.FCT_SALE_LINE, rows[1])
    branches, customers = filled(spark, gold.DIM_BRANCH, []), filled(spark, gold.DIM_CUSTOMER, [])
    products = filled(spark, gold.DIM_PRODUCT, [])
    visits = to_visits(receipts, as_of=AS_OF).localCheckpoint()
    days = to_purchase_days(visits)
    buyers = to_buyers(visits, days, to_first_products(visits, lines, products), branches, customers).localCheckpoint()
    return {
        "repurchase": to_kpi_repurchase(days, buyers, as_of=AS_OF, windows=(20,)),
        "cohort": to_kpi_cohort(visits, buyers, as_of=AS_OF),
        "retention": to_kpi_retention(visits, buyers, branches, as_of=AS_OF, every="month"),
        "affinity": to_product_affinity(receipts, lines, products, RULES, as_of=AS_OF),
    }


def expected(lake: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    found = sorted((rounded(row) for row in lake.sql(query).fetchall()), key=str)
    assert len(found) > 2
    return found


def rounded(row: Sequence[Any]) -> tuple[Any, ...]:
    """Ratios to nine places."""
    return tuple(round(float(value), 9) if isinstance(value, float | Decimal) else value for value in row)


def test_repurchase_is_that_of_duckdb(star: Mapping[str, DataFrame], lake: duckdb.DuckDBPyConnection) -> None:
    of: dict[tuple[str, str], dict[int | None, Any]] = {}
    for row in star["repurchase"].where("dimension IN ('all', 'branch')").collect():
        of.setdefault((row["dimension"], row["member"]), {})[row["window_days"]] = row
    found = [
        (
            *key, *(rows[None][name] for name in ("buyers", "repeat_buyers", "repeat_date_buyers")),
            rows[20]["buyers"], rows[20]["repeat_buyers"],
            *(rows[None][name] for name in ("median_purchases", "gaps", "open_gaps", "mean_days_to_next")),
            *(rows[None][name] for name in ("median_days_to_next", "p90_days_to_next", "maximum_days_to_next")),
        )
        for key, rows in of.items()
    ]  # fmt: skip
    assert sorted(map(rounded, found), key=str) == expected(lake, REPURCHASE)


def test_cohorts_are_those_of_duckdb(star: Mapping[str, DataFrame], lake: duckdb.DuckDBPyConnection) -> None:
    names = ("cohort_month", "month_number", "cohort_size", "active_customers", "revenue", "is_partial")
    found = star["cohort"].where("dimension = 'all'").select(*names).collect()
    assert sorted(map(rounded, found), key=str) == expected(lake, COHORT)


def test_retention_of_branches_is_that_of_duckdb(star: Mapping[str, DataFrame], lake: duckdb.DuckDBPyConnection) -> None:
    names = ("from_period", "member", "active_before", "active_both", "active_both_anywhere")
    found = star["retention"].where("dimension = 'branch'").select(*names).collect()
    assert sorted(map(rounded, found), key=str) == expected(lake, RETENTION)


def test_affinity_is_that_of_duckdb(star: Mapping[str, DataFrame], lake: duckdb.DuckDBPyConnection) -> None:
    names = ("product_a", "product_b", "receipts_a", "receipts_b", "receipts_both", "receipts_all", "lift")
    found = star["affinity"].select(*names).collect()
    assert sorted(map(rounded, found), key=str) == expected(lake, AFFINITY)
