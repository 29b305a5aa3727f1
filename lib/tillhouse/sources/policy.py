"""What a file of a source must fulfil before it is published: the key ``quality`` of a mapping, judged for each file."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from tillhouse.sources.written import to_number
from tillhouse.strict import Duration, StrictModel

if TYPE_CHECKING:
    from tillhouse.sources.model import Csv, Locale

REJECTED, TOTALS, CONTROL, DELAYED = "file_share_rejected", "file_totals_differ", "file_control_differs", "file_delayed"
FILE_RULES = (REJECTED, TOTALS, CONTROL, DELAYED)
Share = Annotated[float, Field(ge=0, le=1)]
Position = Annotated[int, Field(ge=1, strict=True)]
Text = Annotated[str, Field(min_length=1)]


class ShareLimits(StrictModel):
    """Shares from 0 to 1 above which a file is told of, or held."""

    warn: Share | None = None
    stop: Share | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        _check_limits(self.warn, self.stop)
        return self


class DelayLimits(StrictModel):
    """Delays above which a file is told of, or held."""

    warn: Duration | None = None
    stop: Duration | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        _check_limits(self.warn, self.stop)
        return self


def _check_limits(warn: float | timedelta | None, stop: float | timedelta | None) -> None:
    if warn is None and stop is None:
        raise ValueError("needs warn, stop or both")
    if warn is not None and stop is not None and warn > stop:  # type: ignore[operator]
        raise ValueError(f"warn ({warn}) is above stop ({stop}); the file would be held before anybody is warned")


class Trailer(StrictModel):
    """A line at the end of a text table that states what the file holds; positions of its columns count from 1."""

    prefix: Text
    records: Position | None = None
    amount: Position | None = None

    @model_validator(mode="after")
    def _states_something(self) -> Self:
        if self.records is None and self.amount is None:
            raise ValueError("states nothing; say in which column of the line records or amount stands")
        return self


class ControlFile(StrictModel):
    """A text table of one row beside each file that states what it holds; ``pattern`` is its path, with what the file's has."""

    pattern: Text
    records: Text | None = None
    amount: Text | None = None

    @model_validator(mode="after")
    def _states_something(self) -> Self:
        if self.records is None and self.amount is None:
            raise ValueError("states nothing; say which column holds records or amount")
        return self

    def path_for(self, captured: Mapping[str, str]) -> str:
        """The path that belongs to a file, by what its own path captures."""
        return re.sub(r"\{(\w+)\}", lambda name: captured.get(name[1], name[0]), self.pattern)


class Quality(StrictModel):
    """Limits of one source. Above ``warn`` a file flows and is an exception, above ``stop`` it is held until somebody decides."""

    rejected: ShareLimits | None = None
    stated_totals: ShareLimits | None = None
    control_totals: ShareLimits | None = None
    delay: DelayLimits | None = None
    trailer: Trailer | None = None
    control_file: ControlFile | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not (self.rejected or self.stated_totals or self.control_totals or self.delay):
            raise ValueError("sets no limit; add rejected, stated_totals, control_totals or delay")
        if self.trailer and self.control_file:
            raise ValueError("has trailer and control_file; keep the one that the export has")
        if bool(self.control_totals) != bool(self.trailer or self.control_file):
            raise ValueError(
                "control_totals goes together with trailer or control_file: what is stated, and by how much the file may differ"
            )
        return self


@dataclass(frozen=True, slots=True)
class Check:
    """A limit that a file exceeds: ``error`` holds the file, ``warning`` lets it flow."""

    rule: str
    severity: str
    found: str
    limit: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.found}, {self.limit}"


def exceeded(rule: str, limits: ShareLimits | DelayLimits | None, value: float | timedelta, found: str) -> list[Check]:
    """The limit that a file exceeds, if any; of both ``stop`` counts. ``found`` says the value for people."""
    for name, severity in (("stop", "error"), ("warn", "warning")):
        limit = getattr(limits, name, None)
        if limit is not None and value > limit:
            told = f"{limit:.2%}" if isinstance(limit, float) else as_words(limit)
            return [Check(rule, severity, found, f"{name} above {told}")]
    return []


def exceeded_delay(limits: DelayLimits | None, due_at: datetime, exported_at: datetime) -> list[Check]:
    """By how much a file was exported after it was due."""
    delay = exported_at - due_at
    return exceeded(DELAYED, limits, delay, f"exported {as_words(delay)} after it was due ({due_at:%Y-%m-%d %H:%M} UTC)")


def exceeded_rejected(limits: ShareLimits | None, rejected: int, records: int) -> list[Check]:
    """The share of a file's records that errors keep out."""
    share = rejected / records if records else 0.0
    return exceeded(REJECTED, limits, share, f"{rejected:,} of {records:,} records are kept out ({share:.2%})")


def exceeded_stated(limits: ShareLimits | None, differing: int, receipts: int) -> list[Check]:
    """The share of a file's receipts whose lines do not add up to the total that they state."""
    share = differing / receipts if receipts else 0.0
    return exceeded(TOTALS, limits, share, f"{differing:,} of {receipts:,} receipts differ from their stated total ({share:.2%})")


def exceeded_control(
    limits: ShareLimits | None, stated: Mapping[str, str | None] | None, found: Mapping[str, Decimal], locale: Locale
) -> list[Check]:
    """What trailer or control file state against what the file holds; a total that is not there or unreadable is no total."""
    checks = []
    for name, text in (stated or {}).items():
        value = to_number(text or "", locale)
        if value is None:
            checks += exceeded(CONTROL, limits, float("inf"), f"no {name} stated")
            continue
        difference = abs(value - found[name])
        share = float(difference / abs(value)) if value else float(bool(difference))
        checks += exceeded(CONTROL, limits, share, f"{name} {found[name]:,} instead of {value:,} as stated")
    return sorted(checks, key=lambda check: check.severity)[:1]  # one exception for each file and rule, the worse one


def trailer_of(text: str, trailer: Trailer, layout: Csv) -> dict[str, str | None]:
    """What the last line with the trailer's prefix states, as text; None where it states nothing."""
    lines = [line for line in text.splitlines() if line.lstrip().startswith(trailer.prefix)]
    quote = {"quotechar": layout.quote} if layout.quote else {"quoting": csv.QUOTE_NONE}
    cells = next(csv.reader(lines[-1:], delimiter=layout.delimiter, **quote), [])
    wanted = {"records": trailer.records, "amount": trailer.amount}
    return {
        name: cells[position - 1] if position <= len(cells) else None for name, position in wanted.items() if position is not None
    }


def control_of(text: str, control: ControlFile, layout: Csv) -> dict[str, str | None]:
    """What the first row of a control file states, as text; None where it states nothing."""
    quote = {"quotechar": layout.quote} if layout.quote else {"quoting": csv.QUOTE_NONE}
    row = next(csv.DictReader(text.splitlines(), delimiter=layout.delimiter, **quote), {})
    wanted = {"records": control.records, "amount": control.amount}
    return {name: row.get(column) for name, column in wanted.items() if column is not None}


def as_words(duration: timedelta) -> str:
    """A duration in whole days, else in hours."""
    hours = duration // timedelta(hours=1)
    count, unit = (hours // 24, "day") if hours and hours % 24 == 0 else (hours, "hour")
    return f"{count} {unit}{'' if count == 1 else 's'}"
