"""Typed values of workbooks and Parquet files as the text that the mapping expects, so that bronze holds text everywhere."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from tillhouse.errors import SourceError
from tillhouse.sources.model import Source
from tillhouse.sources.records import as_json


def to_text(value: object, source: Source) -> str | None:
    """A value as the export would have written it: numbers with the mapping's decimal mark, days and times as ISO.

    Raises:
        SourceError: a value is binary and no text.
    """
    text: str | None
    match value:
        case None | str():
            text = value
        case bool():
            text = str(value).lower()
        case float() | Decimal():
            text = number_text(value).replace(".", source.locale.decimal)
        case datetime() | date() | time():
            text = value.isoformat()
        case int() | timedelta():
            text = str(value)
        case bytes():
            text = _decoded(value, source)
        case _:
            text = as_json(_plain(value))
    return text


def _decoded(value: bytes, source: Source) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise SourceError(
            f"a binary value is no text. Rule: records of text. Remedy: leave the column out of the export of {source.name}."
        ) from None


def number_text(value: float | Decimal) -> str:
    """A number without exponent. A double has 15 digits that mean something, which is also what spreadsheets show."""
    exact = value if isinstance(value, Decimal) else Decimal(f"{value:.15g}")
    return format(exact, "f") if exact.is_finite() else str(value)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any nested value
    """A nested value as JSON writes it; numbers stay exact as text."""
    match value:
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case float() | Decimal():
            return number_text(value)
        case datetime() | date() | time():
            return value.isoformat()
        case bytes():
            return value.decode("utf-8", "replace")
        case _:
            return value
