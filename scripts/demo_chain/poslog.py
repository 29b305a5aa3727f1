"""ARTS POSLog 6: one document per branch and week. Prices with VAT, instants in UTC, returns as sales of negative quantity."""

from __future__ import annotations

from pathlib import Path

import duckdb

from demo_chain.base import CURRENCY, delivery_name

REASONS = ("DEFECT", "WRONG_ARTICLE", "NOT_FRESH", "DISLIKED")
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<POSLog xmlns="http://www.nrf-arts.org/IXRetail/namespace/" MajorVersion="6">\n'


def write_poslog(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Write each transaction with its lines, tenders, change and total; a return names its purchase where the till knows it."""
    _prepare(con)
    deliveries = con.execute(
        r"""
        WITH items AS (
            SELECT basket_id, week, delay, sum(amount) AS total, string_agg(
                '<LineItem' || CASE WHEN is_void THEN ' VoidFlag="true"' ELSE '' END || '><Sale>'
                || '<ItemID>' || product_id || '</ItemID>'
                || '<ExtendedAmount Currency="' || $1 || '">' || money(abs(amount)) || '</ExtendedAmount>'
                || CASE WHEN discount + promotion_discount > 0 THEN '<ExtendedDiscountAmount>'
                    || money(discount + promotion_discount) || '</ExtendedDiscountAmount>' ELSE '' END
                || '<Quantity>' || quantity || '</Quantity>' || coalesce(link, '') || '</Sale><SequenceNumber>' || position
                || E'</SequenceNumber></LineItem>\n', '' ORDER BY position
            ) AS items
            FROM taxed SEMI JOIN (SELECT basket_id FROM receipts WHERE system = 'poslog') USING (basket_id)
            LEFT JOIN links USING (basket_id)
            GROUP BY basket_id, week, delay
        ), tenders AS (
            SELECT basket_id, week, delay, string_agg(
                '<LineItem>' || tendered || '<SequenceNumber>' || (1000 + number) || E'</SequenceNumber></LineItem>\n', ''
                ORDER BY number
            ) AS tenders
            FROM tendered GROUP BY basket_id, week, delay
        )
        SELECT branch_id, week, string_agg(
            '<Transaction' || CASE kind WHEN 'TRAINING' THEN ' TrainingModeFlag="true"' WHEN 'CANCELLED' THEN ' CancelFlag="true"'
                ELSE '' END
            || '><BusinessUnit><UnitID Name="Filiale ' || place || '">' || branch_id || '</UnitID></BusinessUnit><WorkstationID>'
            || register || '</WorkstationID><SequenceNumber>' || basket_id || '</SequenceNumber><OperatorID>'
            || (1 + draw('operator', branch_id || register || CAST(local_at AS DATE), 9)) || E'</OperatorID><RetailTransaction>\n'
            || items || coalesce(tenders, '')
            || '<Total TotalType="TransactionGrandAmount" CurrencyCode="' || $1 || '">' || money(total) || '</Total>'
            || CASE WHEN card_number <> '' THEN '<Customer><CustomerID>' || card_number || '</CustomerID></Customer>' ELSE '' END
            || '</RetailTransaction><BusinessDayDate>' || CAST(local_at AS DATE) || '</BusinessDayDate>'
            || strftime(completed_at, '<BeginDateTime>%Y-%m-%dT%H:%M:%SZ</BeginDateTime>')
            || strftime(completed_at, '<EndDateTime>%Y-%m-%dT%H:%M:%SZ</EndDateTime>')
            || E'</Transaction>\n', '' ORDER BY completed_at, basket_id
        )
        FROM receipts JOIN items USING (basket_id, week, delay) LEFT JOIN tenders USING (basket_id, week, delay)
        JOIN (SELECT branch_id, place FROM branches) USING (branch_id)
        GROUP BY branch_id, week ORDER BY branch_id, week
        """,
        [CURRENCY],
    )
    while delivery := deliveries.fetchone():
        branch, week, transactions = delivery
        path = folder / delivery_name(f"{branch}_poslog", week, "xml")
        path.write_bytes(f"{_HEAD}{transactions}</POSLog>\n".encode())


def _prepare(con: duckdb.DuckDBPyConnection) -> None:
    """The links of returns, and what is written of each tender: cash is given in whole units, and change is told apart."""
    con.execute(
        """
        CREATE TABLE links AS
        SELECT this.basket_id, '<ReasonCode>' || $1[1 + draw('reason', this.basket_id, len($1))] || '</ReasonCode>'
            || CASE WHEN other.basket_id IS NULL THEN '' ELSE
                '<TransactionLink ReasonCode="Return"><BusinessUnit><UnitID>' || other.branch_id || '</UnitID></BusinessUnit>'
                || '<WorkstationID>' || other.register || '</WorkstationID>'
                || '<BusinessDayDate>' || CAST(other.local_at AS DATE) || '</BusinessDayDate>'
                || '<SequenceNumber>' || other.basket_id || '</SequenceNumber>'
                || '<LineItemSequenceNumber>' || this.refers_to_line || '</LineItemSequenceNumber></TransactionLink>'
            END AS link
        FROM receipts this LEFT JOIN receipts other ON other.basket_id = this.refers_to
        WHERE this.system = 'poslog' AND this.kind = 'RETURN'
        """,
        [list(REASONS)],
    )
    con.execute(
        """
        CREATE TABLE tendered AS
        WITH named AS (
            SELECT payments.*, CASE tender WHEN 'CASH' THEN 'Cash' WHEN 'DEBIT' THEN 'Debit' WHEN 'CREDIT' THEN 'Credit'
                WHEN 'EWALLET' THEN 'MobileWallet' WHEN 'GIFT_CARD' THEN 'GiftCard' ELSE 'ManufacturerCoupon' END AS name,
                CASE WHEN tender = 'CASH' AND amount > 0 THEN -amount % 100 + CASE WHEN amount % 100 > 0 THEN 100 ELSE 0 END
                ELSE 0 END AS change
            FROM payments SEMI JOIN (SELECT basket_id FROM receipts WHERE system = 'poslog') USING (basket_id)
            WHERE tender <> 'NONE' AND amount <> 0
        )
        SELECT basket_id, week, delay, number, '<Tender TenderType="' || name || '" TypeCode="'
            || CASE WHEN amount < 0 THEN 'Refund' ELSE 'Sale' END || '"><Amount>' || money(abs(amount + change))
            || '</Amount></Tender>' AS tendered
        FROM named
        UNION ALL
        SELECT basket_id, week, delay, 10 + number, '<TenderChange TypeCode="Refund"><TenderChange TenderType="Cash"><Amount>'
            || money(change) || '</Amount></TenderChange></TenderChange>'
        FROM named WHERE change > 0
        """
    )
