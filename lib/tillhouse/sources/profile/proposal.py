"""The mapping that is proposed for a file, key by key, and what it leaves open."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tillhouse.sources.entities import BY_NAME, FIELDS
from tillhouse.sources.fields import Field
from tillhouse.sources.model import Locale
from tillhouse.sources.profile.kinds import Column, Reading, Told
from tillhouse.sources.profile.style import reads
from tillhouse.sources.synonyms import code_words, plain, tells_consent

_MEANINGS = {"receipt": "receipts, one row per line", "product": "products of the chain", "branch": "branches of the chain"}
_ZONES = {
    "DE": "Europe/Berlin", "AT": "Europe/Vienna", "CH": "Europe/Zurich", "GB": "Europe/London", "FR": "Europe/Paris",
    "IT": "Europe/Rome", "NL": "Europe/Amsterdam",
}  # fmt: skip
_COUNTRIES = {
    "deutschland": "DE", "germany": "DE", "oesterreich": "AT", "austria": "AT", "schweiz": "CH", "switzerland": "CH",
    "suisse": "CH", "unitedkingdom": "GB", "france": "FR", "italia": "IT", "italy": "IT", "netherlands": "NL",
}  # fmt: skip
_DIALLING = {"49": "DE", "43": "AT", "41": "CH", "44": "GB", "33": "FR", "39": "IT", "31": "NL"}
_OFFSET_AT_END = re.compile(r".*\d{2}:\d{2}.*(Z|[+-]\d{2}(:?\d{2})?)")


def to_mapping(layout: Mapping[str, Any], style: Locale, found: Reading, columns: Sequence[Column], file: str) -> dict[str, Any]:
    """The proposed mapping, as it stands in YAML."""
    fields = {item.name: item for item in FIELDS[found.kind] if item.name in found.told}
    mapped = {name: _origin(found.told[name], field) for name, field in fields.items()}
    dated = [found.told[name] for name, field in fields.items() if field.type in ("instant", "date")]
    folder, _, called = file.rpartition("/")
    words = [plain(word) for word in re.split(r"[\W_]+", called.rsplit(".", 1)[0])]
    stem = "_".join(word for word in words if word.isalpha()) or "source"  # without the day or number of this one file
    entity = BY_NAME.get(found.kind)
    is_personal = any(field.personal for field in fields.values()) or (entity is not None and entity.personal)
    mapping = {
        "source": stem,
        "entity": found.kind,
        "description": entity.meaning if entity else _MEANINGS[found.kind],
        "owner": "data-steward",
        **layout,
        "file_pattern": f"{folder or stem}/{re.sub(r'[0-9{}][0-9T{}]*', '*', called)}",
        "locale": style.model_dump(exclude_defaults=True, mode="json") | {"decimal": style.decimal, "grouping": style.grouping},
    }
    if dated:
        mapping["date_formats"] = list(dict.fromkeys(pattern for item in dated for pattern in item.formats)) or ["iso"]
    if found.kind == "receipt":
        mapping |= {"timezone": "branch", "line_number": "column" if "line_number" in mapped else "ordinal"}
    elif any(field.type == "instant" for field in fields.values()):
        mapping["timezone"] = _zone(found, fields, columns)
    if any(field.identifier == "phone" for field in fields.values()):
        mapping["phone_region"] = _region(columns)
    if is_personal:
        mapping["personal_data"] = True
    if "changed_at" in found.told:
        changed = found.told["changed_at"]
        order = {"aliases": [changed.columns[0].name], "date_formats": list(changed.formats) or ["iso"]}
        mapping["version_order"] = order | {"timezone": mapping["timezone"]}
    mapping["columns"] = mapped
    values = {name: codes for name, field in fields.items() if (codes := _codes(found, field))}
    return mapping | ({"value_maps": values} if values else {})


def _origin(told: Told, field: Field) -> dict[str, Any]:
    names = [column.name for column in told.columns]
    if field.type == "texts":
        texts = [text for column in told.columns for text in column.samples]
        return {"collect": names} | ({"separator": ";"} if any(";" in text for text in texts) else {})
    if len(names) > 1:
        return {"join": names}
    is_email = field.identifier == "id" and any("@" in text for text in told.columns[0].samples)
    transform = "gtin" if field.name == "gtin" else "lower" if is_email else None
    return {"aliases": names} | ({"transform": transform} if transform else {})


def _codes(found: Reading, field: Field) -> dict[str, str]:
    """The codes that the values of a column stand for, where they are written otherwise."""
    if field.type != "code":
        return {}
    words = code_words(found.kind, field.name, field.allowed)
    texts = dict.fromkeys(found.told[field.name].columns[0].samples)
    if all(text in field.allowed for text in texts):
        return {}
    return {text: words[plain(text)] for text in texts if plain(text) in words}


def _zone(found: Reading, fields: Mapping[str, Field], columns: Sequence[Column]) -> str:
    """UTC where each time says its offset, else the zone of the country."""
    texts = [t for name, field in fields.items() if field.type == "instant" for c in found.told[name].columns for t in c.samples]
    return "UTC" if texts and all(map(_OFFSET_AT_END.fullmatch, texts)) else _ZONES[_region(columns)]


def _region(columns: Sequence[Column]) -> str:
    """The country of most rows, by its name or the prefixes of phone numbers, else by the currency; Germany if none is told."""
    votes: Counter[str] = Counter()
    for column in columns:
        for text in column.samples:
            if country := text if text in _ZONES else _COUNTRIES.get(plain(text)):
                votes[country] += 1
            elif prefix := re.match(r"(?:\+|00)(49|43|41|44|33|39|31)[\s\d(]", text):
                votes[_DIALLING[prefix[1]]] += 1
            elif re.search(r"\bCHF\b", text):
                votes["CH"] += 1
    return votes.most_common(1)[0][0] if votes else "DE"


def doubts(found: Reading, style: Locale, mapping: Mapping[str, Any], columns: Sequence[Column]) -> list[str]:
    """What the file leaves open although a choice was made."""
    told = []
    types = {item.name: item for item in FIELDS[found.kind]}
    for name, item in sorted(found.told.items(), key=lambda told: columns.index(told[1].columns[0])):
        [column, *_] = item.columns
        texts = column.samples
        for pattern in item.formats:
            other = pattern.replace("dd/MM", "MM/dd").replace("d/M/", "M/d/")
            if other != pattern and len(item.columns) == 1 and all(reads(other, text) for text in texts):
                told.append(f"{column.name} could be {other} as well: no day in this file is after the 12th")
        is_amount = types[name].type in ("amount", "price", "quantity")
        if is_amount and texts and all(re.fullmatch(r"\d{1,3}[.,]\d{3}", text) for text in texts):
            told.append(f"{column.name} holds numbers such as {texts[0]}: decimal mark {style.decimal} is a guess")
        if types[name].type == "code" and not types[name].personal:
            words = code_words(found.kind, name, types[name].allowed)
            if strange := [text for text in dict.fromkeys(texts) if plain(text) not in words]:
                told.append(
                    f"{column.name} holds {', '.join(strange)}: say in value_maps which of {', '.join(types[name].allowed)}"
                )
    told += [
        f"{key} {mapping[key]} is a guess"
        for key in ("timezone", "phone_region")
        if mapping.get(key) not in (None, "branch", "UTC")
    ]
    consents = [column.name for column in columns if column.name not in found.used and tells_consent(column.name)]
    if found.kind == "contact" and consents:
        told.append(f"may tell of consent, which only people can read; see consent in docs/sources.md: {', '.join(consents)}")
    return told
