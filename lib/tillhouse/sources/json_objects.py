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


class Jsonl(StrictModel):
    """Which objects inside of a record become columns, and which numbers in it are read otherwise.

    A column is the path of a value, with / between names. All of it holds for the record and for the records nested in it.
    """

    objects: tuple[Text, ...] = ()
    summed: tuple[Text, ...] = ()
    cents: tuple[Text, ...] = ()
    optional_lists: tuple[Text, ...] = ()

    @property
    def is_plain(self) -> bool:
        return not (self.objects or self.summed or self.cents or self.optional_lists)


def opened(record: Mapping[str, object], layout: Jsonl) -> dict[str, object]:
    """A record whose declared objects are open; numbers are still the text that was written, except sums and cents."""
    return {name: [] for name in layout.optional_lists} | _opened(record, layout)


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
