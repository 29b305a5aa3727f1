"""Excel workbooks (.xlsx): one sheet as records of text. A workbook is an archive, so it is bounded before it is opened."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NoReturn

import pyarrow as pa

from tillhouse.errors import SourceError
from tillhouse.sources.archive import open_archive
from tillhouse.sources.model import Source
from tillhouse.sources.records import BrokenRecord, Records, unique_names
from tillhouse.sources.typed_values import to_text

MAX_ROWS = 1_048_576  # of a sheet; the number that a row says is not believed beyond


def read_workbook(content: bytes, source: Source) -> Records:
    """The rows below the header of one sheet, with their numbers in the sheet.

    Numbers and days are those of the cell, not how it is shown; a formula gives the value that was saved with it.

    Raises:
        SourceError: the file is no workbook, is out of bounds, or has no such sheet or header.
    """
    from openpyxl import load_workbook  # noqa: PLC0415 - importing takes half a second, and few sources need it

    open_archive(content, source, "save as .xlsx (not .xls or .csv under another name), and export again").close()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and validations, which are of no use here
            book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    except Exception as error:
        _refuse(error, source)
    wanted = source.workbook.sheet
    if wanted is not None and wanted not in book.sheetnames:
        raise SourceError(
            f"no sheet {wanted!r}; there are: {', '.join(book.sheetnames)}. Rule: workbook.sheet in {source.conf_file}. "
            "Remedy: correct the name there, or export again."
        )
    sheet = book[wanted] if wanted is not None else book[book.sheetnames[0]]
    sheet.reset_dimensions()  # what a writer says about the size of a sheet may be wrong
    try:
        return _to_records(_rows(sheet, source), source)
    except SourceError:
        raise
    except Exception as error:  # a sheet is parsed while it is read
        _refuse(error, source)


def _refuse(error: Exception, source: Source) -> NoReturn:
    raise SourceError(
        f"not readable as a workbook: {type(error).__name__}. Rule: format is xlsx in {source.conf_file}. "
        "Remedy: save as .xlsx without a password, and export again."
    ) from None


def _to_records(lines: Iterator[tuple[int, list[str | None]]], source: Source) -> Records:
    number, header = next(lines, (source.workbook.skip_rows + 1, []))
    while header and header[-1] is None:
        header.pop()
    if not any(header):
        raise SourceError(
            f"row {number}: no header. Rule: the first row after skip_rows ({source.workbook.skip_rows}) names the columns. "
            f"Remedy: check workbook.sheet and skip_rows in {source.conf_file}, or export again."
        )
    width, ignored = len(header), source.workbook.skip_rows
    rows: list[int] = []
    found: list[Sequence[str | None]] = []
    broken: list[BrokenRecord] = []
    for row, cells in lines:
        first = next((cell for cell in cells if cell is not None), None)
        if first is None or (cells[0] or "").strip().startswith(source.workbook.footer_prefix or ("\0",)):
            ignored += 1
        elif any(cell is not None for cell in cells[width:]):
            broken.append(BrokenRecord(row, f"cells beyond the {width} columns of the header", ";".join(c or "" for c in cells)))
        else:
            rows.append(row)
            found.append([*cells[:width], *[None] * (width - len(cells))])
    columns = (
        [pa.array(values, pa.string()) for values in zip(*found, strict=True)] if found else [pa.array([], pa.string())] * width
    )
    return Records(
        pa.table(columns, names=unique_names(name or "" for name in header)), pa.array(rows, pa.int64()), broken, ignored
    )


def _rows(sheet: Any, source: Source) -> Iterator[tuple[int, list[str | None]]]:  # noqa: ANN401 - openpyxl has no types
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        if number > MAX_ROWS:
            raise SourceError(
                f"the sheet says that it has more than {MAX_ROWS:,} rows. Rule: as many as Excel has. Remedy: save it again."
            )
        if number > source.workbook.skip_rows:
            yield number, [_text(cell, source) for cell in cells]


def _text(cell: Any, source: Source) -> str | None:  # noqa: ANN401 - openpyxl has no types
    value = cell.value
    if isinstance(value, datetime) and "h" not in (cell.number_format or "").lower():
        return value.date().isoformat()
    text = to_text(value, source)
    return text if text is None or text.strip() else None
