"""Address lists: chosen customers with what a letter, mail or call needs, from the vault, of those alone who consent."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from tillhouse.errors import ConfigError
from tillhouse.ops.worklist import harmless

PURPOSES = ("marketing", "survey")
_NAMES = ("salutation", "title", "given_name", "family_name", "company", "contact_person", "language")
# What a channel needs of vault.customer: its columns, and what must be there.
_OF_CHANNEL = {
    "email": (("email",), "email IS NOT NULL"),
    "phone": (("phone",), "phone IS NOT NULL"),
    "post": (
        ("street", "postal_code", "city", "country"),
        "street IS NOT NULL AND city IS NOT NULL AND (family_name IS NOT NULL OR company IS NOT NULL)",
    ),
}
CHANNELS = tuple(_OF_CHANNEL)


@dataclass(frozen=True)
class AddressList:
    """Rows for a file, and how many of the chosen were left out: without consent, and of the others without address."""

    columns: tuple[str, ...]
    rows: Sequence[Row]
    without_consent: int
    without_address: int


def to_consenting(consents: DataFrame, channel: str, purpose: str) -> DataFrame:
    """Customers (customer_id) who granted this channel, or any, for this purpose, and denied neither of the two."""
    of_use = consents.where((F.col("purpose") == purpose) & F.col("channel").isin(channel, "any"))
    states = of_use.groupBy("customer_id").agg(
        F.bool_or(F.col("state") == "granted").alias("is_granted"), F.bool_or(F.col("state") == "denied").alias("is_denied")
    )
    return states.where("is_granted AND NOT is_denied").select("customer_id")


def to_addresses(chosen: DataFrame, customers: DataFrame, consents: DataFrame, channel: str, purpose: str) -> DataFrame:
    """Chosen customers with name and address for a channel, ``has_consent`` and ``has_address``; clear text only with consent.

    ``customers`` is vault.customer, ``consents`` are rows of vault.consent. Of several e-mail addresses or phone numbers it is
    the surviving one.
    """
    columns, condition = _OF_CHANNEL[channel]
    named = customers.select("customer_id", *_NAMES, *(_address(name) for name in columns))
    known = named.withColumn("_is_there", F.expr(condition)).join(
        to_consenting(consents, channel, purpose), on="customer_id", how="left_semi"
    )
    granted = to_consenting(consents, channel, purpose).withColumn("_is_granted", F.lit(True))
    joined = chosen.join(granted, on="customer_id", how="left").join(known, on="customer_id", how="left")
    return joined.withColumns(
        {"has_consent": F.col("_is_granted").isNotNull(), "has_address": F.coalesce("_is_there", F.lit(False))}
    ).drop("_is_granted", "_is_there")


def _address(name: str) -> Column:
    if name in ("email", "phone"):
        return F.get(f"{name}s", F.lit(0)).alias(name)
    return F.nullif(F.trim(name), F.lit("")).alias(name)


def to_list(addresses: DataFrame, channel: str, shown: Sequence[str]) -> AddressList:
    """The rows that may be written to, in their order, with the columns ``shown`` of those who were chosen. One query."""
    columns = ("customer_id", *shown, *_NAMES, *_OF_CHANNEL[channel][0])
    found = addresses.select(*columns, "has_consent", "has_address").collect()
    rows = [row for row in found if row.has_consent and row.has_address]
    without_consent = sum(not row.has_consent for row in found)
    return AddressList(columns, rows, without_consent, len(found) - len(rows) - without_consent)


def write_csv(found: AddressList, path: Path) -> None:
    """A file that only its owner can read; texts that a spreadsheet would take for formulas get an apostrophe before them.

    Raises:
        ConfigError: the file cannot be written.
    """
    try:
        path.touch(mode=0o600)
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(found.columns)
            writer.writerows([harmless(row[name]) for name in found.columns] for row in found.rows)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}. Remedy: name a file in a folder that exists") from None
