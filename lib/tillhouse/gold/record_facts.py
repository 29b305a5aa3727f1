"""Facts of what is told about customers beside receipts: contacts, tickets, open items, warranties and preferences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.gold.facts import NoCustomer
from tillhouse.products.lookup import differing, holds_on
from tillhouse.store import Since, Store, quoted
from tillhouse.tables import Table, gold, silver
from tillhouse.tables.contract import MONTH, NO_MONTH
from tillhouse.tables.entities import CAMPAIGN_CONTACT, INTERACTION, OPEN_ITEM, PREFERENCE, TICKET, WARRANTY
from tillhouse.tables.gold_facts import RECORD_FACTS

RULES_VERSION = 1
_DAY_MICROS = 86_400_000_000
_NOW = "9999-12-31"  # of a record without a day the newest versions count
_VERSION = ("valid_from", "valid_to", "is_current")
_OF_BRANCH = ("branch_id", "branch_key", "time_zone", "currency", *_VERSION)
_OF_PRODUCT = ("product_id", "product_key", *_VERSION)


@dataclass(frozen=True)
class Kind:
    """A kind of records in silver and its fact; ``day`` is the day of a record, ``to_columns`` adds what only this fact has."""

    records: Table
    fact: Table
    day: Callable[[], Column]
    to_columns: Callable[[DataFrame], DataFrame] = lambda records: records


@dataclass(frozen=True)
class Members:
    """What records refer to: silver.party_customer, parties that are ``unclear``, gold.dim_branch and gold.dim_product."""

    party_customers: DataFrame
    unclear: DataFrame | None
    branches: DataFrame
    products: DataFrame


def to_facts(records: DataFrame, kind: Kind, members: Members) -> DataFrame:
    """One row per record, with its customer, branch and product as far as they are known."""
    named = records.transform(with_customers, members).transform(_with_branch_zone, members.branches)
    dated = named.withColumn("_day", kind.day())
    for name, versions in (("branch", members.branches), ("product", _known(members.products))):
        if f"{name}_key" in kind.fact.column_names:
            dated = dated.transform(_with_member, name, versions)
    return kind.fact.conform(dated.transform(kind.to_columns))


def with_customers(records: DataFrame, members: Members) -> DataFrame:
    """Records with the customer that their party stands for, and ``customer_status``."""
    valid = members.party_customers.where("valid_to_run IS NULL").select("party_key", "customer_id")
    return records.join(valid, on="party_key", how="left").transform(NoCustomer(members.unclear).without)


def _with_branch_zone(records: DataFrame, branches: DataFrame) -> DataFrame:
    """What is told of branch and product under the name of a reference, and the time zone and currency of the branch."""
    told = {f"{name}_ref": _told(records, column) for name, column in (("branch", "branch_id"), ("product", "product_ref"))}
    now = branches.where("is_current").select(
        F.col("branch_id").alias("branch_ref"), F.col("time_zone").alias("_time_zone"), F.col("currency").alias("_currency")
    )
    return records.withColumns(told).drop("branch_id").join(F.broadcast(now), on="branch_ref", how="left")


def _told(records: DataFrame, column: str) -> Column:
    return F.col(column) if column in records.columns else F.lit(None).cast("string")


def _with_member(records: DataFrame, name: str, members: DataFrame) -> DataFrame:
    """Id and key of the version that holds on the record's day; both NULL where nobody knows what the source names, with why."""
    key, ref = f"{name}_key", F.col(f"{name}_ref")
    day = F.coalesce("_day", F.to_date(F.lit(_NOW)))
    named = members.select(
        F.col(f"{name}_id").alias("_id"), key, F.col("valid_from").alias("_from"), F.col("valid_to").alias("_to")
    )
    holds = holds_on(day, F.col("_from"), F.col("_to"))
    joined = records.join(F.broadcast(named), on=(ref == F.col("_id")) & holds, how="left")
    status = F.when(ref.isNull(), "not_told").when(F.col("_id").isNull(), "unknown").otherwise("known")
    return joined.withColumns({f"{name}_id": F.col("_id"), f"{name}_status": status}).drop("_id", "_from", "_to")


def _known(products: DataFrame) -> DataFrame:
    """Products with master data: others are members only as long as they are sold."""
    return products.where("is_known AND NOT is_group")


def local_day(instant: str) -> Column:
    """The day of an instant on the clock of the record's branch, else in UTC."""
    local = F.unix_micros(F.from_utc_timestamp(instant, F.coalesce("_time_zone", F.lit("UTC"))))
    return F.date_from_unix_date(F.floor(local / _DAY_MICROS).cast("int"))


def _with_columns_of_interactions(interactions: DataFrame) -> DataFrame:
    nothing = F.lit(None).cast("string")
    return interactions.transform(_with_contact_day).withColumns(
        {
            "contact_kind": F.lit("interaction"),
            "duration_seconds": F.when(F.col("ended_at") >= F.col("started_at"), _seconds("started_at", "ended_at")),
            "is_contact": F.lit(True),
            "event": nothing,
            "test_group": nothing,
        }
    )


