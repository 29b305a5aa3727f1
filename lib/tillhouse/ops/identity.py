"""The identity step of a run: who is who, the questions that people are asked about it, and what they should know of."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.identity import conf as identity_conf
from tillhouse.identity import review, rotation, step
from tillhouse.identity.references import STAFF_CARD, UNCLEAR
from tillhouse.ops import rotate
from tillhouse.ops.runs import Run, tell
from tillhouse.silver import exceptions
from tillhouse.silver.exceptions import Judged
from tillhouse.sources.entities import CONTACT
from tillhouse.sources.mapping import masked
from tillhouse.store import Since, Store
from tillhouse.tables import silver

SHARED, REFUSED = "value_shared", "block_refused"


def run(run: Run, since: Since | None) -> Mapping[str, int]:
    """Find out who is who, and tell what is unclear about it."""
    store, conf = run.store, identity_conf.load(run.config)
    has_contacts = CONTACT in run.config.entities
    old_keys = rotate.pending(store) if since is None else None
    if old_keys is not None:
        tell("parties have other keys", parties=rotation.carry_over(store, old_keys))
    found = step.run(store, conf, has_contacts=has_contacts, run_id=run.run_id, since=since)
    judged = _judged(store, found)
    if judged:
        branches = store.read(silver.BRANCH)
        exceptions.record(store, judged, run.run_id, run.started_at, duties=run.config.duties, branches=branches)
    if conf is not None and (found.contacts is not None or found.is_news_of_unclear):
        review.write(store, conf.rules, run.run_id, run.started_at)
    return found.figures


def _judged(store: Store, found: step.Found) -> list[Judged]:
    judged = []
    if found.is_news_of_unclear:
        unclear = store.read(silver.PARTY_WITHOUT_CUSTOMER).where(F.col("reason") == UNCLEAR)
        unclear = unclear.join(store.read(silver.PARTY).select("party_key", "source"), on="party_key", how="inner")
        value = F.concat(F.size("candidates").cast("string"), F.lit(" customers"))
        judged.append(_of(unclear, "customer_unclear", "party", "party_key", value))
    if found.staff.now != found.staff.before:
        cards = store.spark.createDataFrame(sorted(found.staff.now), "card_token STRING, day DATE, receipts BIGINT")
        most = cards.groupBy("card_token").agg(F.max("receipts").alias("_most"), F.count(F.lit(1)).alias("_days"))
        value = F.concat(F.lit("up to "), F.col("_most").cast("string"), F.lit(" receipts on "), F.col("_days"), F.lit(" days"))
        judged.append(_of(most, STAFF_CARD, "card", "card_token", value))
    if found.contacts is not None and found.contacts.matching is not None:
        matching = found.contacts.matching
        shared = matching.shared.withColumn("_key", F.concat_ws("/", "of_column", F.sha2("value", 256).substr(1, 16)))
        value = F.concat(masked(F.col("value")), F.lit(": records of "), F.col("names").cast("string"), F.lit(" names"))
        judged.append(_of(shared, SHARED, "identifier", "_key", value))
        name_of_block = F.concat_ws("/", "rule", F.col("block").cast("string"))
        value = F.concat(F.col("records").cast("string"), F.lit(" records"))
        looked_at = None if matching.blocks is None else matching.blocks.select(name_of_block)
        judged.append(_of(matching.refused.withColumn("_key", name_of_block), REFUSED, "block", "_key", value, only=looked_at))
    return judged


def _of(rows: DataFrame, rule: str, entity: str, key: str, value: Column, *, only: DataFrame | None = None) -> Judged:
    """What was found; judged were all such exceptions, or ``only`` those with these keys."""
    found = exceptions.of_identity(rows, rule, entity, key, value)
    scope = None if only is None else "record_key"
    return Judged(found, (F.col("entity") == entity) & (F.col("rule") == rule), scope, only)
