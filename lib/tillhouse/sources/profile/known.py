"""Whether one of the shipped mappings fits a file, and what it has to say otherwise for this one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tillhouse.errors import SourceError
from tillhouse.sources.entities import FIELDS
from tillhouse.sources.model import Source
from tillhouse.sources.profile.style import DAYS, INSTANTS, formats, is_number, is_understood, number_style, reads
from tillhouse.sources.readers import ColumnDecision, decide_columns, read_records
from tillhouse.sources.records import Records

_FITS = 0.6  # share of a shipped mapping's columns that a file must have
_FITS_WHOLE = 0.5  # the same, if the mapping knows each column of the file
_READABLE = 0.8  # share of the values of a column that its mapping must be able to read


@dataclass(frozen=True)
class Known:
    """A shipped mapping that fits, the fields by the file's columns, and the keys that differ (``changes``)."""

    source: Source
    fields: dict[str, str]
    records: Records
    changes: dict[str, Any]


def best_known(content: bytes, kind: str, layout: Mapping[str, Any], library: Iterable[Source]) -> Known | None:
    """The shipped mapping that fits best, if any does: with its own layout, or with that of the file."""
    same = [source for source in library if source.format == kind]
    found = [
        (_filled(records, source), source, records, changes)
        for source in same
        for records, changes in _read(content, source, layout)
        if _fits(records, source, same)
    ]
    if not found:
        return None
    _, source, records, changes = max(found, key=lambda item: (item[0], not item[3]))
    fields = {item.column: item.field for item in decide_columns(records, source) if item.field and item.decision != "missing"}
    return Known(source, fields, records, changes | _of_style(records, source))


def _read(content: bytes, source: Source, layout: Mapping[str, Any]) -> list[tuple[Records, dict[str, Any]]]:
    """The records as the mapping reads them, and with the layout of the file where that is another."""
    changes = _of_layout(source, layout)
    found = []
    for differing in ({}, changes) if changes else ({},):
        with suppress(SourceError):
            found.append((read_records(content, source.model_copy(update=differing)), differing))
    return found


def _of_layout(source: Source, layout: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of the layout that the mapping says otherwise, as the file has them."""
    changes: dict[str, Any] = {}
    if "encoding" in layout and layout["encoding"] != source.encoding:
        changes["encoding"] = layout["encoding"]
    for key in layout.keys() & {"csv", "workbook"}:
        found, own = {"skip_rows": 0} | layout[key], getattr(source, key)
        footers = tuple(dict.fromkeys((*own.footer_prefix, *found.get("footer_prefix", ()))))
        given = own.model_copy(update=found | {"footer_prefix": footers})
        if given != own:
            changes[key] = given
    return changes


def _fits(records: Records, source: Source, others: Sequence[Source]) -> bool:
    """Whether a file is of this system: it has most of what the mapping names.

    One with fewer columns is, if the mapping knows them all: half of what it names, or most of them no other mapping knows.
    """
    filled = _filled(records, source)
    if filled >= _FITS:
        return True
    decisions = decide_columns(records, source)
    if not decisions or any(item.decision == "new" for item in decisions):
        return False
    told_by_others = {
        item.column for other in others if other is not source for item in decide_columns(records, other) if _is_told(item)
    }
    own = [name for name in records.columns if name not in told_by_others]
    return filled >= _FITS_WHOLE or len(own) >= len(records.columns) / 2


def _is_told(item: ColumnDecision) -> bool:
    return item.decision in ("mapped", "renamed", "ignored")


def _filled(records: Records, source: Source) -> float:
    """Share of what the mapping names that the file has; fields of several names count once.

    A document or archive that has what the mapping needs is of its kind, whatever a vendor has added; in records of an API
    there is always more than a mapping names.
    """
    if source.format in ("xml", "gdpdu_zip") or not records.columns:
        return float(len(records.rows) > 0)
    decisions = decide_columns(records, source)
    present = sum(_is_told(item) for item in decisions)
    unfit = ("missing",) if source.format == "jsonl" else ("missing", "new")
    absent = sum(item.decision in unfit for item in decisions)
    return present / max(present + absent, 1)


def _of_style(records: Records, source: Source) -> dict[str, Any]:
    """How numbers and days are written, where the mapping could not read most of a column."""
    if source.format not in ("csv", "xlsx"):
        return {}
    types = {item.name: item.type for item in FIELDS[source.entity]}
    texts = {name: _texts(records, source, name) for name in source.columns if name in types}
    changes: dict[str, Any] = {}
    numbers = [name for name in texts if types[name] in ("amount", "price", "quantity")]
    style = number_style(text for name in numbers for text in texts[name])
    if any(_share(is_number(text, source.locale) for text in texts[name]) < _READABLE for name in numbers):
        changes["locale"] = style
    unread = [
        pattern
        for name in texts
        if types[name] in ("instant", "date") and all(map(is_understood, source.date_formats))
        if _share(_is_read(text, source, types[name]) for text in texts[name]) < _READABLE
        for pattern in formats(texts[name], INSTANTS if types[name] == "instant" else DAYS)
    ]
    if not set(unread) <= set(source.date_formats):
        changes["date_formats"] = tuple(dict.fromkeys((*unread, *source.date_formats)))
    return changes


def _is_read(text: str, source: Source, kind: str) -> bool:
    patterns = (*source.date_formats, *(["yyyy-MM-dd"] if kind == "date" and "iso" in source.date_formats else []))
    return any(reads(pattern, text) for pattern in patterns)


def _texts(records: Records, source: Source, field: str) -> list[str]:
    """What stands in the columns that a field is read from."""
    column = source.columns[field]
    present = {name.lower(): name for name in records.columns}
    keys = [present[key] for name in (column.join or column.aliases) if (key := name.lower()) in present]
    cells = [records.table.column(name).to_pylist() for name in (keys if column.join else keys[:1])]
    rows = [" ".join(text.strip() for text in row if text and text.strip()) for row in zip(*cells, strict=True)]
    return [row for row in rows if row]


def _share(is_such: Iterable[bool]) -> float:
    found = list(is_such)
    return sum(found) / len(found) if found else 1.0
