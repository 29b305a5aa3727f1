"""DSFinV-K: the German tax export of tills, a ZIP of tables that ``index.xml`` describes (GDPdU). One record per receipt."""

from __future__ import annotations

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

import pyarrow as pa
from lxml import etree

from tillhouse.errors import SourceError
from tillhouse.sources.archive import open_archive
from tillhouse.sources.model import Source
from tillhouse.sources.records import BrokenRecord, Records, as_json, to_table
from tillhouse.sources.xml_document import local_name, parse_xml

REMEDY = "deliver the export as the till writes it, as one ZIP with index.xml"
CLOSING = ("Z_KASSE_ID", "Z_ERSTELLUNG", "Z_NR")
RECEIPT = (*CLOSING, "BON_ID")
LINE = (*RECEIPT, "POS_ZEILE")
HEAD = "Bonkopf"
# Names that tables have in index.xml, with the file that the taxonomy gives them. Home-made exporters name files by the former.
FILES = {
    "Bonkopf": "transactions.csv", "Bonpos": "lines.csv", "Bonpos_USt": "lines_vat.csv",
    "Bonpos_Preisfindung": "itemamounts.csv", "Bonpos_Zusatzinfo": "subitems.csv", "Bonkopf_USt": "transactions_vat.csv",
    "Bonkopf_AbrKreis": "allocation_groups.csv", "Bonkopf_Zahlarten": "datapayment.csv", "Bon_Referenzen": "references.csv",
    "TSE_Transaktionen": "transactions_tse.csv", "Stamm_Abschluss": "cashpointclosing.csv", "Stamm_Orte": "location.csv",
    "Stamm_Kassen": "cashregister.csv", "Stamm_Terminals": "slaves.csv", "Stamm_Agenturen": "pa.csv", "Stamm_USt": "vat.csv",
    "Stamm_TSE": "tse.csv", "Z_GV_Typ": "businesscases.csv", "Z_Zahlart": "payment.csv", "Z_Waehrungen": "cash_per_currency.csv",
}  # fmt: skip
# What is nested in a receipt, by the table that it comes from; the rest of the line tables is nested in its line.
OF_RECEIPT = {
    "payments": "Bonkopf_Zahlarten", "taxes": "Bonkopf_USt", "references": "Bon_Referenzen", "groups": "Bonkopf_AbrKreis",
    "signatures": "TSE_Transaktionen",
}  # fmt: skip
OF_LINE = {"taxes": "Bonpos_USt", "prices": "Bonpos_Preisfindung", "components": "Bonpos_Zusatzinfo"}
OF_CLOSING = ("Stamm_Abschluss", "Stamm_Orte", "Stamm_Kassen")
# The totals of a closing are nested in its first receipt.
TOTALS = {"business_cases": "Z_GV_Typ", "closing_payments": "Z_Zahlart", "closing_currencies": "Z_Waehrungen"}
_ENCODINGS = {"UTF8": "utf-8-sig", "UTF16": "utf-16", "ANSI": "cp1252", "OEM": "cp850", "Macintosh": "mac-roman"}
_MARKS = {
    "DecimalSymbol": "decimal", "DigitGroupingSymbol": "grouping", "ColumnDelimiter": "delimiter", "TextEncapsulator": "quote",
}  # fmt: skip
_SUMMED = ("POS_BRUTTO", "POS_NETTO", "POS_UST")
TAX_KEY = "UST_SCHLUESSEL"
_Row = dict[str, str]
_Key = tuple[str, ...]


@dataclass
class _Table:
    """A table of the archive as index.xml describes it, and its rows."""

    name: str
    file: str
    encoding: str = "cp1252"
    decimal: str = ","
    grouping: str = "."
    first_row: int = 1
    delimiter: str = ";"
    quote: str = '"'
    columns: dict[str, bool] = field(default_factory=dict)  # whether they are numbers
    rows: list[tuple[int, _Row]] = field(default_factory=list)


def read_gdpdu_zip(content: bytes, source: Source) -> Records:
    """One record for each row of ``transactions.csv`` with its closing, and nested in it its lines, payments and references.

    The totals of a closing are nested in the first record of it; taxes of lines have the rate of their key in that closing.
    Numbers are those that index.xml declares, without grouping and with a dot; one that is written otherwise is marked and
    unreadable. A line's amounts are the sums of its rows by tax key. Records are numbered from 1 through ``transactions.csv``,
    then through the other tables in the order of ``FILES``; a row that no receipt owns is a broken record of its own.

    Raises:
        SourceError: the archive, its index or one of its tables cannot be read.
    """
    with open_archive(content, source, REMEDY) as archive:
        members = _members(archive)
        tables = {table.name: table for table in _described(archive, members, source)}
        if HEAD not in tables:
            raise SourceError(f"no table {HEAD} (transactions.csv) in index.xml. Rule: DSFinV-K. Remedy: {REMEDY}.")
        broken: list[BrokenRecord] = []
        count = 0
        for name in FILES:
            if name in tables:
                count = _read(tables[name], archive, members, count, broken)
    return _to_records(tables, broken)


