"""Planted matters that are no merchandise: anonymous receipts, deposits, vouchers, cash in the drawer, wrong totals."""

from __future__ import annotations

import duckdb

FIRST_ID = 90_300_000_000
ANONYMOUS_PERCENT = 8
DEPOSIT, VOUCHER, REDEEMED, DRAWER = 25, 2500, 1000, 20000


def plant_anonymous_receipts(con: duckdb.DuckDBPyConnection) -> None:
    """Take the card from some receipts; it comes first, so that returns are as anonymous as their purchase."""
    con.execute("UPDATE receipts SET card_number = '' WHERE draw('anonymous', basket_id, 100) < $1", [ANONYMOUS_PERCENT])
    con.execute(
        """
        INSERT INTO planted BY NAME
        SELECT 'anonymous_receipt' AS kind, source, branch_id, CAST(local_at AS DATE) AS business_date, register,
               basket_id AS receipt_id, amount, 'counts, without customer' AS fate, -amount AS identified
        FROM receipts JOIN systems USING (system)
        JOIN (SELECT basket_id, sum(amount) AS amount FROM lines GROUP BY basket_id) USING (basket_id)
        WHERE card_number = '' AND system <> 'day_totals'
        """
    )


def plant_extras(con: duckdb.DuckDBPyConnection) -> None:
    """Lines and documents that only DSFinV-K can name: none of them is revenue."""
    con.execute(
        """
        CREATE TABLE usual AS
        SELECT receipts.*, draw('extra', basket_id, 1000) AS lot, row_number() OVER (ORDER BY basket_id) AS number,
               last_position, total
        FROM receipts
        JOIN (SELECT basket_id, max(position) AS last_position, sum(amount) AS total FROM lines GROUP BY basket_id)
        USING (basket_id)
        WHERE system = 'dsfinvk' AND kind = 'SALE' AND basket_id < 90000000000 AND hour(local_at) BETWEEN 7 AND 21
        """
    )
    _line(con, "deposit", "lot < 60", "DEPOSIT", DEPOSIT)
    _line(con, "voucher_redeemed", "lot BETWEEN 60 AND 80 AND total >= 2000", "GIFTCARD_REDEEM", -REDEEMED)
    _document(con, "deposit_returned", "lot BETWEEN 100 AND 110", "DEPOSIT_REFUND", -4 * DEPOSIT)
    _document(con, "voucher_sold", "lot BETWEEN 120 AND 125", "GIFTCARD_SALE", VOUCHER)
    first = "number IN (SELECT min(number) FROM usual WHERE register = 1 GROUP BY branch_id, CAST(local_at AS DATE))"
    _document(con, "cash_in_drawer", first, "CASH_MOVE", DRAWER)


def _line(con: duckdb.DuckDBPyConnection, kind: str, chosen: str, line_type: str, amount: int) -> None:
    """One line more in real receipts."""
    con.execute(
        f"""
        INSERT INTO lines BY NAME
        SELECT week, delay, basket_id, 1 AS quantity, $1 AS amount, 0 AS discount, 0 AS promotion_discount, 0 AS coupon,
               last_position + 1 AS position, $2 AS line_type, false AS is_void
        FROM usual WHERE {chosen}
        """,
        [amount, line_type],
    )
    con.execute(
        f"""
        INSERT INTO planted BY NAME
        SELECT $1 AS kind, source, branch_id, CAST(local_at AS DATE) AS business_date, register, basket_id AS receipt_id,
               last_position + 1 AS line_number, $2 AS amount, 'no revenue: ' || $3 AS fate
        FROM usual JOIN systems USING (system) WHERE {chosen}
        """,
        [kind, amount, line_type],
    )


