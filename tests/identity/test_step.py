"""The identity step on a lake of its own: deliveries in any order, merges, splits and decisions end in the same customers."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from make_customers import make_customers, to_parties
from pyspark.sql import SparkSession

from tillhouse.config import read_model
from tillhouse.identity import step
from tillhouse.identity.compare import COMPARISONS
from tillhouse.identity.conf import Conf
from tillhouse.identity.model import load_model
from tillhouse.identity.rules import IdentityRules
from tillhouse.store import Since, Store
from tillhouse.tables import Table, entities, silver, vault

CONF = Path(__file__).resolve().parents[2] / "conf"
AT = datetime(2025, 6, 1, tzinfo=UTC)
RATES = {"household_of_two_or_more": 0.8, "father_and_son": 0.3, "twins": 0.2, "shared_email": 0.3, "one_field_only": 0.1}
TABLES = (*silver.TABLES, *vault.TABLES, entities.CONSENT)
READ = (silver.PARTY, vault.PARTY, silver.RECEIPT, silver.IDENTITY_DECISION)


@pytest.fixture(scope="module")
def conf() -> Conf:
    return Conf(read_model(IdentityRules, CONF / "identity.yml"), load_model(CONF / "identity_model.json", COMPARISONS))


@dataclass
class Lake:
    """A lake in which only parties, receipts and decisions are laid by hand."""

    store: Store
    conf: Conf | None
    runs: int = 0
    versions: dict[str, int] = field(default_factory=dict)

    @classmethod
    def make(cls, spark: SparkSession, folder: Path, conf: Conf | None) -> Lake:
        store = Store(spark, str(folder / "lake"), str(folder / "vault"))
        store.create_missing(TABLES)
        return cls(store, conf)

    def put(self, table: Table, rows: Iterable[dict[str, object]]) -> None:
        """Replace a table's rows; what a row does not say is NULL."""
        names = table.column_names
        values = [tuple(row.get(name) for name in names) for row in rows]
        self.store.overwrite(table, self.store.spark.createDataFrame(values, table.struct))

    def deliver(self, parties: pd.DataFrame, references: Sequence[dict[str, object]] = ()) -> None:
        """Contacts as silver would have them, and parties that receipts name."""
        plain = parties.astype(object).where(parties.notna(), None).to_dict("records")
        self.put(vault.PARTY, [*plain, *references])
        self.put(silver.PARTY, [*(_silver(row) | {"_file": "contacts.csv"} for row in plain), *map(_silver, references)])

    def run(self, is_full: bool = False) -> step.Found:
        since = None if is_full or not self.versions else Since(dict(self.versions), frozenset())
        self.runs += 1
        self.store.expect(0)
        found = step.run(self.store, self.conf, has_contacts=True, run_id=f"run {self.runs:03}", since=since)
        self.versions = {table.full_name: self.store.version(table)[1] for table in (*READ, silver.PARTY_CUSTOMER)}
        return found

    @property
    def customers(self) -> dict[str, str]:
        rows = self.store.read(silver.PARTY_CUSTOMER).where("valid_to_run IS NULL").collect()
        found = {row["party_key"]: row["customer_id"] for row in rows}
        assert len(found) == len(rows), "a party stands for two customers"
        return found

    @property
    def partition(self) -> set[frozenset[str]]:
        groups: dict[str, set[str]] = {}
        for party, customer in self.customers.items():
            groups.setdefault(customer, set()).add(party)
        return {frozenset(group) for group in groups.values()}

    def decide(self, kind: str, left: Sequence[str], right: Sequence[str], at: int = 0, undone: bool = False) -> None:
        row = {
            "decision_id": f"{kind} {left} {right}", "kind": kind, "left_keys": list(left), "right_keys": list(right),
            "decided_by": "steward", "decided_at": AT.replace(hour=at), "undone_at": AT.replace(hour=23) if undone else None,
        }  # fmt: skip
        kept = [stored.asDict() for stored in self.store.read(silver.IDENTITY_DECISION).collect()]
        self.put(silver.IDENTITY_DECISION, [*(old for old in kept if old["decision_id"] != row["decision_id"]), row])


def _token(text: object) -> str | None:
    return hashlib.sha256(str(text).encode()).hexdigest()[:32] if text else None


