"""How a file is written: its format, the layout of its table, and the style of its numbers, days and times."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Any

from tillhouse.errors import TillhouseError
from tillhouse.sources.model import Locale
from tillhouse.sources.synonyms import FOOTERS
from tillhouse.sources.written import ISO_DAY, ISO_TIME, OFFSET, to_number

SAMPLE_ROWS = 500
_SAMPLE_BYTES = 1 << 18
_DAMAGED = 3  # one in so many values may be damaged
_ISO = "iso"
_DATES = (
    "dd.MM.yyyy", "dd.MM.yy", "yyyy-MM-dd", "dd/MM/yyyy", "MM/dd/yyyy", "yyyyMMdd", "dd-MM-yyyy", "yyyy/MM/dd", "d.M.yyyy",
    "d/M/yyyy", "M/d/yyyy",
)  # fmt: skip
TIMES = ("HH:mm:ss", "HH:mm", "HHmmss", "HHmm", "H:mm:ss", "H:mm", "hh:mm a", "h:mm a")
_MOMENTS = tuple(f"{day}{mark}{time}" for day in _DATES for mark in (" ", ", ", "'T'") for time in TIMES)
DAYS = (_ISO, *_DATES, *_MOMENTS)
INSTANTS = (_ISO, *_MOMENTS)
_PYTHON = {
    "yyyy": "%Y", "yy": "%y", "MM": "%m", "dd": "%d", "d": "%d", "M": "%m",
    "HH": "%H", "H": "%H", "hh": "%I", "h": "%I", "mm": "%M", "ss": "%S", "a": "%p",
}  # fmt: skip
_MARKS = r"€|\$|£|CHF|EUR|USD|GBP|SFr\.|Fr\."  # what stands beside amounts


def format_of(content: bytes) -> str:
    """The format of the mapping language that a file is of.

    Raises:
        TillhouseError: it begins as an archive and is none.
    """
    if content.startswith(b"PK"):
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                names = {info.filename.rsplit("/", 1)[-1].lower() for info in archive.infolist()}
        except zipfile.BadZipFile:
            raise TillhouseError("the file begins as a ZIP archive and is none. Remedy: export again.") from None
        return "gdpdu_zip" if "index.xml" in names else "xlsx"
    if content.startswith(b"PAR1"):
        return "parquet"
    start = content.lstrip(b"\xef\xbb\xbf \r\n\t")[:1]
    return {b"<": "xml", b"{": "jsonl"}.get(start, "csv")


def sample_of(content: bytes, kind: str) -> bytes:
    """Enough of a file to know it, so that a large one is answered as soon as a small one: its beginning and its last lines."""
    if kind not in ("csv", "jsonl") or len(content) <= 2 * _SAMPLE_BYTES:
        return content
    end = content.find(b"\n", _SAMPLE_BYTES) + 1
    while end and content.count(b'"', 0, end) % 2:  # inside of a quoted cell
        end = content.find(b"\n", end) + 1
    last = content.rstrip().rfind(b"\n") + 1
    return content[:end] + content[max(end, last) :] if end else content


def layout_of(content: bytes, kind: str) -> dict[str, Any]:
    """What a mapping has to say about the layout of a file of this format.

    Raises:
        TillhouseError: no line names the columns.
    """
    if kind == "csv":
        return _text_layout(content)
    if kind == "xlsx":
        return _table_layout("workbook", _rows_of_workbook(content), 0)
    if kind == "jsonl":
        return _objects(content)
    return {}


def _text_layout(content: bytes) -> dict[str, Any]:
    """Encoding, delimiter, lines above the header and beginnings of total lines."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        text, encoding = content.decode("utf-16", errors="replace"), "utf-16"
    else:
        try:
            text, encoding = content.decode("utf-8-sig"), "utf-8"
        except UnicodeDecodeError:
            text, encoding = content.decode("cp1252", errors="replace"), "cp1252"
    lines = re.split(r"\r\n|\n|\r", text)
    delimiter, width = max(((mark, _usual_width(lines, mark)) for mark in ";,\t|"), key=lambda found: (found[1] > 1, found[1]))
    layout = _table_layout("csv", list(csv.reader(lines, delimiter=delimiter)), width)
    return {"encoding": encoding, "csv": {"delimiter": delimiter} | layout.get("csv", {})}


def _usual_width(lines: Sequence[str], delimiter: str) -> int:
    widths = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter) if row)
    return widths.most_common(1)[0][0] if widths else 0


def _rows_of_workbook(content: bytes) -> list[list[str]]:
    from openpyxl import load_workbook  # noqa: PLC0415 - importing takes half a second, and few files need it

    try:
        sheet = load_workbook(io.BytesIO(content), read_only=True, data_only=True).worksheets[0]
        return [["" if value is None else str(value) for value in row] for row in islice(sheet.values, SAMPLE_ROWS * 2)]
    except Exception as error:  # whatever a damaged archive makes openpyxl raise
        raise TillhouseError(
            f"not readable as a workbook: {type(error).__name__}. Remedy: save as .xlsx, and try again."
        ) from None


