"""Who is who, from records to customers: normalise, block, compare, score, decide, cluster. Knows neither files nor sessions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.errors import TillhouseError
from tillhouse.frames import column_of, small, union
from tillhouse.identity import cluster as clustering
from tillhouse.identity.block import memberships, to_pairs, with_blocks, within_limit
from tillhouse.identity.columns import SCHEMA
from tillhouse.identity.compare import SIMILARITIES, compare
from tillhouse.identity.decide import AUTO, contradiction_sql, decision_sql, rule_sql
from tillhouse.identity.model import IdentityModel
from tillhouse.identity.rules import IdentityRules
from tillhouse.identity.score import log_odds_sql
from tillhouse.identity.shared import CARDS, VALUE, Keep, holders, shared_values, values_of, without_shared_values

Pair = tuple[str, str]
INSIDE_LIMIT = 1000  # linked records of which each two are compared; more of them are a defect and no customer
_BLOCK = ("rule", "whole")
NO_LINKS = pd.DataFrame({"left": pd.Series(dtype=str), "right": pd.Series(dtype=str), "log_odds": pd.Series(dtype=float)})


@dataclass(frozen=True)
class Matching:
    """``records`` in comparable form, ``shared`` values, ``refused`` blocks, and the ``pairs`` with levels and decision.

    ``touched`` (record_id) are the records of which the pairs are; None: of all. ``blocks`` (rule, block): those that were looked
    at, refused or not; None: all.
    """

    records: DataFrame
    shared: DataFrame
    refused: DataFrame
    pairs: DataFrame
    touched: DataFrame | None = None
    blocks: DataFrame | None = None


@dataclass(frozen=True)
class Decided:
    """What people have decided: pairs of records that are one customer, and pairs that are not.

    ``undone`` are pairs of decisions that were taken back.
    """

    together: Collection[Pair] = ()
    apart: Collection[Pair] = ()
    undone: Collection[Pair] = ()

    @property
    def pairs(self) -> list[Pair]:
        return [*self.together, *self.apart, *self.undone]


@dataclass(frozen=True)
class Customers:
    """``of_record``: the cluster of each record that was looked at, named by its first; ``refused``: links not followed."""

    of_record: pd.DataFrame
    refused: pd.DataFrame = field(default_factory=lambda: NO_LINKS[["left", "right"]])


def normalise(parties: DataFrame, rules: IdentityRules, model: IdentityModel, as_of: date | None) -> DataFrame:
    """Rows of ``vault.party`` in comparable form. ``as_of``: the day by which birth dates are judged, if they are not yet."""
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


def match(
    records: DataFrame, rules: IdentityRules, model: IdentityModel, keep: Keep, staff_cards: Collection[str] = ()
) -> Matching:
    """All records (in comparable form) with all: each pair that a rule of blocking finds, and what becomes of it.

    ``staff_cards`` say nothing of who a record is. ``keep`` computes a frame once that is read more often, and forgets how it was
    made (``Store.keep``).
    """
    shared = keep(shared_values(records, rules.shared_values, staff_cards))
    records = keep(without_shared_values(records, shared, rules.shared_values, keep))
    blocks, refused = with_blocks(records, rules.blocking, rules.block_limit)
    pairs = keep(to_pairs(keep(blocks)))
    return Matching(records, shared, refused, keep(score(pairs, records, rules, model)))


@dataclass(frozen=True)
class Before:
    """``records`` in comparable form, and the ``staff_cards`` among them, as they were matched last time."""

    records: DataFrame
    staff_cards: Collection[str] = ()


def match_changed(
    records: DataFrame,
    changed: DataFrame,
    before: Before,
    *,
    rules: IdentityRules,
    model: IdentityModel,
    keep: Keep,
    staff_cards: Collection[str] = (),
) -> Matching:
    """The pairs of the ``changed`` records (record_id: new, other than before, or gone), as ``match`` finds them among all.

    ``changed`` is to be kept, and so are the rows of ``records`` that are new or other than ``before``.
    Touched are also the holders of a value that is shared now and was not, or the other way round, and the records of a block
    that has grown above the limit or shrunk below it, since these are compared with others now.
    """
    shared = keep(shared_values(records, rules.shared_values, staff_cards))
    held = _held([records, before.records], changed, rules.shared_values, {*staff_cards, *before.staff_cards})
    held = small(keep(held))  # all other values are shared now if they were before
    shared_before = keep(
        shared.join(held, on=list(VALUE), how="left_anti").unionByName(
            shared_values(before.records, rules.shared_values, before.staff_cards, among=held)
        )
    )
    turned = shared.select(*VALUE).exceptAll(shared_before.select(*VALUE))
    turned = keep(turned.unionByName(shared_before.select(*VALUE).exceptAll(shared.select(*VALUE))))
    touched = keep(changed.toDF("record_id").union(holders(records, turned, rules.shared_values)).distinct())
    left = keep(without_shared_values(records, shared, rules.shared_values, keep))
    left_before = without_shared_values(keep(only(before.records, touched)), shared_before, rules.shared_values, keep)

    was = keep(memberships(left_before, rules.blocking))
    now = keep(memberships(only(left, touched), rules.blocking))
    named = keep(was.unionByName(now).select(*_BLOCK).distinct())
    members = keep(only(memberships(left, rules.blocking), named))
    also = keep(_of_crossed(members, was, now, rules.block_limit).join(touched, on="record_id", how="left_anti"))
    if not also.isEmpty():
        touched = keep(touched.union(also))
        further = memberships(only(left, also), rules.blocking).select(*_BLOCK).distinct()
        further = keep(further.join(named, on=list(_BLOCK), how="left_anti"))
        members = keep(members.unionByName(only(memberships(left, rules.blocking), further)))
    blocks, refused = within_limit(members, rules.block_limit)
    pairs = keep(to_pairs(keep(blocks), touched))
    looked_at = members.unionByName(was).select("rule", F.explode(F.array("whole", "split")).alias("block")).distinct()
    compared = pairs.select(F.explode(F.array("left", "right")).alias("record_id")).distinct()
    scored = keep(score(pairs, keep(only(left, keep(compared))), rules, model))
    return Matching(left, shared, refused, scored, touched, looked_at)


def _held(sides: Sequence[DataFrame], changed: DataFrame, columns: Collection[str], staff_cards: Collection[str]) -> DataFrame:
    """Values that changed records hold, or held, and the cards of staff."""
    held = [values_of(only(records, changed), columns).select(*VALUE) for records in sides]
    cards = column_of(changed.sparkSession, staff_cards, "value")
    return union([*held, cards.select(F.lit(CARDS).alias("of_column"), "value")]).distinct()


def only(rows: DataFrame, wanted: DataFrame, how: str = "left_semi") -> DataFrame:
    """The rows that have one of the keys that are ``wanted``, or that have none of them (``left_anti``); keep ``wanted``."""
    return rows.join(small(wanted), on=wanted.columns, how=how)


def _of_crossed(members: DataFrame, was: DataFrame, now: DataFrame, limit: int) -> DataFrame:
    """The records of blocks, or split blocks, that are above the limit on one side of the change only."""
    crossed = []
    for of in ("whole", "split"):
        key = ["rule", of]
        counted = (
            members.select(*key, F.lit(1).alias("_after"), F.lit(1).alias("_before"))
            .unionByName(was.select(*key, F.lit(0).alias("_after"), F.lit(1).alias("_before")))
            .unionByName(now.select(*key, F.lit(0).alias("_after"), F.lit(-1).alias("_before")))
            .groupBy(*key)
            .agg(F.sum("_after").alias("_after"), F.sum("_before").alias("_before"))
        )
        over = counted.where((F.col("_after") > limit) != (F.col("_before") > limit))
        crossed.append(members.join(over.select(*key), on=key, how="left_semi").select("record_id"))
    return crossed[0].union(crossed[1]).distinct()


def to_customers(
    links: pd.DataFrame,
    records: DataFrame,
    rules: IdentityRules,
    model: IdentityModel,
    *,
    decided: Decided | None = None,
    looked_at: Collection[str] | None = None,
    links_before: pd.DataFrame = NO_LINKS,
) -> Customers:
    """Customers of the automatic links (left, right, log_odds): connected records, of which no two contradict each other.

    ``records`` are those that the links are of. With ``looked_at`` only the customers of these records are made, and of all that
    they are or were connected with by ``links_before``.

    Raises:
        TillhouseError: there are more links than one driver can hold.
    """
    if len(links) > clustering.MAX_LINKS:
        raise TillhouseError(clustering.too_many(len(links)))
    decided = decided or Decided()
    if looked_at is not None:
        links, looked_at = _connected(links, links_before, decided, looked_at)
    ends = links[["left", "right"]].to_numpy(dtype=str)
    of_decisions = np.array([*decided.together, *decided.apart], dtype=str).reshape(-1, 2)
    if looked_at is not None:
        of_decisions = of_decisions[np.isin(of_decisions, np.array(sorted(looked_at), dtype=str)).all(axis=1)]
    alone = np.array(sorted(looked_at or ()), dtype=str)
    names = np.unique(np.concatenate([ends.ravel(), of_decisions.ravel(), alone]))
    left, right = np.searchsorted(names, ends).reshape(-1, 2).T
    weight = links["log_odds"].to_numpy(dtype=float)
    together, apart = (_numbers(names, pairs) for pairs in (decided.together, decided.apart))
    label = clustering.components(clustering.Links(len(names), left, right, weight).with_pairs(together))
    is_defect = np.bincount(label, minlength=len(names))[label[left]] > INSIDE_LIMIT
    numbered = clustering.Links(len(names), left[~is_defect], right[~is_defect], weight[~is_defect])
    cannot = _contradictions(records, pd.DataFrame({"record_id": names, "label": label}), rules, model)
    made = clustering.cluster(
        numbered, np.searchsorted(names, cannot).tolist(), rules.cluster_limit, rules.margin, together=together, apart=apart
    )
    refused = np.concatenate([names[np.array(made.refused, np.int64).reshape(-1, 2)], ends[is_defect]])
    return Customers(
        pd.DataFrame({"record_id": names, "cluster": names[made.label]}),
        pd.DataFrame({"left": refused[:, 0], "right": refused[:, 1]}),
    )


def _connected(
    links: pd.DataFrame, links_before: pd.DataFrame, decided: Decided, looked_at: Collection[str]
) -> tuple[pd.DataFrame, set[str]]:
    """The links, and the records, that are or were connected with the records looked at."""
    edges = [frame[["left", "right"]].to_numpy(dtype=object) for frame in (links, links_before)]
    edges.append(np.array(decided.pairs, dtype=object).reshape(-1, 2))
    wanted = np.array(sorted(looked_at), dtype=object)
    places, names = pd.factorize(np.concatenate([*(of.ravel() for of in edges), wanted]))
    left, right = places[: -len(wanted) or None].reshape(-1, 2).T
    label = clustering.components(clustering.Links(len(names), left, right, np.zeros(len(left))))
    is_near = np.isin(label, label[places[len(places) - len(wanted) :]])
    return links[is_near[places[: 2 * len(links) : 2]]], set(names[is_near].tolist())


def _numbers(names: NDArray[np.str_], pairs: Collection[Pair]) -> list[clustering.Pair]:
    """Pairs by the places of their names, as far as both have one."""
    place = {str(name): number for number, name in enumerate(names)} if pairs else {}
    return [(place[one], place[other]) for one, other in pairs if one in place and other in place]


def _contradictions(records: DataFrame, labels: pd.DataFrame, rules: IdentityRules, model: IdentityModel) -> NDArray[np.str_]:
    """Linked records, directly or by others, that cannot be one customer; also those that no rule has compared."""
    sizes = labels.groupby("label")["label"].transform("size")
    several = labels[(sizes > 1) & (sizes <= INSIDE_LIMIT)]
    if several.empty:
        return np.empty((0, 2), dtype=str)
    inside = records.sparkSession.createDataFrame(several, "record_id STRING, label LONG")
    left = inside.select("label", F.col("record_id").alias("left"))
    right = inside.select("label", F.col("record_id").alias("right"))
    pairs = left.join(right, on="label", how="inner").where(F.col("left") < F.col("right")).select("left", "right")
    found = (
        score(pairs, only(records, inside.select("record_id")), rules, model)
        .where("contradiction IS NOT NULL")
        .select("left", "right")
    )
    apart: NDArray[np.str_] = found.toArrow().to_pandas().to_numpy(dtype=str).reshape(-1, 2)
    return apart


def automatic(pairs: DataFrame) -> pd.DataFrame:
    """The automatic links of compared pairs (left, right, log_odds), on the driver.

    Raises:
        TillhouseError: there are more of them than one driver can hold.
    """
    links = pairs.where(F.col("decision") == AUTO).select("left", "right", "log_odds")
    if (count := links.count()) > clustering.MAX_LINKS:
        raise TillhouseError(clustering.too_many(count))
    found: pd.DataFrame = links.toArrow().to_pandas()
    return found
