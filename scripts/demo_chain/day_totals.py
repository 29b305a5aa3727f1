"""Branches whose system tells no receipts: one row per branch, day and product group, with a line of totals at the end."""

from __future__ import annotations

from pathlib import Path

import duckdb

from demo_chain.base import delivery_name

COLUMNS = "Filiale;Datum;Warengruppe;Menge;Umsatz"


def load_day_totals(con: duckdb.DuckDBPyConnection) -> None:
    """Add the receipts of these branches up to what their system tells of a day."""
    con.execute(
        """
        CREATE TABLE day_totals AS
        SELECT week, 0 AS delay, branch_id, CAST(local_at AS DATE) AS business_date,
               coalesce(department, 'SONSTIGES') AS category, sum(quantity) AS quantity, sum(amount) AS amount
        FROM receipts JOIN lines USING (basket_id, week, delay) LEFT JOIN products USING (product_id)
        WHERE system = 'day_totals'
        GROUP BY ALL
        """
    )


def write_day_totals(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Write one file per branch, week and export."""
    deliveries = con.execute(
        r"""
        SELECT branch_id, week, delay, sum(amount), string_agg(
            branch_id || ';' || strftime(business_date, '%d.%m.%Y;') || category || ';' || quantity || ';' || betrag(amount)
            || E'\r\n', '' ORDER BY business_date, category
        )
        FROM day_totals GROUP BY branch_id, week, delay ORDER BY branch_id, week, delay
        """
    ).fetchall()
    for branch, week, delay, amount, rows in deliveries:
        total = f"{amount // 100},{amount % 100:02d}"
        path = folder / branch / delivery_name("tage", week, "csv", delay)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(f"{COLUMNS}\r\n{rows}Summe;;;;{total}\r\n".encode())
