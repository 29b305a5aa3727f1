"""What changes slowly of a customer, and since when: on each day on which one of its records changes, what survives of all."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.frames import small, union, without_repeats
from tillhouse.identity import survival
from tillhouse.identity.conf import Conf
from tillhouse.identity.contacts import Contacts
from tillhouse.identity.rules import FieldRule, Survivorship
from tillhouse.identity.survive import Group, customer_type, one, ranked
from tillhouse.keys import BEGINNING
from tillhouse.store import Since, Store
from tillhouse.tables.entities import PARTY_VERSION
from tillhouse.tables.silver import CUSTOMER_VERSION, PARTY_CUSTOMER

GROUPS = {
    "address": Group(("postal_area", "country"), ("has_address",)),
    "birth_date": one("birth_year"),
    "language": one("language"),
    "company_id": one("company_id"),
}
_OF_RECORD = (
    "party_type", "has_name", "has_company", "has_address", "postal_area", "country", "birth_year", "language", "company_id",
)  # fmt: skip
_ATTRIBUTES = ("customer_type", "company_id", "birth_year", "postal_area", "country", "language")


def write(store: Store, conf: Conf | None, looked: Contacts | None, since: Since | None) -> int:
    """Make anew the history of the customers that it has changed for; returns of how many something was looked at.

    These are customers of contacts that were looked at or of which any delivered version is new, be it one of the past, and
    customers who belong to such a company.
    """
    if not store.exists(PARTY_VERSION):
        return 0
    rules = conf.rules.survivorship if conf else Survivorship()
    valid = store.read(PARTY_CUSTOMER).where("valid_to_run IS NULL").select("party_key", "customer_id")
    versions = store.read(PARTY_VERSION).join(valid, on="party_key", how="inner")
    named = survival.companies_named(versions)
    companies = survival.company_of(named, valid, ["party_key", "valid_from"])
    records = versions.join(companies, on=["party_key", "valid_from"], how="left")
    if since is None:
        store.overwrite(CUSTOMER_VERSION, to_versions(records, rules))
        return 0
    changed = [] if looked is None else [looked.looked_at]
    if PARTY_VERSION.full_name in since.versions and store.has_news(PARTY_VERSION, since):
        changed.append(store.touched(PARTY_VERSION, since, ["party_key"]))
    if not changed:
        return 0
    parties = store.keep(union(changed).distinct())
    theirs = versions.join(parties, on="party_key", how="left_semi").select("customer_id")
    of_buyers = named.join(parties.toDF("company_key"), on="company_key", how="left_semi").select("customer_id")
    ended = store.read(CUSTOMER_VERSION).select("customer_id").join(versions, on="customer_id", how="left_anti")
    touched = small(store.keep(union([theirs, of_buyers, ended]).distinct()))
    count = touched.count()
    if count:
        rows = to_versions(records.join(touched, on="customer_id", how="left_semi"), rules)
        store.replace_where(CUSTOMER_VERSION, store.keep(rows), touched, "true")
    return count


def to_versions(records: DataFrame, rules: Survivorship) -> DataFrame:
    """One row per customer and day from which on something else survives of its records; the first holds since ever.

    ``records``: rows of silver.party_version with customer_id and company_customer_id (the customer that the person belongs to).
    Which record survives is what survive.py says. Where a source does not tell when a record was changed, it is as recent as the
    first export that said so.
    """
    ends = Window.partitionBy("party_key").orderBy("valid_from")
    own = F.col("company_customer_id") == F.col("customer_id")
    told = records.withColumns(
        {
            "_ends_on": F.lead("valid_from").over(ends),
            "_time": F.unix_micros(F.coalesce("changed_at", "version_at")),
            "company_id": F.when(~own, F.col("company_customer_id")),
        }
    )
    record = F.struct("party_key", "source", "changed_at", "_time", "valid_from", "_ends_on", "is_deleted", *_OF_RECORD)
    of_customer = told.groupBy("customer_id").agg(
        F.collect_list(record).alias("_all"), F.collect_set("valid_from").alias("_days")
    )
    days = of_customer.select("customer_id", F.explode("_days").alias("valid_from"), "_all")
    there = days.select("customer_id", "valid_from", F.filter("_all", _holds).alias("_there"))
    of_group = {**dict(rules), "company_id": FieldRule()}
    survivors = there.withColumns(
        {name: F.try_element_at(ranked(F.col("_there"), group, of_group[name]), F.lit(1)) for name, group in GROUPS.items()}
    )
    found = survivors.select(
        "customer_id",
        "valid_from",
        _customer_type(F.col("_there")).alias("customer_type"),
        *(F.col(f"{name}.{column}").alias(column) for name, group in GROUPS.items() for column in group.columns),
    )
    first = F.min("valid_from").over(Window.partitionBy("customer_id"))
    changes = without_repeats(found, "customer_id", "valid_from", _ATTRIBUTES).withColumn("_first", first)
    valid_from = F.when(F.col("valid_from") == F.col("_first"), F.lit(BEGINNING)).otherwise(F.col("valid_from"))
    return CUSTOMER_VERSION.conform(changes.withColumn("valid_from", valid_from))


def _holds(record: Column) -> Column:
    """Whether a record says this on the day ``valid_from``."""
    day = F.col("valid_from")
    return ~record["is_deleted"] & (record["valid_from"] <= day) & (record["_ends_on"].isNull() | (record["_ends_on"] > day))


def _customer_type(records: Column) -> Column:
    is_company = F.exists(records, lambda record: record["party_type"] == "company")
    belongs_to_company = F.exists(records, lambda record: record["company_id"].isNotNull())
    has_name = F.exists(records, lambda record: record["has_name"].isNotNull())
    has_company = F.exists(records, lambda record: record["has_company"].isNotNull())
    return customer_type(is_company, belongs_to_company, has_name & has_company)
