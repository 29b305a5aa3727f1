"""What a page holds: its records as they were written, and what leads to the next page."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NoReturn
from urllib.parse import urljoin

from tillhouse.errors import SourceError
from tillhouse.pull.client import Answer
from tillhouse.pull.model import Connector, Since

_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")
_BLANKS = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True)
class Page:
    """The records of a page, one JSON text each and on one line; ``next`` is the cursor or address that follows, if any."""

    lines: list[str]
    next: str | None
    highest: str | None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


# Numbers stay the text that was written.
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_refuse)


def read_page(answer: Answer, connector: Connector) -> Page:
    """Take a page apart.

    Raises:
        SourceError: it is no JSON, or does not hold what the connector says.
    """
    try:
        text = answer.content.decode("utf-8-sig")
        page, end = _DECODER.raw_decode(text, _skip(text, 0))
        if _skip(text, end) != len(text):
            raise ValueError(f"more text after character {end}")
    except (ValueError, RecursionError) as error:
        reason = f"byte {error.start} is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise _fault(
            connector, f"a page is no JSON: {reason[:120]}", "JSON in UTF-8", "pull again; if it stays so, ask the API's maker"
        ) from None
    records = _records(page, connector)
    lines = [] if page == {} else [_one_line(written) for written in _slices(text, _names(connector.records))]
    return Page(lines, _next(page, answer, connector), _highest(records, connector))


def _records(page: object, connector: Connector) -> list[object]:
    """The list of records; a page that is ``{}`` has none."""
    records = _at(page, connector.records)
    if records is None and page == {}:
        return []
    if not isinstance(records, list):
        where = f"under {connector.records}" if connector.records else "as the page"
        has = f"; the page has: {', '.join(map(str, list(page)[:20]))}" if isinstance(page, dict) else ""
        raise _fault(connector, f"no list {where}{has}", "records", "name the place of the list, with dots between names")
    if any(not isinstance(record, dict) or not record for record in records):
        raise _fault(connector, "a record is no object with names and values", "records", "name the list of objects")
    return records


def _next(page: object, answer: Answer, connector: Connector) -> str | None:
    paging = connector.paging
    if paging.style == "link":
        return answer.next_link
    if paging.next is None:
        return None
    found = _at(page, paging.next)
    if found in (None, "", False):
        return None
    if not isinstance(found, str):
        raise _fault(connector, f"{paging.next} is no text", "paging.next", "name the place of the cursor or address")
    return urljoin(answer.url, found) if paging.style == "next_url" else found


def _at(value: object, path: str | None) -> object:
    """What stands at a place, named with dots; a number counts in a list. None if there is nothing."""
    for name in _names(path):
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def _names(path: str | None) -> list[str]:
    return path.split(".") if path else []


def _skip(text: str, position: int) -> int:
    found = _BLANKS.match(text, position)
    assert found is not None
    return found.end()


def _slices(text: str, names: list[str]) -> Iterator[str]:
    """The elements of the list at a place, as they are written. The text is sound JSON, and the list is there."""
    position = _skip(text, 0)
    for name in names:
        position = _value_of(text, position, name)
    position = _skip(text, position + 1)
    while text[position] != "]":
        _, end = _DECODER.raw_decode(text, position)
        yield text[position:end]
        position = _skip(text, end)
        position = _skip(text, position + 1) if text[position] == "," else position


def _value_of(text: str, position: int, wanted: str) -> int:
    """Where the value of a name, or of a number in a list, begins; of a name that comes twice the last, as parsing has it."""
    closes, found, number = "}" if text[position] == "{" else "]", position, 0
    position = _skip(text, position + 1)
    while text[position] != closes:
        name = str(number)
        if closes == "}":
            name, end = _DECODER.raw_decode(text, position)
            position = _skip(text, _skip(text, end) + 1)
        if name == wanted:
            found = position
        _, end = _DECODER.raw_decode(text, position)
        position, number = _skip(text, end), number + 1
        position = _skip(text, position + 1) if text[position] == "," else position
    return found


def _one_line(written: str) -> str:
    """JSON text without line breaks; they are only blanks in it, inside of texts JSON writes them otherwise."""
    return written.replace("\r", " ").replace("\n", " ")


def with_value(body: Mapping[str, Any], path: str, value: str) -> dict[str, Any]:
    """A copy of a body with a text at a place; objects on the way are made where they are missing."""
    result = copy.deepcopy(dict(body))
    *way, last = path.split(".")
    place: Any = result
    for name in way:
        place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
    place[int(last) if isinstance(place, list) else last] = value
    return result


def _highest(records: list[object], connector: Connector) -> str | None:
    """The highest value of the field that the next pull begins with."""
    if connector.since is None:
        return None
    highest = None
    for record in records:
        text = _at(record, connector.since.field)
        if text is None:
            continue
        highest = later(highest, order_of(str(text), connector.since, connector), connector.since)
    return highest


def order_of(text: str, since: Since, connector: Connector) -> str:
    """A value in the one form that is kept and sent: an instant in UTC, or a number.

    Raises:
        SourceError: it is neither.
    """
    try:
        if since.kind == "number":
            if not _NUMBER.fullmatch(text):
                raise ValueError
            return text
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=UTC)
        return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        raise _fault(
            connector, f"{since.field} is no {since.kind}", f"since.kind is {since.kind}", "correct since.field or since.kind"
        ) from None


def later(one: str | None, other: str | None, since: Since) -> str | None:
    """The higher one of two values in the form of ``order_of``."""
    known = [text for text in (one, other) if text is not None]
    return max(known, key=Decimal if since.kind == "number" else datetime.fromisoformat, default=None)


def earlier(text: str, pulled: str) -> str:
    """An instant, or the time at which a pull began if that is earlier."""
    began = datetime.strptime(f"{pulled}+0000", "%Y%m%dT%H%M%S%z")
    return text if datetime.fromisoformat(text) < began else began.isoformat().replace("+00:00", "Z")


def less_overlap(text: str, since: Since) -> str:
    """The value that is asked for: some seconds earlier where records become visible late."""
    if not since.overlap_seconds:
        return text
    earlier = datetime.fromisoformat(text) - timedelta(seconds=since.overlap_seconds)
    return earlier.isoformat().replace("+00:00", "Z")


def _fault(connector: Connector, what: str, rule: str, remedy: str) -> SourceError:
    return SourceError(f"{connector.name}: {what}. Rule: {rule} in {connector.conf_file}. Remedy: {remedy}.")
