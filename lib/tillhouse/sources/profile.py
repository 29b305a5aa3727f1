"""What an unknown export is: its layout, whether a shipped mapping fits, else a mapping proposed column by column. No Spark."""

from __future__ import annotations

import csv
import dataclasses
import difflib
import io
import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import yaml

from tillhouse.errors import SourceError, TillhouseError
from tillhouse.sources.fields import LINE_FIELDS, RECEIPT_FIELDS
from tillhouse.sources.model import Source
from tillhouse.sources.readers import decide_columns, read_records
from tillhouse.sources.records import Records

SAMPLE_ROWS = 500
FITS = 0.6  # share of a shipped mapping's columns that a file must have
SURE = 0.5  # confidence from which a column is proposed
DAMAGED = 8  # one in so many values may be written differently from all others

# Names under which tills and ERP systems export a field, in German and English; compared without case, blanks and marks.
_NAMES = {
    "branch_id": "filiale filialnr filialnummer markt marktnr laden standort betriebsstaette haus branch store "
    "storeid shop location outlet site branchno storenumber",
    "register_id": "kasse kassennr kassennummer kassenid terminal register till pos workstation device",
    "closing_id": "znr zbericht kassenabschluss abschluss closing zreport session",
    "receipt_id": "bonnr bonnummer bon belegnr belegnummer beleg bonid receipt receiptid receiptno receiptnumber "
    "transaction transactionid transaktionsnummer ticket ticketnr order orderid vorgang rechnungsnr quittung quittungsnr",
    "started_at": "zeitpunkt datumuhrzeit datumzeit timestamp datetime bonzeit verkaufszeit verkauftam soldat createdat "
    "completedat transactiontime",
    "business_date": "datum bondatum belegdatum tag buchungstag buchungsdatum date day businessdate saledate verkaufsdatum",
    "(time)": "uhrzeit zeit bonuhrzeit time timeofday",
    "operator": "bediener kassierer verkaeufer mitarbeiter operator cashier employee clerk",
    "currency": "waehrung currency currencycode whg",
    "card_number": "kundenkarte kartennr kundennr kundennummer kunde loyaltycard customer customerid card membership",
    "stated_gross_amount": "bonsumme gesamtbetrag belegsumme bonbetrag receipttotal total grandtotal",
    "transaction_type": "vorgangsart belegart transactiontype doctype belegtyp",
    "line_number": "position pos posnr positionsnr zeile zeilennr line linenumber lineno lfdnr",
    "product_ref": "artnr artikelnr artikelnummer artikelid sku plu itemid item productid articleno article "
    "itemnumber productcode",
    "gtin": "ean gtin barcode strichcode upc",
    "category_ref": "warengruppe warengr wgr wg category department productgroup",
    "quantity": "menge anzahl stueck stk qty quantity units absatz",
    "unit": "einheit me mengeneinheit unit uom",
    "unit_price": "einzelpreis epreis ep preis vkpreis vk unitprice price",
    "gross_amount": "betrag umsatz brutto bruttobetrag bruttoumsatz gesamtpreis positionsbetrag amount gross "
    "grossamount linetotal extendedamount totalprice umsatzbrutto wert",
    "net_amount": "netto nettobetrag nettoumsatz net netamount umsatznetto",
    "tax_amount": "mwst ust steuer steuerbetrag mwstbetrag vat tax taxamount",
    "discount_amount": "rabatt nachlass rabattbetrag discount discountamount",
    "return_reason": "retourengrund rueckgabegrund returnreason",
}
SYNONYMS = {name: tuple(words.split()) for name, words in _NAMES.items()}
FOOTERS = ("summe", "gesamt", "total", "zwischensumme", "endsumme", "tagessumme", "tagestotal", "grand total", "sum")
_KINDS = {item.name: item.type for item in (*RECEIPT_FIELDS, *LINE_FIELDS)} | {"(time)": "time"}
_DATES = (
    "dd.MM.yyyy", "dd.MM.yy", "yyyy-MM-dd", "dd/MM/yyyy", "MM/dd/yyyy", "yyyyMMdd", "dd-MM-yyyy", "yyyy/MM/dd", "d.M.yyyy",
)  # fmt: skip
_TIMES = ("HH:mm:ss", "HH:mm", "HHmmss", "HHmm", "hh:mm a")
_INSTANTS = tuple(f"{day}{mark}{time}" for day in _DATES for mark in (" ", ", ", "'T'") for time in _TIMES)
_PYTHON = {
    "yyyy": "%Y", "yy": "%y", "MM": "%m", "dd": "%d", "d": "%d", "M": "%m",
    "HH": "%H", "hh": "%I", "mm": "%M", "ss": "%S", "a": "%p",
}  # fmt: skip


