"""What a correct reading of the deliveries must arrive at."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import duckdb


def write_truth(con: duckdb.DuckDBPyConnection, truth: Path) -> None:
    """Write what the deliveries must add up to, computed from the data and not from the deliveries."""
    con.execute(
        """
        CREATE TABLE sold AS
        SELECT store_id, household_id, basket_id, product_id, cents(sales_value) AS revenue,
               cents(retail_disc) + cents(coupon_match_disc) AS discount, cents(coupon_disc) AS coupon,
               cents(coupon_match_disc) AS promotion,
               CAST(transaction_timestamp AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York' AS DATE) AS business_date
        FROM transactions
        WHERE week IN (SELECT week FROM weeks) AND store_id IN (SELECT store_id FROM branches)
        """
    )
    totals = con.execute(
        """
        SELECT money(sum(revenue)) AS revenue, count(*) AS lines, count(DISTINCT basket_id) AS baskets,
               count(DISTINCT household_id) AS households, count(DISTINCT store_id) AS branches,
               count(DISTINCT business_date) AS business_dates,
               count(DISTINCT (store_id, business_date)) AS branch_days, count(DISTINCT product_id) AS products_sold,
               (SELECT count(DISTINCT product_id) FROM sold ANTI JOIN products USING (product_id))
                   AS products_without_master,
               money(sum(discount)) AS discount, money(sum(promotion)) AS promotion, money(sum(coupon)) AS manufacturer_coupon,
               (SELECT count(*) FROM (SELECT basket_id FROM sold GROUP BY basket_id HAVING sum(revenue) = 0))
                   AS zero_value_baskets,
               CAST(min(business_date) AS VARCHAR) AS first_business_date,
               CAST(max(business_date) AS VARCHAR) AS last_business_date
        FROM sold
        """
    )
    names = [column[0] for column in totals.description]
    write_json(truth / "totals.json", dict(zip(names, totals.fetchall()[0], strict=True)))
    tables = {
        "branch_revenue.csv": """
            SELECT 'F' || store_id AS branch_id, money(sum(revenue)) AS revenue,
                   count(DISTINCT basket_id) AS baskets, count(DISTINCT household_id) AS households
            FROM sold GROUP BY store_id ORDER BY store_id""",
        "branch_day_revenue.csv": """
            SELECT 'F' || store_id AS branch_id, CAST(business_date AS VARCHAR) AS business_date,
                   money(sum(revenue)) AS revenue, count(DISTINCT basket_id) AS baskets
            FROM sold GROUP BY store_id, sold.business_date ORDER BY store_id, sold.business_date""",
        "cards.csv": """
            SELECT card_number, household_id
            FROM cards SEMI JOIN sold USING (household_id) ORDER BY household_id""",
    }
    for name, query in tables.items():
        write_table(con, truth / name, query)


def write_table(con: duckdb.DuckDBPyConnection, path: Path, query: str) -> None:
    """Write the rows of a query as CSV."""
    rows = con.execute(query)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(column[0] for column in rows.description)
        writer.writerows(rows.fetchall())


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write an object with its keys in the given order."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