def _document(con: duckdb.DuckDBPyConnection, kind: str, chosen: str, line_type: str, amount: int) -> None:
    """A document of one such line, nine minutes after a real receipt; unless it only moves cash it is a receipt and no basket."""
    document = "CASH" if line_type == "CASH_MOVE" else "SALE"
    first_id = FIRST_ID + (1_000_000 if document == "CASH" else 0)
    con.execute(
        f"""
        CREATE OR REPLACE TABLE made AS
        SELECT * EXCLUDE (lot, number, last_position, total) REPLACE (
            $1 + number AS basket_id, $2 AS kind, '' AS card_number,
            completed_at + to_minutes(9) AS completed_at, local_at + to_minutes(9) AS local_at
        )
        FROM usual WHERE {chosen}
        """,
        [first_id, document],
    )
    con.execute("INSERT INTO receipts BY NAME SELECT * FROM made")
    con.execute(
        """
        INSERT INTO lines BY NAME
        SELECT week, delay, basket_id, 1 AS quantity, $1 AS amount, 0 AS discount, 0 AS promotion_discount, 0 AS coupon,
               1 AS position, $2 AS line_type, false AS is_void
        FROM made
        """,
        [amount, line_type],
    )
    con.execute(
        """
        INSERT INTO planted BY NAME
        SELECT $1 AS kind, source, branch_id, CAST(local_at AS DATE) AS business_date, register, basket_id AS receipt_id,
               1 AS line_number, $2 AS amount, CASE $3 WHEN 'CASH' THEN 'excluded: CASH' ELSE 'no revenue: ' || $4 END AS fate,
               CASE $3 WHEN 'CASH' THEN 0 ELSE 1 END AS receipts
        FROM made JOIN systems USING (system)
        """,
        [kind, amount, document, line_type],
    )


def plant_wrong_sums(con: duckdb.DuckDBPyConnection) -> None:
    """Totals that a receipt of the cloud till states wrongly: the lines count, and the receipt is listed."""
    con.execute(
        """
        UPDATE receipts SET misstated = 100
        WHERE system = 'cloud_till' AND kind = 'SALE' AND draw('misstated', basket_id, 150) = 0
        """
    )
    con.execute(
        """
        INSERT INTO planted BY NAME
        SELECT 'wrong_total' AS kind, source, branch_id, CAST(local_at AS DATE) AS business_date, register,
               basket_id AS receipt_id, 100 AS amount, 'counts as its lines say; listed as total_differs' AS fate
        FROM receipts JOIN systems USING (system) WHERE misstated <> 0
        """
    )
    con.execute(
        """
        INSERT INTO faults
        SELECT 'total_differs', source, receipt_path(system, branch_id, register, local_at, basket_id)
        FROM receipts JOIN systems USING (system) WHERE misstated <> 0
        """
    )


def plant_wrong_payments(con: duckdb.DuckDBPyConnection) -> None:
    """Payments that are a cent less than the receipt: both stay as delivered, and the receipt is listed."""
    con.execute(
        """
        CREATE TABLE underpaid AS
        SELECT receipts.* FROM receipts JOIN payments USING (basket_id, week, delay)
        WHERE system IN ('dsfinvk', 'poslog') AND kind = 'SALE' AND basket_id < 90000000000
          AND number = 1 AND tender <> 'CASH' AND amount > 1 AND draw('underpaid', basket_id, 500) = 0
        """
    )
    con.execute("UPDATE payments SET amount = amount - 1 WHERE number = 1 AND basket_id IN (SELECT basket_id FROM underpaid)")
    con.execute(
        """
        INSERT INTO planted BY NAME
        SELECT DISTINCT 'wrong_payment' AS kind, source, branch_id, CAST(local_at AS DATE) AS business_date, register,
               basket_id AS receipt_id, -1 AS amount, 'counts as its lines say; listed as payments_differ' AS fate
        FROM underpaid JOIN systems USING (system)
        """
    )
    con.execute(
        """
        INSERT INTO faults
        SELECT DISTINCT 'payments_differ', source, receipt_path(system, branch_id, register, local_at, basket_id)
        FROM underpaid JOIN systems USING (system)
        """
    )
