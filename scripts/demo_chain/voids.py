"""Planted documents that never were a sale: training, aborted and voided receipts, and lines taken back within a receipt."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

FIRST_ID = 90_200_000_000
REVERSALS = 1_000_000  # between the ids of a sale and of the receipt that reverses it
VOIDED_PRODUCT = 1082185  # the article sold most; taken back only in receipts that do not hold it
VOIDED_AMOUNT = 499


@dataclass(frozen=True)
class Copy:
    """A copy of a real receipt, drawn by lot, that is no sale of its own."""

    kind: str
    system: str
    lots: tuple[int, int]  # of 1000
    fate: str


# Four ways to void: a flag on the original (two of them), a reversing line, a reversing receipt; the fourth, a receipt that a
# later export deletes, is planted with the deliveries.
COPIES = (
    Copy("TRAINING", "dsfinvk", (0, 8), "excluded: TRAINING"),
    Copy("TRAINING", "poslog", (0, 8), "excluded: TRAINING"),
    Copy("ABORTED", "dsfinvk", (8, 14), "excluded: CANCELLED"),
    Copy("CANCELLED", "poslog", (8, 14), "excluded: CANCELLED"),
    Copy("CANCELLED", "dsfinvk", (14, 20), "excluded: CANCELLED"),
    Copy("VOIDED", "dsfinvk", (20, 26), "excluded: VOIDED"),
)


def plant_voids(con: duckdb.DuckDBPyConnection) -> None:
    """Plant all of them in receipts of DSFinV-K and POSLog, which can say what they are."""
    con.execute(
        """
        CREATE TABLE candidates AS
        SELECT receipts.*, draw('void', basket_id, 1000) AS lot, row_number() OVER (ORDER BY basket_id) AS number
        FROM receipts
        WHERE kind = 'SALE' AND system IN ('dsfinvk', 'poslog') AND hour(local_at) BETWEEN 7 AND 21
          AND basket_id IN (SELECT basket_id FROM lines GROUP BY basket_id HAVING min(amount) > 0 AND min(quantity) > 0)
        """
    )
    for copy in COPIES:
        _copy(con, copy, FIRST_ID)
        _plant(con, copy.kind.lower(), copy.fate)
    _plant_reversals(con)
    _plant_reversing_lines(con)


def _copy(con: duckdb.DuckDBPyConnection, copy: Copy, first_id: int, factor: int = 1) -> None:
    """Copies of receipts, minutes later; ``factor`` -1 takes their lines back."""
    con.execute(
        """
        CREATE OR REPLACE TABLE copied AS
        SELECT * EXCLUDE (basket_id, lot, number), basket_id AS original_id, $4 + number AS basket_id
        FROM candidates WHERE system = $1 AND lot >= $2 AND lot < $3
        """,
        [copy.system, *copy.lots, first_id],
    )
    con.execute(
        """
        INSERT INTO receipts BY NAME
        SELECT * EXCLUDE original_id REPLACE (
            $1 AS kind, completed_at + to_minutes($2) AS completed_at, local_at + to_minutes($2) AS local_at
        ) FROM copied
        """,
        [copy.kind, 7 if factor > 0 else 15],
    )
    con.execute(
        """
        INSERT INTO lines BY NAME
        SELECT lines.* REPLACE (
            copied.basket_id AS basket_id, $1 * quantity AS quantity, $1 * amount AS amount, 0 AS discount,
            0 AS promotion_discount, 0 AS coupon
        )
        FROM copied JOIN lines ON lines.basket_id = original_id
        """,
        [factor],
    )


def _plant(con: duckdb.DuckDBPyConnection, kind: str, fate: str, *, counts: int = 0) -> None:
    """Note the last copies; ``counts`` 1: as a sale, -1: as a return."""
    con.execute(
        """
        INSERT INTO planted BY NAME
        SELECT $1 AS kind, source, branch_id, CAST(local_at AS DATE) AS business_date, register, basket_id AS receipt_id,
               amount, $2 AS fate, original_id AS refers_to, $3 * abs(amount) AS revenue,
               CASE WHEN $3 < 0 THEN -amount ELSE 0 END AS returned, abs($3) AS receipts, greatest($3, 0) AS baskets,
               CASE WHEN card_number <> '' THEN $3 * abs(amount) ELSE 0 END AS identified
        FROM copied JOIN systems USING (system)
        JOIN (SELECT basket_id, sum(amount) AS amount FROM lines GROUP BY basket_id) USING (basket_id)
        """,
        [kind, fate, counts],
    )


def _plant_reversals(con: duckdb.DuckDBPyConnection) -> None:
    """A sale and the receipt that reverses it: both count, together they are nothing."""
    sale = Copy("SALE", "dsfinvk", (26, 32), "counts as a sale")
    reversal = Copy("REVERSAL", "dsfinvk", (26, 32), "counts as a return")
    _copy(con, sale, FIRST_ID)
    _plant(con, "sale_reversed_later", sale.fate, counts=1)
    _copy(con, reversal, FIRST_ID + REVERSALS, factor=-1)
    con.execute("UPDATE receipts SET refers_to = basket_id - $1 WHERE kind = 'REVERSAL'", [REVERSALS])
    _plant(con, "reversing_receipt", reversal.fate, counts=-1)


def _plant_reversing_lines(con: duckdb.DuckDBPyConnection) -> None:
    """Two lines more in a real receipt, the second of which takes the first back: both stay, nothing counts."""
    con.execute(
        """
        CREATE TABLE struck AS
        SELECT candidates.*, (SELECT max(position) FROM lines WHERE lines.basket_id = candidates.basket_id) AS last_position
        FROM candidates
        WHERE lot BETWEEN 32 AND 48 AND basket_id NOT IN (SELECT basket_id FROM lines WHERE product_id = $1)
        """,
        [VOIDED_PRODUCT],
    )
    for step, factor in ((1, 1), (2, -1)):
        con.execute(
            """
            INSERT INTO lines BY NAME
            SELECT week, delay, basket_id, $1 AS product_id, $2 AS quantity, $2 * $3 AS amount, 0 AS discount,
                   0 AS promotion_discount, 0 AS coupon, last_position + $4 AS position, 'ITEM' AS line_type, $2 < 0 AS is_void
            FROM struck
            """,
            [VOIDED_PRODUCT, factor, VOIDED_AMOUNT, step],
        )
    con.execute(
        """
        INSERT INTO planted BY NAME
        SELECT 'reversing_line' AS kind, source, branch_id, CAST(local_at AS DATE) AS business_date, register,
               basket_id AS receipt_id, last_position + 2 AS line_number, -$1 AS amount, 'voided with the line above' AS fate
        FROM struck JOIN systems USING (system)
        """,
        [VOIDED_AMOUNT],
    )