def _table_layout(key: str, rows: Sequence[Sequence[str]], width: int) -> dict[str, Any]:
    """Rows above the header and beginnings of total rows; a header has the usual width, or fills most of the widest row."""
    width = width or max(map(len, rows), default=0)
    above = next((number for number, row in enumerate(rows) if len(row) == width and _is_header(row)), None)
    if above is None:
        raise TillhouseError(
            "no header line was found. Rule: one line names the columns. Remedy: export again with column names."
        )
    firsts = {row[0].strip() for row in rows[above + 1 :] if row and row[0].strip().lower().startswith(FOOTERS)}
    found = ({"skip_rows": above} if above else {}) | ({"footer_prefix": sorted(firsts)} if firsts else {})
    return {key: found} if found else {}


def _is_header(cells: Sequence[str]) -> bool:
    given = [cell.strip() for cell in cells if cell.strip()]
    is_number = [bool(re.fullmatch(r"[-+(]?[\d.,' ]+[-)]?", cell)) for cell in given]
    return len(given) > len(cells) / 2 and len(set(given)) == len(given) and not any(is_number)


def _objects(content: bytes) -> dict[str, Any]:
    """Names of the objects inside of JSON records, so that their values become columns."""
    names: dict[str, None] = {}
    for line in content.decode("utf-8-sig", errors="replace").split("\n")[:SAMPLE_ROWS]:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            names |= dict.fromkeys(name for name, value in record.items() if isinstance(value, dict))
    return {"jsonl": {"objects": list(names)}} if names else {}


def number_style(texts: Iterable[str]) -> Locale:
    """Decimal mark and mark between thousands, by what decides it: cents behind a mark, or both marks in one number."""
    votes: Counter[str] = Counter()
    grouped: Counter[str] = Counter()
    beside: Counter[str] = Counter()
    for text in texts:
        plain = re.sub(_MARKS, "", text).strip("-+() ")
        if not re.fullmatch(r"\d[\d.,' ]*", plain) or re.fullmatch(r"\d{1,2}\.\d{1,2}\.(\d{2}|\d{4})", plain):
            continue
        beside.update(re.findall(_MARKS, text))
        if found := re.fullmatch(r"(\d{1,3})(?:([., '])\d{3})+([.,])\d+", plain):
            votes[found[3]] += 3
            grouped[found[2]] += 1
        elif found := re.fullmatch(r"\d+([.,])(\d{1,2}|\d{4,})", plain):
            votes[found[1]] += 1
    decimal = votes.most_common(1)[0][0] if votes else "."
    grouping = grouped.most_common(1)[0][0] if grouped else {",": ".", ".": ""}[decimal]
    return Locale.model_validate({"decimal": decimal, "grouping": grouping, "strip": sorted(beside)})


def is_number(text: str, style: Locale) -> bool:
    return to_number(text, style) is not None


def formats(texts: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """The fewest patterns that read all of the texts but a few damaged ones, the most frequent first."""
    left = Counter(texts)
    found: list[str] = []
    while left:
        best = max(patterns, key=lambda pattern: sum(count for text, count in left.items() if reads(pattern, text)))
        rest = Counter({text: count for text, count in left.items() if not reads(best, text)})
        if len(rest) == len(left):
            return found if left.total() <= len(texts) // _DAMAGED else []
        found.append(best)
        left = rest
    return found


def reads(pattern: str, text: str) -> bool:
    """Whether a date pattern of the mapping language reads a text."""
    shape, python = _in_python(pattern)
    if not shape.fullmatch(text):
        return False
    try:
        if pattern != _ISO:
            datetime.strptime(text, python)  # noqa: DTZ007 - only whether it is one
    except ValueError:
        return False
    return True


def is_understood(pattern: str) -> bool:
    """Whether ``reads`` knows all letters of a pattern; fractions and zones it does not."""
    return pattern == _ISO or all(part in _PYTHON for part in re.findall(r"([A-Za-z]+)", re.sub("'[^']*'", "", pattern)))


@cache
def _in_python(pattern: str) -> tuple[re.Pattern[str], str]:
    """The shape of what a pattern reads, and the pattern as Python writes it."""
    if pattern == _ISO:
        return re.compile(f"{ISO_DAY}{ISO_TIME}({OFFSET})?"), ""
    parts = [found.group() for found in re.finditer(r"'[^']*'|([A-Za-z])\1*|[^A-Za-z']+", pattern)]
    return re.compile("".join(_shape(part) for part in parts)), "".join(_PYTHON.get(part, part.strip("'")) for part in parts)


def _shape(part: str) -> str:
    if part in ("d", "M", "H", "h"):
        return r"\d{1,2}"
    if part == "a":
        return "[AP]M"
    return rf"\d{{{len(part)}}}" if part in _PYTHON else re.escape(part.strip("'"))
