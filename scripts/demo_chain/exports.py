"""What the exports beside the tills have in common: the day of the export, tables, and what a record must become."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import date
from pathlib import Path

EXPORTED = "20180102T0600"
EXPORTED_ON = date(2018, 1, 2)
ZONE = "America/New_York"  # of the branches: their clocks agree in the year of the data


@dataclass(frozen=True)
class Expected:
    """A record that is no contact, as the lake must hold it: whom it names, its place, days or instants, and amounts.

    ``person_id``: who that truly is; of a card, the first person of its household.
    """

    entity: str
    source: str
    record_id: str
    named_by: str = ""
    branch_id: str = ""
    product_ref: str = ""
    receipt_number: str = ""
    begins: str = ""
    ends: str = ""
    state: str = ""
    amount: str = ""
    open_amount: str = ""
    person_id: str = ""


@dataclass(frozen=True)
class Fault:
    """What must be listed: the rule, the source, and the record as people know it, where it has a key."""

    rule: str
    source: str
    record_key: str | None


Told = tuple[list[Expected], list[Fault]]


def write_expected_records(path: Path, records: Iterable[Expected]) -> None:
    """Write the truth about records that are no contacts."""
    columns = ",".join(field.name for field in fields(Expected))
    write_rows(path, columns, (astuple(record) for record in records))


def write_rows(
    path: Path, columns: str, rows: Iterable[Sequence[object]], encoding: str = "utf-8", delimiter: str = ","
) -> None:  # fmt: skip
    """Write a table with a header; its folder is made where it is not there yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerow(columns.split(delimiter))
        writer.writerows(rows)


def money(cents: int) -> str:
    """An amount as a database writes it."""
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def betrag(cents: int) -> str:
    """An amount as German books write it."""
    return money(cents).replace(".", ",")
