"""The same receipt lines in every format that is read, and a plain parser of each: what scripts/bench ingest compares."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from lxml import etree
from openpyxl import Workbook, load_workbook

LINES_OF_A_RECEIPT = 3
NAMES = ("Filiale", "Kasse", "Bonnr", "Zeitpunkt", "Pos", "Artikel", "Bezeichnung", "Menge", "Betrag")
Line = tuple[str, ...]
Found = tuple[int, Decimal]
_CLOSING = ("K-DD-1", "2025-10-25T20:05:00", "1")
_POSLOG = "http://www.nrf-arts.org/IXRetail/namespace/"

TABLE = """
entity: receipt
description: receipt lines
owner: nobody
date_formats: [iso]
timezone: UTC
columns:
  branch_id: {aliases: [Filiale]}
  register_id: {aliases: [Kasse]}
  receipt_id: {aliases: [Bonnr]}
  started_at: {aliases: [Zeitpunkt]}
  line_number: {aliases: [Pos]}
  product_ref: {aliases: [Artikel]}
  quantity: {aliases: [Menge]}
  gross_amount: {aliases: [Betrag]}
ignored_columns: [Bezeichnung]
"""
NESTED = """
entity: receipt
description: receipts with nested lines
owner: nobody
format: jsonl
date_formats: [iso]
timezone: UTC
columns:
  branch_id: {aliases: [Filiale]}
  register_id: {aliases: [Kasse]}
  receipt_id: {aliases: [Bonnr]}
  started_at: {aliases: [Zeitpunkt]}
lines:
  path: Zeilen
  columns:
    line_number: {aliases: [Pos]}
    product_ref: {aliases: [Artikel]}
    quantity: {aliases: [Menge]}
    gross_amount: {aliases: [Betrag]}
