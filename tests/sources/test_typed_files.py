"""Workbooks and Parquet files: typed cells become the text that the mapping expects, and nothing is lost on the way."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import Workbook

from tests.sources.mappings import source
from tillhouse.errors import SourceError
from tillhouse.sources.model import Source
from tillhouse.sources.readers import read_records

HEADER = ("Filiale", "Bonnr", "Datum", "Betrag")


def excel(changes: str = "") -> Source:
    return source(changes=f"format: xlsx\nfile_pattern: till/{{week}}.xlsx\n{changes}")


def parquet(changes: str = "") -> Source:
    return source(changes=f"format: parquet\nfile_pattern: till/{{week}}.parquet\n{changes}")


def book(rows: Sequence[Sequence[object]], sheet: str = "Export") -> bytes:
    made = Workbook()
    page = made.active
    page.title = sheet
    for row in rows:
        page.append(list(row))
    made.create_sheet("Notes").append(["nothing to see"])
    buffer = io.BytesIO()
    made.save(buffer)
    return buffer.getvalue()


def table(**columns: object) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def test_numbers_days_and_texts_of_cells_become_the_text_of_the_mapping() -> None:
    content = book(
        [HEADER, ("B1", 7, date(2025, 1, 31), 1234.5), ("B1", "0008", datetime.fromisoformat("2025-01-31T09:05"), 0.1 + 0.2)]
    )
    records = read_records(content, excel("locale: {decimal: ','}"))
    assert records.table.to_pylist() == [
        {"Filiale": "B1", "Bonnr": "7", "Datum": "2025-01-31", "Betrag": "1234,5"},
        {"Filiale": "B1", "Bonnr": "0008", "Datum": "2025-01-31T09:05:00", "Betrag": "0,3"},
    ]
    assert records.rows.to_pylist() == [2, 3]


def test_titles_totals_and_empty_rows_are_ignored_and_what_overhangs_is_broken() -> None:
    rows = [("Export of week 5",), HEADER, ("B1", 1, "31.01.2025", 5), (None, None), ("B1", 2, "x", 1, "beyond"), ("Total", 6)]
    records = read_records(book(rows), excel("workbook: {skip_rows: 1, footer_prefix: [Total]}"))
    assert records.rows.to_pylist() == [3]
    assert [(item.row, "4 columns" in item.reason) for item in records.broken] == [(5, True)]
    assert records.ignored == 3


def test_a_sheet_is_found_by_its_name_and_a_wrong_name_tells_which_there_are() -> None:
    content = book([HEADER, ("B1", 1, "31.01.2025", 5)], sheet="Bons")
    assert len(read_records(content, excel("workbook: {sheet: Bons}")).rows) == 1
    with pytest.raises(SourceError, match=r"no sheet 'Bon'; there are: Bons, Notes.*Remedy"):
        read_records(content, excel("workbook: {sheet: Bon}"))


def test_what_is_no_workbook_or_a_bomb_is_refused_before_it_is_opened() -> None:
    with pytest.raises(SourceError, match="no ZIP archive"):
        read_records(b"Filiale;Bonnr\n", excel())
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", bytes(50_000_000))
    with pytest.raises(SourceError, match="unpacks from"):
        read_records(bomb.getvalue(), excel())
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("readme.txt", "no workbook")
    with pytest.raises(SourceError, match="not readable as a workbook"):
        read_records(other.getvalue(), excel())


def test_a_sheet_without_the_mandatory_columns_is_refused_like_any_table() -> None:
    with pytest.raises(SourceError, match="gross_amount"):
        read_records(book([HEADER[:3], ("B1", 1, "31.01.2025")]), excel())
    with pytest.raises(SourceError, match="no header"):
        read_records(book([(None,)]), excel())


def test_typed_columns_of_parquet_become_exact_text() -> None:
    content = table(
        Filiale=["B1", None],
        Bonnr=pa.array([1, 2], pa.int64()),
        Datum=pa.array([date(2025, 1, 31)] * 2),
        Betrag=pa.array([Decimal("1234.50"), Decimal("-0.01")]),
        at=pa.array([datetime(2025, 1, 31, 9, 5, tzinfo=UTC)] * 2, pa.timestamp("us", "UTC")),
    )
    records = read_records(content, parquet())
    assert records.table.to_pylist() == [
        {"Filiale": "B1", "Bonnr": "1", "Datum": "2025-01-31", "Betrag": "1234.50", "at": "2025-01-31T09:05:00+00:00"},
        {"Filiale": None, "Bonnr": "2", "Datum": "2025-01-31", "Betrag": "-0.01", "at": "2025-01-31T09:05:00+00:00"},
    ]
    assert records.rows.to_pylist() == [1, 2]


def test_nested_lines_of_parquet_are_json_with_exact_numbers() -> None:
    lines = pa.array(
        [[{"line": 1, "gross": Decimal("0.10")}]], pa.list_(pa.struct({"line": pa.int32(), "gross": pa.decimal128(9, 2)}))
    )
    content = table(Filiale=["B1"], Bonnr=["1"], Datum=["31.01.2025"], items=lines)
    nested = "columns: {gross_amount: null}\nlines: {path: items, columns: {gross_amount: {aliases: [gross]}}}"
    records = read_records(content, parquet(nested))
    assert records.table.column("items").to_pylist() == ['[{"line":1,"gross":"0.10"}]']
    assert records.children == {"items": ["line", "gross"]}


def test_what_is_no_parquet_is_refused_with_a_remedy() -> None:
    with pytest.raises(SourceError, match=r"not readable as Parquet.*Remedy"):
        read_records(b"PAR1 torn", parquet())
