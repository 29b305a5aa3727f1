"""Customers as people ask for them: named by a few characters, found by an identifier, shown, and explained."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from tillhouse.config import Config
from tillhouse.errors import ConfigError
from tillhouse.identity import vault
from tillhouse.identity.conf import Conf
from tillhouse.identity.decisions import TOGETHER
from tillhouse.identity.explain import Decided, Explanation, Joint, Membership, Side, Verdict, judge, shortest_path
from tillhouse.identity.match import score
from tillhouse.identity.model import IdentityModel
from tillhouse.identity.review import OPEN, decided_pairs
from tillhouse.identity.rules import IdentityRules
from tillhouse.keys import token
from tillhouse.ops.upgrade import expect_lake
from tillhouse.silver.identifiers import READINGS, one_form
from tillhouse.store import Store
from tillhouse.tables import gold, silver

LEAST_ID = 6  # characters that are enough to name a customer, record, question or decision
MOST_COMPARED = 2_500  # pairs of records of two customers that are compared to find the nearest two
# What a customer can be found by: the kind of its token, and the column of silver.party.
IDENTIFIERS = {
    "email": ("email", "email_tokens"),
    "phone": ("phone", "phone_tokens"),
    "card": ("card", "card_token"),
    "customer_number": ("customer_number", "customer_number_token"),
}
DEFAULT_REGION = "DE"
_VALID = "valid_to_run IS NULL"


@dataclass(frozen=True)
class Named:
    """A customer, or one record, as somebody has named it. ``records``: what a decision about it is about.

    Of a customer these are its contact records; where it has none, the parties that receipts and others name.
    """

    text: str
    customer_id: str | None
    record: str | None
    records: tuple[str, ...]
    parties: tuple[str, ...]

    def __str__(self) -> str:
        return f"record {self.record[:8]}" if self.record else f"customer {str(self.customer_id)[:8]}"


def starts_with(column: str, texts: Sequence[str]) -> Column:
    """Rows whose id begins with one of the texts.

    Raises:
        ConfigError: a text is too short to name one.
    """
    short = [text for text in texts if len(text) < LEAST_ID]
    if short:
        raise ConfigError(f"{', '.join(map(repr, short))}: write at least the first {LEAST_ID} characters of an id")
    return reduce(lambda left, right: left | right, (F.col(column).startswith(text) for text in texts), F.lit(False))


def only_one(rows: Sequence[Row], key: str, text: str, remedy: str) -> Row:
    """The one row that a text names.

    Raises:
        ConfigError: there is none, or several.
    """
    found = [row for row in rows if row[key].startswith(text)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ConfigError(f"{text!r}: no {key} begins like that. Remedy: {remedy}")
    raise ConfigError(f"{text!r} is ambiguous: {', '.join(sorted(row[key] for row in found)[:5])}. Remedy: write more of it")


def resolve(store: Store, texts: Sequence[str]) -> list[Named]:
    """Customers or records by customer_id, party_key, or their first characters.

    Raises:
        ConfigError: one is unknown or ambiguous.
    """
    expect_lake(store)
    is_named = starts_with("customer_id", texts) | starts_with("party_key", texts)
    rows = _members(store).where(is_named).collect()
    return [_named(store, rows, text) for text in texts]


def _members(store: Store) -> DataFrame:
    """Every known party with its customer, if it has one, and whether it is a contact record."""
    valid = store.read(silver.PARTY_CUSTOMER).where(_VALID).select("party_key", "customer_id")
    contacts = vault.records(store).select(F.col("record_id").alias("party_key"), F.lit(True).alias("_is_contact"))
    parties = store.read(silver.PARTY).select("party_key", "source")
    return parties.join(valid, on="party_key", how="full_outer").join(contacts, on="party_key", how="left")


def _named(store: Store, rows: Sequence[Row], text: str) -> Named:
    customers = sorted({row.customer_id for row in rows if row.customer_id and row.customer_id.startswith(text)})
    records = sorted({row.party_key for row in rows if row.party_key.startswith(text)})
    if len(customers) + len(records) > 1:
        several = [f"customer {name}" for name in customers] + [f"record {name}" for name in records]
        raise ConfigError(f"{text!r} is ambiguous: {', '.join(several[:5])}. Remedy: write more of it")
    if records:
        [row] = [row for row in rows if row.party_key == records[0]]
        return Named(text, row.customer_id, row.party_key, (row.party_key,), (row.party_key,))
    if not customers:
        raise ConfigError(_unknown(store, text))
    of = [row for row in rows if row.customer_id == customers[0]]
    parties = tuple(sorted(row.party_key for row in of))
    contacts = tuple(sorted(row.party_key for row in of if row._is_contact))
    return Named(text, customers[0], None, contacts or parties, parties)


def _unknown(store: Store, text: str) -> str:
    """A customer that was merged into others is told with those."""
    before = store.read(silver.PARTY_CUSTOMER)
    gone = before.where(F.col("customer_id").startswith(text)).select("party_key").distinct()
    now = [
        row[0]
        for row in before.where(_VALID).join(gone, on="party_key", how="left_semi").select("customer_id").distinct().collect()
    ]
    if now:
        return f"{text!r} is a customer no more. Its records are now of: {', '.join(sorted(now))}. Remedy: name that one"
    return (
        f"{text!r}: no customer and no record begins like that. Remedy: `tillhouse customer find` finds them by an identifier, "
        "`tillhouse customer review list` shows those in question"
    )


def find(store: Store, config: Config, wanted: Mapping[str, str]) -> DataFrame:
    """Parties that have one of these identifiers (name of ``IDENTIFIERS``: value), with their customers. Reads tokens only.

    A phone number without prefix is read as one of each country that a source names, else of Germany.

    Raises:
        ConfigError: a value can be no such identifier.
    """
    expect_lake(store)
    key = config.token_key()
    regions = sorted({source.phone_region for source in config.sources if source.phone_region}) or [DEFAULT_REGION]
    has_one = [_has_token(name, _tokens(store, name, value, regions, key)) for name, value in wanted.items()]
    valid = store.read(silver.PARTY_CUSTOMER).where(_VALID).select("party_key", "customer_id", "rule")
    found = store.read(silver.PARTY).where(reduce(lambda left, right: left | right, has_one))
    return (
        found.join(valid, on="party_key", how="left")
        .select("customer_id", "party_key", "source", "party_type", "is_complete", "rule")
        .orderBy(F.col("customer_id").asc_nulls_last(), "source", "party_key")
    )


def _tokens(store: Store, name: str, value: str, regions: Sequence[str], key: bytes) -> list[str]:
    """The tokens that silver.party would have of a value."""
    kind, _ = IDENTIFIERS[name]
    given = store.spark.createDataFrame([(value, region) for region in regions], "value STRING, region STRING")
    forms = {row[0] for row in given.select(one_form(F.col("value"), kind, F.col("region"))).collect()}
    given_forms = [form for form in forms if form is not None]
    texts = [READINGS[kind](form) for form in given_forms] if kind in READINGS else given_forms
    if not any(texts):
        raise ConfigError(f"--{name.replace('_', '-')}: what was given is no {name.replace('_', ' ')}. Remedy: write it in full")
    return sorted({token(kind, text, key) for text in texts if text})


def _has_token(name: str, tokens: Sequence[str]) -> Column:
    _, column = IDENTIFIERS[name]
    if column.endswith("_tokens"):
        return F.coalesce(F.arrays_overlap(column, F.array(*map(F.lit, tokens))), F.lit(False))
    return F.coalesce(F.col(column).isin(*tokens), F.lit(False))


def show(store: Store, text: str, is_clear: bool = False) -> dict[str, Any]:
    """A customer with its records, cards and receipts; with ``is_clear`` also what the vault knows of it.

    Raises:
        ConfigError: there is no such customer.
    """
    [named] = resolve(store, [text])
    if named.customer_id is None:
        raise ConfigError(f"{named} has no customer. Remedy: `tillhouse customer review list` shows whether it is in question")
    valid = store.read(silver.PARTY_CUSTOMER).where(F.expr(_VALID) & (F.col("customer_id") == named.customer_id))
    records = valid.join(store.read(silver.PARTY), on="party_key", how="left").orderBy("source", "party_key").collect()
    facts = store.read(gold.FCT_RECEIPT).where(F.col("customer_id") == named.customer_id)
    revenue = facts.groupBy("currency").agg(F.count(F.lit(1)).alias("receipts"), F.sum("revenue_amount").alias("revenue"))
    shown = ("party_key", "source", "party_type", "is_complete", "rule", "score", "valid_from_run")
    page: dict[str, Any] = {
        "customer_id": named.customer_id,
        "records": [{name: row[name] for name in shown} for row in records],
        "cards": len({row.card_token for row in records if row.card_token}),
        "receipts": [row.asDict() for row in revenue.orderBy("currency").collect()],
    }
    if is_clear:
        known = vault.customers(store).where(F.col("customer_id") == named.customer_id).collect()
        page["clear"] = {name: value for name, value in known[0].asDict().items() if value is not None} if known else {}
    return page


def as_page(page: Mapping[str, Any]) -> str:
    """A customer for people."""
    lines = [f"customer  {page['customer_id']}", f"cards     {page['cards']}"]
    lines += [f"receipts  {row['receipts']:,}  revenue {row['revenue']:,} {row['currency']}" for row in page["receipts"]]
    lines += ["", "records"]
    for row in page["records"]:
        kind = "" if row["is_complete"] else "  incomplete"
        fit = "" if row["score"] is None else f" {row['score']:.1f}"
        lines.append(
            f"  {row['party_key']}  {row['source'] or '-':<18} {row['party_type'] or '-':<8} {row['rule']}{fit}  "
            f"since run {row['valid_from_run']}{kind}"
        )
    if "clear" in page:
        lines += ["", "in clear", *(f"  {name:<18} {value}" for name, value in page["clear"].items() if name != "customer_id")]
    return "\n".join(lines)


def as_json(found: object) -> str:
    return json.dumps(found, default=str, indent=2, ensure_ascii=False)


def explain(store: Store, conf: Conf, one: str, other: str) -> Explanation:
    """Why two records, or the nearest two of two customers, are one customer or are not.

    Raises:
        ConfigError: one is unknown or ambiguous, or both are the same.
    """
    left, right = resolve(store, [one, other])
    refuse_same(left, right)
    lefts, rights = _without(left, right.record), _without(right, left.record)
    if not lefts or not rights:
        raise ConfigError(f"{left} and {right} are the same record. Remedy: name two records, see `tillhouse customer show`")
    verdict, keys = _nearest(store, conf.rules, conf.model, lefts, rights)
    memberships = _memberships(store, keys)
    sides = [_side(store, key, memberships) for key in keys]
    return Explanation(
        left=sides[0],
        right=sides[1],
        verdict=verdict,
        decided=_decided(store, keys),
        path=_path(store, sides),
        history=memberships,
    )


def _without(named: Named, record: str | None) -> list[str]:
    """Records of what is named. A record is told from the other ones of its customer."""
    return [key for key in named.records if named.record or key != record]


def refuse_same(one: Named, other: Named) -> None:
    """Raises ConfigError if somebody has named the same customer or record twice."""
    if (one.record, one.customer_id) == (other.record, other.customer_id):
        raise ConfigError(f"{one.text!r} and {other.text!r} are the same {one}. Remedy: name two different ones")


def _nearest(
    store: Store, rules: IdentityRules, model: IdentityModel, lefts: Sequence[str], rights: Sequence[str]
) -> tuple[Verdict | None, tuple[str, str]]:
    """The two records with the best odds; None where none of them can be compared."""
    if len(lefts) * len(rights) > MOST_COMPARED:
        raise ConfigError(
            f"these are {len(lefts) * len(rights):,} pairs of records. Remedy: name two records, see `tillhouse customer show`"
        )
    records = store.keep(vault.records(store).where(F.col("record_id").isin(*lefts, *rights)))
    pairs = store.spark.createDataFrame([(one, other) for one in lefts for other in rights], "left STRING, right STRING")
    scored = score(pairs, records, rules, model).orderBy(F.desc("log_odds"), "left", "right").limit(1).collect()
    if not scored:
        return None, (lefts[0], rights[0])
    row = scored[0]
    levels = {comparison.name: row[comparison.name] for comparison in rules.compared}
    verdict = judge(levels, (row.left_source, row.right_source), (row.decision, row.rule), model, rules)
    return verdict, (row.left, row.right)


def _memberships(store: Store, keys: Sequence[str]) -> tuple[Membership, ...]:
    rows = (
        store.read(silver.PARTY_CUSTOMER).where(F.col("party_key").isin(*keys)).orderBy("valid_from_run", "party_key").collect()
    )
    return tuple(
        Membership(row.party_key, row.customer_id, row.rule, row.score, row.valid_from_run, row.valid_to_run) for row in rows
    )


def _side(store: Store, key: str, memberships: Iterable[Membership]) -> Side:
    [row] = _members(store).where(F.col("party_key") == key).collect()
    customer_id = next((item.customer_id for item in memberships if item.party_key == key and item.to_run is None), None)
    return Side(key, customer_id, row.source, bool(row._is_contact))


def _decided(store: Store, keys: tuple[str, str]) -> Decided | None:
    left, right = sorted(keys)
    rows = (
        decided_pairs(store.read(silver.IDENTITY_DECISION)).where((F.col("left") == left) & (F.col("right") == right)).collect()
    )
    return next((Decided(row.decision_id, row.kind, row.decided_by, row.decided_at) for row in rows), None)


def _path(store: Store, sides: Sequence[Side]) -> tuple[Joint, ...]:
    """The links and decisions by which two records of one customer are joined."""
    left, right = sides
    if left.customer_id is None or left.customer_id != right.customer_id:
        return ()
    valid = store.read(silver.PARTY_CUSTOMER).where(_VALID)
    members = [row[0] for row in valid.where(F.col("customer_id") == left.customer_id).select("party_key").collect()]
    links = (
        store.read(silver.PARTY_LINK).where("decision = 'auto'").withColumnsRenamed({"left_key": "left", "right_key": "right"})
    )
    made = decided_pairs(store.read(silver.IDENTITY_DECISION)).where(F.col("kind") == TOGETHER)
    inside = F.col("left").isin(*members) & F.col("right").isin(*members)
    joints = [Joint(row.left, row.right, f"linked by {row.rule}", row.log_odds) for row in links.where(inside).collect()]
    joints += [Joint(row.left, row.right, f"put together by {row.decided_by}") for row in made.where(inside).collect()]
    return shortest_path(joints, left.party_key, right.party_key)


def overview(store: Store) -> dict[str, int]:
    """How many contact records, customers, links and open questions there are."""
    expect_lake(store)
    valid = store.read(silver.PARTY_CUSTOMER).where(_VALID)
    return {
        "contact_records": vault.records(store).count(),
        "customers": valid.select("customer_id").distinct().count(),
        "links": store.read(silver.PARTY_LINK).where("decision = 'auto'").count(),
        "open_questions": store.read(silver.IDENTITY_REVIEW).where(F.col("status") == OPEN).count(),
    }


def odds_by_decision(store: Store, width: float = 1.0) -> DataFrame:
    """How many compared pairs have which odds (decision, log_odds: lower end of the bin, pairs)."""
    bin_ = F.floor(F.col("log_odds") / width) * width
    links = store.read(silver.PARTY_LINK).groupBy("decision", bin_.cast("double").alias("log_odds"))
    return links.agg(F.count(F.lit(1)).alias("pairs")).orderBy("decision", "log_odds")


def to_plain(found: Explanation) -> dict[str, Any]:
    """For JSON."""
    return asdict(found) | {"is_one_customer": found.is_one_customer, "conclusion": found.conclusion}
