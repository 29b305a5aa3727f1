"""Benchmark: does a customer keep its id: ten deliveries with new, changed and deleted contacts, in several orders.

Each order must end with the same customers as one run over all contacts. After every delivery the ids are compared with those
before: a record with another one has gone to further records of its person, or has left those of other persons,
or the change is unexplained by the truth.
"""

from __future__ import annotations

import argparse
import random
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from bench_customers import as_parties, deliver, state
from bench_pipeline import say
from demo import ROOT
from make_customers import make_customers, to_parties

from tillhouse.config import read_model
from tillhouse.identity import step
from tillhouse.identity.conf import Conf
from tillhouse.identity.model import load_model
from tillhouse.identity.rules import IdentityRules
from tillhouse.session import open_session
from tillhouse.store import Since, Store
from tillhouse.tables import silver, vault

DELIVERIES = 10
CHANGED, DELETED = 0.15, 0.05  # share of the records that change, or are deleted, in a later delivery
MOVED = ("street", "postal_code", "city")

Ids = dict[str, str]


@dataclass(frozen=True)
class Version:
    """What a delivery tells of a record: its ``number``-th version, or that it is deleted."""

    key: str
    number: int
    row: int | None  # of the table of all contents


@dataclass(frozen=True)
class Chain:
    """All contents that are ever delivered (``contents``, as vault.party), who each record is, and the ten deliveries."""

    contents: pd.DataFrame
    person: Mapping[str, str]
    deliveries: Sequence[Sequence[Version]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench stability", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / ".bench" / "stability", help="folder to work in (.bench/stability)")
    parser.add_argument("--persons", type=int, default=2_000)
    parser.add_argument("--orders", type=int, default=3, help="orders of the deliveries; the first is that of time (3)")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    shutil.rmtree(given.out, ignore_errors=True)
    chain = make_chain(given.persons, given.seed)
    rules = read_model(IdentityRules, ROOT / "conf" / "identity.yml")
    conf = Conf(rules, load_model(ROOT / "conf" / "identity_model.json", rules.compared))
    spark = open_session("bench stability")
    orders = {"in order of time": list(range(DELIVERIES))}
    for number in range(1, given.orders):
        orders[f"shuffled {number}"] = random.Random(number).sample(range(DELIVERIES), DELIVERIES)  # noqa: S311 - no secret
    folder: Path = given.out.resolve()
    at_once = list(run(Store(spark, str(folder / "once/lake"), str(folder / "once/vault")), conf, chain, [range(DELIVERIES)]))[-1]
    say(f"{len(chain.contents):,} contents of {len(chain.person):,} records; at the end {len(at_once):,} records")
    failed = 0
    for name, order in orders.items():
        store = Store(spark, str(folder / name.replace(" ", "_") / "lake"), str(folder / name.replace(" ", "_") / "vault"))
        before: Ids = {}
        compared = changed = unexplained = 0
        for ids in run(store, conf, chain, [[number] for number in order]):
            kept = before.keys() & ids.keys()
            other = {key for key in kept if before[key] != ids[key]}
            compared, changed = compared + len(kept), changed + len(other)
            unexplained += sum(not is_explained(key, before, ids, chain.person) for key in other)
            before = ids
        same = partition(before) == partition(at_once)
        failed += not same
        say(
            f"{name}: {'the same customers' if same else 'OTHER CUSTOMERS'} as at once; {compared:,} ids compared, {changed:,} "
            f"changed, unexplained by the truth {unexplained:,} = {unexplained / compared:.2%} (target 0.5 %)"
        )
    return 1 if failed else 0


def make_chain(persons: int, seed: int) -> Chain:
    """Records of made persons, each in one of the deliveries; some move or change their number later, some are deleted."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    made = make_customers(persons, seed)
    parties = to_parties(made)
    keys = parties["party_key"].tolist()
    deliveries: list[list[Version]] = [[] for _ in range(DELIVERIES)]
    further: list[dict[str, object]] = []
    for row, key in enumerate(keys):
        first = draw.randrange(DELIVERIES)
        deliveries[first].append(Version(key, 1, row))
        if first == DELIVERIES - 1:
            continue
        fate, later = draw.random(), draw.randrange(first + 1, DELIVERIES)
        if fate < CHANGED:
            content = parties.iloc[row].to_dict()
            if draw.random() < 0.5:
                content |= parties.iloc[draw.randrange(len(parties))][list(MOVED)].to_dict()
            else:
                content["phones"] = [f"+49171{draw.randrange(10**6, 10**7)}"]
            deliveries[later].append(Version(key, 2, len(parties) + len(further)))
            further.append(content)
        elif fate < CHANGED + DELETED:
            deliveries[later].append(Version(key, 2, None))
    contents = pd.concat([parties, pd.DataFrame(further, columns=parties.columns)], ignore_index=True)
    return Chain(contents, dict(zip(keys, made["person_id"].astype(str), strict=True)), deliveries)


def run(store: Store, conf: Conf, chain: Chain, nights: Sequence[Sequence[int]]) -> Iterator[Ids]:
    """The customer of each record after each night, which brings some of the deliveries."""
    store.create_missing((*silver.TABLES, *vault.TABLES))
    newest: dict[str, Version] = {}
    since: Since | None = None
    for number, night in enumerate(nights):
        for version in (version for delivery in night for version in chain.deliveries[delivery]):
            known = newest.get(version.key)
            if known is None or known.number < version.number:
                newest[version.key] = version
        rows = [version.row for version in newest.values() if version.row is not None]
        path = str(Path(store.lake).parent / f"contacts{number}.parquet")
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        chain.contents.iloc[sorted(rows)].to_parquet(path)
        deliver(store, as_parties(store, path))
        store.expect(len(rows))
        step.run(store, conf, has_contacts=True, run_id=f"night {number}", since=since)
        since = state(store)
        valid = store.read(silver.PARTY_CUSTOMER).where("valid_to_run IS NULL").select("party_key", "customer_id")
        yield {row[0]: row[1] for row in valid.collect()}


def partition(ids: Ids) -> set[frozenset[str]]:
    """Records by customer, whatever the customers are called."""
    return set(together(ids).values())


def together(ids: Ids) -> dict[str, frozenset[str]]:
    members = defaultdict(set)
    for key, customer in ids.items():
        members[customer].add(key)
    return {customer: frozenset(keys) for customer, keys in members.items()}


def is_explained(key: str, before: Ids, now: Ids, person: Mapping[str, str]) -> bool:
    """Whether a record has another id because it has come to its person's other records or has left another person's."""
    joined = {other for other, customer in now.items() if customer == now[key] and before.get(other) != before[key]} - {key}
    left = {other for other, customer in before.items() if customer == before[key] and now.get(other) != now[key]} - {key}
    own = person[key]
    return any(person[other] == own for other in joined) or any(person[other] != own for other in left)


if __name__ == "__main__":
    raise SystemExit(main())
