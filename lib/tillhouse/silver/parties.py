"""Who is named: rows of silver.party, vault.party and silver.consent from contacts and from records about somebody."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.silver.records import is_complete
from tillhouse.sources import consents
from tillhouse.sources.model import Source
from tillhouse.tables import vault
from tillhouse.tables.entities import CONSENT
from tillhouse.tables.silver import PARTY

_LINEAGE = ("_file", "_file_id", "_row")
# What in a proof could be an e-mail address, an address in a network, or a number of a person.
_PERSONAL = "|".join(
    (
        r"[^\s@]+@[^\s@]+",
        r"[0-9]{1,3}([.][0-9]{1,3}){3}",
        r"[0-9A-Fa-f]*:[0-9A-Fa-f:]{6,}",
        r"(?:[+]|\b0)[0-9][0-9() /-]{5,}[0-9]",
        r"[0-9]{7,}",
    )
)


def to_parties(contacts: DataFrame) -> DataFrame:
    """One row per contact, without clear text."""
    named = contacts.select(
        "party_key", "source", "language", "country", "home_branch_id", "loyalty_tier", "loyalty_points", "created_at",
        "changed_at", "version_at", *_LINEAGE,
        F.col("contact_id_token").alias("source_id"),
        party_type().alias("party_type"),
        F.col("card_number_token").alias("card_token"),
        is_complete().alias("is_complete"),
        "customer_number_token",
        several("emails_token").alias("email_tokens"),
        several("phones_token").alias("phone_tokens"),
        "tax_id_token",
        several("company_ids_token").alias("company_id_tokens"),
    )  # fmt: skip
    return PARTY.conform(named)


def party_type() -> Column:
    """Whether a contact is a person or a company: a company where only a company is named."""
    only_company = F.col("company").isNotNull() & F.col("family_name").isNull() & F.col("given_name").isNull()
    return F.coalesce("party_type", F.when(only_company, "company").otherwise("person"))


def to_vault(contacts: DataFrame) -> DataFrame:
    """One row per contact, in clear."""
    return vault.PARTY.conform(contacts)


def of_references(records: DataFrame) -> DataFrame:
    """Parties of their own for who records name by number, card, e-mail or phone: incomplete, with these tokens."""
    named = records.where("party_key IS NOT NULL AND NOT (contact_source IS NOT NULL AND contact_id_token IS NOT NULL)")
    return named.select(
        "party_key",
        "source",
        F.coalesce("customer_number_token", "card_number_token", "email_token", "phone_token").alias("source_id"),
        F.lit("person").alias("party_type"),
        F.col("card_number_token").alias("card_token"),
        F.lit(False).alias("is_complete"),
        "customer_number_token",
        several(F.array("email_token")).alias("email_tokens"),
        several(F.array("phone_token")).alias("phone_tokens"),
        "card_number",
        "customer_number",
        several(F.array("email")).alias("emails"),
        several(F.array("phone")).alias("phones"),
    ).dropDuplicates(["party_key"])


def several(texts: Column | str) -> Column:
    given = F.array_distinct(F.array_compact(texts))
    return F.when(F.size(given) > 0, given)


def to_consents(contacts: DataFrame, source: Source) -> DataFrame:
    """One row per contact, channel and purpose of a mapping; of several declarations the strictest counts."""
    declared: dict[tuple[str, str], list[int]] = {}
    for number, consent in enumerate(source.consent):
        declared.setdefault((consent.channel, consent.purpose), []).append(number)
    rows = [_strictest(numbers).alias("_said") for numbers in declared.values()]
    keyed = [
        F.struct(F.lit(channel).alias("channel"), F.lit(purpose).alias("purpose"), said.alias("said"))
        for (channel, purpose), said in zip(declared, rows, strict=True)
    ]
    told = contacts.where(F.col("source") == source.name).withColumn("_consent", F.explode(F.array(*keyed)))
    state = F.element_at(F.array(*(F.lit(text) for text in _BY_STRICTNESS)), F.col("_consent.said.strictness"))
    return CONSENT.conform(
        told.select(
            "party_key", "source", "_consent.channel", "_consent.purpose", state.alias("state"),
            F.col("_consent.said.proof").alias("proof"), F.col("_consent.said.at").alias("at"),
            F.col("version_at").alias("observed_at"), *_LINEAGE,
        )
    )  # fmt: skip


_BY_STRICTNESS = (consents.DENIED, consents.GRANTED, consents.UNKNOWN)


def _strictest(numbers: Sequence[int]) -> Column:
    """The strictest of several declarations; of equal ones the latest, and one with a proof."""
    said = []
    for number in numbers:
        state, proof, at = (F.col(name) for name in consents.names(number))
        strictness = reduce(
            lambda rest, place: F.when(state == _BY_STRICTNESS[place], place + 1).otherwise(rest), (1, 0), F.lit(3)
        )
        said.append(
            F.struct(
                strictness.alias("strictness"),
                (-F.coalesce(F.unix_micros(at), F.lit(0))).alias("_latest"),
                proof.isNull().alias("_has_none"),
                without_persons(proof).alias("proof"),
                at.alias("at"),
            )
        )
    return F.array_min(F.array(*said))


def without_persons(proof: Column) -> Column:
    """A proof without what names somebody; days stay, since they are the better part of it."""
    return F.regexp_replace(proof, _PERSONAL, "***")
