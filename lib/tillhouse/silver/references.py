"""References of records to branches, products, campaigns and contacts: what is named and not known is listed, never dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.quality.rules import VIOLATIONS
from tillhouse.silver.records import shown_key
from tillhouse.sources.entities import CONTACT, Entity
from tillhouse.sources.model import Source
from tillhouse.store import Store
from tillhouse.tables import entities, silver

REFERENCE = "reference_unknown"
_ID = {"branch": "branch_id", "product": "product_id", "campaign": "campaign_id"}
_TOKENS = ("card_token", "customer_number_token")


def of_references(
    store: Store, entity: Entity, keys: DataFrame, sources: Sequence[Source], masters: Mapping[str, DataFrame]
) -> DataFrame | None:
    """Records of ``keys`` that refer to something unknown, with a violation for each such reference; None if nothing is asked.

    A kind of master data that no source delivers is not asked for.
    """
    known = dict(masters)
    if any(source.entity == "campaign" for source in sources):
        known["campaign"] = store.read(entities.CAMPAIGN)
    rows = _rows(store, entity, keys)
    found = [
        _unknown(rows, field, known[kind].select(F.col(_ID[kind]).alias("_known")))
        for field, kind in entity.refers.items()
        if kind in known
    ]
    contact_sources = [source.name for source in sources if source.entity == CONTACT]
    if entity.names_party and contact_sources:
        found.append(_of_nobody(rows, store.read(silver.PARTY), contact_sources))
    return union(found) if found else None


def _rows(store: Store, entity: Entity, keys: DataFrame) -> DataFrame:
    if entity.name == CONTACT:
        rows = store.read(silver.PARTY).withColumn("record_key", F.col("party_key"))
    else:
        rows = store.read(entities.BY_NAME[entity.name])
    of_entity = keys.where(F.col("entity") == entity.name).select("record_key")
    return rows.join(F.broadcast(of_entity), on="record_key", how="left_semi").withColumns(
        {"_scope": F.col("record_key"), "_shown_key": shown_key(entity, F.col("record_key"))}
    )


def _unknown(rows: DataFrame, field: str, known: DataFrame) -> DataFrame:
    named = rows.where(F.col(field).isNotNull())
    return _violating(named.join(known, on=F.col(field) == F.col("_known"), how="left_anti"), field, F.col(field))


def _of_nobody(rows: DataFrame, parties: DataFrame, contact_sources: Sequence[str]) -> DataFrame:
    """Records about somebody of whom no contact has one of the identifiers."""
    is_contact = F.col("source").isin(*contact_sources)
    contacts = parties.where(is_contact)
    named = rows.where("party_key IS NOT NULL")
    own = parties.where(~is_contact).join(named.select("party_key").distinct(), on="party_key", how="left_semi")
    met = _tokens(own).join(_tokens(contacts).select("_token"), on="_token", how="left_semi").select("party_key")
    known = contacts.select("party_key").union(met)
    return _violating(named.join(known, on="party_key", how="left_anti"), "party_key", F.lit(None).cast("string"))


def _tokens(parties: DataFrame) -> DataFrame:
    several = [F.coalesce(name, F.array().cast("ARRAY<STRING>")) for name in ("email_tokens", "phone_tokens")]
    tokens = F.array_compact(F.concat(F.array(*_TOKENS), *several))
    return parties.select("party_key", F.explode(tokens).alias("_token"))


def _violating(rows: DataFrame, field: str, value: Column) -> DataFrame:
    violation = F.struct(
        F.lit(REFERENCE).alias("rule"), F.lit("warning").alias("severity"), F.lit(field).alias("field"),
        value.alias("value"),
    )  # fmt: skip
    branch = F.col("branch_id") if "branch_id" in rows.columns else F.lit(None).cast("string")
    return rows.select(
        "source", "_scope", "_shown_key", branch.alias("branch_id"), "_file", "_row", F.array(violation).alias(VIOLATIONS)
    )
