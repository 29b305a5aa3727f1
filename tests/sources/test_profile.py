"""What ``tillhouse source profile`` makes of exports: those that are known, and ten that it has never seen."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.library.exports import GERMAN, dsfinvk, parquet, workbook
from tillhouse import cli
from tillhouse.config import read_model, to_model
from tillhouse.errors import TillhouseError
from tillhouse.sources import profile
from tillhouse.sources.model import Source
from tillhouse.sources.readers import read_records

LANDING = ROOT / "tests" / "library" / "landing"
LIBRARY = [read_model(Source, path) for path in sorted((ROOT / "conf" / "library").glob("*.yml"))]
KNOWN = {
    "category_totals": "category_totals",
    "poslog": "poslog",
    "sumup": "sumup_sales",
    "erp_de": "erp_receipts_de",
    "shopify": "shopify_orders",
    "shopify_api": "shopify_orders_api",
    "square_api": "square_orders_api",
    "odoo": "odoo_pos",
    "odoo_json": "odoo_pos_json",
    "receipt_totals": "receipt_totals",
    "receipts_jsonl": "receipts_jsonl",
    "receipts_tsv": "receipts_tsv",
    "sumup_transactions": "sumup_transactions",
}
SQUARE = {"items": "square_items", "transactions": "square_transactions"}

# A file that nobody has mapped, with what its columns are; amounts and times are written differently in each.
UNKNOWN = {
    "german": (
        "Filialnr;Kassennr;Belegnr;Belegdatum;Uhrzeit;Pos;Artikelnummer;Stück;Bruttobetrag\n"
        "12;1;4711;31.01.2025;09:05;1;A1;2;1.234,50\n12;1;4711;31.01.2025;09:05;2;A2;1;0,99\n",
        {"branch_id": "Filialnr", "receipt_id": "Belegnr", "started_at": "Belegdatum Uhrzeit", "gross_amount": "Bruttobetrag"},
    ),
    "english": (
        "store,till,receipt no,sold at,line,sku,qty,line total\n"
        "S1,2,77,2025-01-31 09:05:00,1,A1,2,12.50\nS1,2,77,2025-01-31 09:05:00,2,A2,1,0.99\n",
        {"branch_id": "store", "receipt_id": "receipt_no", "started_at": "sold_at", "gross_amount": "line_total"},
    ),
    "tabs": (
        "Markt\tBonnummer\tDatum\tZeit\tArtNr\tMenge\tUmsatz\n3\t9\t31.01.25\t0905\tA1\t1\t5,00\n3\t10\t31.01.25\t0910\tA1\t-1\t-5,00\n",
        {"branch_id": "Markt", "receipt_id": "Bonnummer", "started_at": "Datum Zeit", "gross_amount": "Umsatz"},
    ),
    "american": (
        "Location,Transaction ID,Date,Time,Item,Quantity,Amount\n"
        "Main,T1,01/31/2025,09:05 AM,Tea,1,3.00\nMain,T2,12/25/2025,01:10 PM,Tea,1,3.00\n",
        {"branch_id": "Location", "receipt_id": "Transaction_ID", "started_at": "Date Time", "gross_amount": "Amount"},
    ),
    "title and totals": (
        "Umsatzliste Januar;;;;\n"
        "Filiale;Bon-Nr.;Datum;Artikel-Nr.;Betrag\n1;1;31.01.2025;A1;2,50\n1;2;31.01.2025;A1;2,50\nSumme;;;;5,00\n",
        {"branch_id": "Filiale", "receipt_id": "Bon-Nr", "business_date": "Datum", "gross_amount": "Betrag"},
    ),
    "other order": (
        "Betrag|Menge|Datum/Uhrzeit|Beleg|Haus\n2,50|1|31.01.2025 09:05:10|B7|H1\n3,50|1|31.01.2025 10:05:10|B8|H2\n",
        {"branch_id": "Haus", "receipt_id": "Beleg", "started_at": "Datum/Uhrzeit", "gross_amount": "Betrag"},
    ),
    "iso with offset": (
        "branch,order id,created_at,product code,units,gross amount\n"
        "B,1,2025-01-31T09:05:00+01:00,A,1,1.00\nB,2,2025-01-31T09:06:00Z,A,1,1.00\n",
        {"branch_id": "branch", "receipt_id": "order_id", "started_at": "created_at", "gross_amount": "gross_amount"},
    ),
    "trailing minus": (
        "Laden;Bon;Buchungstag;EAN;Anzahl;Wert\n1;5;20250131;4006390000017;1;4,82-\n1;6;20250131;4006390000017;1;4,82\n",
        {"branch_id": "Laden", "receipt_id": "Bon", "business_date": "Buchungstag", "gross_amount": "Wert"},
    ),
    "misspelt": (
        "Filale;Kasse;Bonumer;Datum;Bruto\n1;1;5;31.01.2025;4,82\n1;1;6;31.01.2025;4,99\n",
        {"branch_id": "Filale", "receipt_id": "Bonumer", "business_date": "Datum", "gross_amount": "Bruto"},
    ),
    "json": (
        '{"shop": "B1", "ticket": "7", "timestamp": "2025-01-31T09:05:00Z", "amount": 2.5, "sku": "A"}\n'
        '{"shop": "B1", "ticket": "8", "timestamp": "2025-01-31T09:06:00Z", "amount": 3.25, "sku": "A"}\n',
        {"branch_id": "shop", "receipt_id": "ticket", "started_at": "timestamp", "gross_amount": "amount"},
    ),
}  # fmt: skip


def is_of_receipts(path: Path) -> bool:
    """Profile proposes mappings of receipts; it does not know contacts and other kinds of records yet."""
    system = path.relative_to(LANDING).parts[0]
    return system in {*KNOWN, "square"} and not path.name.startswith("customers_export")


@pytest.mark.parametrize("path", sorted(p for p in LANDING.rglob("*.*") if is_of_receipts(p)), ids=lambda path: path.name)
def test_an_export_of_a_known_system_is_recognised(path: Path) -> None:
    system = path.relative_to(LANDING).parts[0]
    found = profile.profile(path.read_bytes(), path.name, LIBRARY)
    assert found.known_as == (SQUARE[path.name.split("-")[0]] if system == "square" else KNOWN[system])


def test_a_tax_export_a_workbook_and_a_parquet_file_are_recognised() -> None:
    content = dsfinvk(("K-DD-1", "2025-10-25T20:05:00", "1.204"), GERMAN)
    assert profile.profile(content, "kasse.zip", LIBRARY).known_as == "dsfinvk"
    assert profile.profile(workbook(), "bons.xlsx", LIBRARY).known_as == "erp_receipts_xlsx"
    assert profile.profile(parquet(), "day.parquet", LIBRARY).known_as == "receipts_parquet"


@pytest.mark.parametrize(
    "path",
    sorted(p for p in LANDING.rglob("*.*") if p.suffix in (".csv", ".tsv") and is_of_receipts(p)),
    ids=lambda path: path.name,
)
def test_a_shipped_mapping_is_recognised_in_whatever_order_its_columns_come(path: Path) -> None:
    """Columns from the last to the first, as another version of the system might write them."""
    if "branches" in path.parts:
        return
    first = profile.profile(path.read_bytes(), path.name, LIBRARY)
    [known] = [source for source in LIBRARY if source.name == first.known_as]
    records = read_records(path.read_bytes(), known.model_copy(update={"csv": known.csv}))
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=known.csv.delimiter)
    writer.writerows([["title"]] * known.csv.skip_rows)
    writer.writerow(reversed(records.columns))
    writer.writerows(reversed(row) for row in zip(*(column.to_pylist() for column in records.table.columns), strict=True))
    again = profile.profile(buffer.getvalue().encode(known.encoding), path.name, LIBRARY)
    assert again.known_as == first.known_as


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_a_mapping_is_proposed_for_what_nobody_has_mapped_and_it_reads_the_file(name: str, encoding: str) -> None:
    text, expected = UNKNOWN[name]
    content = text.encode(encoding)
    found = profile.profile(content, f"{name}.csv")
    columns = found.mapping["columns"]
    proposed = {field: " ".join(columns[field].get("aliases") or columns[field]["join"]) for field in expected}
    assert (proposed, found.missing) == (expected, [])
    source = to_model(Source, yaml.safe_load(profile.as_text(found)), "proposal")
    records = read_records(content, source)
    assert (len(records.rows), records.broken) == (2, [])


def test_a_damaged_value_does_not_hide_how_the_others_are_written() -> None:
    days = ["31/01/2025 09:05"] * 8 + ["31/01/2025 25:00"]
    text = "Laden|Quittung|Verkaufszeit|Total CHF\n" + "".join(f"A|{number}|{day}|2.50\n" for number, day in enumerate(days))
    found = profile.profile(text.encode(), "journal_20250131.txt")
    assert (found.mapping["date_formats"], found.missing) == (["dd/MM/yyyy HH:mm"], [])
    assert (found.mapping["source"], found.mapping["columns"]["gross_amount"]) == ("journal", {"aliases": ["Total_CHF"]})


def test_what_is_unclear_is_said() -> None:
    found = profile.profile(b"store,receipt,date,amount\nS,1,01/02/2025,1.234\nS,2,03/02/2025,2.345\n", "x.csv")
    assert found.doubts == [
        "date could be MM/dd/yyyy as well: no day in this file is after the 12th",
        "amount holds numbers such as 1.234: decimal mark . is a guess",
    ]
    found = profile.profile(b"Bonnr;Datum;Betrag\n1;31.01.2025;2,50\n", "x.csv")
    assert found.missing == ["branch_id"]
    assert "branch_id: {from_path: branch}" in profile.as_text(found)
    with pytest.raises(TillhouseError, match="no header line"):
        profile.profile(b"1;2;3\n4;5;6\n", "x.csv")
    with pytest.raises(TillhouseError, match="no shipped mapping of format xml fits"):
        profile.profile(b"<a><b/></a>", "x.xml", LIBRARY)


def test_on_the_command_line_operators_and_cards_are_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bons.csv"
    file.write_text("Filiale;Bonnr;Datum;Betrag;Bediener;Kundenkarte\n1;1;31.01.2025;2,50;Erika;123456789\n", "utf-8")
    assert cli.main(["source", "profile", str(file), "--library", str(ROOT / "conf" / "library")]) == 0
    said = capsys.readouterr().out
    assert "operator: {aliases: [Bediener]}" in said
    assert "Erika" not in said
    assert "123456789" not in said
    assert cli.main(["source", "profile", str(tmp_path / "none.csv")]) == 2
