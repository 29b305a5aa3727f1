"""A profile for people: YAML that can be saved as a mapping, with confidence and samples behind each column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel

from tillhouse.sources.entities import FIELDS
from tillhouse.sources.profile.kinds import Told
from tillhouse.sources.profile.look import Profile

_RUNNERS_UP = 3
_SHOWN = 120  # characters of samples
_FROM_PATH = {"branch_id": "branch", "stock_date": "day", "system": "system", "campaign_id": "campaign", "survey_id": "survey"}


def as_text(found: Profile) -> str:
    """The mapping in YAML, what it rests on, and what is still to be said. Personal values are not shown."""
    return "\n".join(_of_known(found) if found.known is not None else _of_proposal(found)) + "\n"


def _of_known(found: Profile) -> Iterator[str]:
    assert found.known is not None
    source = found.known.source
    yield f"# The shipped mapping conf/library/{source.name}.yml ({source.entity}) fits. Copy it to conf/sources and change"
    yield f"# what its first lines name. Columns that it reads: {', '.join(found.known.fields)}"
    if found.known.changes:
        yield "# This file is written otherwise; replace these keys in the copy:"
        yield _yaml({key: _plain(value) for key, value in found.known.changes.items()}).rstrip()


def _of_proposal(found: Profile) -> Iterator[str]:
    kind, *others = found.kinds
    mapping = found.mapping
    behind = ", ".join(f"{item.kind} {item.confidence:.2f}" for item in others[:_RUNNERS_UP])
    yield f"# Records of the kind {kind.kind}: {kind.confidence:.2f}" + (f"; less likely: {behind}" if behind else "")
    yield "# Proposed from the file; change source, description, owner and file_pattern, and look at every line. What no file"
    yield "# tells, such as how returns are written or since when a consent holds, is in docs/connecting.md, step 2."
    yield _yaml({key: value for key, value in mapping.items() if key not in ("columns", "value_maps")}) + "columns:"
    personal = {item.name for item in FIELDS[kind.kind] if item.personal}
    for name, origin in mapping["columns"].items():
        told = kind.told[name]
        yield f"  {name}: {_yaml(origin, flow=True)}  # {told.confidence:.2f}: {_samples(told, name in personal)[:_SHOWN]}"
    if "value_maps" in mapping:
        yield _yaml({"value_maps": mapping["value_maps"]}).rstrip()
    yield from (f"# {doubt}" for doubt in found.doubts)
    rest = [column.name for column in found.columns if column.name not in kind.used]
    if rest:
        yield f"# not needed, or not understood: {', '.join(rest)}"
    if found.missing:
        yield f"# still to be said: {', '.join(found.missing)}"
    for name in found.missing:
        allowed = next((item.allowed for item in FIELDS[kind.kind] if item.name == name), ())
        if name in _FROM_PATH:
            part = _FROM_PATH[name]
            yield f"# {part} may stand in the path: file_pattern: .../{{{part}}}_*.csv and {name}: {{from_path: {part}}}"
        elif allowed:
            yield f"# all may be of one kind: {name}: {{value: {allowed[0]}}}"


def _samples(told: Told, is_personal: bool) -> str:
    """The first values; personal ones, and whatever looks like an e-mail address, are not shown."""
    texts = dict.fromkeys(text for column in told.columns for text in column.samples[:3])
    shown = dict.fromkeys("***" if is_personal or "@" in text else " ".join(text.split()) for text in texts)
    return ", ".join(shown)


def _yaml(value: Any, *, flow: bool = False) -> str:  # noqa: ANN401 - whatever stands in a mapping
    text = yaml.safe_dump(value, allow_unicode=True, sort_keys=False, default_flow_style=True if flow else None, width=1000)
    return text.strip() if flow else text


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    return list(value) if isinstance(value, tuple) else value
