"""A small valid mapping in YAML for each format, to which tests add what they are about."""

from __future__ import annotations

from typing import Any

import yaml

from tillhouse.config import to_model
from tillhouse.sources.model import Source

CSV = """
source: till
entity: receipt
description: receipts of a till
owner: till-team
format: csv
file_pattern: till/{week}.csv
csv: {delimiter: ";"}
date_formats: [dd.MM.yyyy]
line_number: ordinal
columns:
  branch_id: {aliases: [Filiale]}
  receipt_id: {aliases: [Bonnr, Bonnummer]}
  business_date: {aliases: [Datum]}
  gross_amount: {aliases: [Betrag]}
"""

JSON = """
source: cloud
entity: receipt
description: receipts of a cloud till
owner: till-team
format: jsonl
file_pattern: cloud/{week}.jsonl
date_formats: [iso]
timezone: UTC
columns:
  branch_id: {aliases: [branch]}
  receipt_id: {aliases: [id]}
  started_at: {aliases: [time]}
lines:
  path: items
  columns:
    line_number: {aliases: [line]}
    gross_amount: {aliases: [amount]}
"""


def mapping(base: str = CSV, changes: str = "") -> dict[str, Any]:
    """The mapping with the changes (YAML) laid over it; a null removes a key."""
    return _merged(yaml.safe_load(base), yaml.safe_load(changes) or {})


def source(base: str = CSV, changes: str = "") -> Source:
    return to_model(Source, mapping(base, changes), f"conf/sources/{yaml.safe_load(base)['source']}.yml")


def _merged(data: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(data)
    for key, value in changes.items():
        old = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(old, dict) and isinstance(value, dict) and key != "csv":
            merged[key] = _merged(old, value)
        else:
            merged[key] = value
    return merged
