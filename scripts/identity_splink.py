"""Splink on the same comparable records, as well tuned as it lets itself be: the yardstick of scripts/bench identity.

It gets our levels of agreement, our blocking rules, its own frequencies of names, chances of agreement from random pairs and
expectation maximisation within several blocks; our contradictions then take away pairs; its threshold is that with the best F1.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

import pandas as pd
import splink.comparison_level_library as levels
import splink.comparison_library as comparisons
from identity_duckdb import Laboratory
from identity_sets import RecordSet
from splink import Linker, SettingsCreator
from splink.internals.blocking_rule_library import CustomRule
from splink.internals.duckdb.database_api import DuckDBAPI

from tillhouse.identity.block import SEPARATOR
from tillhouse.identity.compare import FULL, Comparison
from tillhouse.identity.rules import BlockingRule

SIMILARITY = re.compile(r"alike_(\w+)")
OF_RECORD = re.compile(r"\b([lr])\.(\w+)")


def predict(laboratory: Laboratory, of: RecordSet, least: float = -10) -> pd.DataFrame:
    """Pairs (left, right) with Splink's match weight."""
    logging.getLogger("splink").setLevel(logging.ERROR)
    laboratory.connection.execute("CREATE OR REPLACE TABLE splink_record AS SELECT * RENAME (number AS unique_id) FROM record")
    known = {row[0] for row in laboratory.connection.execute(_filled(of)).fetchall()}
    settings = SettingsCreator(
        "dedupe_only",
        comparisons=[_comparison(comparison) for comparison in of.comparisons if set(comparison.needs) <= known],
        blocking_rules_to_generate_predictions=[
            _rule(_rule_sql(rule)) for rule in of.rules.blocking.values() if set(rule.same) <= known
        ],
        retain_matching_columns=False,
        max_iterations=50,
    )
    linker = Linker(DuckDBAPI(laboratory.connection).register("splink_record"), settings, log_level=logging.ERROR)
    linker.training.estimate_probability_two_random_records_match([_rule(_equal(columns)) for columns in of.certain], recall=0.75)
    linker.training.estimate_u_using_random_sampling(max_pairs=5e6, seed=1)
    for columns in of.training_blocks:
        linker.training.estimate_parameters_using_expectation_maximisation(_rule(_equal(columns)))
    found = linker.inference.predict(threshold_match_weight=least).as_pandas_dataframe()  # type: ignore[no-untyped-call]
    found = found[["unique_id_l", "unique_id_r", "match_weight"]].set_axis(["left", "right", "log_odds"], axis=1)
    return found.assign(left=found[["left", "right"]].min(axis=1), right=found[["left", "right"]].max(axis=1))


def _filled(of: RecordSet) -> str:
    """Columns that have a value at all; Splink cannot estimate what it never sees."""
    return " UNION ALL ".join(f"SELECT '{name}' FROM record HAVING count({name}) > 1" for name in of.types)


def _rule(condition: str) -> CustomRule:
    return CustomRule(condition, "duckdb")


def _equal(columns: Sequence[str]) -> str:
    lists = {"emails", "cards", "phones", "given_roots", "customer_numbers"}  # one value in these sets, but for short names
    parts = [f"l.{name}[1] = r.{name}[1]" if name in lists else f"l.{name} = r.{name}" for name in columns]
    return " AND ".join(parts)


def _rule_sql(rule: BlockingRule) -> str:
    if rule.in_any_order:
        one, other = (f"least({', '.join(f'{side}.{name}' for name in rule.same)}) || '{SEPARATOR}' || "
                      f"greatest({', '.join(f'{side}.{name}' for name in rule.same)})" for side in "lr")  # fmt: skip
        return f"{one} = {other}"
    return _equal(rule.same)


def _comparison(comparison: Comparison) -> comparisons.CustomComparison:
    """Our levels; the three levels of a name are one with Splink's own adjustment for its frequency."""
    made = [levels.CustomLevel(_of_splink(comparison.says_nothing)).configure(is_null_level=True)]
    full = [level for level in comparison.levels if level.name in FULL]
    has_frequencies = len(full) > 1 or comparison.name in ("given", "family", "street", "city", "area")
    if has_frequencies:
        made.append(levels.ExactMatchLevel(comparison.needs[0], term_frequency_adjustments=True))
    for level in comparison.levels:
        if not (has_frequencies and level.name in FULL):
            made.append(levels.CustomLevel(_of_splink(level.condition), label_for_charts=level.name))
    return comparisons.CustomComparison([*made, levels.ElseLevel()], output_column_name=comparison.name)


def _of_splink(condition: str) -> str:
    """A condition in Splink's names of columns."""
    return OF_RECORD.sub(r'"\2_\1"', SIMILARITY.sub(r"jaro_winkler_similarity(l.\1, r.\1)", condition))