def _members(archive: zipfile.ZipFile) -> dict[str, str]:
    """Members by their name without folders, in small letters. Raises SourceError if two have the same."""
    found: dict[str, str] = {}
    for info in archive.infolist():
        name = info.filename.rsplit("/", 1)[-1].lower()
        if name and found.setdefault(name, info.filename) != info.filename:
            raise SourceError(
                f"the archive holds {found[name]} and {info.filename}. Rule: one export in one archive. Remedy: {REMEDY}."
            )
    return found


def _unpacked(archive: zipfile.ZipFile, member: str) -> bytes:
    try:
        return archive.read(member)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{member} cannot be unpacked: {error}. Rule: a sound ZIP archive. Remedy: {REMEDY}.") from None


def _described(archive: zipfile.ZipFile, members: dict[str, str], source: Source) -> Iterator[_Table]:
    if "index.xml" not in members:
        raise SourceError(f"no index.xml in the archive, which tells how its tables are written. Rule: GDPdU. Remedy: {REMEDY}.")
    root = parse_xml(_unpacked(archive, members["index.xml"]), source)
    known = {name.lower(): name for name in FILES} | {file: name for name, file in FILES.items()}
    for element in root.iter(etree.Element):
        if local_name(element) != "Table":
            continue
        file, name = _text(element, "URL"), _text(element, "Name")
        found = known.get(name.lower()) or known.get(file.rsplit("/", 1)[-1].lower())
        if found is None:
            continue  # an addition of the vendor
        table = _Table(found, file)
        for child in element.iter(etree.Element):
            tag, text = local_name(child), (child.text or "").strip()
            if tag in _ENCODINGS:
                table.encoding = _ENCODINGS[tag]
            elif tag in _MARKS and (len(text) == 1 or tag == "DigitGroupingSymbol"):
                setattr(table, _MARKS[tag], text)
            elif tag == "From" and text.isdecimal():
                table.first_row = int(text)
            elif tag in ("VariableColumn", "VariablePrimaryKey"):
                kinds = {local_name(inner) for inner in child.iterchildren(etree.Element)}
                table.columns[_text(child, "Name")] = "Numeric" in kinds
            elif tag == "FixedLength":
                raise SourceError(f"{file} has columns of fixed length. Rule: DSFinV-K uses delimiters. Remedy: {REMEDY}.")
        yield table


def _text(element: etree._Element, name: str) -> str:
    return next(((child.text or "").strip() for child in element.iterchildren(etree.Element) if local_name(child) == name), "")


def _read(table: _Table, archive: zipfile.ZipFile, members: dict[str, str], count: int, broken: list[BrokenRecord]) -> int:
    """Read the rows of a table; returns the number of the last record of the archive so far."""
    names = (table.file.rsplit("/", 1)[-1].lower(), FILES[table.name], f"{table.name.lower()}.csv")
    member = next((members[name] for name in names if name in members), None)
    if member is None:
        if table.name in (HEAD, "Bonpos", "Bonpos_USt"):
            raise SourceError(f"{table.file} is named in index.xml and not in the archive. Rule: GDPdU. Remedy: {REMEDY}.")
        return count
    try:
        text = _unpacked(archive, member).decode(table.encoding)
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{table.file}: byte {error.start} is not {table.encoding}, which index.xml declares. Rule: strict decoding. "
            f"Remedy: {REMEDY}."
        ) from None
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=table.delimiter, quotechar=table.quote)
    header = [name.upper() for name in table.columns]
    is_number = {name.upper(): number for name, number in table.columns.items()}
    as_number = _number_reader(table.decimal, table.grouping)
    try:
        for cells in lines:
            if lines.line_num < table.first_row:
                header = [cell.strip().upper() for cell in cells]  # the last line above the data names the columns
                continue
            if not any(cells):
                continue
            count += 1
            if len(cells) != len(header):
                reason = f"{table.file}, row {lines.line_num}: {len(cells)} columns instead of {len(header)}"
                broken.append(BrokenRecord(count, reason, table.delimiter.join(cells)))
                continue
            row = {
                name: as_number(value) if is_number.get(name) or name in _SUMMED else value
                for name, cell in zip(header, cells, strict=True)
                if (value := cell.strip())
            }
            table.rows.append((count, row))
    except csv.Error as error:
        raise SourceError(f"{table.file}, row {lines.line_num}: {error}. Rule: a text table. Remedy: {REMEDY}.") from None
    missing = [name for name in _key_of(table.name) if name not in header]
    if missing and text.strip():
        raise SourceError(f"{table.file}: no column {', '.join(missing)}. Rule: DSFinV-K, its keys. Remedy: {REMEDY}.")
    return count


def _key_of(name: str) -> _Key:
    if name == HEAD or name in OF_RECEIPT.values():
        return RECEIPT
    return LINE if name == "Bonpos" or name in OF_LINE.values() else CLOSING


