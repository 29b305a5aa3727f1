"""The vault: the only file of this room that reads or writes clear text. The others are given frames and keep none of it."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.frames import small
from tillhouse.identity import normalise
from tillhouse.identity.conf import Conf
from tillhouse.identity.match import normalise as to_comparable
from tillhouse.keys import as_one_text, content_hash
from tillhouse.store import Store
from tillhouse.tables import silver, vault
from tillhouse.tables.entities import CONSENT

_OF_SILVER = ("party_type", "language", "company_id_tokens", "changed_at", "version_at")


def contacts(store: Store, only: DataFrame | None = None) -> DataFrame:
    """Every record of a person or company that a source delivers as such: clear text, what silver knows, and ``content_hash``.

    A birth date after the day on which the record was told, or a hundred years and more before it, is none. ``only`` (party_key):
    these records.
    """
    told, known = store.read(silver.PARTY).where("_file IS NOT NULL"), store.read(vault.PARTY)
    if only is not None:
        told, known = (rows.join(only, on="party_key", how="left_semi") for rows in (told, known))
    told = told.select(
        "party_key", *_OF_SILVER, F.to_date(F.coalesce("changed_at", "created_at", "version_at")).alias("_told_on")
    )
    known = known.join(told, on="party_key", how="inner")
    known = known.withColumn("birth_date", _possible(F.col("birth_date"), F.col("_told_on"))).drop("_told_on")
    if store.exists(CONSENT):
        declared = store.read(CONSENT)
        said = content_hash(*(name for name in declared.columns if not name.startswith("_")))
        of_party = declared.groupBy("party_key").agg(F.bit_xor(said).alias("_consents"))
        known = known.join(of_party, on="party_key", how="left")
    return known.withColumn("content_hash", content_hash(*sorted(known.columns)))


def _possible(birth_date: Column, told_on: Column) -> Column:
    is_possible = (birth_date <= told_on) & (birth_date > F.add_months(told_on, -12 * (normalise.OLDEST + 1)))
    return F.when(told_on.isNull() | is_possible, birth_date)


def has_records(store: Store) -> bool:
    """Whether contacts have been compared before."""
    return store.version(vault.IDENTITY_RECORD)[1] > 0


def as_records(plain: DataFrame) -> DataFrame:
    """Rows of vault.identity_record of which only what is given is known."""
    return _with_text(vault.IDENTITY_RECORD.conform(vault.IDENTITY_RECORD.filled(plain)))


def _with_text(rows: DataFrame) -> DataFrame:
    """Records are compared by texts, a birth date too."""
    return rows.withColumn("birth_date", F.col("birth_date").cast("string"))


def records(store: Store) -> DataFrame:
    """The records as they were compared last time."""
    return _with_text(store.read(vault.IDENTITY_RECORD))


def changed(now: DataFrame, before: DataFrame) -> DataFrame:
    """The contacts (record_id) that are new, other than before, or gone."""
    new = now.select(F.col("party_key").alias("record_id"), F.col("content_hash").alias("_new"))
    old = before.select("record_id", F.col("content_hash").alias("_old"))
    return new.join(old, on="record_id", how="full_outer").where("NOT (_new <=> _old)").select("record_id")


def in_comparable_form(some: DataFrame, conf: Conf) -> DataFrame:
    """Contacts as rows of vault.identity_record."""
    hashes = some.select(F.col("party_key").alias("record_id"), "content_hash")
    made = to_comparable(some.drop("content_hash"), conf.rules, conf.model, as_of=None)
    return made.join(hashes, on="record_id", how="inner").select(*vault.IDENTITY_RECORD.column_names)


def keep_records(store: Store, rows: DataFrame, changed: DataFrame | None) -> None:
    """What was compared, written when all that follows from it has been. ``changed`` (record_id): only these are other ones."""
    rows = rows.withColumn("birth_date", F.col("birth_date").cast("date"))
    if changed is None:
        store.overwrite(vault.IDENTITY_RECORD, rows)
    else:
        store.replace_where(vault.IDENTITY_RECORD, rows, small(changed), "true")


def card_numbers(store: Store, card_tokens: DataFrame, check_digit: str | None) -> list[str]:
    """The cards (as records are compared) of these tokens."""
    of_cards = store.read(silver.PARTY).join(F.broadcast(card_tokens), on="card_token", how="left_semi").select("party_key")
    rows = store.read(vault.PARTY).join(of_cards, on="party_key", how="left_semi").select("card_number").distinct().collect()
    found = {normalise.card_number(row["card_number"], check_digit) for row in rows}
    return sorted(number for number in found if number)


_NAMED_BY = ("card_number", "customer_number", "emails", "phones")


def renamed(store: Store, version: int) -> DataFrame:
    """Parties (party_key, _new_key) that have another key than in that version.

    It is the same party that has the same id in the same source, or, where it has none, the same identifiers.
    """
    old, new = store.read_version(vault.PARTY, version), store.read(vault.PARTY)
    natural = F.when(F.col("contact_id").isNotNull(), as_one_text("source", "contact_id")).otherwise(
        as_one_text("source", F.lit(None).cast("string"), *(_as_text(name, dict(new.dtypes)[name]) for name in _NAMED_BY))
    )
    before = old.select("party_key", natural.alias("_natural"))
    after = new.select(F.col("party_key").alias("_new_key"), natural.alias("_natural"))
    both = before.join(after, on="_natural", how="inner").where("party_key <> _new_key")
    return both.groupBy("party_key").agg(F.min("_new_key").alias("_new_key"))


def _as_text(name: str, kind: str) -> Column:
    return F.array_join(F.array_sort(name), " ") if kind.startswith("array") else F.col(name)


def write(store: Store, customers: DataFrame, fields: DataFrame, touched: DataFrame) -> None:
    """The customers (customer_id) that are ``touched``, as they are now."""
    for table, rows in ((vault.CUSTOMER, customers), (vault.CUSTOMER_FIELD, fields)):
        store.replace_where(table, store.keep(table.conform(rows)), touched, "true")


def write_consents(store: Store, consents: DataFrame, touched: DataFrame) -> None:
    """What these customers (customer_id) consent to, as it is now."""
    store.replace_where(vault.CONSENT, store.keep(vault.CONSENT.conform(consents)), touched, "true")


def customers(store: Store) -> DataFrame:
    """The surviving fields of every customer, in clear."""
    return store.read(vault.CUSTOMER)


def consents(store: Store) -> DataFrame:
    """What customers consent to: customer_id, channel, purpose, state; without the proof, which is personal."""
    return store.read(vault.CONSENT).select("customer_id", "channel", "purpose", "state")
