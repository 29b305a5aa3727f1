"""What an unknown export is: its layout, whether a shipped mapping fits, else a mapping proposed column by column. No Spark."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tillhouse.errors import TillhouseError
from tillhouse.sources.model import Locale, Source
from tillhouse.sources.profile import style
from tillhouse.sources.profile.kinds import Column, Reading, reading, readings
from tillhouse.sources.profile.known import Known, best_known
from tillhouse.sources.profile.proposal import doubts, to_mapping
from tillhouse.sources.readers import read_records
from tillhouse.sources.records import Records


@dataclass(frozen=True)
class Profile:
    """What was found out about a file: the shipped mapping that fits (``known``), or a proposal (``mapping``)."""

    columns: Sequence[Column]
    known: Known | None = None
    kinds: Sequence[Reading] = ()
    mapping: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    doubts: Sequence[str] = ()

    @property
    def known_as(self) -> str | None:
        """Name of the shipped mapping that fits."""
        return self.known.source.name if self.known else None

    @property
    def missing(self) -> Sequence[str]:
        """Mandatory fields that no column was found for."""
        return self.kinds[0].missing if self.kinds else ()


def profile(content: bytes, name: str, library: Iterable[Source] = (), kind: str | None = None) -> Profile:
    """The layout of a file, and a mapping for it.

    A shipped mapping (``library``) fits where the file has what it needs and most of the columns that it names. Otherwise the
    kind of record is told by how well its fields explain the columns, unless it is given (``kind``), and columns are told by
    their names and by what stands in them; confidence is 0..1.

    Raises:
        TillhouseError: nothing can be read from the file.
    """
    form = style.format_of(content)
    content = style.sample_of(content, form)
    is_table = form not in ("xml", "gdpdu_zip")
    try:
        layout = style.layout_of(content, form)
    except TillhouseError:
        layout = {}
        if not library:
            raise
    known = best_known(content, form, layout, library)
    if known is not None and kind in (None, known.source.entity):
        return Profile(_columns(known.records), known)
    if not is_table:
        raise TillhouseError(
            f"{name}: no shipped mapping of format {form} fits. Rule: conf/library knows the system. "
            "Remedy: copy the nearest mapping of conf/library and correct its aliases; docs/sources.md has all keys."
        )
    layout = {"format": form, **style.layout_of(content, form)}
    columns = _columns(_bare_records(content, layout))
    numbers: Locale = style.number_style(text for column in columns for text in column.samples)
    kinds = readings(columns, numbers, name) if kind is None else [reading(columns, numbers, kind)]
    mapping = to_mapping(layout, numbers, kinds[0], columns, name)
    return Profile(columns, None, kinds, mapping, doubts(kinds[0], numbers, mapping, columns))


def _bare_records(content: bytes, layout: Mapping[str, Any]) -> Records:
    """The records of the file, read without knowing its columns."""
    bare = {
        "source": "profile", "entity": "receipt", "description": "a file that is looked at", "owner": "nobody",
        "file_pattern": "*", "date_formats": ["iso"], "line_number": "ordinal", **layout,
        "columns": {name: {"value": "1"} for name in ("branch_id", "receipt_id", "started_at", "gross_amount")},
    }  # fmt: skip
    return read_records(content, Source.model_validate(bare))


def _columns(records: Records) -> list[Column]:
    return [Column(name, _samples(records, name)) for name in records.columns]


def _samples(records: Records, name: str) -> tuple[str, ...]:
    texts = records.table.column(name).slice(0, style.SAMPLE_ROWS).to_pylist()
    return tuple(text.strip() for text in texts if text and text.strip())
