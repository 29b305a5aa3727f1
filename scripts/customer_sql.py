"""What is known of each customer once more, in DuckDB SQL over the star of gold; written apart from tillhouse.insight.

Registered in the connection: fct_receipt, fct_sale_line, fct_return, dim_product, dim_branch, dim_customer. Ratios are doubles.
What comes from tickets, contacts and open items is not told.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import duckdb

STAR = ("fct_receipt", "fct_sale_line", "fct_return", "dim_product", "dim_branch", "dim_customer", "customer_state")
ONLINE = ("online", "web", "app", "shop", "ecommerce", "phone")
# Columns of the relation that hold ratios: to be compared with a tolerance, all others exactly.
RATIOS = (
    "mean_gap_days", "average_basket", "discount_share", "return_rate", "favourite_category_share",
)  # fmt: skip

_FIELDS = """
WITH visit AS (
    SELECT *, revenue_amount + return_amount AS before_returns, coalesce(lower(channel) IN ({online}), false) AS is_online
    FROM fct_receipt WHERE customer_id IS NOT NULL AND business_date < {as_of}
), purchase AS (
    FROM visit WHERE is_basket
), money AS (
    SELECT DISTINCT ON (customer_id) customer_id, currency FROM (
        SELECT customer_id, currency, count(*) FILTER (is_basket) AS purchases, count(*) AS receipts FROM visit GROUP BY ALL
    ) ORDER BY customer_id, purchases DESC, receipts DESC, currency
), amounts AS (
    SELECT customer_id, any_value(currency) AS currency, sum(revenue_amount) AS revenue_total, sum(before_returns) AS sales_total,
        max(before_returns) FILTER (is_basket) AS largest_basket, sum(discount_amount) AS discount_amount,
        sum(return_amount) AS return_amount
    FROM visit SEMI JOIN money USING (customer_id, currency) GROUP BY customer_id
), counts AS (
    SELECT customer_id, min(business_date) AS first_purchase_date, min(receipt_key) AS smallest_receipt_key,
        max(business_date) AS last_purchase_date, count(*) AS purchase_count,
        count(DISTINCT business_date) AS purchase_dates, count(*) FILTER (is_online) AS online_count,
        count(DISTINCT ({as_of} - business_date - 1) // 7) FILTER (business_date >= {as_of} - 91)
            AS active_weeks_13,
        CASE WHEN bool_and(is_online) THEN 'online' WHEN bool_or(is_online) THEN 'both' ELSE 'store' END AS channels
    FROM purchase GROUP BY customer_id
), branches AS (
    SELECT customer_id, branch_id, count(*) AS purchases, max((business_date, started_at)) AS latest,
        count(*) FILTER (business_date >= {as_of} - INTERVAL 12 MONTH) AS purchases_12
    FROM purchase GROUP BY ALL
), favourite_branch AS (
    SELECT DISTINCT ON (customer_id) customer_id, branch_id AS favourite_branch_id FROM branches
    ORDER BY customer_id, purchases DESC, latest DESC, branch_id
), home AS (
    SELECT DISTINCT ON (customer_id) customer_id, branch_id AS home_branch_id FROM branches WHERE purchases_12 > 0
    ORDER BY customer_id, purchases_12 DESC, latest DESC, branch_id
), region AS (
    SELECT branch_id AS home_branch_id, region AS home_region FROM dim_branch
    WHERE valid_from < {as_of} AND (valid_to IS NULL OR valid_to >= {as_of})
), days AS (
    SELECT DISTINCT customer_id, business_date FROM purchase
), gaps AS (
    SELECT customer_id, business_date - lag(business_date) OVER (PARTITION BY customer_id ORDER BY business_date) AS gap FROM days
), rhythm AS (
    SELECT customer_id, count(gap) AS gap_count, quantile_cont(gap, 0.5) AS median_gap_days, avg(gap) AS mean_gap_days
    FROM gaps GROUP BY customer_id
), weekday AS (
    SELECT DISTINCT ON (customer_id) customer_id, favourite_weekday FROM (
        SELECT customer_id, isodow(business_date) AS favourite_weekday, count(*) AS purchases FROM purchase GROUP BY ALL
    ) ORDER BY customer_id, purchases DESC, favourite_weekday
), channel AS (
    SELECT DISTINCT ON (customer_id) customer_id, favourite_channel FROM (
        SELECT customer_id, channel AS favourite_channel, count(*) AS purchases FROM purchase
        WHERE channel IS NOT NULL GROUP BY ALL
    ) ORDER BY customer_id, purchases DESC, favourite_channel
), category AS (
    SELECT DISTINCT ON (customer_id) customer_id, favourite_category, category_revenue FROM (
        SELECT v.customer_id, p.category_l1 AS favourite_category, sum(l.gross_amount) AS category_revenue
        FROM visit v SEMI JOIN money m ON v.customer_id = m.customer_id AND v.currency = m.currency
        JOIN fct_sale_line l ON l.receipt_key = v.receipt_key JOIN dim_product p ON p.product_key = l.product_key
        WHERE l.is_revenue AND p.category_l1 IS NOT NULL GROUP BY ALL HAVING category_revenue > 0
    ) ORDER BY customer_id, category_revenue DESC, favourite_category
), returned AS (
    SELECT v.customer_id, r.reason, count(*) AS lines, -sum(r.gross_amount) AS amount
    FROM visit v JOIN fct_return r ON r.receipt_key = v.receipt_key GROUP BY ALL
), returns AS (
    SELECT customer_id, sum(lines)::BIGINT AS return_count FROM returned GROUP BY customer_id
), reason AS (
    SELECT DISTINCT ON (customer_id) customer_id, reason AS main_return_reason FROM returned WHERE reason IS NOT NULL
    ORDER BY customer_id, lines DESC, amount DESC, reason
), person AS (
    SELECT customer_id, customer_type, age_band, postal_area, country, language FROM dim_customer
    WHERE valid_from < {as_of} AND (valid_to IS NULL OR valid_to >= {as_of})
), rank AS (
    SELECT customer_id,
        ntile(5) OVER (ORDER BY last_purchase_date, first_purchase_date, smallest_receipt_key) AS recency_score,
        ntile(5) OVER (ORDER BY purchase_count, first_purchase_date, smallest_receipt_key) AS frequency_score,
        ntile(5) OVER (ORDER BY revenue_total, first_purchase_date, smallest_receipt_key) AS monetary_score
    FROM counts JOIN amounts USING (customer_id)
)
SELECT {as_of} AS as_of, customer_id, customer_type, age_band, postal_area, country, language, home_branch_id, home_region,
    favourite_branch_id, currency, first_purchase_date, smallest_receipt_key, last_purchase_date,
    {as_of} - last_purchase_date AS inactivity_days, {as_of} - first_purchase_date AS tenure_days,
    coalesce(purchase_count, 0) AS purchase_count, coalesce(purchase_dates, 0) AS purchase_dates,
    coalesce(active_weeks_13, 0) AS active_weeks_13, coalesce(gap_count, 0) AS gap_count, median_gap_days, mean_gap_days,
    revenue_total, sales_total, sales_total / nullif(purchase_count, 0) AS average_basket, largest_basket, discount_amount,
    discount_amount / nullif(sales_total + discount_amount, 0) AS discount_share, coalesce(return_count, 0) AS return_count,
    return_amount, return_amount / nullif(sales_total, 0) AS return_rate, main_return_reason, favourite_category,
    CASE WHEN revenue_total > 0 THEN category_revenue / revenue_total END AS favourite_category_share,
    favourite_weekday, favourite_channel, channels, coalesce(online_count, 0) AS online_count, recency_score, frequency_score,
    monetary_score
FROM amounts LEFT JOIN counts USING (customer_id) LEFT JOIN home USING (customer_id) LEFT JOIN region USING (home_branch_id)
    LEFT JOIN favourite_branch USING (customer_id) LEFT JOIN rhythm USING (customer_id) LEFT JOIN weekday USING (customer_id)
    LEFT JOIN channel USING (customer_id) LEFT JOIN category USING (customer_id) LEFT JOIN returns USING (customer_id)
    LEFT JOIN reason USING (customer_id) LEFT JOIN person USING (customer_id) LEFT JOIN rank USING (customer_id)
"""


def fields_of(con: duckdb.DuckDBPyConnection, as_of: date, online: Sequence[str] = ONLINE) -> duckdb.DuckDBPyRelation:
    """The columns of gold.customer_state that come from receipts, lines, returns and dimensions: one row per customer."""
    return con.sql(fields_sql(f"DATE '{as_of}'", online))


def fields_sql(as_of: str, online: Sequence[str] = ONLINE) -> str:
    """The query of ``fields_of``; ``as_of``: SQL of a date."""
    return _FIELDS.format(as_of=as_of, online=", ".join(f"'{name}'" for name in online))


def differing(con: duckdb.DuckDBPyConnection, as_of: date) -> dict[str, int]:
    """How many customers are told otherwise in customer_state, by column; ``customer_id``: who is in one of both alone."""
    con.register("_told", fields_of(con, as_of).to_arrow_table())
    con.execute(f"""
        CREATE OR REPLACE TEMP VIEW _state AS
        FROM customer_state WHERE as_of = DATE '{as_of}'
            AND customer_id IN (SELECT customer_id FROM fct_receipt WHERE business_date < DATE '{as_of}')
    """)
    names = [name for name in con.table("_told").columns if name not in {"as_of", "customer_id"}]
    same = {
        name: f"s.{name}::DOUBLE IS NOT DISTINCT FROM t.{name} OR abs(s.{name}::DOUBLE - t.{name}) < 1e-9"
        if name in RATIOS
        else f"s.{name} IS NOT DISTINCT FROM t.{name}"
        for name in names
    }
    counts = ", ".join(f"count_if(NOT coalesce({condition}, false))" for condition in same.values())
    found = con.sql(f"SELECT {counts} FROM _state s JOIN _told t USING (customer_id)").fetchall()[0]
    both = "_state s FULL JOIN _told t USING (customer_id)"
    [[alone]] = con.sql(f"SELECT count(*) FROM {both} WHERE s.as_of IS NULL OR t.as_of IS NULL").fetchall()
    return {name: count for name, count in zip(("customer_id", *names), (alone, *found), strict=True) if count}
