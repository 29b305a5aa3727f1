"""Text tables (csv): parsed by Arrow, with every record's line in the file and nothing lost on the way."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from tillhouse.errors import SourceError
from tillhouse.sources.model import Source
from tillhouse.sources.records import LINE_BREAK, BrokenRecord, Records, count_lines, decode, unique_names

# Stands in no text table. As a last line it closes each one that is parsed: where it is not seen, a quote was left open.
_END = "\0"
csv.field_size_limit(1 << 30)  # of the process; long texts are no fault of a file
_Numbers = npt.NDArray[np.int64]
_Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Misfit:
    """A record with another number of columns than the header; ``number`` counts the records from 0."""

    number: int
    columns: int
    text: str


def read_text_table(content: bytes, source: Source) -> Records:
    """The records below the header line.

    A record of another width than the header is broken. Empty records and those with a footer's prefix are ignored.
    """
    text = decode(content, source)
    if _END in text:
        raise SourceError(
            f"row {count_lines(text[: text.index(_END)]) + 1}: a NUL character. Rule: a text table. "
            f"Remedy: check encoding in {source.conf_file} (utf-16?), or export again; an interrupted export leaves such holes."
        )
    header, first_row, body = _split_header(text, source)
    table, misfits = _parse(body, unique_names(header), source)
    starts, spans = _places(table, misfits, body)
    if not misfits or not misfits[-1].text.startswith(_END):
        raise SourceError(
            f"row {first_row + starts[-1]}: a quote {source.csv.quote} is opened and never closed. Rule: a text table. "
            f"Remedy: export again; if the system does not quote its texts, say csv: {{quote: ''}} in {source.conf_file}."
        )
    end = misfits.pop().number
    is_sound = np.ones(end, dtype=np.bool_)
    is_sound[[misfit.number for misfit in misfits]] = False
    torn, broken = _torn(starts, spans, body, first_row, source)
    ignored = source.csv.skip_rows
    for misfit in misfits:
        if misfit.number in torn:
            continue
        if _is_empty_or_footer(misfit.text, source):
            ignored += 1
        else:
            reason = f"{misfit.columns} columns instead of {len(header)}"
            broken.append(BrokenRecord(first_row + int(starts[misfit.number]), reason, misfit.text))
    numbers = np.flatnonzero(is_sound)
    is_torn = np.isin(numbers, list(torn))
    is_left_out = (_are_empty(table) | _are_footers(table, source)) & ~is_torn
    ignored += int(is_left_out.sum())
    keep = ~is_left_out & ~is_torn
    rows = pa.array(first_row + starts[numbers[keep]], pa.int64())
    return Records(table.filter(pa.array(keep)), rows, sorted(broken, key=lambda record: record.row), ignored)


def _split_header(text: str, source: Source) -> tuple[list[str], int, str]:
    """The names in the header, the line that follows it, and all lines from there on."""
    end = line = 0

    def lines() -> Iterator[str]:
        nonlocal end, line
        for found in re.finditer(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+", text):
            end, line = found.end(), line + 1
            yield found.group()

    following = lines()
    for _ in range(source.csv.skip_rows):
        next(following, None)
    row = source.csv.skip_rows + 1
    try:
        header = next(_csv_reader(following, source, strict=True), [])
    except csv.Error as error:
        raise SourceError(
            f"row {row}: the header cannot be read: {error}. Rule: a header line. "
            f"Remedy: check quote and skip_rows in {source.conf_file}, or export again."
        ) from None
    if not any(name.strip() for name in header):
        raise SourceError(
            f"row {row}: no header line. Rule: the first line after skip_rows ({row - 1}) names the columns. "
            f"Remedy: check skip_rows in {source.conf_file}, or export again."
        )
    body = text[end:]
    return header, line + 1, body if not body or body.endswith(("\r", "\n")) else f"{body}\n"


def _csv_reader(lines: Iterable[str], source: Source, strict: bool) -> Iterator[list[str]]:
    delimiter, quote = source.csv.delimiter, source.csv.quote
    if not quote:
        return csv.reader(lines, delimiter=delimiter, quotechar=None, quoting=csv.QUOTE_NONE)
    return csv.reader(lines, delimiter=delimiter, quotechar=quote, strict=strict)


def _parse(body: str, names: list[str], source: Source) -> tuple[pa.Table, list[_Misfit]]:
    """The sound records and the misfits, the last of which is the end mark unless a quote was left open."""
    misfits: list[_Misfit] = []

    def keep_misfit(row: pa_csv.InvalidRow) -> str:
        misfits.append(_Misfit(row.number - 1, row.actual_columns, row.text))
        return "skip"

    end = _END if len(names) > 1 else _END + source.csv.delimiter
    content = f"{body}{end}\n".encode()
    table = pa_csv.read_csv(
        io.BytesIO(content),
        # One block: no record can straddle two, however long it is.
        read_options=pa_csv.ReadOptions(column_names=names, use_threads=False, block_size=len(content) + 1),
        parse_options=pa_csv.ParseOptions(
            delimiter=source.csv.delimiter,
            quote_char=source.csv.quote or False,
            newlines_in_values=bool(source.csv.quote) and source.csv.quote in body,
            ignore_empty_lines=False,
            invalid_row_handler=keep_misfit,
        ),
        convert_options=pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
    )
    return table, misfits


def _places(table: pa.Table, misfits: list[_Misfit], body: str) -> tuple[_Numbers, _Numbers]:
    """The line of the body that each record starts in, from 0, and the number of lines that it takes."""
    spans = np.ones(table.num_rows + len(misfits), dtype=np.int64)
    if count_lines(body) + 1 > len(spans):
        is_sound = np.ones(len(spans), dtype=np.bool_)
        for misfit in misfits:
            is_sound[misfit.number] = False
            spans[misfit.number] += count_lines(misfit.text)
        for column in table.columns:
            spans[is_sound] += pc.count_substring_regex(column, pattern=LINE_BREAK.pattern).to_numpy()
    return np.cumsum(spans) - spans, spans


def _torn(starts: _Numbers, spans: _Numbers, body: str, first_row: int, source: Source) -> tuple[set[int], list[BrokenRecord]]:
    """Records of several lines that a stray quote has glued together; each of their lines is a broken record."""
    several = np.flatnonzero(spans > 1)
    lines = LINE_BREAK.split(body) if len(several) else []
    torn = set()
    broken = []
    for number in several.tolist():
        start = int(starts[number])
        taken = lines[start : start + int(spans[number])]
        try:
            next(_csv_reader((f"{line}\n" for line in taken), source, strict=True))
        except csv.Error:
            torn.add(number)
            reason = f"a quote {source.csv.quote} opened in row {first_row + start} is closed inside a value of a later row"
            broken += [BrokenRecord(first_row + start + i, reason, line) for i, line in enumerate(taken)]
    return torn, broken


def _are_empty(table: pa.Table) -> _Flags:
    empty = np.ones(table.num_rows, dtype=np.bool_)
    for column in table.columns:
        if not empty.any():
            break
        empty &= pc.equal(pc.utf8_trim_whitespace(column), "").to_numpy()
    return empty


def _are_footers(table: pa.Table, source: Source) -> _Flags:
    footers = np.zeros(table.num_rows, dtype=np.bool_)
    for prefix in source.csv.footer_prefix:
        footers |= pc.starts_with(pc.utf8_ltrim_whitespace(table.column(0)), prefix).to_numpy()
    return footers


def _is_empty_or_footer(record: str, source: Source) -> bool:
    if not record.replace(source.csv.delimiter, "").strip():
        return True
    first = next(_csv_reader([record], source, strict=False))[0]
    return bool(source.csv.footer_prefix) and first.strip().startswith(source.csv.footer_prefix)
