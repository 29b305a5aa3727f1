"""Planted returns: of lines that were really sold, days later, with hotspots for some product groups, branches and weeks."""

from __future__ import annotations

import duckdb

FIRST_ID = 90_100_000_000
WINDOW_DAYS = 30  # of conf/returns.yml
USUAL, HOT = 4, 250  # of 1000 lines that are eligible
GROUPS = ("PRODUCE", "DRUG GM", "MEAT-PCKGD", "DELI", "MEAT", "PASTRY")
HOTSPOTS = 3


def plant_returns(con: duckdb.DuckDBPyConnection) -> None:
    """Add a receipt for each returned line; DSFinV-K and POSLog mostly refer to the purchase, the others have no such field."""
    choose_hotspots(con)
    choose_lines(con)
    con.execute(
        """
        INSERT INTO receipts BY NAME
        SELECT week, 0 AS delay, return_id AS basket_id, system, branch_id, card_number, completed_at, local_at,
               'RETURN' AS kind, 0 AS misstated, register,
               CASE WHEN has_reference THEN original_id END AS refers_to,
               CASE WHEN has_reference THEN position END AS refers_to_line
        FROM returned
        """
    )
    con.execute(
        """
        INSERT INTO lines BY NAME
        SELECT week, return_id AS basket_id, product_id, -1 AS quantity, -amount AS amount, 0 AS discount,
               0 AS promotion_discount, 0 AS coupon, 1 AS position, 0 AS delay, 'ITEM' AS line_type, false AS is_void
        FROM returned
        """
    )
    con.execute(
        """
        INSERT INTO planted BY NAME
        SELECT CASE
                   WHEN branch_id <> original_branch_id AND has_reference THEN 'return_in_other_branch'
                   WHEN branch_id <> original_branch_id THEN 'return_in_other_branch_without_reference'
                   WHEN has_reference THEN 'return_with_reference'
                   ELSE 'return_without_reference'
               END AS kind,
               source, branch_id, CAST(local_at AS DATE) AS business_date, register, return_id AS receipt_id,
               1 AS line_number, -amount AS amount, 'counts as a return' AS fate,
               original_branch_id || '/' || original_id || '/' || position AS refers_to, -amount AS revenue,
               amount AS returned, 1 AS receipts,
               CASE WHEN card_number <> '' THEN -amount ELSE 0 END AS identified
        FROM returned JOIN systems USING (system)
        """
    )


def choose_hotspots(con: duckdb.DuckDBPyConnection) -> None:
    """Choose the largest branches with lines by lot, for each a product group, and up to four weeks in the middle."""
    con.execute(
        """
        CREATE TABLE hotspots AS
        WITH sizes AS (
            SELECT branch_id, count(*) AS baskets FROM receipts WHERE system <> 'day_totals' GROUP BY branch_id
        ), largest AS (
            SELECT branch_id FROM sizes ORDER BY baskets DESC, branch_id LIMIT 20
        ), chosen AS (
            SELECT branch_id, row_number() OVER (ORDER BY draw('hotspot', branch_id, 1000000), branch_id) AS number
            FROM largest
        )
        SELECT branch_id, $1[1 + (number - 1) % len($1)] AS department,
               1 + (weeks * number) // ($2 + 1) AS first_week,
               least(weeks, 4 + (weeks * number) // ($2 + 1)) AS last_week
        FROM chosen, (SELECT max(week) AS weeks FROM weeks) WHERE number <= $2
        """,
        [list(GROUPS), HOTSPOTS],
    )


