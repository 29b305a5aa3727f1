"""Which kind of record a file holds, and which column is which field: by the names of columns and by what stands in them."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property

from tillhouse.sources import synonyms
from tillhouse.sources.consents import NO, YES
from tillhouse.sources.entities import BY_NAME, FIELDS, PARTY_REFERENCE
from tillhouse.sources.fields import Field
from tillhouse.sources.model import Locale
from tillhouse.sources.profile.style import DAYS, INSTANTS, TIMES, formats, is_number
from tillhouse.sources.synonyms import TIME_OF_DAY, code_words, names, plain
from tillhouse.sources.time_zones import iana_zones

SURE = 0.5  # confidence from which a column is taken for a field
_DAY_ONLY = 0.85  # what a day is worth where an instant is wanted
_BY_CONTENT = 0.65  # what contents alone are worth, whatever the column is called
_BY_FILE = 0.1  # what the name of the file is worth
_NEEDED = 0.02  # how much less sure a mandatory field may be than another one
_NEAR = 0.85  # similarity from which a name is taken for a misspelt one
_FEW = 12  # a code has no more different values
_GENERIC_ID = ("id", "nr", "no", "nummer", "number", "guid", "uuid")

# Where the time of day may stand in a column of its own: the instant that both make, and the day by itself.
_MOMENTS = {
    "receipt": ("started_at", "business_date"),
    "campaign_contact": ("occurred_at", "occurred_on"),
    "coupon_redemption": ("redeemed_at", "redeemed_on"),
    "ticket": ("opened_at", None),
    "interaction": ("started_at", None),
    "survey_answer": ("answered_at", None),
    "web_event": ("occurred_at", None),
    "preference": ("stated_at", None),
}  # fmt: skip
# A mandatory field that no column is called after, and what stands for it: a table with one total has no other amount.
_INSTEAD: dict[str, dict[str, tuple[str, ...]]] = {
    "receipt": {"gross_amount": ("stated_gross_amount",)},
    "contact": {"contact_id": ("customer_number", "card_number", "emails")},
    "open_item": {"item_id": ("invoice_id",)},
    "survey_answer": {"question_id": ("question",)},
}
_ONLY_ONE = ("stated_gross_amount",)


@dataclass(frozen=True)
class Column:
    """A column of the file and what stands in its first rows."""

    name: str
    samples: tuple[str, ...]

    @cached_property
    def as_days(self) -> list[str]:
        return formats(self.samples, DAYS)

    @cached_property
    def as_instants(self) -> list[str]:
        return formats(self.samples, INSTANTS)

    @cached_property
    def as_times(self) -> list[str]:
        return formats(self.samples, TIMES)

    def share(self, is_such: Iterable[bool]) -> float:
        return sum(is_such) / len(self.samples)


@dataclass(frozen=True)
class Told:
    """The columns that a field is read from, how sure that is, and how days and times are written in them."""

    field: str
    columns: tuple[Column, ...]
    confidence: float
    formats: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """What the columns of a file are if its records are of one kind; ``confidence`` (0..1) that they are."""

    kind: str
    told: dict[str, Told]
    confidence: float = 0.0
    missing: list[str] = field(default_factory=list)

    @property
    def used(self) -> set[str]:
        """Names of columns that a field is read from."""
        return {column.name for item in self.told.values() for column in item.columns}


def readings(columns: Sequence[Column], style: Locale, file: str) -> list[Reading]:
    """The file as each kind of record, the most likely one first."""
    found = [reading(columns, style, kind) for kind in FIELDS]
    called = plain(re.sub(r"\W?\d+", "", file.rsplit("/", 1)[-1].rsplit(".", 1)[0]))
    hinted = {kind for kind, words in synonyms.KINDS.items() if any(word in called for word in words.split() if len(word) > 3)}
    judged = [
        dataclasses.replace(item, confidence=min(item.confidence + _BY_FILE * (item.kind in hinted), 1.0)) for item in found
    ]
    return sorted(judged, key=lambda item: -item.confidence)


def reading(columns: Sequence[Column], style: Locale, kind: str) -> Reading:
    """Each field of a kind to the column that fits it best, the surest first; a column has one field."""
    fields = [*FIELDS[kind], *([Field(TIME_OF_DAY, "text", "")] if kind in _MOMENTS else [])]
    found = [item for column in columns for wanted in fields if (item := _fit(column, wanted, kind, style)).confidence >= SURE]
    several = {wanted.name for wanted in fields if wanted.type == "texts"}
    told: dict[str, Told] = {}
    taken: set[str] = set()
    needed = {wanted.name for wanted in fields if wanted.required}
    for item in sorted(found, key=lambda item: -item.confidence - _NEEDED * (item.field in needed)):
        [column] = item.columns
        if column.name in taken or (item.field in told and item.field not in several):
            continue
        taken.add(column.name)
        before = told.get(item.field)
        told[item.field] = item if before is None else dataclasses.replace(before, columns=(*before.columns, column))
    _settle_moment(told, kind)
    for wanted, others in _INSTEAD.get(kind, {}).items():
        other = next((name for name in others if name in told), None)
        if wanted not in told and other is not None:
            stands_for = told.pop(other) if other in _ONLY_ONE else told[other]
            told[wanted] = Told(wanted, stands_for.columns[:1], stands_for.confidence * 0.9)
    groups = _needed(kind)
    given = [max((told[name].confidence for name in group if name in told), default=0.0) for group in groups]
    explained = sum({column.name: item.confidence for item in told.values() for column in item.columns}.values())
    confidence = explained / max(len(columns), 1) * (0.5 + 0.5 * sum(given) / max(len(given), 1))
    missing = sorted(group[0] for group, sure in zip(groups, given, strict=True) if not sure and group is not _SOMEBODY)
    return Reading(kind, told, round(confidence, 2), missing)


_SOMEBODY = tuple(item.name for item in PARTY_REFERENCE)


def _needed(kind: str) -> list[tuple[str, ...]]:
    """Fields that a record must have, one of each group. Records without a mandatory field are about somebody at least."""
    groups: list[tuple[str, ...]] = [(item.name,) for item in FIELDS[kind] if item.required]
    if kind == "receipt":
        groups.append(("started_at", "business_date", "ended_at"))
    return groups or [_SOMEBODY]


def _settle_moment(told: dict[str, Told], kind: str) -> None:
    """Day and time of day in two columns make one instant; beside an instant the day says nothing."""
    at, on = _MOMENTS.get(kind, (None, None))
    time, day = told.pop(TIME_OF_DAY, None), told.get(on or "")
    if at is None:
        return
    if time is not None and at in told and not told[at].columns[0].as_instants:
        day = told.pop(at)
    if time is not None and day is not None and at not in told:
        written = tuple(f"{a} {b}" for a in day.formats for b in time.formats)
        told[at] = Told(at, day.columns + time.columns, min(day.confidence, time.confidence), written)
    if at in told and on is not None:
        told.pop(on, None)


def _fit(column: Column, wanted: Field, kind: str, style: Locale) -> Told:
    known = names(kind, wanted.name)
    entity = BY_NAME.get(kind)
    is_whole_key = (entity.key if entity else (f"{kind}_id",)) == (wanted.name,)
    confidence = _resembles(column.name, (*known, *_GENERIC_ID) if is_whole_key else known)
    written: list[str] = []
    if wanted.identifier is None and synonyms.tells_consent(column.name):
        return Told(wanted.name, (column,), 0.0)
    if not column.samples:
        return Told(wanted.name, (column,), confidence * 0.6)
    if wanted.identifier == "email":
        confidence = max(confidence, _BY_CONTENT)
    if confidence:
        share, written = _share(column, wanted, kind, style)
        confidence *= share
    return Told(wanted.name, (column,), confidence, tuple(written))


def _share(column: Column, wanted: Field, kind: str, style: Locale) -> tuple[float, list[str]]:
    """How much of a column reads as the field, and how its days and times are written."""
    texts = column.samples
    written: list[str] = []
    match wanted.type:
        case "amount" | "price" | "quantity":
            share = column.share(is_number(text, style) for text in texts)
        case "integer":
            share = column.share(text.isdecimal() for text in texts)
        case "instant":
            written = column.as_instants or column.as_days
            share = 1.0 if column.as_instants else _DAY_ONLY * bool(written)
        case "date":
            written, share = column.as_days, float(bool(column.as_days))
        case "boolean":
            share = column.share(text.lower() in (*YES, *NO) for text in texts)
        case "code":
            words = code_words(kind, wanted.name, wanted.allowed)
            share = column.share(plain(text) in words for text in texts) * (len(set(texts)) <= _FEW)
            share = (1 + share) / 2 if share else 0.0  # the others are asked for
        case _ if wanted.name == TIME_OF_DAY:
            written, share = column.as_times, float(bool(column.as_times))
        case _:
            share = _share_of_text(column, wanted, style)
    return share, written


_TEXTS: dict[str, Callable[[str], object]] = {
    "email": re.compile(r"[^@\s]+@[^@\s]+\.\w+.*", re.DOTALL).fullmatch,
    "phone": re.compile(r"[+0(][\d\s()/.-]{5,}").match,
    "time_zone": lambda text: text in iana_zones(),
    "currency": re.compile("[A-Z]{3}").fullmatch,
    "gtin": re.compile(r"'?\d{7,14}|\d[.,]\d+E\+\d+").fullmatch,
}


def _share_of_text(column: Column, wanted: Field, style: Locale) -> float:
    texts = column.samples
    if is_such := _TEXTS.get(wanted.identifier or wanted.name):
        return column.share(bool(is_such(text)) for text in texts)
    if column.as_days and not all(text.isdecimal() for text in texts):
        return 0.0  # days are no text
    if all(re.search(r"[.,]\d\d?\D*$", text) and is_number(text, style) for text in texts):
        return 0.5  # nor are amounts, as a rule
    return 0.9 if wanted.name == "receipt_id" and len(texts) > 3 and len(set(texts)) == 1 else 1.0


@cache
def _resembles(column: str, known: tuple[str, ...]) -> float:
    """How much a column's name is one of the names that a field usually has."""
    words = re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", column))
    path = plain(re.split(r"[/:.]", column)[-1])
    last = plain(words[-1]) if words else ""
    return max(
        0.9 if path in known else 0.0,
        0.7 if last in known and last not in _GENERIC_ID else 0.0,
        *(_is_nearly(spelling, known) for spelling in synonyms.spellings(column)),
    )


def _is_nearly(words: str, known: tuple[str, ...]) -> float:
    """How much a plain name is one of others. In a compound the last word says what it is."""
    if words in known:
        return 1.0 - 0.01 * known.index(words) / len(known)
    at_end = max((len(name) / len(words) for name in known if len(name) > 3 and words.endswith(name)), default=0.0)
    inside = max((len(name) / len(words) for name in known if len(name) > 3 and name in words), default=0.0)
    near = difflib.get_close_matches(words, known, 1, _NEAR) if len(words) > 4 else []
    return max(
        0.55 + 0.35 * at_end if at_end else 0.0,
        0.45 + 0.3 * inside if inside else 0.0,
        0.9 * difflib.SequenceMatcher(None, words, near[0]).ratio() if near else 0.0,
    )