def _with_columns_of_campaign_contacts(events: DataFrame) -> DataFrame:
    """What was sent is a contact unless it was left out to compare; what came of it is no contact more."""
    nothing = F.lit(None).cast("string")
    is_sent = F.col("event") == "sent"
    return events.transform(_with_contact_day).withColumns(
        {
            "contact_kind": F.lit("campaign"),
            "started_at": F.col("occurred_at"),
            "ended_at": F.lit(None).cast("timestamp"),
            "duration_seconds": F.lit(None).cast("bigint"),
            "is_contact": is_sent & ~F.col("test_group").eqNullSafe("control"),
            "direction": F.when(is_sent, "outbound"),
            "reason": nothing,
            "outcome": F.col("response"),
            "ticket_id": nothing,
            "team": nothing,
            "receipt_number": nothing,
        }
    )


def _with_contact_day(contacts: DataFrame) -> DataFrame:
    month = F.coalesce(F.date_format("_day", "yyyy-MM"), F.lit(NO_MONTH))
    return contacts.withColumns({"contacted_on": F.col("_day"), MONTH: month})


def _with_columns_of_tickets(tickets: DataFrame) -> DataFrame:
    """A ticket is open until its status says closed; without a status, until it has a time at which it was closed."""
    is_open = F.coalesce(F.col("status") != "closed", F.col("closed_at").isNull())
    is_timed = ~F.col("is_open") & (F.col("closed_at") >= F.col("opened_at"))
    hours = _seconds("opened_at", "closed_at").cast("DECIMAL(18,0)") / 3600
    return tickets.withColumn("is_open", is_open).withColumns(
        {
            "opened_on": F.col("_day"),
            "closed_on": local_day("closed_at"),
            "hours_to_close": F.when(is_timed, F.round(hours, 3)).cast("DECIMAL(18,3)"),
            "is_closed_late": F.when(~F.col("is_open"), F.col("closed_at") > F.col("due_at")),
        }
    )


def _with_columns_of_open_items(items: DataFrame) -> DataFrame:
    """Each type has an amount of its own, so that they add up: invoiced less credited and paid is what is still to be paid."""
    is_unpaid = F.col("item_type").isin("invoice", "dunning") & F.col("paid_on").isNull()

    def only(item_type: str, amount: Column) -> Column:
        return F.when(F.col("item_type") == item_type, amount).otherwise(0).cast("DECIMAL(18,2)")

    return items.withColumns(
        {
            "days_to_pay": F.date_diff("paid_on", "issued_on"),
            "days_late": F.date_diff("paid_on", "due_on"),
            "is_open": F.coalesce(F.col("open_amount") != 0, is_unpaid),
            "currency": F.coalesce("currency", "_currency"),
            "invoiced_amount": only("invoice", F.col("amount")),
            "credited_amount": only("credit_note", F.abs("amount")),
            "paid_amount": only("payment", F.abs("amount")),
            "dunned_amount": only("dunning", F.col("amount")),
        }
    )


def _with_columns_of_warranties(warranties: DataFrame) -> DataFrame:
    return warranties.withColumn("warranty_days", F.date_diff("ends_on", F.coalesce("starts_on", "purchased_on")) + 1)


def _seconds(beginning: str, end: str) -> Column:
    return F.unix_seconds(end) - F.unix_seconds(beginning)


KINDS = (
    Kind(INTERACTION, gold.FCT_CONTACT, lambda: local_day("started_at"), _with_columns_of_interactions),
    Kind(
        CAMPAIGN_CONTACT,
        gold.FCT_CONTACT,
        lambda: F.coalesce(local_day("occurred_at"), F.col("occurred_on")),
        _with_columns_of_campaign_contacts,
    ),
    Kind(TICKET, gold.FCT_TICKET, lambda: local_day("opened_at"), _with_columns_of_tickets),
    Kind(OPEN_ITEM, gold.FCT_OPEN_ITEM, lambda: F.col("issued_on"), _with_columns_of_open_items),
    Kind(
        WARRANTY,
        gold.WARRANTY,
        lambda: F.coalesce("purchased_on", "starts_on", "ends_on"),
        _with_columns_of_warranties,
    ),
    Kind(PREFERENCE, gold.PREFERENCE, lambda: local_day("stated_at")),
)


def kinds_of(delivered: AbstractSet[str]) -> list[Kind]:
    """The kinds of records that a source delivers."""
    return [kind for kind in KINDS if kind.records.name in delivered]


