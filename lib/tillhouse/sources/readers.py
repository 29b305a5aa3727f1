"""From the bytes of one delivered file to records of text, and what the mapping decides about its columns.

No Spark in here, so that a file can be tried in a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tillhouse.errors import SourceError
from tillhouse.sources.gdpdu_zip import read_gdpdu_zip
from tillhouse.sources.json_lines import read_json_lines
from tillhouse.sources.model import ABOVE, Column, Source
from tillhouse.sources.parquet_file import read_parquet_file
from tillhouse.sources.records import Records, column_key
from tillhouse.sources.text_table import read_text_table
from tillhouse.sources.workbook import read_workbook
from tillhouse.sources.xml_document import read_xml_document

MAX_FILE_BYTES = 1 << 30
MAX_COLUMNS = 2_000
_READERS: dict[str, Callable[[bytes, Source], Records]] = {
    "csv": read_text_table,
    "jsonl": read_json_lines,
    "xlsx": read_workbook,
    "parquet": read_parquet_file,
    "xml": read_xml_document,
    "gdpdu_zip": read_gdpdu_zip,
}


def read_records(content: bytes, source: Source) -> Records:
    """The records of one file.

    Raises:
        SourceError: the file as a whole cannot be read as the mapping says; says what to do.
    """
    records = _READERS[source.format](content, source)
    if records.broken and not len(records.rows):
        first = records.broken[0]
        raise SourceError(
            f"row {first.row}: {first.reason}. Rule: at least one of {len(records.broken)} rows can be read. "
            f"Remedy: check format, delimiter, quote and skip_rows in {source.conf_file}, or export again."
        )
    if len(records.columns) > MAX_COLUMNS:
        raise SourceError(
            f"the file has {len(records.columns)} columns. Rule: at most {MAX_COLUMNS}. "
            f"Remedy: check delimiter and skip_rows in {source.conf_file}; no data may stand where column names belong."
        )
    _check_columns(records, source)
    return records


@dataclass(frozen=True)
class ColumnDecision:
    """What the mapping decides about one column of a file; ``column`` of a nested record is written ``path.name``."""

    column: str
    decision: str
    field: str | None

    @property
    def is_in_table(self) -> bool:
        """Whether it is about a column that bronze gets, not a missing one or one inside of a nested record."""
        return self.decision != "missing" and "." not in self.column


def decide_columns(records: Records, source: Source) -> list[ColumnDecision]:
    """Each column of a file is mapped, renamed (an alias other than the first), ignored or new; missing fields are named."""
    order = source.version_order.aliases if source.version_order else ()
    carried = (source.carry_down.group_by, *source.carry_down.columns) if source.carry_down else ()
    above = [name for _, _, item in source.placed_details for name in item.names_above]
    consents = [name for consent in source.consent for name in consent.raw_columns]
    mapped, asked = _told_in(None, source)
    asked |= {*source.asked_columns, *above, *consents}
    known = {column_key(name) for name in (*source.nested_paths, *order, *carried, *asked)}
    ignored = {column_key(name) for name in source.ignored_columns}
    decisions = _decide(records.columns, [*source.columns.items(), *mapped], column_key, known, ignored)
    for path in source.nested_paths:
        if column_key(path) not in {column_key(name) for name in records.columns}:
            decisions.append(ColumnDecision(path, "missing", path))
        elif path in records.children:
            prefix = f"{path}."
            aside = {name.removeprefix(prefix) for name in source.ignored_columns if name.startswith(prefix)}
            mapped, asked = _told_in(path, source)
            found = _decide(records.children[path], mapped, str, asked, aside)
            decisions += [
                ColumnDecision(d.column if d.decision == "missing" else prefix + d.column, d.decision, d.field) for d in found
            ]
    if len(source.lines) > 1:
        decisions = _told_in_any_list(decisions)
    present = {column_key(name) for name in records.columns}
    if source.amounts_paid and not present & {column_key(name) for name in source.amounts_paid}:
        decisions.append(ColumnDecision("payments.unpivot", "missing", "payments.unpivot"))
    return decisions


def _told_in_any_list(decisions: list[ColumnDecision]) -> list[ColumnDecision]:
    """What is mapped for several lists of lines, such as taxes of lines, is missing where none of them has it."""
    told = {field for d in decisions if d.decision != "missing" for field in (d.field or "").split(", ")}
    return list(dict.fromkeys(d for d in decisions if d.decision != "missing" or d.field not in told))


_Mapped = list[tuple[str, Column]]


def _told_in(path: str | None, source: Source) -> tuple[_Mapped, set[str]]:
    """What is mapped in the child records under ``path``, or in the records beside ``columns``; and names that are only asked."""
    mapped: _Mapped = []
    asked: set[str] = set()
    lines_paths: list[str | None] = [*(item.path for item in source.lines)] or [None]
    for place, nested in source.placed_lines:
        if path == nested.path:
            mapped += [
                (field if place == "lines" else f"{place}.columns.{field}", column) for field, column in nested.columns.items()
            ]
            asked |= set(nested.asked_columns)
    for _, place, item in source.placed_details:
        if item.level == "line" and item.path and path in lines_paths:
            asked.add(item.path)
        elif path in (lines_paths if item.level == "line" else [item.path]):
            mapped += [(f"{place}.{field}", column) for field, column in item.columns.items()]
            asked |= set(item.asked_columns)
    return mapped, asked


def _decide(
    found: Iterable[str], mapped: _Mapped, key: Callable[[str], str], known: set[str], ignored: set[str]
) -> list[ColumnDecision]:
    names = {key(name): name for name in found}
    feeds: dict[str, list[str]] = {}
    renamed: set[str] = set()
    missing = []
    for field, column in mapped:
        wanted = [key(name) for name in column.raw_columns if not name.startswith(ABOVE)]
        present = [name for name in wanted if name in names]
        for name in dict.fromkeys((*present, *(key(name) for name in column.asked_columns))):
            feeds.setdefault(name, []).append(field)
        if column.aliases and present and present[0] != wanted[0]:
            renamed.update(present)
        if wanted and (not present or (not column.aliases and len(present) < len(wanted))):
            missing.append(ColumnDecision(field, "missing", field))
    decisions = []
    for name, written in names.items():
        if name in feeds:
            decision = "renamed" if name in renamed else "mapped"
        else:
            decision = "mapped" if name in known else "ignored" if name in ignored else "new"
        decisions.append(ColumnDecision(written, decision, ", ".join(feeds.get(name, ())) or None))
    return decisions + missing


def _check_columns(records: Records, source: Source) -> None:
    if not records.columns:
        return
    decisions = decide_columns(records, source)
    missing = {d.field for d in decisions if d.decision == "missing"}
    new = [d.column for d in decisions if d.decision == "new"]
    wanted = [
        " or ".join(f"{field} [{', '.join(names)}]" for field, names in group.items())
        for group in source.needed
        if group.keys() <= missing
    ]
    if wanted and all(d.decision in ("new", "missing") for d in decisions):
        # What stands here may be a customer's record, so it is not repeated.
        raise SourceError(
            f"none of the {len(records.columns)} names in the header is known; needed: {', '.join(wanted)}. Rule: a header line. "
            f"Remedy: check skip_rows, delimiter and encoding in {source.conf_file}, or export again with column names."
        )
    if wanted:
        raise SourceError(
            f"column missing for {', '.join(wanted)}; not known to the mapping: {_listed(new) or 'none'}. Rule: mandatory field. "
            f"Remedy: add the new name to the field's aliases in {source.conf_file}, or export again with the column."
        )
    if new and source.new_columns == "reject":
        raise SourceError(
            f"columns not known to the mapping: {_listed(new)}. Rule: new_columns is reject. "
            f"Remedy: map them or list them in ignored_columns in {source.conf_file}."
        )


def _listed(names: list[str], at_most: int = 30) -> str:
    return ", ".join(names[:at_most]) + (f" and {len(names) - at_most} more" if len(names) > at_most else "")
