"""Objects inside of JSON records: their values as columns, so that a mapping can name them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from tillhouse.strict import StrictModel

_NUMBER = re.compile(
    r"-?[0-9]{1,18}(\.[0-9]{1,10})?"
)  # without exponent: a short text cannot become a number of a million digits

Text = Annotated[str, Field(min_length=1)]
ListInList = Annotated[str, Field(pattern=r"^[^/]+/[^/]+$")]


class Jsonl(StrictModel):
    """Which objects inside of a record become columns, and which numbers in it are read otherwise.

    A column is the path of a value, with / between names. All of it holds for the record and for the records nested in it; a list
    in a list can be joined into one (``joined``), and the entries of a list can be documents of their own (``documents``).
    """

    objects: tuple[Text, ...] = ()
    summed: tuple[Text, ...] = ()
    cents: tuple[Text, ...] = ()
    joined: tuple[ListInList, ...] = ()
    documents: tuple[Text, ...] = ()
    optional_lists: tuple[Text, ...] = ()

    @property
    def is_plain(self) -> bool:
        return not (self.objects or self.summed or self.cents or self.joined or self.documents or self.optional_lists)


def opened(record: Mapping[str, object], layout: Jsonl) -> list[dict[str, object]]:
    """A record whose declared objects are open, and the documents that it holds.

    Numbers are still the text that was written, except sums and cents. A document has what is said once of its holder, too.

    Raises:
        ValueError: what is declared as a list of objects is none.
    """
    holder = _opened(record, layout)
    for path in layout.joined:
        holder[path] = _joined(holder, path)
    said_once = {name: value for name, value in holder.items() if not isinstance(value, list)}
    documents = [
        said_once | {f"{name}/{inner}": value for inner, value in entry.items()}
        for name in layout.documents
        for entry in _entries(holder, name)
    ]
    return [{name: [] for name in layout.optional_lists} | found for found in (holder, *documents)]


def _joined(record: Mapping[str, object], path: str) -> list[dict[str, object]]:
    """The entries of the lists that lie in a list, each with what is said once of the entry that holds it."""
    outer, inner = path.split("/")
    return [
        {f"{outer}/{name}": value for name, value in holder.items() if not isinstance(value, list)} | entry
        for holder in _entries(record, outer)
        for entry in _entries(holder, inner)
    ]


def _entries(record: Mapping[str, object], name: str) -> list[dict[str, object]]:
    entries = record.get(name) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"{name} is no list of objects")
    return entries


def _opened(record: Mapping[str, object], layout: Jsonl) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in record.items():
        if isinstance(value, dict) and name in layout.objects:
            found |= {f"{name}/{inner}": item for inner, item in _opened(value, layout).items()}
        elif isinstance(value, list):
            found[name] = [_opened(item, layout) if isinstance(item, dict) else item for item in value]
        else:
            found[name] = value
    for path in layout.cents:
        if isinstance(text := found.get(path), str):
            found[path] = _from_cents(text)
    for path in layout.summed:
        for name in [name for name, value in found.items() if isinstance(value, list) and path.startswith(f"{name}/")]:
            found[path] = _sum(found[name], path.removeprefix(f"{name}/"))
    return found


def _from_cents(text: str) -> str:
    """A whole number of hundredths as an amount; any other text is marked, so that nobody takes it for one."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()):
        return f"{text} (no whole number of cents)"
    return f"{'-' * text.startswith('-')}{digits.zfill(3)[:-2]}.{digits.zfill(3)[-2:]}"


def _sum(records: object, name: str) -> str:
    """The sum of a value over nested records, 0 of none; one that cannot be added up stays visible."""
    assert isinstance(records, Iterable)
    texts = [str(text) for record in records if isinstance(record, dict) and (text := record.get(name)) is not None]
    if not all(_NUMBER.fullmatch(text) for text in texts):
        return " + ".join(texts)
    return format(sum((Decimal(text) for text in texts), Decimal(0)), "f")
