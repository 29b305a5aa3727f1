"""A small cut of the whole demo chain: five till systems, everything that is planted in their documents, and the customers."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import customer_sql
import duckdb
import pytest
from deltalake import DeltaTable
from demo_chain.check import Comparison, compare, identities, returns
from make_demo_exports import make_exports
from pyspark.sql import SparkSession

from tests.conftest import ROOT, Chain
from tests.integration.personal_data import clear_text_in
from tests.serving.readers import asked_of_readers, sums_by_reader
from tillhouse.tables import gold, silver

WEEKS, BRANCHES = 4, 12
PLANTED = {
    "aborted", "anonymous_receipt", "broken_file", "broken_row", "cancelled", "cash_in_drawer", "corrected_day",
    "corrected_receipt", "deleted_receipt", "delivered_again", "deposit", "deposit_returned", "identical_file", "late_delivery",
    "new_region", "overlapping_export", "return_in_other_branch", "return_with_reference", "return_without_reference",
    "reversing_line", "reversing_receipt", "sale_reversed_later", "training", "unknown_branch", "voided", "voucher_redeemed",
    "voucher_sold", "wrong_payment", "wrong_total",
}  # fmt: skip


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    make_exports(folder, weeks=WEEKS, branches=BRANCHES, plain=False)
    return folder


@pytest.fixture(scope="module")
def whole(exports: Path, spark: SparkSession) -> Chain:
    """After one run. Tests only read it."""
    chain = Chain(exports, exports / "conf", spark)
    chain.run(to_step="insight")
    return chain


@pytest.fixture(scope="module")
def compared(whole: Chain) -> list[Comparison]:
    return compare(whole.folder)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_kind_of_document_is_planted_in_the_small_cut(exports: Path) -> None:
    assert {row["kind"] for row in rows(exports / "truth" / "planted.csv")} == PLANTED


def test_every_system_delivers_in_the_small_cut(exports: Path) -> None:
    assert {row["source"] for row in rows(exports / "truth" / "branches.csv")} == {
        "erp_sales", "cloud_till_sales", "dsfinvk", "poslog", "category_totals",
    }  # fmt: skip


def test_the_purchases_beneath_what_is_planted_are_those_of_the_plain_chain(exports: Path, tmp_path: Path) -> None:
    make_exports(tmp_path, weeks=WEEKS, branches=BRANCHES, plain=True)
    for name in ("totals.json", "branch_revenue.csv", "branch_day_revenue.csv", "cards.csv"):
        assert (exports / "truth" / name).read_bytes() == (tmp_path / "truth" / name).read_bytes()


def test_the_whole_chain_is_the_same_bytes_on_another_machine(exports: Path, tmp_path: Path) -> None:
    elsewhere = {**os.environ, "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "1"}
    script = ROOT / "scripts" / "make_demo_exports.py"
    command = [sys.executable, str(script), "--out", str(tmp_path), "--weeks", str(WEEKS), "--branches", str(BRANCHES)]
    subprocess.run(command, env=elsewhere, check=True)

    def contents(out: Path) -> dict[str, bytes]:
        files = (path for name in ("landing", "truth") for path in (out / name).rglob("*") if path.is_file())
        return {str(path.relative_to(out)): path.read_bytes() for path in files}

    assert contents(tmp_path) == contents(exports)


def test_every_figure_and_every_planted_document_is_as_the_truth_says(compared: list[Comparison]) -> None:
    assert [f"{part.name}: {part.differing or part.equal}" for part in compared if not part.ok] == []
    assert {part.name.removeprefix("planted: ") for part in compared} > PLANTED - {"late_delivery", "new_region"}


def test_returns_are_linked_to_the_purchase_that_they_truly_are_of(whole: Chain) -> None:
    found = returns(whole.folder)
    assert found.ok, str(found)
    assert min(found.named, found.linked, found.decidable, found.several, found.anonymous) > 0
    assert found.anonymous_linked == 0
    status = whole.store.read(gold.FCT_RECEIPT).groupBy("return_status").count().collect()
    assert {row[0] for row in status} == {"none", "partial", "full"}


def test_revenue_is_that_of_the_purchases_less_what_came_back(exports: Path) -> None:
    bought = json.loads((exports / "truth" / "totals.json").read_text("utf-8"))["revenue"]
    planted = rows(exports / "truth" / "planted.csv")
    cents = round(float(bought) * 100) + sum(round(float(row["revenue_change"]) * 100) for row in planted)
    days = rows(exports / "truth" / "expected_branch_day.csv")
    assert sum(round(float(row["revenue"]) * 100) for row in days) == cents


def test_customers_are_compared_by_every_kind_of_record(compared: list[Comparison], exports: Path) -> None:
    counted = {part.name: part.expected for part in compared}
    kinds = {row["entity"] for row in rows(exports / "truth" / "expected_records.csv")}
    assert kinds == {
        "campaign", "campaign_contact", "coupon", "coupon_redemption", "ticket", "open_item", "warranty",
    }  # fmt: skip
    assert all(counted[f"records: {kind}"] > 0 for kind in kinds)
    listed = {(row["source"], row["rule"]) for row in rows(exports / "truth" / "expected_exceptions.csv")}
    assert listed > {
        ("hubspot_contacts", "field_missing"), ("hubspot_contacts", "field_unreadable"), ("hubspot_contacts", "party_incomplete"),
        ("shopify_customers", "party_incomplete"), ("loyalty_members", "reference_unknown"), ("tickets_csv", "field_unreadable"),
        ("tickets_csv", "reference_unknown"), ("campaign_contacts_csv", "reference_unknown"),
    }  # fmt: skip


def test_every_delivered_contact_is_of_a_person_in_the_truth(exports: Path) -> None:
    delivered = set()
    for source, folder, column, encoding, delimiter in (
        ("loyalty_members", "loyalty", "Mitgliedsnummer", "cp1252", ";"),
        ("hubspot_contacts", "hubspot", "Record ID", "utf-8", ","),
        ("shopify_customers", "shopify", "Customer ID", "utf-8", ","),
    ):  # fmt: skip
        for path in (exports / "landing" / folder).iterdir():
            with path.open(encoding=encoding, newline="") as file:
                delivered |= {(source, row[column].lstrip("'")) for row in csv.DictReader(file, delimiter=delimiter)}
    people = {row["person_id"] for row in rows(exports / "truth" / "people.csv")}
    parties = rows(exports / "truth" / "parties.csv")
    assert {(row["source"], row["source_id"]) for row in parties} == delivered
    assert {row["person_id"] for row in parties if row["status"] != "rejected"} <= people
    named = [row for row in rows(exports / "truth" / "expected_records.csv") if row["named_by"]]
    assert {row["person_id"] for row in named} <= people


def test_operators_cards_and_addresses_are_known_by_tokens_alone(whole: Chain) -> None:
    cards = [row["card_number"] for row in rows(whole.truth / "cards.csv")]
    addresses = [row[name] for row in rows(whole.truth / "parties.csv")[::30] for name in ("email", "street") if row[name]]
    assert clear_text_in(whole.lake, [*cards, *addresses]) == []
    told = whole.store.read(silver.RECEIPT).where("source IN ('dsfinvk', 'poslog')")
    assert told.where("operator_token IS NULL AND branch_id <> 'F99998'").count() == 0


def test_a_lake_that_lacks_a_planted_receipt_and_a_contact_is_found_to_differ(whole: Chain, tmp_path: Path) -> None:
    for name in ("lake", "vault", "truth"):
        shutil.copytree(whole.folder / name, tmp_path / name)
    path = tmp_path / "truth" / "planted.csv"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    strange = next(line for line in lines if line.startswith("training,")).replace("excluded: TRAINING", "counts as a sale")
    path.write_text("".join([*lines, strange]), "utf-8")
    path = tmp_path / "truth" / "parties.csv"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join([lines[0], lines[1].replace(",M", ",N", 1), *lines[2:]]), "utf-8")
    differing = [part for part in compare(tmp_path) if not part.ok]
    assert [(part.name, part.expected - part.equal) for part in differing] == [
        ("contacts of loyalty scheme, CRM and shop, as they are", 1), ("which of them are persons, companies, complete", 1),
        ("planted: training", 1),
    ]  # fmt: skip


def test_contacts_of_one_person_become_one_customer_and_those_of_a_household_do_not(whole: Chain) -> None:
    """A card that two members share is of both: its receipts are unclear, and somebody is asked."""
    found = identities(whole.folder)
    assert found.contacts == sum(row["status"] == "current" for row in rows(whole.truth / "parties.csv"))
    assert min(found.true, found.made) > 300
    assert found.recall > 0.7
    assert found.precision > 0.99
    assert found.of_household - found.right <= 3
    holders: dict[str, set[str]] = {}
    for row in rows(whole.truth / "parties.csv"):
        if row["status"] == "current" and row["card_number"]:
            holders.setdefault(row["card_number"], set()).add(row["person_id"])
    shared = sum(len(persons) > 1 for persons in holders.values())
    unclear = whole.store.read(silver.PARTY_WITHOUT_CUSTOMER).where("reason = 'unclear'").count()
    asked = whole.store.read(silver.IDENTITY_REVIEW).where("status = 'open' AND reason = 'unclear'").count()
    assert 0 < unclear == asked <= shared


def test_what_is_known_of_customers_is_what_sql_over_the_star_says(whole: Chain) -> None:
    con = duckdb.connect()
    for name in customer_sql.STAR:
        con.register(name, DeltaTable(str(whole.lake / "gold" / name)).to_pyarrow_table())
    days = [row[0] for row in con.sql("SELECT DISTINCT as_of FROM customer_state").fetchall()]
    assert {day: customer_sql.differing(con, day) for day in days} == {day: {} for day in days}
    assert con.sql("SELECT count(*) FROM customer_state WHERE return_count > 0 AND purchase_count > 1").fetchall()[0][0] > 10


def test_every_table_of_gold_is_read_to_the_cent_by_every_reader(whole: Chain) -> None:
    by_spark, others = sums_by_reader(whole.store)
    assert others == dict.fromkeys(others, by_spark)
    assert asked_of_readers(whole.store) == {1}
    assert sum(count > 0 for count, _ in by_spark.values()) > len(by_spark) / 2