@dataclass
class ColumnProfile:
    """What a column of the file looks like, and what it may be."""

    name: str
    samples: list[str]
    field: str | None = None
    confidence: float = 0.0
    formats: list[str] = dataclasses.field(default_factory=list)


@dataclass
class Profile:
    """What was found out about a file: the shipped mapping that fits, by its name, or a proposal (``mapping``)."""

    columns: list[ColumnProfile]
    mapping: dict[str, Any] = dataclasses.field(default_factory=dict)
    known_as: str | None = None
    missing: list[str] = dataclasses.field(default_factory=list)
    doubts: list[str] = dataclasses.field(default_factory=list)


def profile(content: bytes, name: str, library: Iterable[Source] = ()) -> Profile:
    """The layout of a file, and a mapping for it.

    A shipped mapping (``library``) fits where the file has what it needs and most of the columns that it names. Otherwise columns
    are told by their names and by what stands in them; confidence is 0..1.

    Raises:
        TillhouseError: nothing can be read from the file.
    """
    kind = _format_of(content)
    known = _known(content, kind, library)
    if known is not None:
        return known
    layout: dict[str, Any] = {"format": kind}
    if kind == "csv":
        layout |= _text_layout(content)
    elif kind in ("xml", "gdpdu_zip"):
        raise TillhouseError(
            f"{name}: no shipped mapping of format {kind} fits. Rule: conf/library knows the system. "
            "Remedy: copy the nearest mapping of conf/library and correct its aliases; docs/sources.md has all keys."
        )
    records = _records(content, layout)
    columns = [_column(records, column) for column in records.columns]
    numbers = _number_style(columns)
    _assign(columns, numbers)
    mapping = _mapping(layout, numbers, columns, name)
    wanted = {"branch_id", "receipt_id", "gross_amount"} - mapping["columns"].keys()
    missing = sorted(wanted) + ([] if {"started_at", "business_date"} & mapping["columns"].keys() else ["started_at"])
    return Profile(columns, mapping, missing=missing, doubts=_doubts(columns, numbers))


def _format_of(content: bytes) -> str:
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


def _known(content: bytes, kind: str, library: Iterable[Source]) -> Profile | None:
    """The shipped mapping that fits best."""
    best: tuple[float, Source, Records] | None = None
    for source in library:
        if source.format != kind or source.entity != "receipt":
            continue
        try:
            records = read_records(content, source)
        except SourceError:
            continue
        fit = _fit(records, source)
        if fit >= FITS and (best is None or fit > best[0]):
            best = fit, source, records
    if best is None:
        return None
    _, source, records = best
    fields = {decision.column: decision.field for decision in decide_columns(records, source) if decision.field}
    columns = [_column(records, column) for column in records.columns]
    for column in columns:
        column.field, column.confidence = fields.get(column.name), 1.0 if column.name in fields else 0.0
    return Profile(columns, known_as=source.name)


def _fit(records: Records, source: Source) -> float:
    """Share of what the mapping names that the file has; fields of several names count once.

    A document or archive that has what the mapping needs is of its kind, whatever a vendor has added; in records of an API
    there is always more than a mapping names.
    """
    if source.format in ("xml", "gdpdu_zip") or not records.columns:
        return float(len(records.rows) > 0)
    decisions = decide_columns(records, source)
    present = sum(decision.decision in ("mapped", "renamed", "ignored") for decision in decisions)
    unfit = ("missing",) if source.format == "jsonl" else ("missing", "new")
    absent = sum(decision.decision in unfit for decision in decisions)
    return present / max(present + absent, 1)


