"""The identity step: which records are one customer, whose the receipts are, and what survives of each customer's records."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.frames import column_of, small, union
from tillhouse.identity import contacts, customer_versions, decisions, references, staff, survival, vault
from tillhouse.identity.conf import Conf
from tillhouse.identity.contacts import Contacts
from tillhouse.identity.decide import AUTO
from tillhouse.identity.history import write
from tillhouse.identity.match import Decided
from tillhouse.identity.references import STAFF_CARD, UNCLEAR, is_reference
from tillhouse.identity.stable import assign
from tillhouse.identity.staff import StaffCards
from tillhouse.store import Since, Store
from tillhouse.tables import silver

RULES_VERSION = 1
SOURCES = "sources"  # the part of conf that says which sources there are
STEWARD, ALONE = "steward", "alone"
_OF_CUSTOMER = "customer:"  # before the id of a customer of whom no contact was looked at


@dataclass(frozen=True)
class Found:
    """What the step did: figures, and what people should know of.

    ``contacts``: what was compared, None where nothing was; ``staff``: cards of a till.
    """

    figures: dict[str, int]
    staff: StaffCards
    contacts: Contacts | None = None
    is_news_of_unclear: bool = False


@dataclass(frozen=True)
class _State:
    """Parties and their valid customers, contacts that were looked at, cards of tills, and parties that were decided about."""

    store: Store
    conf: Conf | None
    has_contacts: bool
    is_full: bool
    parties: DataFrame
    valid: DataFrame
    cards: StaffCards
    looked: Contacts | None
    named: Collection[str]


def run(store: Store, conf: Conf | None, *, has_contacts: bool, run_id: str, since: Since | None) -> Found:
    """Bring silver.party_customer, and what follows from it, up to the parties of silver.

    What was compared is written last: a run after a kill finds the same changes.
    """
    store.expect(None if since is None else 0, silver.PARTY)
    cards = staff.find(store, conf.rules.staff_card_receipts if conf else None, since)
    decided = decisions.read(store.read(silver.IDENTITY_DECISION))
    named = _named_anew(store, since)
    looked: Contacts | None = None
    if has_contacts or vault.has_records(store):
        looked = contacts.look(store, conf, decided, named=named, staff=cards, is_full=since is None)
    valid = store.read(silver.PARTY_CUSTOMER).where("valid_to_run IS NULL")
    state = _State(store, conf, has_contacts, since is None, store.read(silver.PARTY), valid, cards, looked, named)
    scope = store.keep(_references(state))
    gone = _gone(state, since)
    if looked is None and scope.isEmpty() and (gone is None or gone.isEmpty()):
        versions = customer_versions.write(store, conf, None, since)
        cards.write(store)
        return Found({"customers_other_in_the_past": versions} if versions else {}, cards)

    resolved = store.keep(_resolved(state, scope))
    groups = resolved.select("party_key", "group")
    groups = _decided_by_people(state, groups if looked is None else groups.unionByName(looked.groups), decided, resolved)
    members = groups.where("group IS NOT NULL")
    looked_at = scope.select("party_key")
    if looked is not None:
        looked_at = looked_at.union(looked.looked_at)
    if gone is not None:
        looked_at = looked_at.union(gone)
    looked_at = small(store.keep(looked_at.distinct()))
    rows = store.keep(_customers(state, members, looked_at).join(_reasons(state, resolved, decided), on="party_key", how="left"))
    written = write(store, rows, looked_at, run_id)
    placed = members.select("party_key")
    without = store.keep(resolved.join(placed, on="party_key", how="left_anti").select("party_key", "reason", "candidates"))
    has_any = bool(store.version(silver.PARTY_WITHOUT_CUSTOMER)[1]) or not without.isEmpty()
    is_news = has_any and store.replace_where(silver.PARTY_WITHOUT_CUSTOMER, without, looked_at, "true")
    if looked is not None:
        survival.write(store, conf, looked)
        contacts.write_links(store, looked)
    customer_versions.write(store, conf, looked, since)
    cards.write(store)
    if looked is not None:
        vault.keep_records(store, looked.records, looked.changed)
    return Found(written.figures, cards, looked, is_news)


def _named_anew(store: Store, since: Since | None) -> set[str]:
    """Parties of decisions that are new, or were taken back."""
    if since is None or not store.has_news(silver.IDENTITY_DECISION, since):
        return set()
    rows = store.changes(silver.IDENTITY_DECISION, since).select("left_keys", "right_keys").collect()
    return {key for row in rows for key in (*(row["left_keys"] or ()), *(row["right_keys"] or ()))}


def _references(state: _State) -> DataFrame:
    """Parties that are only named by others, whose customer has to be found anew, and all that are named alike."""
    named = state.parties.where(is_reference()).withColumn("_name", references.name())
    if state.is_full:
        return named
    valid, without = state.valid, state.store.read(silver.PARTY_WITHOUT_CUSTOMER)
    placed = valid.select("party_key").union(without.select("party_key"))
    touched = [named.join(placed, on="party_key", how="left_anti")]
    if state.looked is not None:
        looked_at = small(state.store.keep(state.looked.looked_at))
        of_customers = valid.join(looked_at, on="party_key", how="left_semi").select("customer_id").distinct()
        theirs = valid.join(small(state.store.keep(of_customers)), on="customer_id", how="left_semi").select("party_key")
        theirs = theirs.union(without.where(F.col("reason") == UNCLEAR).select("party_key"))
        touched.append(named.join(theirs, on="party_key", how="left_semi"))
        held = references.tokens(state.parties.join(looked_at, on="party_key", how="left_semi")).select("kind", "token")
        held = small(state.store.keep(held.distinct()))
        alike = references.tokens(named).join(held, on=["kind", "token"], how="left_semi").select("party_key")
        touched.append(named.join(alike, on="party_key", how="left_semi"))
    if state.named:
        decided = column_of(state.store.spark, state.named, "party_key")
        theirs = valid.join(decided, on="party_key", how="left_semi").select("customer_id").distinct()
        theirs = valid.join(theirs, on="customer_id", how="left_semi").select("party_key")
        touched.append(named.join(theirs.union(decided), on="party_key", how="left_semi"))
    if state.cards.turned:
        touched.append(named.where(F.col("card_token").isin(*state.cards.turned)))
    names = union([rows.select("_name") for rows in touched])
    return named.join(names.distinct(), on="_name", how="left_semi")


def _gone(state: _State, since: Since | None) -> DataFrame | None:
    """Parties with a customer that silver no longer knows, because their source has gone."""
    if since is not None and not since.has_changed(SOURCES):
        return None
    return state.valid.select("party_key").join(state.parties.select("party_key"), on="party_key", how="left_anti")


def _resolved(state: _State, scope: DataFrame) -> DataFrame:
    """The group of each reference (party_key, group, rule, reason, candidates); without one a reason."""
    if state.has_contacts:
        limits = state.conf.rules.shared_values if state.conf else {}
        found = references.resolve(scope, _identifiers_of_contacts(state, scope), limits)
    else:
        found = scope.select(
            "party_key",
            F.col("_name").alias("group"),
            references.name(kind=True).alias("rule"),
            F.lit(None).cast("array<string>").alias("candidates"),
        )
    is_staffs: Column = F.lit(False)
    if state.cards.tokens:
        of_staff = scope.where(F.col("card_token").isin(*state.cards.tokens))
        found = found.join(of_staff.select("party_key", F.lit(True).alias("_is_staffs")), on="party_key", how="left")
        is_staffs = F.coalesce("_is_staffs", F.lit(False))
    return found.select(
        "party_key",
        F.when(~is_staffs, F.col("group")).alias("group"),
        "rule",
        F.when(is_staffs, STAFF_CARD).when(F.col("group").isNull(), UNCLEAR).alias("reason"),
        F.when(~is_staffs, F.col("candidates")).alias("candidates"),
    )


def _identifiers_of_contacts(state: _State, scope: DataFrame) -> DataFrame:
    """Identifiers of the references that contacts have too (party_key, kind, token, group)."""
    wanted = references.tokens(scope).select("kind", "token").distinct()
    held = references.tokens(state.parties.where(~is_reference()))
    held = held.join(wanted, on=["kind", "token"], how="left_semi")
    known = state.valid.select("party_key", F.concat(F.lit(_OF_CUSTOMER), "customer_id").alias("_known"))
    if state.looked is None:
        return held.join(known.withColumnRenamed("_known", "group"), on="party_key", how="inner")
    both = held.join(state.looked.groups, on="party_key", how="left").join(known, on="party_key", how="left")
    return both.select("party_key", "kind", "token", F.coalesce("group", "_known").alias("group")).where("group IS NOT NULL")


def _decided_by_people(state: _State, groups: DataFrame, decided: Decided, resolved: DataFrame) -> DataFrame:
    """The groups after what people have decided about parties that are only named by others."""
    about = {key for pair in (*decided.together, *decided.apart) for key in pair}
    if not about:
        return groups
    unclear = resolved.where(F.col("reason") == UNCLEAR).select("party_key", "candidates").collect()
    asked = {row["party_key"]: row["candidates"] for row in unclear if row["party_key"] in about}
    spark = state.store.spark
    named = column_of(spark, about.union(*asked.values()), "party_key")
    known = state.valid.select("party_key", F.concat(F.lit(_OF_CUSTOMER), "customer_id").alias("_known"))
    rows = (
        state.parties.select("party_key", is_reference().alias("_is_reference"))
        .join(F.broadcast(named), on="party_key", how="left_semi")
        .join(groups.withColumn("_is_looked_at", F.lit(True)), on="party_key", how="left")
        .join(known, on="party_key", how="left")
        .select("party_key", "_is_reference", F.when(F.col("_is_looked_at"), F.col("group")).otherwise(F.col("_known")))
        .collect()
    )
    only_named = {row[0] for row in rows if row[1]}
    regrouped = decisions.regroup(decided, {row[0]: row[2] for row in rows}, only_named, asked)
    if regrouped.renamed:
        renamed = spark.createDataFrame(sorted(regrouped.renamed.items()), "group STRING, _renamed STRING")
        groups = groups.join(F.broadcast(renamed), on="group", how="left")
        groups = groups.select("party_key", F.coalesce("_renamed", "group").alias("group"))
    if regrouped.moved:
        moved = spark.createDataFrame(sorted(regrouped.moved.items()), "party_key STRING, _moved STRING")
        groups = groups.join(F.broadcast(moved), on="party_key", how="left")
        groups = groups.select("party_key", F.coalesce("_moved", "group").alias("group"))
    return state.store.keep(groups)


def _customers(state: _State, members: DataFrame, looked_at: DataFrame) -> DataFrame:
    """The customer of each member of a group."""
    current = state.valid.join(looked_at, on="party_key", how="left_semi")
    current = current.select("party_key", "customer_id", F.lit(False).alias("is_former"), "valid_from_run")
    ended = state.store.read(silver.PARTY_CUSTOMER).where("valid_to_run IS NOT NULL")
    ended = ended.join(looked_at, on="party_key", how="left_semi").join(state.valid, on="customer_id", how="left_anti")
    claims = current.union(ended.select("party_key", "customer_id", F.lit(True), "valid_from_run"))
    if state.is_full:
        fixed = state.store.spark.createDataFrame([], "group STRING, customer_id STRING")
    else:
        fixed = state.store.keep(_fixed(state.store, state.valid, members, current, looked_at))
    return state.store.keep(assign(members, claims, fixed))


def _fixed(store: Store, valid: DataFrame, members: DataFrame, current: DataFrame, looked_at: DataFrame) -> DataFrame:
    """Customers (group, customer_id) that others than those looked at are in: their id stays theirs."""
    ids = small(store.keep(current.select("customer_id").distinct()))
    others = valid.join(ids, on="customer_id", how="left_semi").join(looked_at, on="party_key", how="left_anti")
    pinned = others.select(F.concat(F.lit(_OF_CUSTOMER), "customer_id").alias("group"), "customer_id")
    named = members.where(F.col("group").startswith(_OF_CUSTOMER)).select(
        "group", F.substring("group", len(_OF_CUSTOMER) + 1, 64).alias("customer_id")
    )
    return pinned.union(named).distinct()


def _reasons(state: _State, resolved: DataFrame, decided: Decided) -> DataFrame:
    """Why each party is with its customer (party_key, rule, score, evidence)."""
    evidence = F.to_json(F.struct(F.col("rule").alias("identifier"))).alias("evidence")
    of_references = resolved.select("party_key", "rule", F.lit(None).cast("double").alias("score"), evidence)
    if state.looked is None:
        return of_references
    return of_references.unionByName(_reasons_of_contacts(state.store, state.looked, decided))


def _reasons_of_contacts(store: Store, looked: Contacts, decided: Decided) -> DataFrame:
    """The strongest link of each contact inside its customer, or a person's decision."""
    links = looked.links.where(F.col("decision") == AUTO)
    groups = small(looked.groups)
    for side in ("left", "right"):
        links = links.join(groups.toDF(f"{side}_key", f"_{side}"), on=f"{side}_key", how="inner")
    links = links.where("_left = _right")
    ends = [
        links.select(F.col(one).alias("party_key"), "log_odds", F.col(other).alias("with"), "rule", "levels")
        for one, other in (("left_key", "right_key"), ("right_key", "left_key"))
    ]
    link = F.struct("rule", "log_odds", "with", "levels")
    best = ends[0].union(ends[1]).groupBy("party_key").agg(F.max_by(link, F.struct("log_odds", "with")).alias("_link"))
    found = looked.groups.select("party_key").join(best, on="party_key", how="left")
    rule: Column = F.col("_link.rule")
    if decided.together:
        by_hand = column_of(store.spark, {key for pair in decided.together for key in pair}, "party_key")
        by_hand = by_hand.withColumn("_by_hand", F.lit(True))
        found = found.join(by_hand, on="party_key", how="left")
        rule = F.when(F.col("_by_hand"), STEWARD).otherwise(rule)
    evidence = F.when(F.col("_link").isNotNull(), F.to_json(F.struct(F.col("_link.with"), F.col("_link.levels"))))
    return found.select(
        "party_key",
        F.coalesce(rule, F.lit(ALONE)).alias("rule"),
        F.col("_link.log_odds").alias("score"),
        evidence.alias("evidence"),
    )
