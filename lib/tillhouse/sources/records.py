"""What every reader gives back: records of text with the lines that they start in, and names that Delta accepts."""

from __future__ import annotations

import codecs
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from tillhouse.errors import SourceError
from tillhouse.sources.model import Source

LINE_BREAK = re.compile(r"\r\n|\n|\r")  # and no other: U+2028 and the like are text
_MAX_NAME_LENGTH = 120
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))  # one for all; json.dumps makes a new one each time


@dataclass(frozen=True)
class BrokenRecord:
    """A record that cannot be read: kept with its place and text, never lost."""

    row: int
    reason: str
    text: str


@dataclass(frozen=True)
class Records:
    """What a file holds: ``table`` has only text columns; ``rows`` are the lines of the file that its records start in.

    ``children`` are the names found in nested records, by the path that holds them.
    """

    table: pa.Table
    rows: pa.Array
    broken: list[BrokenRecord] = field(default_factory=list)
    ignored: int = 0
    children: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        return list(self.table.column_names)

    @property
    def rows_read(self) -> int:
        return len(self.rows) + len(self.broken)


def decode(content: bytes, source: Source) -> str:
    """Strict decoding: a wrong encoding is found, not replaced by question marks.

    Nearly every byte is a letter in a single-byte encoding, so there the proof goes the other way: what reads as UTF-8 with
    letters beyond ASCII in it is UTF-8.
    """
    codec = codecs.lookup(source.encoding).name
    remedy = f"Rule: strict decoding. Remedy: set encoding in {source.conf_file} to what the system exports, or export again."
    try:
        text = content.decode("utf-8-sig" if codec == "utf-8" else codec)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SourceError(f"row {line}: byte 0x{content[error.start]:02x} is not {source.encoding}. {remedy}") from None
    if codec.startswith(("cp12", "iso8859")) and not content.isascii() and _is_utf8(content):
        raise SourceError(f"the file is utf-8, not {source.encoding}. {remedy}")
    return text


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def to_table(rows: Sequence[Mapping[str, str | None]]) -> pa.Table:
    """Rows that may lack columns as a table of all their columns, by name."""
    names = sorted({name for row in rows for name in row})
    columns = [pa.array([row.get(name) for row in rows], pa.string()) for name in names]
    return pa.table(columns, names=unique_names(names))


def as_json(value: object) -> str:
    """A nested value as the text that bronze keeps of it."""
    return _JSON.encode(value)


def count_lines(text: str) -> int:
    """Line breaks in a text: LF, CRLF or CR, as an editor counts them."""
    return text.count("\n") + (text.count("\r") - text.count("\r\n") if "\r" in text else 0)


def safe_name(name: str) -> str:
    """A column name that Delta accepts: blanks and ``,;{}()=.`*`` become underscores.

    No name begins with an underscore, so that none of a file shadows a technical column such as ``_row``.
    """
    composed = unicodedata.normalize("NFC", name)
    return re.sub(r"[\s,;{}()=.`*\ufeff]+", "_", composed).strip("_")[:_MAX_NAME_LENGTH] or "column"


def column_key(name: str) -> str:
    """What tells columns apart: Spark and Delta do not distinguish upper and lower case."""
    return safe_name(name).lower()


def unique_names(names: Iterable[str]) -> list[str]:
    """Safe names, the second of the same name with ``__2`` behind it, and so on."""
    taken: set[str] = set()
    unique = []
    for name in names:
        first = candidate = safe_name(name)
        count = 1
        while candidate.lower() in taken:
            count += 1
            candidate = f"{first}__{count}"
        taken.add(candidate.lower())
        unique.append(candidate)
    return unique
