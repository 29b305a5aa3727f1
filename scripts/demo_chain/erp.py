"""The ERP: receipts of its tills, and the master data of the whole chain. Semicolons, cp1252, decimal commas, local times."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import duckdb

from demo_chain.base import CURRENCY, ERP, delivery_name

MASTER_DATA_EXPORTED = "20170101T0000"
KASSENBON_COLUMNS = (
    "Filiale;Kasse;Bonnr;Position;Datum;Uhrzeit;Kundenkarte;ArtNr;Menge;Betrag;Rabatt;Aktionsrabatt;Herstellercoupon"
)
FILIALE_COLUMNS = "Filiale;Bezeichnung;Region;Ort;Format;Zeitzone;Waehrung;Eroeffnet"
ARTIKEL_COLUMNS = "ArtNr;Bezeichnung;Warengruppe1;Warengruppe2;Warengruppe3;Marke;Hersteller;Packung"


def write_kassenbons(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Write the ERP's receipts, one file per week and export and one row per line."""
    deliveries = con.execute(
        r"""
        WITH heads AS (
            SELECT week, delay, local_at, basket_id, branch_id || ';' || register || ';' || basket_id || ';' AS till,
                   strftime(local_at, ';%d.%m.%Y;%H:%M:%S;') || card_number || ';' AS customer
            FROM receipts WHERE system = $1
        )
        SELECT heads.week, heads.delay, string_agg(
            till || position || customer || product_id || ';' || quantity || ';' || betrag(amount) || ';'
            || betrag(discount) || ';' || betrag(promotion_discount) || ';' || betrag(coupon) || E'\r\n',
            '' ORDER BY local_at, basket_id, position
        )
        FROM heads JOIN lines USING (basket_id, week, delay)
        GROUP BY heads.week, heads.delay ORDER BY heads.week, heads.delay
        """,
        [ERP],
    )
    while delivery := deliveries.fetchone():
        week, delay, rows = delivery
        path = folder / delivery_name("kassenbons", week, "csv", delay)
        path.write_bytes(f"{KASSENBON_COLUMNS}\r\n{rows}".encode("cp1252"))


def write_erp_csv(path: Path, columns: str, rows: Iterable[Sequence[object]]) -> None:
    """Write a table as the ERP does: cp1252 (a character it lacks is an error), semicolons, CRLF, quotes if needed."""
    with path.open("w", encoding="cp1252", errors="strict", newline="") as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\r\n")
        writer.writerow(columns.split(";"))
        writer.writerows(rows)


FILIALEN = """
    SELECT branch_id, 'Filiale ' || place, region, place, format, time_zone, $1, strftime(opened_on, '%d.%m.%Y')
    FROM branches ORDER BY store_id
"""


def write_master_data(con: duckdb.DuckDBPyConnection, landing: Path, *, whole_chain: bool) -> None:
    """Write the branches of all systems and the products: all of them, or those that a selection sold."""
    filialen = con.execute(FILIALEN, [CURRENCY]).fetchall()
    write_erp_csv(landing / ERP / "branches" / f"filialen_{MASTER_DATA_EXPORTED}.csv", FILIALE_COLUMNS, filialen)
    artikel = con.execute(
        """
        SELECT product_id, concat_ws(' ', coalesce(product_type, product_category, department), package_size),
               department, product_category, product_type, brand, manufacturer_id, package_size
        FROM products WHERE $1 OR product_id IN (SELECT product_id FROM lines) ORDER BY product_id
        """,
        [whole_chain],
    ).fetchall()
    write_erp_csv(landing / ERP / "products" / f"artikel_{MASTER_DATA_EXPORTED}.csv", ARTIKEL_COLUMNS, artikel)


def plant_new_region(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Tell in a second export of the branches, in the middle of the year, that the largest one belongs to another region."""
    [largest] = con.execute(
        "SELECT branch_id FROM receipts GROUP BY branch_id ORDER BY count(*) DESC, branch_id LIMIT 1"
    ).fetchall()
    con.execute(
        """
        INSERT INTO planted (kind, source, branch_id, business_date, fate)
        SELECT 'new_region', 'erp_branches', branch_id, DATE '2017-06-26',
               region || ' before, ' || CASE region WHEN 'Mitte' THEN 'West' ELSE 'Mitte' END || ' since then'
        FROM branches WHERE branch_id = $1
        """,
        largest,
    )
    con.execute(
        "UPDATE branches SET region = CASE region WHEN 'Mitte' THEN 'West' ELSE 'Mitte' END WHERE branch_id = $1", largest
    )
    write_erp_csv(folder / "filialen_20170626T0000.csv", FILIALE_COLUMNS, con.execute(FILIALEN, [CURRENCY]).fetchall())
