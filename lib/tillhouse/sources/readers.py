"""Readers: the bytes of one delivered file to records of text. No Spark in here, so that a file can be tried in a second."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from tillhouse.errors import SourceError
from tillhouse.sources.model import Source

MAX_FILE_BYTES = 1 << 30
MAX_CELL_BYTES = 1 << 20


@dataclass(frozen=True)
class BrokenRecord:
    """A record that cannot be read: kept with its place and text, never lost."""

    row: int
    reason: str
    text: str


@dataclass(frozen=True)
class Records:
    """What a file holds: ``table`` has only text columns; ``rows`` are the lines of the file that its records start in."""

    table: pa.Table
    rows: pa.Array
    broken: list[BrokenRecord] = field(default_factory=list)
    ignored: int = 0

    @property
    def columns(self) -> list[str]:
        return list(self.table.column_names)

    @property
    def rows_read(self) -> int:
        return self.table.num_rows + len(self.broken)


def read_records(content: bytes, source: Source) -> Records:
    """The records of one file.

    Raises:
        SourceError: the file as a whole cannot be read as the mapping says; says what to do.
    """
    if len(content) > MAX_FILE_BYTES:
        raise SourceError(f"file has {len(content)} bytes, more than {MAX_FILE_BYTES}; deliver it in parts")
    records = _READERS[source.format](content, source)
    _check_columns(records.columns, source)
    return records


def decode(content: bytes, encoding: str) -> str:
    """Strict decoding: a wrong encoding is found, not replaced by question marks."""
    try:
        return content.decode("utf-8-sig" if encoding.lower().replace("_", "-") == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SourceError(
            f"row {line}: byte 0x{content[error.start]:02x} is not {encoding}. "
            "Rule: strict decoding. Remedy: set the encoding of the mapping to what the system exports, or export again."
        ) from None


def _read_csv(content: bytes, source: Source) -> Records:
    text = decode(content, source.encoding)
    if "\x00" in text:
        raise SourceError("the file contains NUL characters, it is not a text table; export again")
    skipped = source.csv.skip_rows
    lines = text.split("\n", skipped + 1)
    if len(lines) <= skipped or not lines[skipped].strip():
        raise SourceError(f"row {skipped + 1}: no header line. Remedy: check skip_rows ({skipped}), or export again.")
    body = text[sum(len(line) + 1 for line in lines[:skipped]) :]
    broken: list[BrokenRecord] = []
    ignored = skipped
    footers = source.csv.footer_prefix

    def on_invalid(row: Any) -> str:
        nonlocal ignored
        if not row.text.strip(source.csv.delimiter + " \r\n") or row.text.startswith(footers or ("\x00",)):
            ignored += 1
        else:
            reason = f"{row.actual_columns} columns instead of {row.expected_columns}"
            broken.append(BrokenRecord(row.number + skipped, reason, row.text))
        invalid.append(row.number + skipped)
        return "skip"

    invalid: list[int] = []
    header = next(iter(_split_line(lines[skipped].rstrip("\r"), source)))
    names = _unique_names(header)
    try:
        table = pa_csv.read_csv(
            io.BytesIO(body.encode("utf-8")),
            read_options=pa_csv.ReadOptions(column_names=names, skip_rows=1, use_threads=False, block_size=1 << 24),
            parse_options=pa_csv.ParseOptions(
                delimiter=source.csv.delimiter,
                quote_char=source.csv.quote,
                newlines_in_values=source.csv.quote in body,
                ignore_empty_lines=False,
                invalid_row_handler=on_invalid,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, check_utf8=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise SourceError(f"not a text table as declared: {error}. Remedy: check delimiter and quote.") from None
    rows = _row_numbers(table.num_rows, invalid, first=skipped + 2)
    keep = _not_footer(table, footers, source.csv.delimiter)
    if keep is not None:
        ignored += table.num_rows - sum(keep)
        mask = pa.array(keep)
        table, rows = table.filter(mask), rows.filter(mask)
    return Records(table, rows, broken, ignored)


def _split_line(line: str, source: Source) -> list[list[str]]:
    import csv  # noqa: PLC0415 - the name is taken by the mapping's section

    return list(csv.reader([line], delimiter=source.csv.delimiter, quotechar=source.csv.quote))


def _row_numbers(count: int, invalid: list[int], first: int) -> pa.Array:
    """Lines of the file, leaving out those that are no sound record."""
    if not invalid:
        return pa.array(range(first, first + count), pa.int64())
    taken = set(invalid)
    numbers = (n for n in range(first, first + count + len(invalid)) if n not in taken)
    return pa.array(list(numbers)[:count], pa.int64())


def _not_footer(table: pa.Table, prefixes: tuple[str, ...], delimiter: str) -> list[bool] | None:
    if not prefixes or not table.num_columns:
        return None
    return [not str(value).startswith(prefixes) for value in table.column(0).to_pylist()]


def _read_jsonl(content: bytes, source: Source) -> Records:
    text = decode(content, source.encoding)
    rows: list[int] = []
    found: list[dict[str, str | None]] = []
    broken: list[BrokenRecord] = []
    ignored = 0
    names: dict[str, None] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            ignored += bool(line)
            continue
        try:
            record = _LITERAL_NUMBERS.decode(line.strip())
        except (ValueError, RecursionError) as error:
            broken.append(BrokenRecord(number, f"not JSON: {error}", line))
            continue
        if not isinstance(record, dict):
            broken.append(BrokenRecord(number, "not a JSON object", line))
            continue
        cells = {key: _as_text(value) for key, value in record.items()}
        names.update(dict.fromkeys(cells))
        rows.append(number)
        found.append(cells)
    if broken and not found:
        raise SourceError(f"row {broken[0].row}: {broken[0].reason}. No line of the file is a JSON object; export again.")
    safe = dict(zip(names, _unique_names(list(names)), strict=True))
    columns = {safe[name]: pa.array([cells.get(name) for cells in found], pa.string()) for name in names}
    table = pa.table(columns) if columns else pa.table({})
    return Records(table, pa.array(rows, pa.int64()), broken, ignored)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


# Numbers stay as they are written: 0.10 must not become 0.1, and no amount passes through a double.
_LITERAL_NUMBERS = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_refuse_constant)


def _as_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


_READERS: dict[str, Callable[[bytes, Source], Records]] = {"csv": _read_csv, "jsonl": _read_jsonl}


def safe_name(name: str) -> str:
    """A column name that Delta accepts: blanks and ``,;{}()=`` become underscores; technical names are not shadowed."""
    safe = re.sub(r"[\s,;{}()=.`]+", "_", name.strip().lstrip("\ufeff")).strip("_") or "column"
    return safe


def _unique_names(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        safe = safe_name(name)
        count = seen[safe.lower()] = seen.get(safe.lower(), 0) + 1
        unique.append(safe if count == 1 else f"{safe}__{count}")
    return unique


@dataclass(frozen=True)
class ColumnDecision:
    """What the mapping decides about one column of a file."""

    column: str
    decision: str
    field: str | None


def decide_columns(columns: list[str], source: Source) -> list[ColumnDecision]:
    """Each column of a file is mapped, renamed (an alias other than the first), ignored or new; missing fields are named."""
    present = set(columns)
    decisions: dict[str, ColumnDecision] = {}
    missing = []
    for name, column in source.columns.items():
        raw = [safe_name(raw) for raw in column.raw_columns]
        if column.aliases:
            used = next((alias for alias in raw if alias in present), None)
            if used is not None:
                decisions[used] = ColumnDecision(used, "mapped" if used == raw[0] else "renamed", name)
        else:
            for part in raw:
                if part in present:
                    decisions[part] = ColumnDecision(part, "mapped", name)
            used = raw[0] if raw and present >= set(raw) else None
        if raw and used is None:
            missing.append(ColumnDecision(name, "missing", name))
    nested = {safe_name(child.path) for child in (source.lines, source.payments) if child}
    order = {safe_name(alias) for alias in source.version_order.aliases} if source.version_order else set()
    ignored = {safe_name(name) for name in source.ignored_columns}
    for column_name in columns:
        if column_name not in decisions:
            known = column_name in nested | order
            decision = "mapped" if known else "ignored" if column_name in ignored else "new"
            decisions[column_name] = ColumnDecision(column_name, decision, None)
    return [*decisions.values(), *missing]


def _check_columns(columns: list[str], source: Source) -> None:
    if not columns:
        return
    decisions = decide_columns(columns, source)
    required = {field for field in _required_fields(source) if not source.columns[field].default}
    for decision in decisions:
        if decision.decision == "missing" and decision.field in required:
            wanted = ", ".join(source.columns[decision.field].raw_columns)
            raise SourceError(
                f"column missing for field {decision.field}: none of [{wanted}] is in the file, which has "
                f"[{', '.join(columns)}]. Rule: mandatory field. Remedy: add the new name to aliases of {decision.field} "
                f"in conf/sources/{source.name}.yml, or export again with the column."
            )
        if decision.decision == "new" and source.new_columns == "reject":
            raise SourceError(
                f"column {decision.column!r} is not known to the mapping. Rule: new_columns is reject. Remedy: map it or "
                f"list it in ignored_columns in conf/sources/{source.name}.yml."
            )


def _required_fields(source: Source) -> set[str]:
    from tillhouse.sources.fields import ENTITY_FIELDS  # noqa: PLC0415

    canonical = {field.name for field in ENTITY_FIELDS[source.entity] if field.required}
    return {name for name, column in source.columns.items() if column.required or name in canonical}
