"""Who is who, from records to customers: normalise, block, compare, score, decide, cluster. Knows neither files nor sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.errors import TillhouseError
from tillhouse.identity import cluster as clustering
from tillhouse.identity.block import to_pairs, with_blocks
from tillhouse.identity.columns import SCHEMA
from tillhouse.identity.compare import SIMILARITIES, compare
from tillhouse.identity.decide import AUTO, contradiction_sql, decision_sql, rule_sql
from tillhouse.identity.model import IdentityModel
from tillhouse.identity.rules import IdentityRules
from tillhouse.identity.score import log_odds_sql
from tillhouse.identity.shared import shared_values, without_shared_values

Keep = Callable[[DataFrame], DataFrame]
INSIDE_LIMIT = 1000  # linked records of which each two are compared; more of them are a defect and no customer


@dataclass(frozen=True)
class Matching:
    """``records`` in comparable form, ``shared`` values, ``refused`` blocks, and the ``pairs`` with levels and decision."""

    records: DataFrame
    shared: DataFrame
    refused: DataFrame
    pairs: DataFrame


@dataclass(frozen=True)
class Customers:
    """``of_record``: the cluster of each linked record, named by its first; ``refused``: links that were not followed."""

    of_record: pd.DataFrame
    refused: pd.DataFrame


def normalise(parties: DataFrame, rules: IdentityRules, model: IdentityModel, as_of: date) -> DataFrame:
    """Rows of ``vault.party`` in comparable form."""
    frequencies, region, check_digit = dict(model.frequencies), rules.region, rules.check_digit

    def convert(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        from tillhouse.identity.records import to_comparable  # noqa: PLC0415 - phonenumbers and others, in the worker alone

        for batch in batches:
            yield to_comparable(batch, frequencies, as_of, region, check_digit)

    return parties.mapInPandas(convert, SCHEMA)


def score(pairs: DataFrame, records: DataFrame, rules: IdentityRules, model: IdentityModel) -> DataFrame:
    """Pairs with level of each comparison, log_odds, contradiction, rule and decision."""
    return (
        compare(pairs, records, rules.compared, SIMILARITIES)
        .withColumn("log_odds", F.expr(log_odds_sql(model, rules.compared)))
        .withColumn("contradiction", F.expr(contradiction_sql(rules)))
        .withColumn("rule", F.expr(rule_sql(rules)))
        .withColumn("decision", F.expr(decision_sql(rules)))
    )


def match(parties: DataFrame, rules: IdentityRules, model: IdentityModel, as_of: date, keep: Keep) -> Matching:
    """All records with all: each pair that a rule of blocking finds, and what becomes of it.

    ``keep`` computes a frame once that is read more often, and forgets how it was made (``Store.keep``).
    """
    records = keep(normalise(parties, rules, model, as_of))
    shared = keep(shared_values(records, rules.shared_values))
    records = keep(without_shared_values(records, shared, rules.shared_values))
    blocks, refused = with_blocks(records, rules.blocking, rules.block_limit)
    pairs = keep(to_pairs(keep(blocks)))
    return Matching(records, shared, refused, keep(score(pairs, records, rules, model)))


def to_customers(matching: Matching, rules: IdentityRules, model: IdentityModel) -> Customers:
    """Customers of the automatic links: connected records, of which no two contradict each other.

    Raises:
        TillhouseError: there are more links than one driver can hold.
    """
    links = matching.pairs.where(F.col("decision") == AUTO).select("left", "right", "log_odds")
    if (count := links.count()) > clustering.MAX_LINKS:
        raise TillhouseError(clustering.too_many(count))
    found = links.toArrow().to_pandas()
    names, numbers = np.unique(found[["left", "right"]].to_numpy(dtype=str), return_inverse=True)
    left, right = numbers.reshape(-1, 2).T
    weight = found["log_odds"].to_numpy()
    label = clustering.components(clustering.Links(len(names), left, right, weight))
    is_defect = np.bincount(label, minlength=len(names))[label[left]] > INSIDE_LIMIT
    numbered = clustering.Links(len(names), left[~is_defect], right[~is_defect], weight[~is_defect])
    cannot = _contradictions(matching, pd.DataFrame({"record_id": names, "label": label}), rules, model)
    places = np.searchsorted(names, cannot)
    made = clustering.cluster(numbered, places.tolist(), rules.cluster_limit, rules.margin)
    refused = names[np.concatenate([np.array(made.refused, np.int64).reshape(-1, 2), numbers.reshape(-1, 2)[is_defect]])]
    return Customers(
        pd.DataFrame({"record_id": names, "cluster": names[made.label]}),
        pd.DataFrame({"left": refused[:, 0], "right": refused[:, 1]}),
    )


def _contradictions(matching: Matching, labels: pd.DataFrame, rules: IdentityRules, model: IdentityModel) -> NDArray[np.str_]:
    """Linked records, directly or by others, that cannot be one customer; also those that no rule has compared."""
    sizes = labels.groupby("label")["label"].transform("size")
    several = labels[(sizes > 1) & (sizes <= INSIDE_LIMIT)]
    spark = matching.records.sparkSession
    inside = spark.createDataFrame(several, "record_id STRING, label LONG")
    left = inside.select("label", F.col("record_id").alias("left"))
    right = inside.select("label", F.col("record_id").alias("right"))
    pairs = left.join(right, on="label", how="inner").where(F.col("left") < F.col("right")).select("left", "right")
    found = score(pairs, matching.records, rules, model).where("contradiction IS NOT NULL").select("left", "right")
    apart: NDArray[np.str_] = found.toArrow().to_pandas().to_numpy(dtype=str).reshape(-1, 2)
    return apart
