"""Which customers' surviving fields and consents have to be made anew; how they are made stands in survive.py."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

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
    companies = _companies(parties, valid)
    theirs = of_contact.join(looked.looked_at, on="party_key", how="left_semi").select("customer_id")
    buyers = companies.join(theirs.toDF("company_customer_id").distinct(), on="company_customer_id", how="left_semi")
    of_buyers = of_contact.join(buyers, on="party_key", how="left_semi").select("customer_id")
    ended = vault.customers(store).select("customer_id").join(of_contact, on="customer_id", how="left_anti")
    touched = store.keep(theirs.union(of_buyers).union(ended).distinct())

    members = of_contact.join(touched, on="customer_id", how="left_semi")
    records = members.join(vault.contacts(store), on="party_key", how="inner")
    survivors = store.keep(survive.survive(records.join(companies, on="party_key", how="left"), rules))
    vault.write(store, survive.to_customers(survivors), survive.to_fields(survivors), touched)
    if store.exists(CONSENT):
        declared = store.read(CONSENT).join(members, on="party_key", how="inner")
        vault.write_consents(store, survive.to_consents(declared), touched)


def _companies(parties: DataFrame, valid: DataFrame) -> DataFrame:
    """The company of each person that names one (party_key, company_customer_id); of several the smallest."""
    named = parties.select("party_key", "source", F.explode("company_id_tokens").alias("_token"))
    keyed = named.select("party_key", surrogate_key("source", "_token").alias("_company"))
    of_company = valid.select(F.col("party_key").alias("_company"), F.col("customer_id").alias("company_customer_id"))
    joined = keyed.join(of_company, on="_company", how="inner")
    return joined.groupBy("party_key").agg(F.min("company_customer_id").alias("company_customer_id"))