def _number_reader(decimal: str, grouping: str) -> Callable[[str], str]:
    """Text of a number as plain digits with a dot. Grouping is optional: exporters differ."""
    point, group = re.escape(decimal), re.escape(grouping)
    grouped = rf"|[0-9]{{1,3}}(?:{group}[0-9]{{3}})+" if grouping else ""
    written = re.compile(rf"[+-]?(?:[0-9]+{grouped})(?:{point}[0-9]+)?")

    def read(text: str) -> str:
        if not written.fullmatch(text):
            return f"{text} (not written as index.xml declares)"
        return (text.replace(grouping, "") if grouping else text).replace(decimal, ".")

    return read


def _to_records(tables: dict[str, _Table], broken: list[BrokenRecord]) -> Records:
    rows, owned = {name: table.rows for name, table in tables.items()}, set[int]()
    rates = {(*_key(row, CLOSING), row.get(TAX_KEY, "")): _own(row) for _, row in rows.get("Stamm_USt", [])}
    for _, row in rows.get("Bonpos_USt", []):
        row.update(rates.get((*_key(row, CLOSING), row.get(TAX_KEY, "")), {}))
    of_line = {place: _by_key(rows.get(name, []), LINE) for place, name in OF_LINE.items()}
    lines: dict[_Key, list[dict[str, object]]] = {}
    numbers_of_lines: dict[_Key, set[int]] = {}
    for number, line in rows.get("Bonpos", []):
        key = _key(line, LINE)
        inside = {place: _taken(by_key, key, owned) for place, by_key in of_line.items()}
        lines.setdefault(key[:-1], []).append({**_own(line), **_sums(inside["taxes"]), **inside})
        numbers_of_lines.setdefault(key[:-1], set()).add(number)
    of_receipt = {place: _by_key(rows.get(name, []), RECEIPT) for place, name in OF_RECEIPT.items()}
    of_closing = [_by_key(rows.get(name, []), CLOSING) for name in OF_CLOSING]
    totals = {place: _by_key(rows.get(name, []), CLOSING) for place, name in TOTALS.items()}
    closings: set[_Key] = set()
    heads: list[dict[str, str]] = []
    for _, head in rows[HEAD]:
        key = _key(head, RECEIPT)
        closing: _Row = {}
        for by_key in of_closing:
            for _, row in by_key.get(key[:-1], [])[:1]:
                closing |= row
        owned |= numbers_of_lines.get(key, set())
        nested = {place: as_json(_taken(by_key, key, owned)) for place, by_key in of_receipt.items()}
        if key[:-1] not in closings:
            closings.add(key[:-1])
            nested |= {place: as_json(_taken(by_key, key[:-1], owned)) for place, by_key in totals.items()}
        heads.append(closing | head | nested | {"lines": as_json(lines.pop(key, []))})
    owners = {**dict.fromkeys(OF_LINE.values(), "line"), **dict.fromkeys(TOTALS.values(), "closing")}
    for name in ("Bonpos", *OF_LINE.values(), *OF_RECEIPT.values(), *TOTALS.values()):
        for number, row in rows.get(name, []):
            if number not in owned:
                table, owner = tables[name], owners.get(name, "receipt")
                reason = f"{table.file}: of a {owner} that the export does not hold"
                broken.append(BrokenRecord(number, reason, table.delimiter.join(row.values())))
    children = {
        place: [name for name in tables[of].columns if name not in RECEIPT] if of in tables else []
        for place, of in (("lines", "Bonpos"), *OF_RECEIPT.items(), *TOTALS.items())
    }
    children["lines"] += [*_SUMMED, *OF_LINE]
    numbers = pa.array([number for number, _ in rows[HEAD]], pa.int64())
    return Records(to_table(heads), numbers, sorted(broken, key=lambda record: record.row), children=children)


def _key(row: _Row, names: _Key) -> _Key:
    return tuple(row.get(name, "") for name in names)


def _by_key(rows: list[tuple[int, _Row]], names: _Key) -> dict[_Key, list[tuple[int, _Row]]]:
    found: dict[_Key, list[tuple[int, _Row]]] = {}
    for number, row in rows:
        found.setdefault(_key(row, names), []).append((number, row))
    return found


def _taken(by_key: dict[_Key, list[tuple[int, _Row]]], key: _Key, owned: set[int]) -> list[_Row]:
    """The rows of a key without their key, which the receipt or line has already."""
    found = by_key.get(key, [])
    owned.update(number for number, _ in found)
    return [_own(row) for _, row in found]


def _own(row: _Row) -> _Row:
    return {name: text for name, text in row.items() if name not in RECEIPT}


def _sums(taxes: list[_Row]) -> _Row:
    """A line's amounts over all its tax keys; an amount that is missing or unreadable in one of them is so for the line."""
    sums: _Row = {}
    for name in _SUMMED:
        texts = [row.get(name) for row in taxes]
        if not texts or None in texts:
            continue
        unreadable = next((text for text in texts if text and "(" in text), None)
        sums[name] = unreadable or str(sum((Decimal(text or "0") for text in texts), Decimal(0)))
    return sums
