"""Delivered records that are no receipts: read, identified by tokens, judged, and ranked by which version counts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.keys import as_one_text, content_hash, surrogate_key, with_tokens
from tillhouse.quality.rules import REJECTED, VIOLATION_TYPE, VIOLATIONS, Finding, with_violations
from tillhouse.silver.identifiers import READINGS, one_form
from tillhouse.silver.versions import with_status
from tillhouse.sources.consents import consent_fields, with_consents
from tillhouse.sources.entities import CONTACT, Entity
from tillhouse.sources.fields import Field
from tillhouse.sources.mapping import map_records, masked
from tillhouse.sources.model import Source
from tillhouse.tables.entities import RECORD_VERSION

RULES_VERSION = 4
PARTY = "party"
# What names somebody in a record about them, in the order of silver.party.
_NAMING = ("customer_number", "card_number", "email", "phone")
_PLACE = ("_file", "_file_id", "_row")


def to_records(bronze: DataFrame, source: Source, entity: Entity, token_key: bytes) -> DataFrame:
    """Every delivered record with its fields, tokens, key and violations. Holds clear text: only its columns may be kept."""
    fields = (*entity.fields, *consent_fields(source))
    mapped, found = map_records(bronze, with_consents(source), fields)
    mapped = mapped.withColumns(
        {"source": F.lit(source.name), "is_deletion": F.coalesce("is_deleted", F.lit(False))}
        | {name: F.coalesce(name, F.lit(value)) for name, value in entity.defaults.items()}
    )
    identified = mapped.transform(_with_identifiers, source, entity, fields, token_key)
    keyed = identified.transform(_with_keys, entity)
    found = [*found, *_unread(source, entity), *(_of_contacts() if entity.name == CONTACT else [])]
    judged = with_violations(keyed, (), found).transform(_without_faults_of_deletions)
    return judged.select(
        "record_key", "source", *(("party_key",) if names_somebody(entity) else ()), "_shown_key", "is_deletion", "content_hash",
        F.col("_version_at").alias("version_at"), *_PLACE, *(field.name for field in fields if field.name != "is_deleted"),
        *token_columns(entity), VIOLATIONS, REJECTED,
    )  # fmt: skip


def names_somebody(entity: Entity) -> bool:
    return entity.names_party or entity.name == CONTACT


def token_columns(entity: Entity) -> list[str]:
    return [f"{field.name}_token" for field in entity.fields if field.identifier]


def _with_identifiers(records: DataFrame, source: Source, entity: Entity, fields: Sequence[Field], token_key: bytes) -> DataFrame:
    """Add a token for each identifier, and a hash of all content, which is keyed where that is personal."""
    mapped = {field.name: field for field in entity.fields if field.identifier and field.name in source.columns}
    country = F.col("country") if entity.name == CONTACT else F.lit(None).cast("string")
    region = F.when(country.rlike("^[A-Z]{2}$"), country).otherwise(F.lit(source.phone_region))
    if not entity.personal:
        return records.withColumn("content_hash", F.hex(content_hash(*(field.name for field in fields))))
    forms = {f"_form_{name}": _form(field, region) for name, field in mapped.items()}
    text = as_one_text(*(_as_text(field) for field in fields))
    kinds = {f"_form_{name}": str(field.identifier) for name, field in mapped.items()} | {"_content": "content"}
    formed = with_tokens(records.withColumns({**forms, "_content": text}), kinds, token_key, READINGS)
    tokens = {
        f"{field.name}_token": F.col(f"_form_{field.name}_token")
        if field.name in mapped
        else F.lit(None).cast("ARRAY<STRING>" if field.type == "texts" else "STRING")
        for field in entity.fields
        if field.identifier
    }
    return formed.withColumns({**tokens, "content_hash": F.col("_content_token")})


def _form(field: Field, region: Column) -> Column:
    kind = str(field.identifier)
    if field.type == "texts":
        return F.transform(field.name, lambda text: one_form(text, kind, region))
    return one_form(F.col(field.name), kind, region)


def _with_keys(records: DataFrame, entity: Entity) -> DataFrame:
    """Add ``record_key``, ``party_key`` where somebody is named, and the key as people may see it."""
    if entity.names_party:
        records = records.withColumn("party_key", _party_key())
    kinds = {field.name: field for field in entity.fields}
    parts = [F.col("party_key") if name == PARTY else _key_part(kinds[name]) for name in entity.key]
    required = [_key_part(kinds[name]).isNotNull() for name in entity.key if name in kinds and kinds[name].required]
    has_key = reduce(lambda left, right: left & right, required, F.lit(True))
    key = F.when(has_key, surrogate_key("source", *parts)).otherwise(surrogate_key("_file_id", "_row"))
    shown = F.when(has_key, shown_key(entity, key)).otherwise(F.concat_ws("#", "_file", "_row"))
    keyed = records.withColumns({"record_key": key, "_has_key": has_key, "_shown_key": shown})
    return keyed.withColumn("party_key", F.col("record_key")) if entity.name == CONTACT else keyed


def shown_key(entity: Entity, key: Column) -> Column:
    """How people know a record: by what names it in its source, or by its surrogate where that is personal."""
    is_personal = PARTY in entity.key or any(field.personal for field in entity.fields if field.name in entity.key)
    if is_personal:
        return key
    return F.concat_ws("/", *(F.coalesce(F.col(name).cast("string"), F.lit("-")) for name in entity.key))


def _key_part(field: Field) -> Column:
    return F.col(f"{field.name}_token") if field.identifier else _as_text(field)


def _as_text(field: Field) -> Column:
    """The value as text, the same in each session: an instant would depend on its time zone, several texts on its engine."""
    match field.type:
        case "instant":
            return F.unix_micros(field.name).cast("string")
        case "texts":
            return F.array_join(F.transform(field.name, lambda text: as_one_text(text)), "")  # noqa: PLW0108 - Spark counts arguments
    return F.col(field.name).cast("string")


def _party_key() -> Column:
    """Who a record is about: the contact that it names, else a party of its own that has these identifiers."""
    tokens = [F.col(f"{name}_token") for name in _NAMING]
    is_contact = F.col("contact_source").isNotNull() & F.col("contact_id_token").isNotNull()
    return F.when(is_contact, surrogate_key("contact_source", "contact_id_token")).when(
        F.coalesce(*tokens).isNotNull(), surrogate_key("source", *tokens)
    )


def _unread(source: Source, entity: Entity) -> list[Finding]:
    """Identifiers that are given and cannot be one, such as a phone number of letters: they identify nobody."""
    found = []
    for field in entity.fields:
        if field.identifier not in ("email", "phone") or field.name not in source.columns:
            continue
        value, tokens = F.col(field.name), F.col(f"{field.name}_token")
        if field.type == "texts":
            condition, shown = F.exists(tokens, lambda item: item.isNull()), masked(F.array_join(value, ", "))
        else:
            condition, shown = value.isNotNull() & tokens.isNull(), masked(value)
        found.append(Finding("field_unreadable", "warning", field.name, F.col("_broken").isNull() & condition, shown))
    return found


def is_complete() -> Column:
    """Whether a contact has a name and a way to reach it."""
    has_name = F.col("family_name").isNotNull() | F.col("company").isNotNull()
    has_address = F.col("street").isNotNull() & (F.col("postal_code").isNotNull() | F.col("city").isNotNull())
    return has_name & (_has_one("emails_token") | _has_one("phones_token") | has_address)


def _has_one(tokens: str) -> Column:
    return F.coalesce(F.size(F.array_compact(tokens)) > 0, F.lit(False))


def _of_contacts() -> list[Finding]:
    sound = F.col("_broken").isNull() & F.col("contact_id").isNotNull()
    return [Finding("party_incomplete", "warning", "(record)", sound & ~is_complete(), F.lit(None).cast("string"))]


def _without_faults_of_deletions(records: DataFrame) -> DataFrame:
    """A record that takes another back needs to name it only; whatever else it lacks is no fault."""
    is_deletion = F.col("is_deletion") & F.col("_has_key")
    return records.withColumns(
        {
            VIOLATIONS: F.when(is_deletion, F.array().cast(VIOLATION_TYPE)).otherwise(F.col(VIOLATIONS)),
            REJECTED: F.col(REJECTED) & ~is_deletion,
        }
    )


def to_versions(records: DataFrame, entity: str) -> DataFrame:
    """One row per delivered record, as far as it decides which one counts, and what a contact told that changes slowly."""
    told = F.col("told") if "told" in records.columns else F.lit(None).cast(RECORD_VERSION.field("told").dataType)
    return records.select(
        F.lit(entity).alias("entity"), "record_key", "source", "version_at", "content_hash", "is_deletion", "_file_id", "_row",
        told.alias("told"),
        F.col(REJECTED).alias("_is_rejected"), F.lit(False).alias("_is_stored"),
    )  # fmt: skip


def of_records(stored: DataFrame, found: DataFrame) -> DataFrame:
    """The versions that silver knows of the records that ``found`` names, without those that it holds itself."""
    known = stored.join(found.select("record_key").distinct(), on="record_key", how="left_semi")
    others = known.join(found.select("_file_id", "_row"), on=["_file_id", "_row"], how="left_anti")
    marked = others.withColumns({"_is_stored": F.lit(True), "_is_rejected": F.col("status") == "rejected"})
    return marked.select(found.columns)


def rank_versions(versions: DataFrame, files: DataFrame) -> DataFrame:
    """Mark the version that counts, as for receipts: the newest by the source's own order, else the first loaded.

    A version with errors is ``rejected`` and never counts; ``_is_newest`` tells whether it is what the source says last.
    """
    loaded = files.select(F.col("file_id").alias("_file_id"), "loaded_at", "path")
    newest = F.col("version_at").desc_nulls_last()
    first = Window.partitionBy("record_key", "_is_rejected").orderBy(
        newest, F.col("loaded_at").asc_nulls_last(), "path", "_file_id", "_row"
    )
    last = Window.partitionBy("record_key").orderBy(
        newest, F.col("loaded_at").desc_nulls_last(), F.desc("path"), F.desc("_file_id"), F.desc("_row")
    )
    ranked = versions.join(F.broadcast(loaded), on="_file_id", how="left")
    ranked = ranked.withColumn("_is_newest", F.row_number().over(last) == 1)
    ranked = ranked.transform(with_status, first, F.col("_is_rejected"), "rejected")
    return ranked.select(*RECORD_VERSION.column_names, "_is_stored", "_is_newest")
