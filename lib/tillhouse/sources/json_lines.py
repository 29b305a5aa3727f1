"""JSON lines: one object per line. Numbers stay the text that was written, no amount passes through a double."""

from __future__ import annotations

import json
from typing import NoReturn

import pyarrow as pa

from tillhouse.sources.json_objects import opened
from tillhouse.sources.model import Source
from tillhouse.sources.records import LINE_BREAK, BrokenRecord, Records, as_json, decode, to_table


def read_json_lines(content: bytes, source: Source) -> Records:
    """One record per line, and one for each document in it; a line that is no JSON object is a broken record.

    Nested values stay JSON text, unless opened.
    """
    text = decode(content, source)
    lines = LINE_BREAK.split(text) if "\r" in text else text.split("\n")
    if not lines[-1]:
        lines.pop()
    rows: list[int] = []
    found: list[dict[str, str | None]] = []
    broken: list[BrokenRecord] = []
    children: dict[str, dict[str, None]] = {}
    ignored = 0
    for row, line in enumerate(lines, start=1):
        if not line.strip():
            ignored += 1
            continue
        try:
            record = _to_object(line)
            records = [record] if source.jsonl.is_plain else opened(record, source.jsonl)
            cells = [{name: _as_text(value) for name, value in each.items()} for each in records]
        except json.JSONDecodeError as error:
            broken.append(BrokenRecord(row, f"not JSON: {error.msg.removesuffix(' at')} at character {error.pos + 1}", line))
            continue
        except (ValueError, RecursionError) as error:
            broken.append(BrokenRecord(row, f"not JSON: {error}", line))
            continue
        for record in records:
            for path in source.nested_paths:
                nested = record.get(path)
                for child in nested if isinstance(nested, list) else [nested]:
                    if isinstance(child, dict):
                        children.setdefault(path, {}).update(dict.fromkeys(child))
        rows += [row] * len(records)
        found += cells
    table = to_table(found)
    return Records(table, pa.array(rows, pa.int64()), broken, ignored, {path: list(keys) for path, keys in children.items()})


def _to_object(line: str) -> dict[str, object]:
    record = _LITERAL_NUMBERS.decode(line)
    if not isinstance(record, dict) or not record:
        raise ValueError("a line must hold one object with names and values")
    if "\\u" in line:
        json.dumps(record, ensure_ascii=False).encode()  # half of a surrogate pair is no text: UnicodeEncodeError
    return record


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


_LITERAL_NUMBERS = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_refuse_constant)


def _as_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return as_json(value)
