"""Benchmark: what who is who costs a run: all contacts at once, one in a hundred changed, nothing new; time, CPU and memory.

The contacts are made (scripts/make_customers.py) and laid into an empty lake as silver would have them. CPU seconds are those of
this process and all its descendants. Needs Linux.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
from bench_night import used_cpu
from bench_pipeline import descendants, say
from demo import ROOT
from make_customers import make_customers, to_parties
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.config import read_model
from tillhouse.identity import cluster, step
from tillhouse.identity.conf import Conf
from tillhouse.identity.model import load_model
from tillhouse.identity.rules import IdentityRules
from tillhouse.session import open_session
from tillhouse.store import Since, Store
from tillhouse.tables import silver, vault

READ = (silver.PARTY, vault.PARTY, silver.RECEIPT, silver.IDENTITY_DECISION)
RECORDS_A_PERSON = 2.2


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench customers", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / ".bench" / "customers", help="folder to work in (.bench/customers)")
    parser.add_argument("--records", type=int, nargs="+", default=[100_000, 1_000_000], help="contacts (100000 1000000)")
    parser.add_argument("--seed", type=int, default=5)
    given = parser.parse_args()
    cost_of_links()
    spark = open_session("bench customers")
    rules = read_model(IdentityRules, ROOT / "conf" / "identity.yml")
    conf = Conf(rules, load_model(ROOT / "conf" / "identity_model.json", rules.compared))
    of_record: dict[int, float] = {}
    for records in given.records:
        folder: Path = (given.out / str(records)).resolve()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        made = make_customers(round(records / RECORDS_A_PERSON), given.seed)
        to_parties(made).to_parquet(folder / "contacts.parquet")
        of_record[len(made)] = bench(Store(spark, str(folder / "lake"), str(folder / "vault")), conf, len(made)) / len(made)
    small, large = min(of_record), max(of_record)
    if small < large:
        ratio = of_record[large] / of_record[small]
        say(f"\na contact among {large:,} costs {ratio:.2f} of what one among {small:,} costs")
    return 0


def bench(store: Store, conf: Conf, count: int) -> float:
    """All runs over the contacts that lie beside a lake; returns the CPU seconds of the first."""
    store.create_missing((*silver.TABLES, *vault.TABLES))
    parties = as_parties(store, str(Path(store.lake).parent / "contacts.parquet"))
    deliver(store, parties)
    say(f"\n{f'{count:,} contacts':<36} {'wall s':>8} {'CPU s':>8}")
    first = run(store, conf, "all at once", None, count)
    nothing = run(store, conf, "nothing new", state(store), 0)
    deliver(store, changed(parties))
    news = run(store, conf, "one in a hundred has moved", state(store), count)
    share = (news - nothing) / first
    say(f"one in a hundred costs a run without news and {share:.1%} of all; target 10 %; memory {peak_gib():.1f} GiB at most")
    customers = store.read(silver.PARTY_CUSTOMER).where("valid_to_run IS NULL").select("customer_id").distinct().count()
    say(f"{customers:,} customers, {store.read(silver.PARTY_LINK).count():,} links and questions")
    return first


def as_parties(store: Store, path: str) -> DataFrame:
    """Contacts in a file as rows of vault.party; a column without a value has no type there."""
    contacts = store.spark.read.parquet(path)
    known = [field for field in vault.PARTY.struct if field.name in contacts.columns]
    typed = contacts.select(*(F.col(field.name).cast(field.dataType) for field in known))
    return vault.PARTY.conform(vault.PARTY.filled(typed))


def state(store: Store) -> Since:
    return Since({table.full_name: store.version(table)[1] for table in READ}, frozenset())


def run(store: Store, conf: Conf, name: str, since: Since | None, count: int) -> float:
    store.expect(None if since is None else count)
    cpu, wall = used_cpu(), time.monotonic()
    step.run(store, conf, has_contacts=True, run_id=name, since=since)
    used = used_cpu() - cpu
    say(f"{name:<36} {time.monotonic() - wall:8.1f} {used:8.1f}")
    return used


def deliver(store: Store, parties: DataFrame) -> None:
    """Contacts as silver would have them; a hash stands for the token, which is of no matter here."""
    token = F.substring(F.sha2(F.coalesce("card_number", F.lit("")), 256), 1, 32)
    tokens = {
        "card_token": F.when(F.col("card_number").isNotNull(), token),
        "source_id": F.col("party_key"),
        "party_type": F.lit("person"),
        "is_complete": F.lit(True),
        "_file": F.lit("contacts.csv"),
    }
    store.overwrite(vault.PARTY, parties)
    named = parties.select("party_key", "source", "card_number").withColumns(tokens)
    store.overwrite(silver.PARTY, silver.PARTY.conform(silver.PARTY.filled(named)))


def changed(parties: DataFrame) -> DataFrame:
    """One contact in a hundred has moved."""
    is_moved = F.pmod(F.xxhash64("party_key"), F.lit(100)) == 0
    house = F.concat(F.lit("Neuer Weg "), (F.pmod(F.xxhash64("party_key", F.lit("house")), F.lit(200)) + 1).cast("string"))
    return parties.withColumn("street", F.when(is_moved, house).otherwise(F.col("street")))


def cost_of_links(links: int = 1_000_000) -> None:
    """How long a million links take to become customers."""
    draw = np.random.default_rng(1)
    left = draw.integers(0, links, links)
    near = cluster.Links(links + 10, left, left + draw.integers(1, 4, links), draw.random(links) * 20)
    cannot = list(zip(draw.integers(0, links, 10_000).tolist(), draw.integers(0, links, 10_000).tolist(), strict=True))
    started = time.monotonic()
    cluster.cluster(near, cannot, 12, 2.0)
    say(f"{links:,} links, {len(cannot):,} contradictions: {time.monotonic() - started:.1f} s")


def peak_gib() -> float:
    """Most memory that each of the processes has held, added up."""
    total = 0
    for process in (os.getpid(), *descendants(os.getpid())):
        try:
            lines = Path(f"/proc/{process}/status").read_text("ascii").splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return total / 2**20


if __name__ == "__main__":
    pd.options.mode.copy_on_write = True
    raise SystemExit(main())