def _silver(row: dict[str, object]) -> dict[str, object]:
    several = {name: [_token(text) for text in row.get(name) or ()] or None for name in ("emails", "phones")}  # type: ignore[attr-defined]
    return {
        "party_key": row["party_key"], "source": row["source"], "source_id": str(row["party_key"]), "party_type": "person",
        "card_token": _token(row.get("card_number")), "is_complete": bool(row.get("family_name")),
        "customer_number_token": _token(row.get("customer_number")), "email_tokens": several["emails"],
        "phone_tokens": several["phones"], "changed_at": AT,
    }  # fmt: skip


def people(persons: int, seed: int = 7) -> pd.DataFrame:
    return to_parties(make_customers(persons, seed=seed, rates=RATES))


def card(number: str, source: str = "till") -> dict[str, object]:
    return {"party_key": f"{source} card {number}", "source": source, "card_number": number}


def person(key: str, **values: object) -> dict[str, object]:
    known = {
        "party_key": key, "source": key.split(maxsplit=1)[0], "given_name": "Edeltraud", "family_name": "Szczepański",
        "birth_date": date(1961, 3, 4), "street": "Amselweg 4", "postal_code": "80331", "city": "München", "country": "DE",
    }  # fmt: skip
    return known | values


def table_of(*rows: dict[str, object]) -> pd.DataFrame:
    names = vault.PARTY.column_names
    return pd.DataFrame([{name: row.get(name) for name in names} for row in rows], columns=names, dtype=object)


