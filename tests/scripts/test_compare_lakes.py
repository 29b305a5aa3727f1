"""Two lakes are compared row by row, and random customer ids are no difference."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
from compare_lakes import Comparison, compare
from deltalake import write_deltalake

from tillhouse.tables import Table, gold, silver


def write(lake: Path, table: Table, **columns: list[object]) -> None:
    write_deltalake(str(lake / table.schema / table.name), pa.table(columns))


def make_lake(lake: Path, customer_of: dict[str, str], buyers: list[str | None], amounts: list[int]) -> Path:
    """A lake of cards with their customers, and receipts of the cards."""
    ids = sorted(set(customer_of.values()))
    write(lake, silver.PARTY_CUSTOMER, party_key=list(customer_of), customer_id=list(customer_of.values()))
    begin: list[object] = [date(1900, 1, 1)] * len(ids)
    write(lake, gold.DIM_CUSTOMER, customer_key=[f"key {item}" for item in ids], customer_id=list(ids), valid_from=begin)
    customers = [customer_of.get(card) if card else None for card in buyers]
    keys = [f"key {item}" if item else None for item in customers]
    run: list[object] = [str(lake)] * len(buyers)
    write(
        lake, gold.FCT_RECEIPT, customer_id=pa.array(customers, pa.string()), customer_key=pa.array(keys, pa.string()),
        gross_amount=list(amounts), payment_types=[["CASH"]] * len(buyers), _run_id=run,
    )  # fmt: skip
    return lake


def test_ids_and_technical_columns_are_no_difference(tmp_path: Path) -> None:
    buyers = ["card 1", "card 2", "card 1", None]
    one = make_lake(tmp_path / "one", {"card 1": "x", "card 2": "y"}, buyers, [1, 2, 3, 4])
    other = make_lake(tmp_path / "other", {"card 2": "p", "card 1": "q"}, buyers, [1, 2, 3, 4])
    assert compare(one, other, gold.FCT_RECEIPT) == Comparison(4, 0)
    assert compare(one, other, gold.DIM_CUSTOMER) == Comparison(2, 0)


def test_another_customer_is_a_difference(tmp_path: Path) -> None:
    one = make_lake(tmp_path / "one", {"card 1": "x", "card 2": "y"}, ["card 1", "card 2"], [1, 2])
    other = make_lake(tmp_path / "other", {"card 1": "x", "card 2": "y"}, ["card 1", "card 1"], [1, 2])
    assert compare(one, other, gold.FCT_RECEIPT) == Comparison(2, 2)


def test_cards_that_only_one_lake_joins_are_a_difference(tmp_path: Path) -> None:
    one = make_lake(tmp_path / "one", {"card 1": "x", "card 2": "x"}, ["card 1", "card 2"], [1, 2])
    other = make_lake(tmp_path / "other", {"card 1": "x", "card 2": "y"}, ["card 1", "card 2"], [1, 2])
    assert compare(one, other, gold.FCT_RECEIPT).differing == 2
    assert compare(one, other, gold.DIM_CUSTOMER).differing == 1


def test_a_row_that_is_there_twice_is_a_difference(tmp_path: Path) -> None:
    one = make_lake(tmp_path / "one", {"card 1": "x"}, ["card 1"], [1])
    other = make_lake(tmp_path / "other", {"card 1": "x"}, ["card 1", "card 1"], [1, 1])
    assert compare(one, other, gold.FCT_RECEIPT) == Comparison(1, 1)
