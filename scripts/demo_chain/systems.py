"""Five till systems for the branches, and what all of their documents need: tax rates, tenders, numbers that any run repeats."""

from __future__ import annotations

import duckdb

from demo_chain.base import CLOUD_TILL, ERP

DSFINVK = "dsfinvk"
POSLOG = "poslog"
DAY_TOTALS = "day_totals"
# The sources that deliver the systems' receipts, as conf names them.
SOURCES = {
    ERP: "erp_sales", CLOUD_TILL: "cloud_till_sales", DSFINVK: "dsfinvk", POSLOG: "poslog", DAY_TOTALS: "category_totals",
}  # fmt: skip
BY_SIZE = (ERP, DSFINVK, CLOUD_TILL, POSLOG, DAY_TOTALS, ERP, CLOUD_TILL, ERP, CLOUD_TILL, ERP)
BY_SIZE_UNTIL = 60  # the largest branches share all systems; the many small ones keep what they have in the plain chain
FOOD = (
    "GROCERY", "PRODUCE", "MEAT", "MEAT-PCKGD", "DELI", "PASTRY", "SEAFOOD", "SEAFOOD-PCKGD", "NUTRITION", "SALAD BAR",
    "FROZEN GROCERY", "CHEF SHOPPE",
)  # fmt: skip


def assign_systems(con: duckdb.DuckDBPyConnection, seed: int) -> None:
    """Give the largest branches one of five systems by their rank, whatever is selected, and prepare what is drawn by lot."""
    con.execute(f"CREATE MACRO draw(what, key, n) AS CAST('0x' || left(md5('{seed}:' || what || ':' || key), 8) AS BIGINT) % n")
    con.execute(
        """
        CREATE MACRO till(branch_id, register) AS branch_id || '-' || register;
        CREATE MACRO closing(local_at) AS 1000 + (CAST(local_at AS DATE) - DATE '2016-12-31');
        CREATE MACRO receipt_path(system, branch_id, register, local_at, basket_id) AS concat_ws('/', branch_id,
            CASE system WHEN 'dsfinvk' THEN till(branch_id, register) ELSE CAST(register AS VARCHAR) END,
            CASE system WHEN 'dsfinvk' THEN CAST(closing(local_at) AS VARCHAR)
                WHEN 'poslog' THEN CAST(CAST(local_at AS DATE) AS VARCHAR) ELSE '-' END, basket_id);
        """
    )
    con.execute(
        """
        UPDATE branches SET system = $1[1 + ranked.size_rank % len($1)]
        FROM (
            SELECT store_id, row_number() OVER (ORDER BY count(DISTINCT basket_id) DESC, store_id) - 1 AS size_rank
            FROM transactions GROUP BY store_id
        ) ranked
        WHERE ranked.store_id = branches.store_id AND size_rank < $2
        """,
        [list(BY_SIZE), BY_SIZE_UNTIL],
    )
    con.execute(
        """
        CREATE TABLE planted (
            kind VARCHAR, source VARCHAR, branch_id VARCHAR, business_date DATE, register VARCHAR, receipt_id VARCHAR,
            line_number INTEGER, amount BIGINT, fate VARCHAR, refers_to VARCHAR, revenue BIGINT DEFAULT 0,
            returned BIGINT DEFAULT 0, receipts INTEGER DEFAULT 0, baskets INTEGER DEFAULT 0,
            identified BIGINT DEFAULT 0, excluded BIGINT DEFAULT 0
        )
        """
    )
    con.execute("CREATE TABLE faults (rule VARCHAR, source VARCHAR, record_key VARCHAR)")
    con.execute(
        "CREATE TABLE systems AS SELECT unnest($1) AS system, unnest($2) AS source", [list(SOURCES), list(SOURCES.values())]
    )


def load_details(con: duckdb.DuckDBPyConnection) -> None:
    """Give each line its tax by the product's rate (standard 19 %, reduced 7 % for food), and each receipt its tenders."""
    con.execute(
        """
        CREATE TABLE rates AS
        SELECT product_id, CASE WHEN department IN (SELECT unnest($1)) THEN 2 ELSE 1 END AS rate_key FROM products
        """,
        [list(FOOD)],
    )
    con.execute(
        """
        CREATE MACRO rate_of(rate_key) AS CASE rate_key WHEN 1 THEN 19 WHEN 2 THEN 7 ELSE 0 END;
        CREATE MACRO net_of(amount, rate_key) AS
            CAST(sign(amount) * ((abs(amount) * 200 + 100 + rate_of(rate_key)) // (2 * (100 + rate_of(rate_key)))) AS BIGINT);
        CREATE TABLE taxed AS
        SELECT lines.*, net_of(amount, rate_key) AS net
        FROM (
            SELECT lines.*, CASE
                WHEN line_type IN ('ITEM', 'DEPOSIT', 'DEPOSIT_REFUND') THEN coalesce(rates.rate_key, 1) ELSE 5
            END AS rate_key
            FROM lines LEFT JOIN rates USING (product_id)
            WHERE basket_id IN (SELECT basket_id FROM receipts WHERE system IN ('dsfinvk', 'poslog'))
        ) lines
        """
    )
    con.execute(
        """
        CREATE TABLE payments AS
        WITH totals AS (
            SELECT basket_id, week, delay, system, kind, sum(amount) AS total, sum(coupon) AS coupon,
                   draw('tender', basket_id, 20) AS lot
            FROM receipts JOIN taxed USING (basket_id, week, delay) GROUP BY ALL
        ), parted AS (
            SELECT *, kind IN ('TRAINING', 'CANCELLED', 'ABORTED') AS is_unpaid,
                   CASE WHEN coupon > 0 AND coupon < total THEN coupon ELSE 0 END AS by_coupon FROM totals
        ), owed AS (
            SELECT *, CASE WHEN lot = 19 AND total - by_coupon > 1000 AND NOT is_unpaid THEN 500 ELSE 0 END AS by_card FROM parted
        )
        SELECT basket_id, week, delay, unnest([
            {number: 1, tender: CASE
                WHEN is_unpaid THEN 'NONE' WHEN lot < 8 OR kind = 'CASH' THEN 'CASH' WHEN lot < 15 THEN 'DEBIT'
                WHEN lot < 18 THEN 'CREDIT' ELSE 'EWALLET'
            END, amount: CASE WHEN is_unpaid THEN 0 ELSE total - by_coupon - by_card END},
            {number: 2, tender: 'COUPON', amount: by_coupon},
            {number: 3, tender: 'GIFT_CARD', amount: by_card}
        ], recursive := true)
        FROM owed
        """
    )
    con.execute("DELETE FROM payments WHERE number > 1 AND amount = 0")
