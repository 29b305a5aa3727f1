"""Contacts that have changed: compared anew with those that they share a block with, and put together anew."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.frames import column_of, small
from tillhouse.identity import vault
from tillhouse.identity.conf import Conf
from tillhouse.identity.decide import AUTO, REVIEW
from tillhouse.identity.match import Before, Decided, Matching, automatic, match, match_changed, only, to_customers
from tillhouse.identity.staff import StaffCards
from tillhouse.store import Store
from tillhouse.tables import silver


@dataclass(frozen=True)
class Contacts:
    """Contacts that were looked at.

    ``groups`` (party_key, group): who is together now; ``gone`` (party_key): those that no source knows any more; ``records``:
    those that are new or ``changed`` (record_id; None: all there are), to be kept; ``links``: all that there are now;
    ``matching``: what was compared, None without conf/identity.yml.
    """

    groups: DataFrame
    gone: DataFrame
    records: DataFrame
    links: DataFrame
    changed: DataFrame | None = None
    matching: Matching | None = None

    @property
    def looked_at(self) -> DataFrame:
        return self.groups.select("party_key").union(self.gone)


def look(
    store: Store, conf: Conf | None, decided: Decided, *, named: Collection[str], staff: StaffCards, is_full: bool
) -> Contacts | None:
    """Contacts that are new, other or gone, and all whose customer may depend on them; None where there is no such one.

    ``named``: parties of decisions that are new, or were taken back.
    """
    now, before = vault.contacts(store), vault.records(store)
    links = store.read(silver.PARTY_LINK)
    if is_full:
        present = now.select(F.col("party_key").alias("record_id"))
        gone = store.keep(before.select("record_id").join(present, on="record_id", how="left_anti"))
        news = records = store.keep(_in_form(now, conf))
        matching, changed = None, None
        if conf is not None:
            matching = match(records, conf.rules, conf.model, store.keep, _numbers(store, conf, staff.tokens))
    else:
        changed = store.keep(vault.changed(now, before))
        if changed.isEmpty() and not named and not staff.turned:
            return None
        news = store.keep(_in_form(vault.contacts(store, small(changed).toDF("party_key")), conf))
        gone = store.keep(only(changed, store.keep(news.select("record_id")), "left_anti"))
        records = only(before, changed, "left_anti").unionByName(news)
        matching = None
        if conf is not None:
            matching = match_changed(
                records,
                store.keep(changed.union(column_of(store.spark, named, "record_id")).distinct()),
                Before(before, _numbers(store, conf, staff.tokens_before)),
                rules=conf.rules,
                model=conf.model,
                keep=store.keep,
                staff_cards=_numbers(store, conf, staff.tokens),
            )
    if matching is None or conf is None:
        groups = news.select(F.col("record_id").alias("party_key"), F.col("record_id").alias("group"))
        return Contacts(groups, gone.toDF("party_key"), news, links.where("false"), changed)
    links_now = store.keep(_links_now(links, matching))
    looked_at = None
    if matching.touched is not None:
        looked_at = [row[0] for row in matching.touched.collect()]
    made = to_customers(
        _automatic(links_now),
        matching.records,
        conf.rules,
        conf.model,
        decided=_only_present(decided, records, store),
        looked_at=looked_at,
        links_before=_automatic(links),
    )
    of_record = store.spark.createDataFrame(made.of_record, "party_key STRING, group STRING")
    groups = records.select(F.col("record_id").alias("party_key")).join(
        of_record, on="party_key", how="left" if is_full else "inner"
    )
    groups = store.keep(groups.select("party_key", F.coalesce("group", "party_key").alias("group")))
    return Contacts(groups, gone.toDF("party_key"), news, links_now, changed, matching)


def _in_form(some: DataFrame, conf: Conf | None) -> DataFrame:
    """Contacts as they are compared; without conf nothing of them is."""
    if conf is not None:
        return vault.in_comparable_form(some, conf)
    plain = some.select(F.col("party_key").alias("record_id"), "source", "content_hash")
    return vault.as_records(plain)


def _numbers(store: Store, conf: Conf | None, tokens: Collection[str]) -> list[str]:
    """The staff's cards as records have them."""
    if not tokens or conf is None:
        return []
    return vault.card_numbers(store, column_of(store.spark, tokens, "card_token"), conf.rules.check_digit)


def _only_present(decided: Decided, records: DataFrame, store: Store) -> Decided:
    """Decisions about records that there are."""
    named = {name for pair in decided.pairs for name in pair}
    if not named:
        return decided
    there = {
        row[0]
        for row in records.select("record_id")
        .join(column_of(store.spark, named, "record_id"), on="record_id", how="left_semi")
        .collect()
    }
    return Decided(*(tuple(pair for pair in pairs if there.issuperset(pair)) for pairs in (decided.together, decided.apart)))


def _links_now(links: DataFrame, matching: Matching) -> DataFrame:
    """The links that were kept, those of touched records replaced."""
    names = [name for name in matching.pairs.columns if name not in _NOT_LEVELS]
    levels = F.create_map(*(part for name in names for part in (F.lit(name), F.col(name))))
    new = matching.pairs.where(F.col("decision").isin(AUTO, REVIEW)).select(
        F.col("left").alias("left_key"), F.col("right").alias("right_key"), "decision", "rule", "contradiction", "log_odds",
        levels.alias("levels"), F.col("rules").alias("found_by"),
    )  # fmt: skip
    if matching.touched is None:
        return silver.PARTY_LINK.conform(new)
    kept = links
    for side in ("left_key", "right_key"):
        kept = only(kept, matching.touched.toDF(side), "left_anti")
    return silver.PARTY_LINK.conform(kept).unionByName(silver.PARTY_LINK.conform(new))


def write_links(store: Store, looked: Contacts) -> None:
    """Write the links that there are now; those of records that were not touched stay."""
    if looked.matching is None or looked.matching.touched is None:
        store.overwrite(silver.PARTY_LINK, looked.links)
        return
    before, now = (_links_of(links, looked.matching.touched) for links in (store.read(silver.PARTY_LINK), looked.links))
    now = store.keep(now)
    pairs = store.keep(before.select(*silver.PARTY_LINK.key).union(now.select(*silver.PARTY_LINK.key)).distinct())
    store.replace_where(silver.PARTY_LINK, now, small(pairs), "true")


def _links_of(links: DataFrame, touched: DataFrame) -> DataFrame:
    """The links with one of these records."""
    left, right = touched.toDF("left_key"), touched.toDF("right_key")
    return only(links, left).unionByName(only(only(links, left, "left_anti"), right))


_NOT_LEVELS = {
    "left", "right", "rules", "left_source", "right_source", "log_odds", "contradiction", "rule", "decision",
}  # fmt: skip


def _automatic(links: DataFrame) -> pd.DataFrame:
    return automatic(links.withColumnsRenamed({"left_key": "left", "right_key": "right"}))
