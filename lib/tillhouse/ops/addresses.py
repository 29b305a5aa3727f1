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
    known = customers.select("customer_id", *_NAMES, *(_address(name) for name in columns)).withColumn("_has", F.expr(condition))
    granted = to_consenting(consents, channel, purpose).withColumn("_may", F.lit(True))
    reachable = granted.join(known, on="customer_id", how="left")
    flags = {"has_consent": F.coalesce("_may", F.lit(False)), "has_address": F.coalesce("_has", F.lit(False))}
    return chosen.join(reachable, on="customer_id", how="left").withColumns(flags).drop("_may", "_has")


def _address(name: str) -> Column:
    if name in ("email", "phone"):
        return F.get(f"{name}s", F.lit(0)).alias(name)
    return F.nullif(F.trim(name), F.lit("")).alias(name)


def to_list(addresses: DataFrame, channel: str, shown: Sequence[str]) -> AddressList:
    """The rows that may be written to, in their order, with the columns ``shown`` of those who were chosen."""
    columns = ("customer_id", *shown, *_NAMES, *_OF_CHANNEL[channel][0])
    [left_out] = addresses.select(
        F.count_if(~F.col("has_consent")).alias("without_consent"),
        F.count_if(F.col("has_consent") & ~F.col("has_address")).alias("without_address"),
    ).collect()
    rows = addresses.where("has_consent AND has_address").select(*columns).collect()
    return AddressList(columns, rows, left_out.without_consent, left_out.without_address)


def write_csv(found: AddressList, path: Path) -> None:
    """A file that only its owner can read; texts that a spreadsheet would take for formulas get an apostrophe before them.

    Raises:
        ConfigError: the file cannot be written.
    """
    try:
        path.touch(mode=0o600)
        path.chmod(0o600)  # also where it was there before
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(found.columns)
            writer.writerows([harmless(row[name]) for name in found.columns] for row in found.rows)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}. Remedy: name a file in a folder that exists") from None
