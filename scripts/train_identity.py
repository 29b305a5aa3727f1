#!/usr/bin/env python3
"""Estimate the model of identity resolution from records, without labels or with decided pairs, by DuckDB.

Splink's estimation is not used: it knows two classes of pairs, estimates the chance of agreement from pairs drawn at random, and
trains within one blocking rule at a time. The pairs that are compared here are households and namesakes, found by all rules
together; docs/identity_model.md has the figures of both.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
from identity_duckdb import Laboratory
from make_customers import make_customers, to_parties

from tillhouse.config import read_model
from tillhouse.identity.compare import SIMILARITIES
from tillhouse.identity.model import IdentityModel, frequency_token
from tillhouse.identity.records import UNKNOWN, to_comparable
from tillhouse.identity.rules import IdentityRules

CONF = Path(__file__).resolve().parent.parent / "conf"
NONE_KNOWN: Mapping[str, Mapping[str, float]] = {"given": {}, "family": {}}
LEAST = 10  # records with a name, below which the model does not tell its frequency: a rare name is a person


def name_frequencies(records: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Share of the records with a name, for names that many have, by token; the most frequent first."""
    found: dict[str, dict[str, float]] = {}
    for column in ("given", "family"):
        counts = Counter(records[column].dropna())
        total = sum(counts.values())
        found[column] = {
            frequency_token(name): round(count / total, 6)
            for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            if count >= LEAST and len(name) > 1
        }
    return found


def with_frequencies(records: pd.DataFrame, frequencies: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """Records with the frequencies of another model than that by which they were normalised."""
    return records.assign(
        **{
            f"{column}_frequency": [of.get(frequency_token(name), UNKNOWN) if name else None for name in records[column]]
            for column, of in frequencies.items()
        }
    )


def train(laboratory: Laboratory, rules: IdentityRules, decisions: pd.DataFrame | None = None) -> IdentityModel:
    """Block, compare and estimate. ``decisions`` are pairs of numbers of records and whether they are one customer."""
    laboratory.drop_shared_values(rules.shared_values)
    laboratory.block(rules.blocking, rules.block_limit)
    laboratory.compare(rules.compared, SIMILARITIES)
    return laboratory.train(rules.compared, decisions)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/train_identity.py", description=__doc__)
    parser.add_argument("--parties", type=Path, help="a .parquet file with the columns of vault.party; else customers are made")
    parser.add_argument("--decisions", type=Path, help="a .csv file with left and right (party_key) and is_same (true, false)")
    parser.add_argument("--persons", type=int, default=20_000, help="how many persons are made")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--as-of", type=date.fromisoformat, default=date(2025, 6, 1), help="no birth date is after this day")
    parser.add_argument("--conf-dir", type=Path, default=CONF)
    given = parser.parse_args()
    rules = read_model(IdentityRules, given.conf_dir / "identity.yml")
    about: dict[str, Any] = {"records": "of the chain's own"}
    if given.parties:
        parties = pd.read_parquet(given.parties)
    else:
        parties = to_parties(make_customers(given.persons, given.seed))
        about = {"records": f"scripts/make_customers.py, {given.persons} persons, seed {given.seed}"}
    records = to_comparable(parties, NONE_KNOWN, given.as_of, region=rules.region, check_digit=rules.check_digit)
    frequencies = name_frequencies(records)
    decisions = None
    if given.decisions:
        decided = pd.read_csv(given.decisions, dtype={"left": str, "right": str, "is_same": bool})
        numbers = pd.Series(range(len(records)), index=records["record_id"])
        decisions = decided.assign(left=decided["left"].map(numbers), right=decided["right"].map(numbers))
    model = train(Laboratory(with_frequencies(records, frequencies)), rules, decisions)
    about |= {"count": len(records), "labels": 0 if decisions is None else len(decisions)}
    replace(model, frequencies=frequencies, about=about).save(given.conf_dir / "identity_model.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