def _text_layout(content: bytes) -> dict[str, Any]:
    """Encoding, delimiter, lines above the header and beginnings of total lines."""
    try:
        text, encoding = content.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        text, encoding = content.decode("cp1252", errors="replace"), "cp1252"
    lines = re.split(r"\r\n|\n|\r", text)[: SAMPLE_ROWS * 2]
    delimiter, width = max(((mark, _usual_width(lines, mark)) for mark in ";,\t|"), key=lambda found: (found[1] > 1, found[1]))
    rows = list(csv.reader(lines, delimiter=delimiter))
    above = next((number for number, row in enumerate(rows) if len(row) == width and _is_header(row)), None)
    if above is None:
        raise TillhouseError(
            "no header line was found. Rule: one line names the columns. Remedy: export again with column names."
        )
    firsts = {row[0].strip() for row in rows[above + 1 :] if row and row[0].strip().lower().startswith(FOOTERS)}
    layout: dict[str, Any] = {"encoding": encoding}
    table: dict[str, Any] = {"delimiter": delimiter}
    if above:
        table["skip_rows"] = above
    if firsts:
        table["footer_prefix"] = sorted(firsts)
    return layout | {"csv": table}


def _usual_width(lines: Sequence[str], delimiter: str) -> int:
    widths = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter) if row)
    return widths.most_common(1)[0][0] if widths else 0


def _is_header(cells: Sequence[str]) -> bool:
    given = [cell.strip() for cell in cells if cell.strip()]
    is_number = [bool(re.fullmatch(r"[-+(]?[\d.,' ]+[-)]?", cell)) for cell in given]
    return len(given) > len(cells) / 2 and len(set(given)) == len(given) and not any(is_number)


def _records(content: bytes, layout: Mapping[str, Any]) -> Records:
    """The records of the file, read without knowing its columns."""
    bare = {
        "source": "profile", "entity": "receipt", "description": "a file that is looked at", "owner": "nobody",
        "file_pattern": "*", "date_formats": ["iso"], "line_number": "ordinal", **layout,
        "columns": {name: {"value": "1"} for name in ("branch_id", "receipt_id", "started_at", "gross_amount")},
    }  # fmt: skip
    return read_records(content, Source.model_validate(bare))


def _column(records: Records, name: str) -> ColumnProfile:
    texts = [text.strip() for text in records.table.column(name).slice(0, SAMPLE_ROWS).to_pylist() if text and text.strip()]
    return ColumnProfile(name, texts)


def _number_style(columns: Sequence[ColumnProfile]) -> dict[str, str]:
    """Decimal mark and mark between thousands, by what decides it: cents behind a mark, or both marks in one number."""
    votes: Counter[str] = Counter()
    grouped: Counter[str] = Counter()
    for column in columns:
        for text in column.samples:
            plain = text.strip("-+() €$").removesuffix("EUR").strip()
            if not re.fullmatch(r"\d[\d.,' ]*", plain) or re.fullmatch(r"\d{1,2}\.\d{1,2}\.(\d{2}|\d{4})", plain):
                continue
            if found := re.fullmatch(r"(\d{1,3})(?:([., '])\d{3})+([.,])\d+", plain):
                votes[found[3]] += 3
                grouped[found[2]] += 1
            elif found := re.fullmatch(r"\d+([.,])(\d{1,2}|\d{4,})", plain):
                votes[found[1]] += 1
    decimal = votes.most_common(1)[0][0] if votes else "."
    grouping = grouped.most_common(1)[0][0] if grouped else {",": ".", ".": ""}[decimal]
    return {"decimal": decimal, "grouping": grouping}


def _is_number(text: str, style: Mapping[str, str]) -> bool:
    decimal, grouping = re.escape(style["decimal"]), re.escape(style["grouping"])
    whole = rf"(?:\d{{1,3}}(?:{grouping}\d{{3}})+|\d+)" if grouping else r"\d+"
    return bool(re.fullmatch(rf"[-+(]?\s*{whole}(?:{decimal}\d+)?\s*[-)]?", text.strip(" €$").removesuffix("EUR").strip()))


def _formats(texts: Sequence[str], patterns: Iterable[str]) -> list[str]:
    """The fewest patterns that read all of the texts but a few damaged ones, the most frequent first."""
    left = list(texts)
    found: list[str] = []
    while left:
        best = max(patterns, key=lambda pattern: sum(_reads(pattern, text) for text in left))
        read = [text for text in left if _reads(best, text)]
        if not read:
            return found if len(left) <= len(texts) // DAMAGED else []
        found.append(best)
        left = [text for text in left if text not in read]
    return found