def choose_lines(con: duckdb.DuckDBPyConnection) -> None:
    """Draw the lines that come back, and when and where: one to fourteen days later, sometimes in another branch."""
    con.execute(
        """
        CREATE TABLE returned AS
        WITH places AS (
            SELECT system, branch_id, time_zone, row_number() OVER (PARTITION BY system ORDER BY store_id) - 1 AS place,
                   count(*) OVER (PARTITION BY system) AS places
            FROM branches
        ), drawn AS (
            SELECT basket_id AS original_id, position, product_id, amount, department, week AS sold_week, system,
                   branch_id AS original_branch_id, card_number, completed_at AS sold_at, register AS sold_register,
                   basket_id || '/' || position AS line
            FROM lines JOIN receipts USING (basket_id, week, delay) JOIN products USING (product_id)
            WHERE system <> 'day_totals' AND quantity = 1 AND amount BETWEEN 100 AND 20000
        ), lots AS (
            SELECT drawn.*, hotspots.branch_id IS NOT NULL AS is_hot
            FROM drawn LEFT JOIN hotspots
            ON hotspots.branch_id = original_branch_id AND hotspots.department = drawn.department
               AND sold_week BETWEEN first_week AND last_week
            WHERE draw('return', line, 1000) < CASE WHEN hotspots.branch_id IS NULL THEN $1 ELSE $2 END
        ), moved AS (
            SELECT lots.*, CASE
                       WHEN system IN ('dsfinvk', 'poslog') AND draw('elsewhere', line, 100) < 15
                       THEN draw('branch', line, places) ELSE place
                   END AS return_place,
                   sold_at + to_days(CAST(1 + draw('days', line, 14) AS INTEGER)) AS completed_at,
                   1 + draw('register', line, 4) AS register,
                   system IN ('dsfinvk', 'poslog') AND draw('reference', line, 100) < 80 AS has_reference
            FROM lots JOIN places USING (system) WHERE places.branch_id = original_branch_id
        ), dated AS (
            SELECT moved.* EXCLUDE (return_place), places.branch_id,
                   completed_at AT TIME ZONE 'UTC' AT TIME ZONE time_zone AS local_at
            FROM moved JOIN places ON places.system = moved.system AND place = return_place
        )
        SELECT dated.*, $3 + row_number() OVER (ORDER BY original_id, position) AS return_id,
               1 + (CAST(local_at AS DATE) - DATE '2016-12-26') // 7 AS week
        FROM dated
        WHERE CAST(local_at AS DATE) <= (SELECT max(CAST(local_at AS DATE)) FROM receipts)
        """,
        [USUAL, HOT, FIRST_ID],
    )


def mark_decidable(con: duckdb.DuckDBPyConnection) -> None:
    """Say of each return how many purchases it may be of, as far as card, article, price and days tell; it comes after all else.

    What another return names is no candidate. Only where there is one candidate can a return without reference be decided.
    """
    con.execute(
        """
        CREATE TABLE bought AS
        WITH last AS (SELECT basket_id, max(delay) AS delay FROM receipts GROUP BY basket_id), sales AS (
            SELECT receipts.* FROM receipts SEMI JOIN last USING (basket_id, delay)
            WHERE kind = 'SALE' AND system <> 'day_totals'
        ), struck AS (SELECT DISTINCT basket_id, product_id FROM lines WHERE is_void)
        SELECT sales.basket_id, position, product_id, quantity, amount, sales.card_number, sales.completed_at, sales.local_at
        FROM lines JOIN sales USING (basket_id, week, delay) ANTI JOIN struck USING (basket_id, product_id)
        WHERE line_type = 'ITEM' AND quantity > 0
        """
    )
    con.execute(
        """
        CREATE TABLE came_back AS
        SELECT return_id AS receipt_id, 1 AS line_number, original_id, position AS original_line, product_id, amount,
               card_number, completed_at, local_at, branch_id, original_branch_id, system, has_reference
        FROM returned
        UNION ALL
        SELECT DISTINCT this.basket_id, lines.position, this.refers_to, lines.position, product_id, -amount, card_number,
               completed_at, local_at, branch_id, branch_id, system, true
        FROM receipts this JOIN lines USING (basket_id, week, delay) WHERE this.kind = 'REVERSAL'
        """
    )
    con.execute(
        """
        CREATE TABLE candidates_of_returns AS
        WITH named AS (
            SELECT original_id AS basket_id, original_line AS position, count(*) AS named FROM came_back
            WHERE has_reference GROUP BY ALL
        ), remaining AS (
            SELECT bought.* FROM bought LEFT JOIN named USING (basket_id, position) WHERE quantity > coalesce(named, 0)
        )
        SELECT receipt_id, line_number, count(DISTINCT remaining.basket_id) AS candidates
        FROM came_back JOIN remaining USING (card_number, product_id)
        WHERE card_number <> '' AND remaining.completed_at < came_back.completed_at
          AND CAST(came_back.local_at AS DATE) - CAST(remaining.local_at AS DATE) <= $1
          AND abs(remaining.amount - came_back.amount * quantity) <= quantity
        GROUP BY ALL
        """,
        [WINDOW_DAYS],
    )
