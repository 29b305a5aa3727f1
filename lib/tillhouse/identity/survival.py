"""Which customers' surviving fields and consents have to be made anew; how they are made stands in survive.py."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.frames import small
from tillhouse.identity import survive, vault
from tillhouse.identity.conf import Conf
from tillhouse.identity.contacts import Contacts
from tillhouse.identity.rules import Survivorship
from tillhouse.keys import surrogate_key
from tillhouse.store import Store
from tillhouse.tables import silver
from tillhouse.tables.entities import CONSENT


def write(store: Store, conf: Conf | None, looked: Contacts) -> None:
    """Make anew the customers of the contacts that were looked at, and of those who belong to such a company."""
    rules = conf.rules.survivorship if conf else Survivorship()
    valid = store.read(silver.PARTY_CUSTOMER).where("valid_to_run IS NULL").select("party_key", "customer_id")
    parties = store.read(silver.PARTY).where("_file IS NOT NULL")
    of_contact = valid.join(parties.select("party_key"), on="party_key", how="left_semi")
    named = companies_named(parties)
    looked_at = small(store.keep(looked.looked_at))
    theirs = of_contact.join(looked_at, on="party_key", how="left_semi").select("customer_id")
    buyers = named.join(looked_at.toDF("company_key"), on="company_key", how="left_semi")
    of_buyers = of_contact.join(buyers, on="party_key", how="left_semi").select("customer_id")
    ended = vault.customers(store).select("customer_id").join(of_contact, on="customer_id", how="left_anti")
    touched = small(store.keep(theirs.union(of_buyers).union(ended).distinct()))

    members = of_contact.join(touched, on="customer_id", how="left_semi")
    told = vault.contacts(store, small(store.keep(members.select("party_key"))))
    records = members.join(told, on="party_key", how="inner")
    companies = company_of(named, valid, ["party_key"])
    survivors = store.keep(survive.survive(records.join(companies, on="party_key", how="left"), rules))
    vault.write(store, survive.to_customers(survivors), survive.to_fields(survivors), touched)
    if store.exists(CONSENT):
        declared = store.read(CONSENT).join(members, on="party_key", how="inner")
        vault.write_consents(store, survive.to_consents(declared), touched)


def companies_named(parties: DataFrame) -> DataFrame:
    """The parties with a row for each company that they name, which is a party itself (``company_key``)."""
    named = parties.withColumn("_token", F.explode("company_id_tokens"))
    return named.withColumn("company_key", surrogate_key("source", "_token")).drop("_token", "company_id_tokens")


def company_of(named: DataFrame, valid: DataFrame, keys: Sequence[str]) -> DataFrame:
    """The customer that the named company is (``company_customer_id``) by ``keys``; of several companies the smallest key."""
    of_company = valid.select(F.col("party_key").alias("company_key"), F.col("customer_id").alias("_customer_id"))
    joined = named.select(*keys, "company_key").join(of_company, on="company_key", how="inner")
    return joined.groupBy(*keys).agg(F.min_by("_customer_id", "company_key").alias("company_customer_id"))
