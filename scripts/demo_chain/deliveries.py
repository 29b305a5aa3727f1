"""Planted deliveries: receipts corrected or deleted by a later export, overlapping exports, weeks that come late."""

from __future__ import annotations

import duckdb

FIRST_ID = 90_400_000_000
AGAIN, LATE = 2, 3  # days after the usual export
WRONG_BY = 100


def plant_deliveries(con: duckdb.DuckDBPyConnection) -> None:
    """Choose for each system the weeks in which it happens; a chain of a single week has none of them."""
    weeks = [row[0] for row in con.execute("SELECT week FROM weeks ORDER BY week").fetchall()]
    if len(weeks) < 4:
        return
    last = len(weeks) - 1
    _plant_corrections(con, "erp", weeks[last // 3], whole_week=True)
    _plant_deletions(con, weeks[last // 2])
    _plant_corrections(con, "cloud_till", weeks[last // 2], whole_week=False)
    _plant_overlap(con, "dsfinvk", weeks[last // 2])
    _plant_corrected_day(con, weeks[last // 2])
    _plant_late_week(con, "erp", weeks[last - 1])


def _plant_corrections(con: duckdb.DuckDBPyConnection, system: str, week: int, *, whole_week: bool) -> None:
    """A second export of the week tells some receipts rightly of which the first one told a line too much by one unit.

    With ``whole_week`` it holds all other receipts once more.
    """
    con.execute(
        """
        CREATE OR REPLACE TABLE corrected AS
        SELECT receipts.*, draw('corrected', basket_id, 60) = 0 AS is_wrong FROM receipts
        WHERE system = $1 AND week = $2 AND kind = 'SALE' AND basket_id < 90000000000
        """,
        [system, week],
    )
    if not whole_week:
        con.execute("DELETE FROM corrected WHERE NOT is_wrong")
    con.execute("INSERT INTO receipts BY NAME SELECT * EXCLUDE is_wrong REPLACE ($1 AS delay) FROM corrected", [AGAIN])
    con.execute(
        """
        INSERT INTO lines BY NAME
        SELECT * REPLACE ($1 AS delay) FROM lines WHERE basket_id IN (SELECT basket_id FROM corrected)
        """,
        [AGAIN],
    )
    con.execute(
        """
        UPDATE lines SET amount = amount + $1
        WHERE position = 1 AND delay = 0 AND basket_id IN (SELECT basket_id FROM corrected WHERE is_wrong)
        """,
        [WRONG_BY],
    )
    con.execute(
        """
        INSERT INTO planted BY NAME
        SELECT 'corrected_receipt' AS kind, source, branch_id, CAST(local_at AS DATE) AS business_date, register,
               basket_id AS receipt_id, 1 AS line_number, $1 AS amount,
               'counts as the later export says, without this amount' AS fate
        FROM corrected JOIN systems USING (system) WHERE is_wrong
        """,
        [WRONG_BY],
    )
    con.execute(
        """
        INSERT INTO planted BY NAME
        SELECT 'delivered_again' AS kind, source, branch_id, CAST(local_at AS DATE) AS business_date, register,
               basket_id AS receipt_id, 'counts once' AS fate
        FROM corrected JOIN systems USING (system) WHERE NOT is_wrong
        """
    )


def _plant_deletions(con: duckdb.DuckDBPyConnection, week: int) -> None:
    """Receipts of the cloud till that are sent twice under two numbers; the later export takes the second one back."""
    con.execute(
        """
        CREATE TABLE doubled AS
        SELECT * REPLACE ($1 + basket_id - (SELECT min(basket_id) FROM receipts) AS basket_id), basket_id AS original_id
        FROM receipts
        WHERE system = 'cloud_till' AND week = $2 AND delay = 0 AND kind = 'SALE' AND misstated = 0
          AND draw('doubled', basket_id, 80) = 0
        """,
        [FIRST_ID, week],
    )
    con.execute(
        """
        INSERT INTO receipts BY NAME
        SELECT * EXCLUDE original_id FROM doubled
        UNION ALL SELECT * EXCLUDE original_id REPLACE ($1 AS delay, 'DELETED' AS kind) FROM doubled
        """,
        [AGAIN],
    )
    con.execute(
        """
        INSERT INTO lines BY NAME
        SELECT lines.* REPLACE (doubled.basket_id AS basket_id, days AS delay)
        FROM doubled JOIN lines ON lines.basket_id = original_id AND lines.delay = 0, unnest([0, $1]) AS later(days)
        """,
        [AGAIN],
    )
    con.execute(
        """
        INSERT INTO planted BY NAME
        SELECT 'deleted_receipt' AS kind, source, branch_id, CAST(local_at AS DATE) AS business_date, register,
               basket_id AS receipt_id, amount, 'deleted by the later export' AS fate, original_id AS refers_to
        FROM doubled JOIN systems USING (system)
        JOIN (SELECT basket_id, sum(amount) AS amount FROM lines WHERE delay = 0 GROUP BY basket_id) USING (basket_id)
        """
    )


def _plant_overlap(con: duckdb.DuckDBPyConnection, system: str, week: int) -> None:
    """The export of the next week holds the last trading day of this one once more."""
    con.execute(
        """
        CREATE TABLE overlapping AS
        SELECT * FROM receipts
        WHERE system = $1 AND week = $2
          AND CAST(local_at AS DATE) = (SELECT max(CAST(local_at AS DATE)) FROM receipts WHERE system = $1 AND week = $2)
        """,
        [system, week],
    )
    con.execute(
        "INSERT INTO lines BY NAME SELECT * REPLACE (week + 1 AS week) FROM lines "
        "WHERE basket_id IN (SELECT basket_id FROM overlapping)"
    )
    con.execute("INSERT INTO receipts BY NAME SELECT * REPLACE (week + 1 AS week) FROM overlapping")
    con.execute(
        """
        INSERT INTO planted BY NAME
        SELECT 'overlapping_export' AS kind, source, branch_id, CAST(local_at AS DATE) AS business_date, register,
               basket_id AS receipt_id, 'counts once' AS fate
        FROM overlapping JOIN systems USING (system)
        """
    )


def _plant_corrected_day(con: duckdb.DuckDBPyConnection, week: int) -> None:
    """A day of each branch that tells totals: the first export tells one product group too much, the later one corrects it."""
    con.execute(
        """
        CREATE TABLE corrected_days AS
        SELECT branch_id, min(business_date) AS business_date, min(category) AS category
        FROM (
            SELECT *, min(business_date) OVER (PARTITION BY branch_id) AS first_date FROM day_totals WHERE week = $1
        ) WHERE business_date = first_date GROUP BY branch_id
        """,
        [week],
    )
    con.execute(
        """
        INSERT INTO day_totals
        SELECT day_totals.* REPLACE ($1 AS delay) FROM day_totals SEMI JOIN corrected_days USING (branch_id, business_date)
        """,
        [AGAIN],
    )
    con.execute(
        """
        UPDATE day_totals SET amount = amount + $1 FROM corrected_days
        WHERE day_totals.branch_id = corrected_days.branch_id AND day_totals.business_date = corrected_days.business_date
          AND day_totals.category = corrected_days.category AND delay = 0
        """,
        [WRONG_BY * 10],
    )
    con.execute(
        """
        INSERT INTO planted BY NAME
        SELECT 'corrected_day' AS kind, 'category_totals' AS source, branch_id, business_date,
               CAST(business_date AS VARCHAR) AS receipt_id, $1 AS amount,
               'counts as the later export says, without this amount' AS fate
        FROM corrected_days
        """,
        [WRONG_BY * 10],
    )


def _plant_late_week(con: duckdb.DuckDBPyConnection, system: str, week: int) -> None:
    """A week that is exported three days after it should have been: it counts, and its days are marked late."""
    con.execute("CREATE TABLE late_weeks AS SELECT $1 AS system, $2 AS week", [system, week])
    con.execute(
        """
        UPDATE lines SET delay = $1 FROM late_weeks
        WHERE lines.week = late_weeks.week AND basket_id IN (SELECT basket_id FROM receipts SEMI JOIN late_weeks USING (system))
        """,
        [LATE],
    )
    con.execute(
        """
        UPDATE receipts SET delay = $1 FROM late_weeks
        WHERE receipts.system = late_weeks.system AND receipts.week = late_weeks.week
        """,
        [LATE],
    )
    con.execute(
        """
        INSERT INTO planted BY NAME
        SELECT 'late_delivery' AS kind, source, branch_id, CAST(local_at AS DATE) AS business_date,
               'counts; the day is marked late' AS fate
        FROM receipts SEMI JOIN late_weeks USING (system, week) JOIN systems USING (system) GROUP BY ALL
        """
    )