def _reads(pattern: str, text: str) -> bool:
    """Whether a date pattern of the mapping language reads a text."""
    shape, python = _in_python(pattern)
    if not shape.fullmatch(text):
        return False
    try:
        datetime.strptime(text, python)  # noqa: DTZ007 - only whether it is one
    except ValueError:
        return False
    return True


@cache
def _in_python(pattern: str) -> tuple[re.Pattern[str], str]:
    """The shape of what a pattern reads, and the pattern as Python writes it."""
    parts = [found.group() for found in re.finditer(r"'[^']*'|([A-Za-z])\1*|[^A-Za-z']+", pattern)]
    return re.compile("".join(_shape(part) for part in parts)), "".join(_PYTHON.get(part, part.strip("'")) for part in parts)


def _shape(part: str) -> str:
    if part in ("d", "M"):
        return r"\d{1,2}"
    if part == "a":
        return "[AP]M"
    return rf"\d{{{len(part)}}}" if part in _PYTHON else re.escape(part.strip("'"))


def _is_iso(text: str) -> bool:
    return bool(re.fullmatch(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d+)?( ?(Z|[+-]\d{2}:?\d{2}))?", text))


def _assign(columns: Sequence[ColumnProfile], numbers: Mapping[str, str]) -> None:
    """Each field to the column that fits it best, the surest first; a column has one field."""
    found = []
    for column in columns:
        for name, synonyms in SYNONYMS.items():
            confidence, formats = _fits(column, name, synonyms, numbers)
            if confidence >= SURE:
                found.append((confidence, name, column, formats))
    taken: set[str] = set()
    for confidence, name, column, formats in sorted(found, key=lambda item: -item[0]):
        if column.field is None and name not in taken:
            column.field, column.confidence, column.formats = name, round(confidence, 2), formats
            taken.add(name)
    if "gross_amount" not in taken:  # a table with one total has no other amount of its rows
        for column in columns:
            column.field = "gross_amount" if column.field == "stated_gross_amount" else column.field


def _doubts(columns: Sequence[ColumnProfile], numbers: Mapping[str, str]) -> list[str]:
    """What the file leaves open although a choice was made."""
    doubts = []
    for column in columns:
        for pattern in column.formats:
            other = pattern.replace("dd/MM", "MM/dd")
            if column.field and other != pattern and all(_reads(other, text) for text in column.samples):
                doubts.append(f"{column.name} could be {other} as well: no day in this file is after the 12th")
        is_amount = _KINDS.get(column.field or "") in ("amount", "price", "quantity")
        if is_amount and column.samples and all(re.fullmatch(r"\d{1,3}[.,]\d{3}", text) for text in column.samples):
            doubts.append(
                f"{column.name} holds numbers such as {column.samples[0]}: decimal mark {numbers['decimal']} is a guess"
            )
    return doubts


def _fits(column: ColumnProfile, name: str, synonyms: Sequence[str], numbers: Mapping[str, str]) -> tuple[float, list[str]]:
    by_name = _resembles(column.name, synonyms)
    texts = column.samples
    if not by_name or not texts:
        return by_name * 0.6, []
    formats: list[str] = []
    match _KINDS[name]:
        case "amount" | "price" | "quantity":
            share = sum(_is_number(text, numbers) for text in texts) / len(texts)
        case "integer":
            share = sum(text.isdecimal() for text in texts) / len(texts)
        case "instant":
            formats = ["iso"] if all(map(_is_iso, texts)) else _formats(texts, _INSTANTS)
            share = 1.0 if formats else 0.0
        case "date":
            formats = _formats(texts, _DATES)
            share = 1.0 if formats else 0.0
        case "time":
            formats = _formats(texts, _TIMES)
            share = 1.0 if formats else 0.0
        case _:
            share = 0.9 if len(set(texts)) == 1 and len(texts) > 3 and name == "receipt_id" else 1.0
    return by_name * share, formats


def _resembles(column: str, synonyms: Sequence[str]) -> float:
    """How much a column's name is one of the names that a field usually has."""
    words = _plain(column)
    if words in synonyms:
        return 1.0 - 0.01 * synonyms.index(words) / len(synonyms)
    whole = max((len(name) / len(words) for name in synonyms if len(name) > 3 and name in words), default=0.0)
    similar = max((difflib.SequenceMatcher(None, words, name).ratio() for name in synonyms), default=0.0)
    return max(0.55 + 0.35 * whole if whole else 0.0, 0.9 * similar if similar >= 0.8 else 0.0)


def _plain(name: str) -> str:
    """A name without case, umlauts, blanks and marks."""
    spelled = name.lower().replace("ä", "ae").replace("ö", "oe").replace("ü", "ue").replace("ß", "ss")
    return re.sub(r"[^a-z0-9]", "", unicodedata.normalize("NFKD", spelled))


def _mapping(
    layout: Mapping[str, Any], numbers: Mapping[str, str], columns: Sequence[ColumnProfile], name: str
) -> dict[str, Any]:
    by_field = {column.field: column for column in columns if column.field}
    mapped: dict[str, Any] = {}
    formats: list[str] = []
    day, time = by_field.get("business_date"), by_field.get("(time)")
    if "started_at" in by_field:
        formats = by_field["started_at"].formats
    elif day is not None and time is not None:
        formats = [f"{a} {b}" for a in day.formats for b in time.formats]
    elif day is not None:
        formats = day.formats
    for field_name in SYNONYMS:
        column = by_field.get(field_name)
        if field_name == "(time)" or column is None:
            continue
        if field_name == "business_date" and ("started_at" in by_field or time is not None):
            if time is not None and "started_at" not in by_field:
                mapped["started_at"] = {"join": [column.name, time.name]}
            continue
        mapped[field_name] = {"aliases": [column.name]} | ({"transform": "gtin"} if field_name == "gtin" else {})
    stem = re.sub(r"[^a-z0-9]+", "_", name.rsplit("/", 1)[-1].rsplit(".", 1)[0].lower()).strip("_")
    stem = re.sub(r"(_?\d+t?\d*)+$", "", stem) or "source"  # without the day or number of this one file
    personal = {"operator", "card_number"} & mapped.keys()
    return {
        "source": stem if stem[0].isalpha() else f"source_{stem}",
        "entity": "receipt",
        "description": "receipts, one row per line",
        "owner": "data-steward",
        **layout,
        "file_pattern": f"{stem}/*",
        "locale": dict(numbers),
        "date_formats": formats or ["iso"],
        "timezone": "branch",
        "line_number": "column" if "line_number" in mapped else "ordinal",
        **({"personal_data": True} if personal else {}),
        "columns": mapped,
    }


def as_text(found: Profile) -> str:
    """The profile for people: a mapping in YAML with confidence and samples behind each column, and what is still to be said."""
    if found.known_as is not None:
        return (
            f"# The shipped mapping conf/library/{found.known_as}.yml fits. Copy it to conf/sources and change what its first\n"
            f"# lines name. Columns that it reads: {', '.join(column.name for column in found.columns if column.field)}\n"
        )
    seen = {column.name: column for column in found.columns}
    head = yaml.safe_dump({k: v for k, v in found.mapping.items() if k != "columns"}, allow_unicode=True, sort_keys=False)
    lines = [
        "# Proposed from the file; change source, description, owner and file_pattern, and look at every line.",
        head + "columns:",
    ]
    for name, origin in found.mapping["columns"].items():
        names = origin.get("aliases") or origin["join"]
        least = min(seen[column].confidence for column in names)
        hidden = name in ("operator", "card_number")
        shown = ", ".join(
            "***" if hidden else text for text in dict.fromkeys(text for c in names for text in seen[c].samples[:3])
        )
        written = yaml.safe_dump(origin, allow_unicode=True, default_flow_style=True, width=1000).strip()
        lines.append(f"  {name}: {written}  # {least:.2f}: {shown}"[:200])
    lines += [f"# {doubt}" for doubt in found.doubts]
    rest = [column.name for column in found.columns if column.field is None]
    if rest:
        lines.append(f"# not needed, or not understood: {', '.join(rest)}")
    if found.missing:
        lines.append(f"# still to be said: {', '.join(found.missing)}")
    if "branch_id" in found.missing:
        lines.append("# a branch may stand in the path: file_pattern: .../{branch}_*.csv and branch_id: {from_path: branch}")
    return "\n".join(lines) + "\n"
