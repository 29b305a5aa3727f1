"""DSFinV-K: one ZIP per branch and week with the closings of all its registers, in two styles of numbers and times."""

from __future__ import annotations

from pathlib import Path

import duckdb

from demo_chain.base import delivery_name
from demo_chain.gdpdu import Table, write_archive

_CLOSING = {"Z_KASSE_ID": "till(branch_id, register)", "Z_ERSTELLUNG": "closed_at", "Z_NR#": "whole(closing_number, german)"}
_RECEIPT = {**_CLOSING, "BON_ID": "basket_id"}
_LINE = {**_RECEIPT, "POS_ZEILE": "position"}
_HEADS, _LINES, _CLOSINGS = "dsfinvk_heads", "dsfinvk_heads JOIN taxed USING (basket_id, week, delay)", "dsfinvk_closings"
_GV_TYP = """CASE line_type WHEN 'ITEM' THEN 'Umsatz' WHEN 'DEPOSIT' THEN 'Pfand' WHEN 'DEPOSIT_REFUND' THEN 'PfandRueckzahlung'
    WHEN 'GIFTCARD_SALE' THEN 'MehrzweckgutscheinKauf' WHEN 'GIFTCARD_REDEEM' THEN 'MehrzweckgutscheinEinloesung'
    WHEN 'CASH_MOVE' THEN 'Anfangsbestand' END"""
_TENDER = """CASE tender WHEN 'CASH' THEN 'Bar' WHEN 'DEBIT' THEN 'ECKarte' WHEN 'CREDIT' THEN 'Kreditkarte'
    WHEN 'EWALLET' THEN 'ElZahlungsdienstleister' WHEN 'GIFT_CARD' THEN 'Guthabenkarte' WHEN 'COUPON' THEN 'Unbar'
    ELSE 'Keine' END"""
_BON_TYP = """CASE kind WHEN 'TRAINING' THEN 'AVTraining' WHEN 'ABORTED' THEN 'AVBelegabbruch' WHEN 'CANCELLED' THEN
    'AVBelegstorno' ELSE 'Beleg' END"""
_MOVING = "kind IN ('SALE', 'RETURN', 'REVERSAL', 'CASH')"

