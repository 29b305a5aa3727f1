#!/usr/bin/env python3
"""Make what gold is built from: branches, products, customers, receipts, lines and payments as silver would have them.

Made by Spark from hashes of a seed and a number, so that the same sizes give the same rows on every machine, any range of
receipts can be made on its own, and 20 million lines take minutes. Receipts lie evenly on the days from FIRST on; three in a
hundred take back the first line of an earlier one, half of these with a reference to it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from tillhouse.keys import BEGINNING, surrogate_key
from tillhouse.session import open_session
from tillhouse.store import Store
from tillhouse.tables import Table, silver

FIRST = date(2023, 1, 2)
SOURCE = "made"
MOST_LINES = 7
LINES_PER_RECEIPT = (1 + MOST_LINES) / 2
RETURN_EVERY = 33
NAMED_IN_100 = 60  # receipts with a card
CENT = Decimal("0.01")
EVEN = 1 << 20
TENDERS = ("CASH", "DEBIT", "CREDIT")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is made."""

    lines: int = 20_000_000
    branches: int = 200
    days: int = 3 * 365
    customers: int = 500_000
    products: int = 20_000
    seed: int = 7

    @property
    def receipts(self) -> int:
        """One in RETURN_EVERY has a single line."""
        return max(self.days, round(self.lines / (LINES_PER_RECEIPT - (LINES_PER_RECEIPT - 1) / RETURN_EVERY)))

    @property
    def receipts_of_a_day(self) -> int:
        return -(-self.receipts // self.days)

    def first_of(self, day: int) -> int:
        """Number of the first receipt of a day; days count from 0 and go on after the last."""
        return -(-day * self.receipts // self.days)


class Made:
    """The rows of one seed. A receipt has a number, and everything of it follows from that."""

    def __init__(self, spark: SparkSession, sizes: Sizes) -> None:
        self.spark, self.sizes = spark, sizes

    def draw(self, what: str, below: int, *of: Column) -> Column:
        """A whole number from 0 on that depends on what it is drawn for alone."""
        return F.pmod(F.xxhash64(F.lit(self.sizes.seed), F.lit(what), *of), F.lit(below))

    def branches(self) -> DataFrame:
        number = F.col("id")
        return silver.BRANCH.conform(
            silver.BRANCH.filled(
                self.spark.range(self.sizes.branches).withColumns(
                    {
                        "branch_id": _branch_id(number),
                        "branch_name": F.format_string("Branch %d", number),
                        "region": F.format_string("Region %d", number % 10),
                        "time_zone": F.lit("Europe/Berlin"),
                        "currency": F.lit("EUR"),
                        "day_start": F.lit("00:00"),
                        "opened_on": F.lit(FIRST),
                        **_lineage(),
                    }
                )
            )
        )

    def products(self) -> DataFrame:
        number = F.col("id")
        product = _product_id(number)
        return silver.PRODUCT.conform(
            silver.PRODUCT.filled(
                self.spark.range(self.sizes.products).withColumns(
                    {
                        "product_id": product,
                        "product_name": F.format_string("Product %d", number),
                        "category_l1": F.format_string("Group %d", number % 20),
                        "category_l2": F.format_string("Group %d", number % 200),
                        "product_line": F.format_string("Line %d", number % 7),
                        "parent_product_id": product,
                        "is_bundle": F.lit(False),
                        **_lineage(),
                    }
                )
            )
        )

    def parties(self) -> DataFrame:
        """A card of each customer."""
        token = F.md5(F.concat(F.lit("card"), F.col("id").cast("string")))
        return silver.PARTY.conform(
            silver.PARTY.filled(
                self.spark.range(self.sizes.customers).withColumns(
                    {
                        "party_key": _party_key(F.col("id")),
                        "source_id": token,
                        "party_type": F.lit("person"),
                        "card_token": token,
                        "is_complete": F.lit(False),
                        **_lineage(),
                    }
                )
            )
        )

    def party_customers(self) -> DataFrame:
        return silver.PARTY_CUSTOMER.conform(
            silver.PARTY_CUSTOMER.filled(
                self.spark.range(self.sizes.customers).withColumns(
                    {
                        "party_key": _party_key(F.col("id")),
                        "customer_id": customer_id(F.col("id")),
                        "rule": F.lit("card"),
                        "valid_from_run": F.lit("made"),
                    }
                )
            )
        )

    def receipts(self, first: int, last: int) -> DataFrame:
        """The receipts with numbers from ``first`` to before ``last``, and ``_lines``."""
        number = F.col("id")
        is_return = (number % RETURN_EVERY == 0) & (number > 0)
        back = self.draw("original", max(self.sizes.receipts // 50, 1), number)
        original = F.greatest(number - 1 - back, F.lit(1))
        original = F.when(original % RETURN_EVERY == 0, original - 1).otherwise(original)
        of = F.when(is_return, original).otherwise(number)  # who returns is who bought
        holder = self.draw("customer", self.sizes.customers, of)
        numbered = self.spark.range(first, last).withColumns(
            {
                "_is_return": is_return,
                "_original": original,
                "_branch": self.draw("branch", self.sizes.branches, number),
                "_day": F.floor(number * self.sizes.days / self.sizes.receipts).cast("int"),
                "_second": self.draw("second", 12 * 3600, number) + 7 * 3600,
                "_holder": F.when(self.draw("named", 100, of) < NAMED_IN_100, holder),
                "_line_count": F.when(is_return, 1).otherwise(1 + self.draw("lines", MOST_LINES, number)).cast("int"),
            }
        )
        sold = F.transform(F.sequence(F.lit(1), F.col("_line_count")), lambda line: self._line(F.col("id"), line))
        taken_back = F.transform(
            F.array(self._line(F.col("_original"), F.lit(1))),
            lambda line: F.struct(
                line["line_number"].alias("line_number"),
                line["product"].alias("product"),
                *((-line[name]).alias(name) for name in ("quantity", "gross", "discount", "tax")),
            ),
        )
        return numbered.withColumn("_lines", F.when(F.col("_is_return"), taken_back).otherwise(sold)).withColumns(
            {
                "receipt_key": receipt_key(F.col("id")),
                "source": F.lit(SOURCE),
                "branch_id": _branch_id(F.col("_branch")),
                "business_date": F.date_add(F.lit(FIRST), F.col("_day")),
                "currency": F.lit("EUR"),
                **_lineage(),
            }
        )

    def _line(self, receipt: Column, line: Column) -> Column:
        """A line by the numbers of its receipt and itself; amounts in cents."""
        part = self.draw("product", EVEN, receipt, line) / EVEN
        product = F.floor(part * part * part * self.sizes.products).cast("bigint")  # the first in a hundred make a fifth of all
        quantity = F.when(self.draw("several", 10, receipt, line) == 0, 2 + self.draw("quantity", 3, receipt, line)).otherwise(1)
        asked = quantity * (99 + self.draw("price", 2000, product))
        discount = F.when(self.draw("discount", 10, receipt, line) == 0, F.floor(asked / 20)).otherwise(0)
        rate = F.when(product % 3 == 0, 7).otherwise(19)
        gross = asked - discount
        return F.struct(
            line.alias("line_number"),
            product.alias("product"),
            quantity.cast("bigint").alias("quantity"),
            gross.cast("bigint").alias("gross"),
            discount.cast("bigint").alias("discount"),
            F.round(gross * rate / (rate + 100)).cast("bigint").alias("tax"),
        )

    def write(self, store: Store) -> None:
        """The tables that gold reads, into an empty lake."""
        store.create_missing(silver.TABLES)
        since_ever = F.lit(BEGINNING)
        branches, products = self.branches(), self.products()
        store.overwrite(silver.BRANCH, branches)
        store.overwrite(silver.BRANCH_VERSION, branches.withColumn("valid_from", since_ever))
        store.overwrite(silver.PRODUCT, products)
        store.overwrite(silver.PRODUCT_VERSION, products.withColumn("valid_from", since_ever))
        store.overwrite(silver.PARTY, self.parties())
        store.overwrite(silver.PARTY_CUSTOMER, self.party_customers())
        self.add(store, 0, self.sizes.receipts)

    def add(self, store: Store, first: int, last: int) -> None:
        """Receipts by number, with all that belongs to them."""
        for table, rows in to_tables(self.receipts(first, last)).items():
            store.append(table, rows)


def to_tables(receipts: DataFrame) -> dict[Table, DataFrame]:
    """Receipts with ``_lines`` as the tables of silver."""
    total = {name: F.aggregate("_lines", F.lit(0).cast("bigint"), _adding(name)) for name in ("gross", "discount", "tax")}
    amounts = {f"{name}_amount": _money(cents) for name, cents in total.items()}
    started_at = F.timestamp_seconds(F.unix_timestamp("business_date") + F.col("_second"))
    heads = receipts.withColumns(
        {
            "register_id": F.lit("1"),
            "closing_id": F.col("business_date").cast("string"),
            "receipt_id": F.col("id").cast("string"),
            "receipt_number": F.col("id").cast("string"),
            "transaction_type": F.when(F.col("_is_return"), "RETURN").otherwise("SALE"),
            "status": F.lit("FINAL"),
            "started_at": started_at,
            "ended_at": started_at,
            "is_time_ambiguous": F.lit(False),
            "local_hour": F.floor(F.col("_second") / 3600).cast("int"),
            "channel": F.lit("store"),
            "fulfilment": F.lit("store"),
            **amounts,
            "net_amount": _money(total["gross"] - total["tax"]),
            "party_key": _party_key(F.col("_holder")),
            "detail_level": F.lit("lines"),
            "is_day_total": F.lit(False),
            "line_count": F.col("_line_count"),
        }
    )
    lines = receipts.select("*", F.explode("_lines").alias("_line")).withColumns(
        {
            "line_number": F.col("_line.line_number").cast("int"),
            "line_type": F.lit("ITEM"),
            "product_ref": _product_id(F.col("_line.product")),
            "quantity": F.col("_line.quantity").cast("DECIMAL(18,3)"),
            "gross_amount": _money(F.col("_line.gross")),
            "net_amount": _money(F.col("_line.gross") - F.col("_line.tax")),
            "tax_amount": _money(F.col("_line.tax")),
            "discount_amount": _money(F.col("_line.discount")),
            "is_void": F.lit(False),
            "is_voided": F.lit(False),
            "_amount_read": _money(F.col("_line.gross")).cast("DECIMAL(18,5)"),
        }
    )
    payments = receipts.withColumns(
        {
            "payment_number": F.lit(1),
            "tender_type": F.element_at(F.array(*map(F.lit, TENDERS)), (1 + F.col("id") % len(TENDERS)).cast("int")),
            "amount": _money(total["gross"]),
        }
    )
    references = receipts.where(F.col("_is_return") & (F.col("id") % 2 == 0)).withColumns(
        {
            "reference_number": F.lit(1),
            "ref_type": F.lit("RETURN_OF"),
            "line_number": F.lit(1),
            "ref_receipt_id": F.col("_original").cast("string"),
            "ref_line_number": F.lit(1),
            "ref_receipt_key": receipt_key(F.col("_original")),
        }
    )
    made = {
        silver.RECEIPT_LINE: lines,
        silver.RECEIPT: heads,
        silver.RECEIPT_PAYMENT: payments,
        silver.RECEIPT_REFERENCE: references,
    }
    return {table: table.conform(table.filled(rows)) for table, rows in made.items()}


def receipt_key(number: Column) -> Column:
    return surrogate_key(F.lit(SOURCE), number)


def customer_id(number: Column) -> Column:
    return F.md5(F.concat(F.lit("customer"), number.cast("string")))


def _party_key(number: Column) -> Column:
    """NULL for no holder."""
    return F.md5(F.concat(F.lit("party"), number.cast("string")))


def _branch_id(number: Column) -> Column:
    return F.format_string("B%05d", number)


def _product_id(number: Column) -> Column:
    return F.format_string("P%07d", number)


def _money(cents: Column) -> Column:
    return (cents.cast("DECIMAL(16,0)") * F.lit(CENT)).cast("DECIMAL(18,2)")


def _adding(name: str) -> Callable[[Column, Column], Column]:
    def add(total: Column, line: Column) -> Column:
        return total + line[name]

    return add


def _lineage() -> dict[str, Column]:
    return {"source": F.lit(SOURCE), "_file": F.lit("made"), "_file_id": F.lit("made"), "_row": F.col("id") + 1}


def add_sizes(parser: argparse.ArgumentParser) -> None:
    usual = Sizes()
    for name in ("branches", "days", "customers", "products", "seed"):
        value = getattr(usual, name)
        parser.add_argument(f"--{name}", type=int, default=value, help=f"({value})")


def sizes_of(given: argparse.Namespace, lines: int) -> Sizes:
    return Sizes(lines, given.branches, given.days, given.customers, given.products, given.seed)


def last_day(sizes: Sizes) -> date:
    return FIRST + timedelta(days=sizes.days - 1)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/make_gold.py", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for lake/ and vault/, which must not exist yet")
    parser.add_argument("--lines", type=int, default=Sizes().lines, help=f"({Sizes().lines})")
    add_sizes(parser)
    given = parser.parse_args()
    if (given.out / "lake").exists():
        parser.error(f"{given.out / 'lake'} exists")
    spark = open_session("make gold")
    Made(spark, sizes_of(given, given.lines)).write(Store(spark, str(given.out / "lake"), str(given.out / "vault")))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