def run(store: Store, delivered: AbstractSet[str], since: Since | None, unclear: DataFrame | None) -> dict[str, int]:
    """Publish the facts of all records, or of those of which something has changed; returns how many, and how many are amiss.

    Dimensions come first: records refer to what is published of them.
    """
    kinds = kinds_of(delivered)
    if since is None:
        store.expect(sum(store.read(kind.records).count() for kind in kinds))
        found = {kind: store.read(kind.records) for kind in kinds}
    else:
        touched = _touched(store, kinds, since) if kinds else None
        if touched is None:
            return {}
        counted = {row["kind"]: row["count"] for row in touched.groupBy("kind").count().collect()}
        store.expect(sum(counted.values()))
        keys = {kind: touched.where(F.col("kind") == kind.records.name).select("record_key") for kind in kinds}
        found = {
            kind: store.read(kind.records).join(F.broadcast(keys[kind]), on="record_key", how="left_semi")
            for kind in kinds
            if kind.records.name in counted
        }
    members = Members(
        store.read(silver.PARTY_CUSTOMER), unclear, store.read(gold.DIM_BRANCH), store.read(gold.DIM_PRODUCT)
    )  # fmt: skip
    rows = {kind: store.keep(to_facts(records, kind, members)) for kind, records in found.items()}
    for fact in RECORD_FACTS:
        of_fact = [kind for kind in rows if kind.fact is fact]
        if since is None:
            _overwrite(store, fact, [rows[kind] for kind in of_fact])
        for kind in of_fact if since is not None else ():
            _replace(store, fact, rows[kind], keys[kind])
    return _figures(list(rows.values()))


def _touched(store: Store, kinds: Sequence[Kind], since: Since) -> DataFrame | None:
    """Records (kind, record_key) that have changed, or whose customer, branch or product has; None where nothing can have."""
    found = [
        store.touched(kind.records, since, ["record_key"]).select(F.lit(kind.records.name).alias("kind"), "record_key")
        for kind in kinds
        if store.has_news(kind.records, since)
    ]
    for column, keys in _touched_members(store, since).items():
        for kind in kinds:
            if column in kind.records.column_names:
                records = store.read(kind.records).join(F.broadcast(keys), on=column, how="left_semi")
                found.append(records.select(F.lit(kind.records.name).alias("kind"), "record_key"))
    return store.keep(union(found).distinct()) if found else None


def _touched_members(store: Store, since: Since) -> Mapping[str, DataFrame]:
    """By the column of records: parties that stand for another customer now, branches and products with other versions."""
    parties = []
    if store.has_news(silver.PARTY_CUSTOMER, since):
        content = ["party_key", "customer_id", "valid_to_run"]
        parties.append(store.touched(silver.PARTY_CUSTOMER, since, ["party_key"], content))
    if store.has_news(silver.PARTY_WITHOUT_CUSTOMER, since):
        parties.append(store.touched(silver.PARTY_WITHOUT_CUSTOMER, since, ["party_key"]))
    found = {"party_key": union(parties)} if parties else {}
    if store.has_news(gold.DIM_BRANCH, since):
        branches = (store.read_before(gold.DIM_BRANCH, since), store.read(gold.DIM_BRANCH))
        found["branch_id"] = differing(*(rows.select(*_OF_BRANCH) for rows in branches)).select("branch_id")
    if store.has_news(gold.DIM_PRODUCT, since):
        products = (store.read_before(gold.DIM_PRODUCT, since), store.read(gold.DIM_PRODUCT))
        changed = differing(*(_known(rows).select(*_OF_PRODUCT) for rows in products))
        found["product_ref"] = changed.select(F.col("product_id").alias("product_ref"))
    kept = {column: store.keep(keys.distinct()) for column, keys in found.items()}
    return {column: keys for column, keys in kept.items() if not keys.isEmpty()}


def _overwrite(store: Store, fact: Table, rows: Sequence[DataFrame]) -> None:
    if rows:
        store.overwrite(fact, union(rows))
    elif store.version(fact)[1]:  # no source delivers such records any more
        store.overwrite(fact, store.read(fact).where("false"))


def _replace(store: Store, fact: Table, rows: DataFrame, keys: DataFrame) -> None:
    """The rows of the touched records in place of what was there, in the months that they lie or lay in."""
    where = "true"
    if MONTH in fact.partition_by:
        before = store.read(fact).join(F.broadcast(keys), on="record_key", how="left_semi")
        months = [row[0] for row in before.select(MONTH).union(rows.select(MONTH)).distinct().collect()]
        where = f"{MONTH} IN ({quoted(months)})" if months else "false"
    store.replace_where(fact, rows, keys, where)


def _figures(facts: Sequence[DataFrame]) -> dict[str, int]:
    """How many records were published, and of how many nobody knows the branch or product that they name."""
    if not facts:
        return {}
    columns = ("branch_status", "product_status")
    told = union([rows.select(*(_told(rows, name).alias(name) for name in columns)) for rows in facts])
    row = told.agg(F.count("*"), *(F.count_if(F.coalesce(F.col(name) == "unknown", F.lit(False))) for name in columns)).collect()[
        0
    ]
    return dict(zip(("records", "records_of_unknown_branches", "records_of_unknown_products"), row, strict=True))
