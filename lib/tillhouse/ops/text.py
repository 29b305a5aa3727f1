"""Rows as aligned text for people, or as JSON for programs; and dates as people write them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame


def as_json_lines(rows: DataFrame) -> str:
    """One object a row."""
    return "\n".join(json.dumps(row.asDict(), default=str) for row in rows.collect())


def as_table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows as aligned text; columns of numbers stand to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max([len(name), *(len(line[i]) for line in cells)]) for i, name in enumerate(names)]
    numeric = [all(line[i][:1].isdigit() or line[i][:1] in "-" for line in cells) for i in range(len(names))]
    lines = [list(names), ["-" * width for width in widths], *cells]
    return "\n".join(
        "  ".join(
            text.rjust(w) if right else text.ljust(w) for text, w, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    )


def to_date(given: str) -> date:
    """A date as an argument of a command tells it.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{given!r} is not a date; write yyyy-mm-dd") from None


def _cell(value: object) -> str:
    if value is None:
        return "-"
    text = str(value)
    return text.rstrip("0").rstrip(".") if "." in text and len(text.rsplit(".", maxsplit=1)[-1]) > 6 else text