def test_deliveries_in_any_order_end_in_the_partition_of_one_full_run(spark: SparkSession, tmp_path: Path, conf: Conf) -> None:
    """Ten deliveries with new, changed and deleted records: each state is compared by itself, only what is touched."""
    every = people(40)
    every = every[[name for name in vault.PARTY.column_names if name in every.columns]]
    lot = random.Random(3)
    states = []
    known: set[int] = set()
    for _ in range(3):
        known |= set(lot.sample(range(len(every)), len(every) // 3))
        known -= set(lot.sample(sorted(known), 4))
        state = every.iloc[sorted(known)].copy()
        for place in lot.sample(range(len(state)), 5):
            state.iloc[place, state.columns.get_loc("family_name")] = lot.choice(["Huber", "Szczepański", None])
        states.append(state)
    lake = Lake.make(spark, tmp_path / "night", conf)
    references = [card(number) for number in every["card_number"].dropna().unique()[:30]]
    for state in states:
        lake.deliver(state, references)
        lake.run()
    by_nights, ids = lake.partition, lake.customers
    again = lake.run(is_full=True)
    assert lake.customers == ids
    assert again.figures["parties_moved"] == 0
    at_once = Lake.make(spark, tmp_path / "once", conf)
    at_once.deliver(states[-1], references)
    at_once.run()
    assert at_once.partition == by_nights
    links = [
        {tuple(row) for row in found.store.read(silver.PARTY_LINK).select("left_key", "right_key", "decision", "rule").collect()}
        for found in (lake, at_once)
    ]
    assert links[0] == links[1]
    assert len(links[0]) > 20


def test_receipts_find_their_customer_by_any_identifier_or_are_unclear(spark: SparkSession, tmp_path: Path, conf: Conf) -> None:
    """And what people decide about contacts and cards holds, and leaves nothing behind when it is taken back."""
    lake = Lake.make(spark, tmp_path, conf)
    edeltraud = person("crm 1", card_number="4006381333931", emails=["edel@web.de"])
    karl = person("crm 2", given_name="Karl", family_name="Öztürk", birth_date=date(1990, 1, 2), street="Ring 9", city="Graz",
                  postal_code="8010", country="AT", phones=["+436641234567"], emails=["karl@gmx.at"])  # fmt: skip
    moved = person("shop 1", emails=["edel@web.de"], street="Parkgasse 1", postal_code="1010", city="Wien", country="AT")
    references: list[dict[str, object]] = [
        card("4006381333931"),
        {"party_key": "desk 1", "source": "desk", "emails": ["karl@gmx.at"]},
        {"party_key": "desk 2", "source": "desk", "emails": ["karl@gmx.at", "edel@web.de"]},
        card("5012345678900"),
        card("5012345678900", source="kiosk"),
        card("9780201379624"),
    ]
    lake.deliver(table_of(edeltraud, karl, moved), references)
    lake.run()
    first = lake.customers
    assert lake.partition == {
        frozenset({"crm 1", "shop 1", "till card 4006381333931"}),
        frozenset({"crm 2", "desk 1"}),
        frozenset({"till card 5012345678900", "kiosk card 5012345678900"}),
        frozenset({"till card 9780201379624"}),
    }
    without = lake.store.read(silver.PARTY_WITHOUT_CUSTOMER).collect()
    assert [(row["party_key"], row["reason"], row["candidates"]) for row in without] == [
        ("desk 2", "unclear", ["crm 1", "crm 2"])
    ]

    lake.decide("together", ["till card 9780201379624"], ["crm 2", "desk 1"], at=1)
    lake.decide("apart", ["crm 1", "till card 4006381333931"], ["shop 1"], at=1)
    lake.decide("together", ["desk 2"], ["crm 1"], at=1)
    lake.run()
    decided = lake.partition
    assert decided == {
        frozenset({"crm 1", "till card 4006381333931", "desk 2"}),
        frozenset({"shop 1"}),
        frozenset({"crm 2", "desk 1", "till card 9780201379624"}),
        frozenset({"till card 5012345678900", "kiosk card 5012345678900"}),
    }
    assert lake.customers["crm 2"] in (first["crm 2"], first["till card 9780201379624"])
    assert lake.store.read(silver.PARTY_WITHOUT_CUSTOMER).isEmpty()
    lake.run(is_full=True)
    assert lake.partition == decided, "a decision outlives a rebuild"

    lake.decide("together", ["till card 9780201379624"], ["crm 2", "desk 1"], at=1, undone=True)
    lake.decide("apart", ["crm 1", "till card 4006381333931"], ["shop 1"], at=1, undone=True)
    lake.decide("together", ["desk 2"], ["crm 1"], at=1, undone=True)
    lake.run()
    assert lake.customers == first, "what was taken back leaves nothing behind, not even another id"
    customer = {row["customer_id"]: row for row in lake.store.read(vault.CUSTOMER).collect()}
    assert set(customer) == {first["crm 1"], first["crm 2"]}
    assert customer[first["crm 1"]]["emails"] == ["edel@web.de"]


def test_a_card_with_more_receipts_a_day_than_a_household_is_a_tills(spark: SparkSession, tmp_path: Path, conf: Conf) -> None:
    lake = Lake.make(spark, tmp_path, conf)
    assert conf.rules.staff_card_receipts == 20
    lake.deliver(table_of(person("crm 1", card_number="4006381333931")), [card("4006381333931"), card("5012345678900")])

    def receipts(name: str, count: int) -> list[dict[str, object]]:
        something = {"string": "x", "boolean": False, "integer": 1, "long": 1, "decimal": Decimal(1)}
        needed = {
            field.name: something[field.dataType.typeName()]
            for field in silver.RECEIPT.struct
            if not field.nullable and field.dataType.typeName() in something
        }
        named = {"party_key": name, "business_date": date(2025, 1, 6), "_month": "2025-01"}
        return [needed | named | {"receipt_key": f"{name} {number}"} for number in range(count)]

    household = receipts("till card 5012345678900", 20)
    lake.put(silver.RECEIPT, [*household, *receipts("till card 4006381333931", 20)])
    lake.run()
    assert lake.partition == {frozenset({"crm 1", "till card 4006381333931"}), frozenset({"till card 5012345678900"})}
    lake.put(silver.RECEIPT, [*household, *receipts("till card 4006381333931", 21)])
    lake.run()
    assert lake.partition == {frozenset({"crm 1"}), frozenset({"till card 5012345678900"})}
    assert [(row["party_key"], row["reason"]) for row in lake.store.read(silver.PARTY_WITHOUT_CUSTOMER).collect()] == [
        ("till card 4006381333931", "staff_card")
    ]
    lake.put(silver.RECEIPT, [*household, *receipts("till card 4006381333931", 20)])
    lake.run()
    assert lake.partition == {frozenset({"crm 1", "till card 4006381333931"}), frozenset({"till card 5012345678900"})}
