"""The steps of tillhouse.identity by DuckDB: for the training of the model and for the benchmark, without Spark.

Levels, scores and decisions are the very expressions that the run uses; only the joins around them are written anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb
import numpy as np
import pandas as pd

from tillhouse.identity.block import key_sql
from tillhouse.identity.cluster import Clusters, Links, cluster, components
from tillhouse.identity.columns import FREQUENCIES, LISTS, TEXTS
from tillhouse.identity.compare import Comparison
from tillhouse.identity.decide import AUTO, contradiction_sql, decision_sql, rule_sql
from tillhouse.identity.estimate import estimate
from tillhouse.identity.model import IdentityModel
from tillhouse.identity.rules import BlockingRule, IdentityRules
from tillhouse.identity.score import log_odds_sql

TYPES = {
    **dict.fromkeys(TEXTS, "VARCHAR"), **dict.fromkeys(LISTS, "VARCHAR[]"), **dict.fromkeys(FREQUENCIES, "DOUBLE"),
}  # fmt: skip


class Laboratory:
    """Comparable records in memory; ``number`` is the place of a record in the given table."""

    def __init__(self, records: pd.DataFrame, types: Mapping[str, str] = TYPES) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("CREATE MACRO arrays_overlap(one, other) AS list_has_any(one, other)")
        self.connection.execute("SET threads = 2")
        self.connection.execute("SET enable_progress_bar = false")
        columns = ", ".join(f"{name}::{kind} AS {name}" for name, kind in types.items())
        numbered = records.assign(number=range(len(records)))  # noqa: F841 - DuckDB finds it by its name
        self.connection.execute(f"CREATE TABLE record AS SELECT number, {columns} FROM numbered")
        self.count = len(records)

    def drop_shared_values(self, limits: Mapping[str, int]) -> int:
        """As ``records.without_shared_values``; how many values have lost their power."""
        dropped = 0
        for column, limit in limits.items():
            self.connection.execute(
                f"""CREATE OR REPLACE TEMP TABLE shared AS SELECT value FROM (
                    SELECT unnest({column}) AS value, concat_ws(' ', given_sound, family_sound) AS name FROM record)
                    GROUP BY value HAVING count(DISTINCT name) > {limit}"""
            )
            dropped += len(self.connection.execute("FROM shared").fetchall())
            self.connection.execute(
                f"""CREATE OR REPLACE TABLE record AS SELECT * EXCLUDE (bad) REPLACE (
                        nullif(list_filter({column}, lambda value: NOT list_contains(bad, value)), []) AS {column})
                    FROM record, (SELECT coalesce(list(value), []) AS bad FROM shared)"""
            )
        return dropped

    def block(self, rules: Mapping[str, BlockingRule], limit: int) -> pd.DataFrame:
        """Pairs to compare, as table ``pair``; for each rule its pairs, those of no other rule, and refused blocks."""
        self.connection.execute("CREATE OR REPLACE TEMP TABLE kept (rule VARCHAR, key VARCHAR, number BIGINT)")
        refused = []
        for name, rule in rules.items():
            keys = ", ".join(f"{key_sql(rule, name, split)} AS {alias}" for split, alias in ((False, "whole"), (True, "narrow")))
            column = rule.list_column
            source = "record" if column is None else f"(SELECT * REPLACE (unnest({column}) AS {column}) FROM record)"
            self.connection.execute(
                f"""CREATE OR REPLACE TEMP TABLE keyed AS SELECT *, count(*) OVER (PARTITION BY whole) AS size,
                        count(*) OVER (PARTITION BY narrow) AS narrow_size
                    FROM (SELECT {keys}, number FROM {source}) WHERE whole IS NOT NULL"""
            )
            self.connection.execute(
                f"""INSERT INTO kept SELECT '{name}', CASE WHEN size <= {limit} THEN whole ELSE narrow END, number FROM keyed
                    WHERE size > 1 AND least(size, narrow_size) <= {limit}"""
            )
            refused.append(self._one(f"SELECT count(DISTINCT narrow) FROM keyed WHERE least(size, narrow_size) > {limit}"))
        self.connection.execute(
            """CREATE OR REPLACE TABLE pair AS SELECT l.number AS "left", r.number AS "right", list(DISTINCT l.rule) AS rules
               FROM kept l JOIN kept r ON l.key = r.key AND l.number < r.number GROUP BY ALL"""
        )
        found = self.connection.execute(
            """SELECT rule, count(*) AS pairs, count(*) FILTER (alone) AS pairs_only_here
               FROM (SELECT unnest(rules) AS rule, len(rules) = 1 AS alone FROM pair) GROUP BY rule"""
        ).df()
        return pd.DataFrame({"rule": list(rules), "blocks_refused": refused}).merge(found, on="rule", how="left").fillna(0)

    def compare(self, comparisons: Sequence[Comparison], similarities: Sequence[str], pair: str = "pair",
                to: str = "compared") -> None:  # fmt: skip
        """Levels of all pairs of a table, as another table."""
        alike = ", ".join(f"jaro_winkler_similarity(l.{name}, r.{name}) AS alike_{name}" for name in similarities)
        levels = ", ".join(f"{comparison.sql()} AS {comparison.name}" for comparison in comparisons)
        self.connection.execute(
            f"""CREATE OR REPLACE TABLE {to} AS SELECT pair."left", pair."right", l.source AS left_source,
                    r.source AS right_source, {levels}
                FROM {pair} AS pair JOIN record l ON l.number = pair."left" JOIN record r ON r.number = pair."right"
                CROSS JOIN LATERAL (SELECT {alike})"""
        )

    def train(self, comparisons: Sequence[Comparison], decisions: pd.DataFrame | None = None) -> IdentityModel:
        """A model of the compared pairs; ``decisions`` are left, right and is_same of pairs that were decided."""
        names = ", ".join(comparison.name for comparison in comparisons)
        decided = pd.DataFrame({"left": [], "right": [], "is_same": []}) if decisions is None else decisions
        self.connection.register("decided", decided)
        rows = self.connection.execute(
            f"""SELECT {names}, is_same::BOOLEAN, count(*) FROM compared
                LEFT JOIN (SELECT least("left", "right")::BIGINT AS "left", greatest("left", "right")::BIGINT AS "right", is_same
                           FROM decided) USING ("left", "right") GROUP BY ALL"""
        ).fetchall()
        rows.sort(key=repr)
        width = len(comparisons)
        return estimate(comparisons, [row[:width] for row in rows], [row[-1] for row in rows], [row[-2] for row in rows])

    def train_on_strangers(
        self, comparisons: Sequence[Comparison], similarities: Sequence[str], sample: int = 500_000
    ) -> IdentityModel:
        """A model of records without households: others are strangers, of whom a sample stands for all pairs not compared."""
        draw = np.random.default_rng(1)
        drawn = pd.DataFrame({"one": draw.integers(0, self.count, sample), "other": draw.integers(0, self.count, sample)})
        self.connection.register("drawn", drawn)
        self.connection.execute(
            """CREATE OR REPLACE TEMP TABLE stranger AS SELECT DISTINCT one AS "left", other AS "right" FROM drawn
               ANTI JOIN pair ON one = "left" AND other = "right" WHERE one < other"""
        )
        self.compare(comparisons, similarities, "stranger", "stranger_compared")
        names = ", ".join(comparison.name for comparison in comparisons)
        counted = "SELECT {0}, count(*) AS pairs, (SELECT count(*) FROM {1}) AS of_all FROM {1} GROUP BY {0} ORDER BY ALL"
        found = self.connection.execute(counted.format(names, "compared")).fetchall()
        others = self.connection.execute(counted.format(names, "stranger_compared")).fetchall()
        rest = self.count * (self.count - 1) / 2 - (found[0][-1] if found else 0)
        rows = [(row[:-2], row[-2]) for row in found] + [(row[:-2], row[-2] * rest / row[-1]) for row in others]
        return estimate(comparisons, [levels for levels, _ in rows], [count for _, count in rows], others=("stranger",))

    def decide(self, rules: IdentityRules, model: IdentityModel, comparisons: Sequence[Comparison],
               compared: str = "compared") -> pd.DataFrame:  # fmt: skip
        """The compared pairs with their odds and what becomes of them."""
        return self.connection.execute(
            f"""SELECT *, {decision_sql(rules)} AS decision FROM (
                SELECT *, {rule_sql(rules)} AS rule, {contradiction_sql(rules)} AS contradiction FROM (
                SELECT *, {log_odds_sql(model, comparisons)} AS log_odds FROM {compared}))
                ORDER BY "left", "right" """
        ).df()

    def contradictions(self, rules: IdentityRules) -> pd.DataFrame:
        """The compared pairs (left, right) that cannot be one customer."""
        found = f"SELECT *, {contradiction_sql(rules)} AS found FROM (SELECT *, 0 AS log_odds FROM compared)"
        return self.connection.execute(f'SELECT "left", "right" FROM ({found}) WHERE found IS NOT NULL').df()

    def equal_pairs(self, keys: Sequence[Sequence[str]]) -> pd.DataFrame:
        """Pairs that agree in all columns of one of the keys; each with the weight 1."""
        rules = {str(number): BlockingRule(same=tuple(columns)) for number, columns in enumerate(keys)}
        self.block(rules, self.count)
        return self.connection.execute("""SELECT "left", "right", 1.0::DOUBLE AS log_odds FROM pair""").df()

    def cluster(self, pairs: pd.DataFrame, rules: IdentityRules, model: IdentityModel, comparisons: Sequence[Comparison],
                similarities: Sequence[str]) -> Clusters:  # fmt: skip
        """Customers: linked records, of which no two contradict each other."""
        links = Links(self.count, *(pairs.loc[pairs.decision == AUTO, name].to_numpy() for name in ("left", "right", "log_odds")))
        label = pd.DataFrame({"number": range(self.count), "label": components(links)})  # noqa: F841 - DuckDB finds it
        self.connection.execute(
            """CREATE OR REPLACE TEMP TABLE inside AS SELECT l.number AS "left", r.number AS "right"
               FROM label l JOIN label r ON l.label = r.label AND l.number < r.number"""
        )
        self.compare(comparisons, similarities, "inside", "inside_compared")
        inside = self.decide(rules, model, comparisons, "inside_compared")
        cannot = inside.loc[inside.contradiction.notna(), ["left", "right"]].itertuples(index=False, name=None)
        return cluster(links, cannot, rules.cluster_limit, rules.margin)

    def _one(self, query: str) -> object:
        row = self.connection.execute(query).fetchone()
        assert row is not None
        return row[0]