TABLES = (
    Table("Bonkopf", "transactions.csv", {
        **_RECEIPT, "BON_NR#": "whole(number, german)", "BON_TYP": _BON_TYP, "BON_NAME": "NULL", "TERMINAL_ID": "NULL",
        "BON_STORNO": "CASE WHEN kind IN ('VOIDED', 'REVERSAL', 'CANCELLED') THEN 1 ELSE 0 END", "BON_START": "written_at",
        "BON_ENDE": "written_at", "BEDIENER_ID": "operator", "BEDIENER_NAME": "NULL", "UMS_BRUTTO#": "num(total, german)",
        "KUNDE_NAME": "NULL", "KUNDE_ID": "card_number", "BON_NOTIZ": "NULL",
    }, _HEADS),
    Table("Bonkopf_USt", "transactions_vat.csv", {
        **_RECEIPT, "UST_SCHLUESSEL#": "rate_key", "BON_BRUTTO#": "num(gross, german)", "BON_NETTO#": "num(net, german)",
        "BON_UST#": "num(gross - net, german)",
    }, f"(SELECT * EXCLUDE (amount, net), sum(amount) AS gross, sum(net) AS net FROM "
       f"(SELECT dsfinvk_heads.*, rate_key, amount, net FROM {_LINES}) GROUP BY ALL)"),
    Table("Bonpos", "lines.csv", {
        **_LINE, "GUTSCHEIN_NR": "NULL", "ARTIKELTEXT": "quoted(product_type)", "GV_TYP": _GV_TYP, "GV_NAME": "NULL",
        "INHAUS": "0", "P_STORNO": "CASE WHEN is_void THEN 1 ELSE 0 END", "ART_NR": "product_id", "GTIN": "NULL",
        "WARENGR_ID": "quoted(department)", "MENGE#": "decimals(quantity, 3, german)", "FAKTOR#": "NULL", "EINHEIT": "NULL",
        "STK_BR#": "decimals(amount / 100 / coalesce(nullif(quantity, 0), 1), 5, german)",
    }, f"{_LINES} LEFT JOIN products USING (product_id)"),
    Table("Bonpos_USt", "lines_vat.csv", {
        **_LINE, "UST_SCHLUESSEL#": "rate_key", "POS_BRUTTO#": "num(amount, german) || '000'",
        "POS_NETTO#": "num(net, german) || '000'", "POS_UST#": "num(amount - net, german) || '000'",
    }, _LINES),
    Table("Bonpos_Preisfindung", "itemamounts.csv", {
        **_LINE, "TYP": "typ", "UST_SCHLUESSEL#": "rate_key", "PF_BRUTTO#": "num(found, german)",
        "PF_NETTO#": "num(net_of(found, rate_key), german)", "PF_UST#": "num(found - net_of(found, rate_key), german)",
    }, f"(SELECT *, unnest(['base_amount', 'discount']) AS typ, unnest([amount + reduced, -reduced]) AS found "
       f"FROM (SELECT *, discount + promotion_discount AS reduced FROM {_LINES}) WHERE reduced > 0)"),
    Table("Bonkopf_Zahlarten", "datapayment.csv", {
        **_RECEIPT, "ZAHLART_TYP": _TENDER, "ZAHLART_NAME": "tender", "ZAHLWAEH_CODE": "'USD'",
        "ZAHLWAEH_BETRAG#": "num(amount, german)", "BASISWAEH_BETRAG#": "num(amount, german)",
    }, "dsfinvk_heads JOIN payments USING (basket_id, week, delay)"),
    Table("Bon_Referenzen", "references.csv", {
        **_RECEIPT, "POS_ZEILE": "1", "REF_TYP": "'Transaktion'", "REF_NAME": "NULL",
        "REF_DATUM": "strftime(other_at, '%Y-%m-%dT%H:%M:%S')", "REF_Z_KASSE_ID": "till(other_branch_id, other_register)",
        "REF_Z_NR#": "whole(closing(other_at), german)", "REF_BON_ID": "refers_to",
    }, "dsfinvk_heads JOIN (SELECT DISTINCT basket_id AS refers_to, branch_id AS other_branch_id, register AS other_register, "
       "local_at AS other_at FROM receipts) USING (refers_to)"),
    Table("Stamm_Abschluss", "cashpointclosing.csv", {
        **_CLOSING, "Z_BUCHUNGSTAG": "day", "TAXONOMIE_VERSION": "'2.4'", "Z_START_ID": "first_id", "Z_ENDE_ID": "last_id",
        "NAME": "'Filiale ' || place", "ORT": "place", "Z_SE_ZAHLUNGEN#": "num(paid, german)",
        "Z_SE_BARZAHLUNGEN#": "num(paid_cash, german)",
    }, f"{_CLOSINGS} JOIN (SELECT branch_id, register, closing_number, week, sum(amount) AS paid, "
       f"coalesce(sum(amount) FILTER (tender = 'CASH'), 0) AS paid_cash FROM dsfinvk_heads JOIN payments "
       "USING (basket_id, week, delay) GROUP BY ALL) USING (branch_id, register, closing_number, week)"),
    Table("Stamm_Orte", "location.csv", {**_CLOSING, "LOC_NAME": "'Filiale ' || place", "LOC_ORT": "place"}, _CLOSINGS),
    Table("Stamm_Kassen", "cashregister.csv", {
        **_CLOSING, "KASSE_BRAND": "'Tillmaster'", "KASSE_BASISWAEH_CODE": "'USD'", "KEINE_UST_ZUORDNUNG": "0",
    }, _CLOSINGS),
    Table("Stamm_USt", "vat.csv", {
        **_CLOSING, "UST_SCHLUESSEL#": "rate_key", "UST_SATZ#": "decimals(rate_of(rate_key), 2, german)",
        "UST_BESCHR": "CASE rate_key WHEN 1 THEN 'Regelsteuersatz' WHEN 2 THEN 'ermäßigt' ELSE 'nicht steuerbar' END",
    }, f"(SELECT *, unnest([1, 2, 5]) AS rate_key FROM {_CLOSINGS})"),
    Table("Z_GV_Typ", "businesscases.csv", {
        **_CLOSING, "GV_TYP": _GV_TYP, "GV_NAME": "NULL", "AGENTUR_ID#": "0", "UST_SCHLUESSEL#": "rate_key",
        "Z_UMS_BRUTTO#": "num(gross, german)", "Z_UMS_NETTO#": "num(net, german)", "Z_UST#": "num(gross - net, german)",
    }, f"(SELECT branch_id, week, register, closed_at, closing_number, german, line_type, rate_key, sum(amount) AS gross, "
       f"sum(net) AS net FROM {_LINES} WHERE {_MOVING} GROUP BY ALL)"),
    Table("Z_Zahlart", "payment.csv", {
        **_CLOSING, "ZAHLART_TYP": _TENDER, "ZAHLART_NAME": "tender", "Z_ZAHLART_BETRAG#": "num(paid, german)",
    }, f"(SELECT branch_id, week, register, closed_at, closing_number, german, tender, sum(amount) AS paid FROM dsfinvk_heads "
       f"JOIN payments USING (basket_id, week, delay) WHERE {_MOVING} GROUP BY ALL)"),
)  # fmt: skip