"""


@dataclass(frozen=True)
class Kind:
    """A format: its mapping (YAML without name and pattern, or a file of the library), its files, and where lines are in records.

    ``lines`` is the column of nested lines and ``amount`` that of the amount; ``plain`` reads a file without tillhouse.
    """

    name: str
    mapping: str
    suffix: str
    write: Callable[[list[Line]], bytes]
    plain_name: str
    plain: Callable[[Path], Found]
    lines: str | None = None
    amount: str = "Betrag"


def make_lines(count: int) -> list[Line]:
    """Lines of receipts of three lines each, the same ones each time."""
    start = datetime.fromisoformat("2025-10-25T08:00:00")
    lines: list[Line] = []
    for number in range(count):
        receipt, position = divmod(number, LINES_OF_A_RECEIPT)
        at = (start + timedelta(seconds=receipt % 36_000)).isoformat()
        cents = 99 + number * 7919 % 10_000
        amount = f"{cents // 100}.{cents % 100:02d}"
        article = number * 31 % 5_000
        text = f'Artikel {article}, "lose"; Größe {position}'
        lines.append(("DD1", "2", str(100_000 + receipt), at, str(position + 1), f"A{article}", text, "1", amount))
    return lines


def total_of(lines: list[Line]) -> Found:
    return len(lines), sum((Decimal(line[-1]) for line in lines), Decimal(0))


def _table(delimiter: str) -> Callable[[list[Line]], bytes]:
    def write(lines: list[Line]) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=delimiter)
        writer.writerows([NAMES, *lines])
        return text.getvalue().encode()

    return write


def _workbook(lines: list[Line]) -> bytes:
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(NAMES)
    for line in lines:
        sheet.append([*line[:4], int(line[4]), *line[5:7], int(line[7]), float(line[8])])
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _receipts(lines: list[Line]) -> Iterator[list[Line]]:
    return (lines[first : first + LINES_OF_A_RECEIPT] for first in range(0, len(lines), LINES_OF_A_RECEIPT))


def _json_lines(lines: list[Line]) -> bytes:
    texts = []
    for receipt in _receipts(lines):
        nested = [dict(zip(NAMES[4:], line[4:], strict=True)) for line in receipt]
        texts.append(json.dumps({**dict(zip(NAMES[:4], receipt[0], strict=False)), "Zeilen": nested}, ensure_ascii=False))
    return "".join(f"{text}\n" for text in texts).encode()


def _parquet(lines: list[Line]) -> bytes:
    columns = [pa.array(values) for values in zip(*lines, strict=True)]
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns, names=NAMES), buffer)
    return buffer.getvalue()


def _typed_parquet(lines: list[Line]) -> bytes:
    columns = [pa.array(values) for values in zip(*lines, strict=True)]
    columns[3], columns[4] = columns[3].cast(pa.timestamp("ms")), columns[4].cast(pa.int32())
    columns[7], columns[8] = columns[7].cast(pa.int32()), columns[8].cast(pa.decimal128(18, 2))
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns, names=NAMES), buffer)
    return buffer.getvalue()


def _poslog(lines: list[Line]) -> bytes:
    parts = [f'<?xml version="1.0" encoding="UTF-8"?>\n<POSLog xmlns="{_POSLOG}">\n']
    for receipt in _receipts(lines):
        branch, till, number, at, *_ = receipt[0]
        items = "".join(
            f"<LineItem><SequenceNumber>{line[4]}</SequenceNumber><Sale><ItemID>{line[5]}</ItemID><Description>{line[6]}"
            f"</Description><Quantity>{line[7]}</Quantity><ExtendedAmount>{line[8]}</ExtendedAmount></Sale></LineItem>"
            for line in receipt
        )
        total = sum((Decimal(line[8]) for line in receipt), Decimal(0))
        tender = f'<Tender TenderType="Cash" TypeCode="Sale"><Amount>{total}</Amount></Tender>'
        items += f"<LineItem><SequenceNumber>9</SequenceNumber>{tender}</LineItem>"
        parts.append(
            f"<Transaction><RetailStoreID>{branch}</RetailStoreID><WorkstationID>{till}</WorkstationID><SequenceNumber>{number}"
            f"</SequenceNumber><BusinessDayDate>{at[:10]}</BusinessDayDate><EndDateTime>{at}</EndDateTime><RetailTransaction>"
            f"{items}</RetailTransaction></Transaction>\n"
        )
    return "".join([*parts, "</POSLog>\n"]).encode()


DSFINVK = {
    "Bonkopf": ("transactions.csv", "BON_ID BON_NR# BON_TYP BON_STORNO BON_START BON_ENDE UMS_BRUTTO#"),
    "Bonpos": ("lines.csv", "BON_ID POS_ZEILE ARTIKELTEXT GV_TYP ART_NR MENGE# FAKTOR# STK_BR#"),
    "Bonpos_USt": ("lines_vat.csv", "BON_ID POS_ZEILE UST_SCHLUESSEL# POS_BRUTTO# POS_NETTO# POS_UST#"),
    "Bonkopf_Zahlarten": ("datapayment.csv", "BON_ID ZAHLART_TYP ZAHLART_NAME ZAHLWAEH_CODE BASISWAEH_BETRAG#"),
}


def _dsfinvk(lines: list[Line]) -> bytes:
    rows: dict[str, list[Line]] = {name: [] for name in DSFINVK}
    for receipt in _receipts(lines):
        number, at = receipt[0][2], receipt[0][3]
        total = _comma(str(sum((Decimal(line[8]) for line in receipt), Decimal(0))))
        rows["Bonkopf"].append((number, number, "Beleg", "0", at, at, total))
        rows["Bonkopf_Zahlarten"].append((number, "Bar", "Bar", "EUR", total))
        for line in receipt:
            amount = _comma(line[8])
            rows["Bonpos"].append((number, line[4], line[6], "Umsatz", line[5], "1,000", "", amount))
            rows["Bonpos_USt"].append((number, line[4], "1", amount, amount, "0,00"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (file, columns) in DSFINVK.items():
            text = io.StringIO(newline="")
            writer = csv.writer(text, delimiter=";")
            header = ["Z_KASSE_ID", "Z_ERSTELLUNG", "Z_NR", *(column.rstrip("#") for column in columns.split())]
            writer.writerows([header, *((*_CLOSING, *row) for row in rows[name])])
            archive.writestr(file, text.getvalue())
        archive.writestr("index.xml", _index())
    return buffer.getvalue()


def _comma(amount: str) -> str:
    return amount.replace(".", ",")


def _index() -> str:
    tables = []
    for name, (file, columns) in DSFINVK.items():
        described = "".join(
            f"<VariableColumn><Name>{column.rstrip('#')}</Name>{'<Numeric/>' if column.endswith('#') else '<AlphaNumeric/>'}"
            "</VariableColumn>"
            for column in f"Z_KASSE_ID Z_ERSTELLUNG Z_NR# {columns}".split()
        )
        tables.append(
            f"<Table><URL>{file}</URL><Name>{name}</Name><UTF8/><DecimalSymbol>,</DecimalSymbol><DigitGroupingSymbol>."
            "</DigitGroupingSymbol><Range><From>2</From></Range><VariableLength><ColumnDelimiter>;</ColumnDelimiter>"
            f"<TextEncapsulator>&quot;</TextEncapsulator>{described}</VariableLength></Table>"
        )
    return f'<?xml version="1.0" encoding="UTF-8"?><DataSet><Media>{"".join(tables)}</Media></DataSet>'


def _sum(amounts: Iterator[Any]) -> Found:
    count, total = 0, Decimal(0)
    for amount in amounts:
        count, total = count + 1, total + Decimal(amount)
    return count, total


def _with_duckdb(relation: str) -> Callable[[Path], Found]:
    """Every value as text, as bronze has it, and materialised."""

    def read(path: Path) -> Found:
        con = duckdb.connect()
        con.execute("SET threads = 1")
        con.execute(f"CREATE TABLE t AS SELECT * FROM {relation.format(path=path)}")  # noqa: S608 - a path of ours
        found = con.execute("SELECT count(*), sum(CAST(Betrag AS DECIMAL(18, 2))) FROM t").fetchone()
        assert found is not None
        return found[0], found[1]

    return read


def _plain_workbook(path: Path) -> Found:
    rows = load_workbook(path, read_only=True, data_only=True).worksheets[0].iter_rows(min_row=2, values_only=True)
    return _sum(f"{row[8]:.2f}" for row in rows)


def _plain_json(path: Path) -> Found:
    with path.open(encoding="utf-8") as file:
        return _sum(line["Betrag"] for text in file for line in json.loads(text)["Zeilen"])


def _plain_xml(path: Path) -> Found:
    tree, amount = etree.parse(str(path)), f"{{{_POSLOG}}}ExtendedAmount"
    records = [{child.tag: child.text for child in line.iter()} for line in tree.iter(f"{{{_POSLOG}}}LineItem")]
    return _sum(record[amount] for record in records if amount in record)


def _plain_archive(path: Path) -> Found:
    with zipfile.ZipFile(path) as archive:
        tables = {
            name: list(csv.DictReader(io.TextIOWrapper(archive.open(file), "utf-8", newline=""), delimiter=";"))
            for name, (file, _) in DSFINVK.items()
        }
    return _sum(row["POS_BRUTTO"].replace(",", ".") for row in tables["Bonpos_USt"])


_CSV = "read_csv('{path}', delim='%s', header=true, all_varchar=true)"
KINDS = (
    Kind("csv", f"{TABLE}format: csv\n", "csv", _table(","), "DuckDB", _with_duckdb(_CSV % ",")),
    Kind("tsv", f'{TABLE}format: csv\ncsv: {{delimiter: "\\t"}}\n', "tsv", _table("\t"), "DuckDB", _with_duckdb(_CSV % "\t")),
    Kind("parquet", f"{TABLE}format: parquet\n", "parquet", _parquet, "DuckDB", _with_duckdb("read_parquet('{path}')")),
    Kind(
        "parquet, typed", f"{TABLE}format: parquet\n", "parquet", _typed_parquet, "DuckDB", _with_duckdb("read_parquet('{path}')")
    ),
    Kind("jsonl, nested", NESTED, "jsonl", _json_lines, "json", _plain_json, "Zeilen"),
    Kind("xlsx", f"{TABLE}format: xlsx\n", "xlsx", _workbook, "openpyxl", _plain_workbook),
    Kind("xml, POSLog", "poslog.yml", "xml", _poslog, "lxml", _plain_xml, "RetailTransaction/LineItem", "Sale/ExtendedAmount"),
    Kind("zip, DSFinV-K", "dsfinvk.yml", "zip", _dsfinvk, "zipfile, csv", _plain_archive, "lines", "POS_BRUTTO"),
)
