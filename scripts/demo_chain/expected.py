"""What the whole chain must come out as: the purchases as they are, and on top of them what was planted."""

from __future__ import annotations

from pathlib import Path

import duckdb

from demo_chain.returns import mark_decidable
from demo_chain.truth import write_table

BRANCH_DAYS = """
    WITH bought AS (
        SELECT 'F' || store_id AS branch_id, business_date, sum(revenue) AS revenue, 0 AS returned,
               count(DISTINCT CASE WHEN system <> 'day_totals' THEN basket_id END) AS receipts,
               count(DISTINCT CASE WHEN system <> 'day_totals' THEN basket_id END) AS baskets,
               sum(CASE WHEN system <> 'day_totals' THEN revenue ELSE 0 END) AS identified, 0 AS excluded, true AS counts
        FROM sold JOIN branches USING (store_id) GROUP BY ALL
    ), changed AS (
        SELECT branch_id, business_date, sum(revenue) AS revenue, sum(returned) AS returned, sum(receipts) AS receipts,
               sum(baskets) AS baskets, sum(identified) AS identified, sum(excluded) AS excluded, sum(receipts) > 0 AS counts
        FROM planted WHERE branch_id IS NOT NULL GROUP BY ALL
    )
    SELECT branch_id, CAST(business_date AS VARCHAR) AS business_date, money(sum(revenue)) AS revenue,
           money(sum(returned)) AS return_amount, sum(receipts) AS receipts, sum(baskets) AS baskets,
           money(sum(identified)) AS identified_revenue, money(sum(excluded)) AS excluded_amount
    FROM (SELECT * FROM bought UNION ALL BY NAME SELECT * FROM changed)
    GROUP BY branch_id, business_date HAVING bool_or(counts) ORDER BY branch_id, business_date"""
PLANTED = """
    SELECT kind, source, branch_id, business_date, register, receipt_id, line_number, money(amount) AS amount, fate, refers_to,
           money(revenue) AS revenue_change, money(returned) AS return_change, receipts AS receipts_change,
           baskets AS baskets_change, money(identified) AS identified_change, money(excluded) AS excluded_amount
    FROM planted ORDER BY kind, source, business_date, branch_id, receipt_id, line_number"""
# What is wrong without having been planted: products without master data, product groups of the totals for which nothing is
# delivered that says what they are in the chain, a basket in the hour that comes twice, and two equal baskets within ten seconds.
FOUND = """
    INSERT INTO faults
    SELECT DISTINCT 'product_unknown', NULL, CAST(product_id AS VARCHAR)
    FROM lines ANTI JOIN products USING (product_id)
    SEMI JOIN (SELECT basket_id FROM receipts WHERE system <> 'day_totals') USING (basket_id)
    WHERE product_id IS NOT NULL
    UNION ALL
    SELECT DISTINCT 'category_unknown', 'category_totals', 'category_totals:' || category FROM day_totals
    UNION ALL
    SELECT DISTINCT 'time_ambiguous', source, receipt_path(system, branch_id, register, local_at, basket_id)
    FROM receipts JOIN systems USING (system)
    WHERE local_at >= TIMESTAMP '2017-11-05 01:00:00' AND local_at < TIMESTAMP '2017-11-05 02:00:00'
      AND (system = 'erp' OR system = 'dsfinvk' AND draw('style', branch_id, 2) = 0)
    UNION ALL
    SELECT DISTINCT 'suspected_duplicate', one.source,
           receipt_path(one.system, one.branch_id, one.register, one.local_at, one.basket_id)
    FROM baskets one JOIN baskets other USING (branch_id, register, card_number, content)
    WHERE one.basket_id <> other.basket_id AND abs(epoch(one.completed_at) - epoch(other.completed_at)) <= 10"""
BASKETS = """
    CREATE TABLE baskets AS
    SELECT DISTINCT basket_id, system, source, branch_id, register, card_number, completed_at, local_at, content
    FROM receipts JOIN systems USING (system) JOIN (
        SELECT basket_id, week, delay, list_sort(list(concat_ws(':', product_id, quantity, amount, discount))) AS content
        FROM lines GROUP BY ALL
    ) USING (basket_id, week, delay)
    WHERE system <> 'day_totals' AND kind IN ('SALE', 'RETURN', 'REVERSAL')
      AND basket_id NOT IN (SELECT basket_id FROM receipts WHERE kind = 'DELETED')"""
PAYMENTS = """
    SELECT source, branch_id, CASE WHEN source = 'dsfinvk' AND tender = 'COUPON' THEN 'OTHER' ELSE tender END AS tender_type,
           money(sum(amount)) AS amount
    FROM (SELECT DISTINCT basket_id, system, branch_id, number, tender, amount FROM payments JOIN receipts USING (basket_id))
    JOIN systems USING (system) WHERE amount <> 0 GROUP BY ALL ORDER BY ALL"""
TAXES = """
    SELECT branch_id, CAST(business_date AS VARCHAR) AS business_date, rate_of(rate_key) AS rate,
           money(sum(amount)) AS gross_amount, money(sum(net)) AS net_amount,
           money(sum(amount) - sum(net)) AS tax_amount
    FROM (SELECT DISTINCT ON (basket_id, position) basket_id, position, rate_key, amount, net FROM taxed)
    JOIN (SELECT DISTINCT basket_id, branch_id, CAST(local_at AS DATE) AS business_date FROM receipts
          WHERE system = 'dsfinvk' AND kind IN ('SALE', 'RETURN', 'REVERSAL')) USING (basket_id)
    GROUP BY ALL ORDER BY ALL"""
HOTSPOTS = """
    SELECT hotspots.branch_id, hotspots.department AS category_l1, first_week, last_week,
           count(return_id) AS lines_returned, money(coalesce(sum(amount), 0)) AS return_amount
    FROM hotspots LEFT JOIN returned ON is_hot AND returned.original_branch_id = hotspots.branch_id
         AND returned.department = hotspots.department
    GROUP BY ALL ORDER BY ALL"""
RETURNS = """
    SELECT source, branch_id, receipt_id, line_number, original_branch_id, original_id, original_line, money(amount) AS amount,
           has_reference, branch_id <> original_branch_id AS is_elsewhere, card_number = '' AS is_anonymous,
           coalesce(candidates, 0) AS candidates, NOT has_reference AND coalesce(candidates = 1, false) AS is_decidable
    FROM came_back JOIN systems USING (system) LEFT JOIN candidates_of_returns USING (receipt_id, line_number)
    ORDER BY receipt_id, line_number"""
LATE = """
    SELECT DISTINCT source, branch_id, CAST(business_date AS VARCHAR) AS business_date, 'late' AS delivery_status
    FROM planted WHERE kind = 'late_delivery' ORDER BY ALL"""


def write_expected(con: duckdb.DuckDBPyConnection, truth: Path) -> None:
    """Write each planted document with its fate, and the figures that follow."""
    con.execute(BASKETS)
    con.execute(FOUND)
    mark_decidable(con)
    for name, query in {
        "planted.csv": PLANTED,
        "expected_branch_day.csv": BRANCH_DAYS,
        "expected_exceptions.csv": "SELECT rule, source, record_key FROM faults ORDER BY ALL",
        "expected_payments.csv": PAYMENTS,
        "expected_taxes.csv": TAXES,
        "expected_deliveries.csv": LATE,
        "return_hotspots.csv": HOTSPOTS,
        "returns.csv": RETURNS,
        "branches.csv": "SELECT branch_id, source, region, place FROM branches JOIN systems USING (system) ORDER BY store_id",
    }.items():
        write_table(con, truth / name, query)