def write_dsfinvk(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Write the archives; a branch keeps its style: German numbers and local times, or dots and UTC."""
    _prepare(con)
    texts: dict[tuple[str, int], dict[str, str]] = {}
    for table in TABLES:
        for branch, week, text in con.execute(table.query).fetchall():
            texts.setdefault((branch, week), {})[table.name] = text
    german = dict(con.execute("SELECT DISTINCT branch_id, german FROM dsfinvk_heads").fetchall())
    for (branch, week), of_tables in sorted(texts.items()):
        path = folder / delivery_name(f"{branch}_dsfinvk", week, "zip")
        write_archive(path, TABLES, of_tables, german=german[branch])


def _prepare(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        """
        CREATE MACRO whole(n, german) AS CASE WHEN german THEN replace(format('{:,}', n), ',', '.') ELSE CAST(n AS VARCHAR) END;
        CREATE MACRO num(c, german) AS CASE WHEN c < 0 THEN '-' ELSE '' END || whole(abs(c) // 100, german)
            || CASE WHEN german THEN ',' ELSE '.' END || lpad(CAST(abs(c) % 100 AS VARCHAR), 2, '0');
        CREATE MACRO decimals(x, places, german) AS
            CASE WHEN german THEN replace(format('{:.{}f}', CAST(x AS DOUBLE), places), '.', ',')
            ELSE format('{:.{}f}', CAST(x AS DOUBLE), places) END;
        CREATE MACRO quoted(t) AS
            CASE WHEN contains(t, ';') OR contains(t, '"') THEN '"' || replace(t, '"', '""') || '"' ELSE t END;
        CREATE TABLE dsfinvk_heads AS
        SELECT receipts.*, draw('style', branch_id, 2) = 0 AS german, closing(local_at) AS closing_number,
               strftime(local_at, '%Y-%m-%dT22:30:00') AS closed_at, CAST(local_at AS DATE) AS day,
               CASE WHEN draw('style', branch_id, 2) = 0 THEN strftime(local_at, '%Y-%m-%dT%H:%M:%S')
                    ELSE strftime(completed_at, '%Y-%m-%dT%H:%M:%S.000Z') END AS written_at,
               1 + draw('operator', branch_id || register || closing(local_at), 9) AS operator,
               900 + dense_rank() OVER (PARTITION BY branch_id, register ORDER BY completed_at, basket_id) AS number,
               place, total
        FROM receipts JOIN branches USING (branch_id)
        JOIN (SELECT basket_id, week, delay, sum(amount) AS total FROM lines GROUP BY ALL) USING (basket_id, week, delay)
        WHERE receipts.system = 'dsfinvk';
        CREATE TABLE dsfinvk_closings AS
        SELECT branch_id, week, register, closing_number, closed_at, day, german, place, min(basket_id) AS first_id,
               max(basket_id) AS last_id
        FROM dsfinvk_heads GROUP BY ALL;
        """
    )
