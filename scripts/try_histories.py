#!/usr/bin/env python3
"""Let a made chain live through random nights, and compare its gold, made night by night, with one made at once.

In a night receipts come in, of that day and of earlier ones; some are returns, with a reference or without, of a customer or paid
with a card alone, and some return what only a later night delivers as sold. Receipts are corrected, moved to another day or
branch, voided or taken back; branches and products change as of some day; customers are put together and taken apart. Silver is
made here: gold and what follows it are tried alone.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench_pipeline import say
from compare_lakes import compare
from demo import ROOT
from pyspark.sql import SparkSession

from tillhouse import pipeline
from tillhouse.config import Config, load_config
from tillhouse.keys import BEGINNING
from tillhouse.ops.runs import Run, new_run_id, utc_now
from tillhouse.session import open_session
from tillhouse.store import Store
from tillhouse.tables import Table, gold, silver
from tillhouse.tables.contract import MONTH

FIRST = date(2024, 1, 29)  # the first night is the end of a month
BRANCHES, PRODUCTS, PARTIES, CARDS = 3, 6, 8, 4
PRICES = (199, 250, 999, 1499, 5000, 129)  # cents, by product
Row = dict[str, Any]


@dataclass
class Receipt:
    """A receipt as it is known now: lines are (product, quantity); a return refers to another receipt, or to none."""

    number: int
    branch: int
    day: date
    party: int | None
    lines: list[tuple[int, int]]
    of: int | None = None  # the receipt that it returns something of
    has_reference: bool = False
    status: str = "FINAL"
    card: int | None = None  # that paid

    @property
    def key(self) -> str:
        return f"r{self.number:04d}"


@dataclass
class History:
    """What is known after some nights; ``night`` lets another one pass."""

    seed: int
    receipts: dict[int, Receipt] = field(default_factory=dict)
    held_back: list[Receipt] = field(default_factory=list)
    branch_versions: dict[tuple[int, date], str] = field(default_factory=dict)
    product_versions: dict[tuple[int, date], str] = field(default_factory=dict)
    customers: list[Row] = field(default_factory=list)
    made: int = 0
    nights: int = 0
    early_returns: int = 0  # that came before what they return

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)  # noqa: S311 - no secret
        self.branch_versions = {(branch, BEGINNING): "North" for branch in range(BRANCHES)}
        self.product_versions = {(product, BEGINNING): f"Group {product % 2}" for product in range(PRODUCTS)}
        self.customers = [self._belongs(party, f"c{party}") for party in range(PARTIES)]

    @property
    def today(self) -> date:
        return FIRST + timedelta(days=4 * self.nights)

    def night(self, receipts: int) -> None:
        """New receipts, and about a third as many changes of what is known."""
        self.nights += 1
        for receipt in self.held_back:
            self.receipts[receipt.number] = receipt
        self.held_back = []
        for _ in range(receipts):
            self._sell() if self.draw.random() < 0.7 or not self.receipts else self._return()
        if self.nights > 1:
            changes = (
                self._correct,
                self._void,
                self._take_back,
                self._move_branch,
                self._move_product,
                self._merge,
                self._split,
            )
            for change in self.draw.sample(changes, 5):
                change()

    def _past(self) -> date:
        late = self.draw.choice([0, 0, 0, 1, 3, 12])
        return max(FIRST, self.today - timedelta(days=late))

    def _sell(self) -> Receipt:
        party = self.draw.choice([None, *range(PARTIES)])
        lines = [(self.draw.randrange(PRODUCTS), self.draw.choice([1, 1, 2, 3])) for _ in range(self.draw.randint(1, 3))]
        card = self.draw.choice([None, *range(CARDS)])
        return self._add(Receipt(self.made, self.draw.randrange(BRANCHES), self._past(), party, lines, card=card))

    def _return(self) -> None:
        if self.draw.random() < 0.3:  # of a sale that is delivered later
            sale = self._sell()
            self.held_back.append(self.receipts.pop(sale.number))
            self.early_returns += 1
        else:
            sale = self.draw.choice(list(self.receipts.values()))
        if sale.of is not None:
            return
        product, quantity = self.draw.choice(sale.lines)
        taken = self.draw.randint(1, quantity + (self.draw.random() < 0.2))  # more than was sold, now and then
        branch = sale.branch if self.draw.random() < 0.7 else self.draw.randrange(BRANCHES)
        day = min(self.today, sale.day + timedelta(days=self.draw.randint(0, 3)))
        has_reference = self.draw.random() < 0.4
        party = sale.party if self.draw.random() < 0.6 else None
        self._add(Receipt(self.made, branch, day, party, [(product, -taken)], sale.number, has_reference, card=sale.card))

    def _add(self, receipt: Receipt) -> Receipt:
        self.receipts[receipt.number] = receipt
        self.made += 1
        return receipt

    def _any(self) -> Receipt:
        return self.draw.choice(list(self.receipts.values()))

    def _correct(self) -> None:
        receipt = self._any()
        product, quantity = receipt.lines[0]
        receipt.lines[0] = (product, quantity + (1 if quantity > 0 else -1))
        if self.draw.random() < 0.4:
            receipt.day = max(FIRST, receipt.day - timedelta(days=1))
        if self.draw.random() < 0.3:
            receipt.branch = self.draw.randrange(BRANCHES)

    def _void(self) -> None:
        self._any().status = "VOIDED"

    def _take_back(self) -> None:
        del self.receipts[self._any().number]

    def _move_branch(self) -> None:
        day = FIRST + timedelta(days=self.draw.randint(0, 4 * self.nights))
        self.branch_versions[self.draw.randrange(BRANCHES), day] = self.draw.choice(["North", "South", "West"])

    def _move_product(self) -> None:
        day = FIRST + timedelta(days=self.draw.randint(0, 4 * self.nights))
        self.product_versions[self.draw.randrange(PRODUCTS), day] = self.draw.choice(["Group 0", "Group 1", "Group 2"])

    def _merge(self) -> None:
        one, other = self.draw.sample(range(PARTIES), 2)
        self._move(other, self._customer(one))

    def _split(self) -> None:
        self._move(self.draw.randrange(PARTIES), f"c{PARTIES + self.nights}")

    def _customer(self, party: int) -> str:
        return str(next(row["customer_id"] for row in self.customers if row["_party"] == party and row["valid_to_run"] is None))

    def _move(self, party: int, customer: str) -> None:
        if self._customer(party) == customer:
            return
        run = f"night {self.nights}"
        for row in self.customers:
            if row["_party"] == party and row["valid_to_run"] is None:
                row["valid_to_run"] = run
        self.customers = [row for row in self.customers if row["valid_from_run"] != row["valid_to_run"]]
        self.customers.append(self._belongs(party, customer, run))

    def _belongs(self, party: int, customer: str, run: str = "night 0") -> Row:
        return {
            "_party": party,
            "party_key": f"p{party}",
            "customer_id": customer,
            "rule": "made",
            "valid_from_run": run,
            "valid_to_run": None,
        }

    def tables(self) -> dict[Table, list[Row]]:
        """Silver as it is now."""
        known = self.receipts.values()
        lines = [line for receipt in known for line in _lines(receipt)]
        return {
            silver.BRANCH: [_branch(branch, self.branch_versions) for branch in range(BRANCHES)],
            silver.BRANCH_VERSION: [_branch(branch, self.branch_versions, day) for branch, day in _turns(self.branch_versions)],
            silver.PRODUCT: [_product(product, self.product_versions) for product in range(PRODUCTS)],
            silver.PRODUCT_VERSION: [
                _product(product, self.product_versions, day) for product, day in _turns(self.product_versions)
            ],
            silver.PARTY: [
                {"party_key": f"p{party}", "source_id": f"p{party}", "party_type": "person", "is_complete": False, **_LINEAGE}
                for party in range(PARTIES)
            ],
            silver.PARTY_CUSTOMER: self.customers,
            silver.RECEIPT: [_head(receipt) for receipt in known],
            silver.RECEIPT_LINE: lines,
            silver.RECEIPT_PAYMENT: [_payment(receipt) for receipt in known],
            silver.RECEIPT_REFERENCE: [_reference(receipt) for receipt in known if receipt.has_reference],
        }


_LINEAGE: Row = {"source": "made", "_file": "made", "_file_id": "made", "_row": 1}


def _turns(versions: Mapping[tuple[int, date], str]) -> list[tuple[int, date]]:
    """Where a member becomes another one: silver keeps no version that says the same as the one before."""
    turns, before = [], (-1, "")
    for (member, day), says in sorted(versions.items()):
        if (member, says) != before:
            turns.append((member, day))
        before = (member, says)
    return turns


def _now(member: int, versions: Mapping[tuple[int, date], str], day: date | None) -> str:
    return max((begins, says) for (of, begins), says in versions.items() if of == member and (day is None or begins == day))[1]


def _branch(branch: int, versions: Mapping[tuple[int, date], str], day: date | None = None) -> Row:
    return {
        "branch_id": f"b{branch}",
        "branch_name": f"Branch {branch}",
        "region": _now(branch, versions, day),
        "time_zone": "Europe/Berlin",
        "currency": "EUR",
        "day_start": "00:00",
        "valid_from": day,
        **_LINEAGE,
    }


def _product(product: int, versions: Mapping[tuple[int, date], str], day: date | None = None) -> Row:
    return {
        "product_id": f"a{product}",
        "product_name": f"Article {product}",
        "category_l1": _now(product, versions, day),
        "parent_product_id": f"a{product}",
        "is_bundle": False,
        "valid_from": day,
        **_LINEAGE,
    }


def _common(receipt: Receipt) -> Row:
    return {
        "receipt_key": receipt.key,
        "branch_id": f"b{receipt.branch}",
        "business_date": receipt.day,
        MONTH: f"{receipt.day:%Y-%m}",
        "currency": "EUR",
        **_LINEAGE,
    }


def _head(receipt: Receipt) -> Row:
    gross = sum(quantity * PRICES[product] for product, quantity in receipt.lines)
    at = datetime.combine(receipt.day, time(9 + receipt.number % 8, receipt.number % 60), UTC)
    return {
        **_common(receipt),
        "register_id": "1",
        "receipt_id": str(receipt.number),
        "receipt_number": str(receipt.number),
        "transaction_type": "SALE" if receipt.of is None else "RETURN",
        "status": receipt.status,
        "started_at": at,
        "ended_at": at,
        "is_time_ambiguous": False,
        "local_hour": at.hour + 1,
        "gross_amount": _money(gross),
        "discount_amount": _money(0),
        "party_key": None if receipt.party is None else f"p{receipt.party}",
        "detail_level": "lines",
        "is_day_total": False,
        "line_count": len(receipt.lines),
    }


def _lines(receipt: Receipt) -> list[Row]:
    return [
        {
            **_common(receipt),
            "line_number": number,
            "line_type": "ITEM",
            "product_ref": f"a{product}",
            "quantity": Decimal(quantity),
            "gross_amount": _money(quantity * PRICES[product]),
            "discount_amount": _money(0),
            "is_void": False,
            "is_voided": False,
            "_amount_read": _money(quantity * PRICES[product]),
        }
        for number, (product, quantity) in enumerate(receipt.lines, 1)
    ]


def _payment(receipt: Receipt) -> Row:
    return {
        **_common(receipt),
        "payment_number": 1,
        "tender_type": "CASH" if receipt.card is None else "CREDIT",
        "amount": _money(sum(quantity * PRICES[product] for product, quantity in receipt.lines)),
        "payment_token": None if receipt.card is None else f"k{receipt.card}",
        "_document_key": receipt.key,
    }


def _reference(receipt: Receipt) -> Row:
    return {
        **_common(receipt),
        "reference_number": 1,
        "ref_type": "RETURN_OF",
        "line_number": 1,
        "ref_receipt_id": str(receipt.of),
        "ref_receipt_key": f"r{receipt.of:04d}",
    }


def _money(cents: int) -> Decimal:
    return Decimal(cents) / 100


def lay(store: Store, history: History) -> None:
    """Silver as it is now; what is as before is not written."""
    for table, rows in history.tables().items():
        names = table.column_names
        frame = store.spark.createDataFrame([tuple(row.get(name) for name in names) for row in rows], table.struct)
        store.overwrite(table, frame)


def make_gold(spark: SparkSession, config: Config) -> None:
    """The steps after silver, and what follows of them."""
    started_at = utc_now()
    run = Run(Store(spark, config.lake, config.vault), config, new_run_id(started_at), started_at)
    pipeline.run(run, pipeline.select(from_step="gold", to_step="kpi"))
    pipeline.check_audit(run)


def differing(spark: SparkSession, out: Path, seed: int, nights: int, receipts: int) -> list[str]:
    """Tables of gold that are others where they are made night by night than at once."""
    history = History(seed)
    by_night, at_once = (config_in(out / f"{seed}" / name) for name in ("nights", "once"))
    for _ in range(nights):
        history.night(receipts)
        live(spark, by_night, history)
    live(spark, at_once, history)
    lakes = Path(at_once.lake), Path(by_night.lake)
    return [table.full_name for table in gold.TABLES if compare(*lakes, table).differing]


def live(spark: SparkSession, config: Config, history: History) -> None:
    """Silver as it is now, and gold from it."""
    store = Store(spark, config.lake, config.vault)
    store.create_missing(silver.TABLES)
    lay(store, history)
    make_gold(spark, config)


def config_in(folder: Path) -> Config:
    return load_config(ROOT / "conf", str(folder / "lake"), str(folder / "vault"), str(folder / "landing"))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / ".bench" / "histories", help="folder to work in (.bench/histories)")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(1, 13)), help="(1 to 12)")
    parser.add_argument("--nights", type=int, default=6)
    parser.add_argument("--receipts", type=int, default=15, help="new ones a night (15)")
    given = parser.parse_args(arguments)
    shutil.rmtree(given.out, ignore_errors=True)
    os.environ.setdefault("TILLHOUSE_TOKEN_KEY", secrets.token_hex(32))
    spark = open_session("histories")
    wrong = 0
    for seed in given.seeds:
        tables = differing(spark, given.out.resolve(), seed, given.nights, given.receipts)
        wrong += bool(tables)
        say(f"seed {seed}: {given.nights} nights; tables that differ: {', '.join(tables) or 'none'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
