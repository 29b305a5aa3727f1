"""The cloud till: one JSON receipt per line, with UTC instants."""

from __future__ import annotations

from pathlib import Path

import duckdb

from demo_chain.base import CLOUD_TILL, CURRENCY, delivery_name


def write_cloud_receipts(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Write the cloud till's receipts, one file per week and export and one JSON object per receipt."""
    deliveries = con.execute(
        r"""
        WITH baskets AS (
            SELECT basket_id, week, delay, sum(amount) AS total, string_agg(
                '{"line":' || position || ',"sku":"' || product_id || '","quantity":' || quantity
                || ',"amount":' || money(amount) || ',"discount":' || money(discount)
                || ',"promotion_discount":' || money(promotion_discount)
                || ',"manufacturer_coupon":' || money(coupon) || '}',
                ',' ORDER BY position
            ) AS items
            FROM lines SEMI JOIN (SELECT basket_id FROM receipts WHERE system = $1) USING (basket_id)
            GROUP BY basket_id, week, delay
        )
        SELECT week, delay, string_agg(
            '{"receipt_id":"' || basket_id || '","location":"' || branch_id || '","register":"' || register
            || strftime(completed_at, '","completed_at":"%Y-%m-%dT%H:%M:%SZ","currency":"') || $2
            || '","loyalty_card":"' || card_number || '","items":[' || items || '],"total":' || money(total + misstated)
            || CASE kind WHEN 'DELETED' THEN ',"state":"deleted"' ELSE '' END || E'}\n',
            '' ORDER BY completed_at, basket_id
        )
        FROM receipts JOIN baskets USING (basket_id, week, delay)
        GROUP BY week, delay ORDER BY week, delay
        """,
        [CLOUD_TILL, CURRENCY],
    )
    while delivery := deliveries.fetchone():
        week, delay, receipts = delivery
        (folder / delivery_name("receipts", week, "jsonl", delay)).write_bytes(receipts.encode("utf-8"))
