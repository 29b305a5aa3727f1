"""The demo chain's exports on a small selection: three weeks of the four branches with the most baskets."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from demo_chain import base, erp
from make_demo_exports import make_exports

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_demo_exports.py"

Line = tuple[str, str, str, Decimal, Decimal, Decimal]  # branch, date, basket, amount, discount, coupon


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("chain")
    make_exports(out, weeks=3, branches=4, plain=True)
    return out


def contents(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def read_csv(path: Path, encoding: str, delimiter: str) -> list[dict[str, str]]:
    with path.open(encoding=encoding, errors="strict", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def read_branches(out: Path) -> dict[str, dict[str, str]]:
    path = min((out / "landing/erp/branches").iterdir())
    return {row["Filiale"]: row for row in read_csv(path, "cp1252", ";")}


def read_receipts(out: Path) -> Iterator[dict[str, Any]]:
    for path in sorted((out / "landing/cloud_till/sales").iterdir()):
        for row in path.read_text(encoding="utf-8").splitlines():
            yield json.loads(row, parse_float=Decimal)


def erp_lines(out: Path) -> Iterator[Line]:
    for path in sorted((out / "landing/erp/sales").iterdir()):
        for row in read_csv(path, "cp1252", ";"):
            day, month, year = row["Datum"].split(".")
            amount, *discounts, coupon = (
                Decimal(row[column].replace(",", ".")) for column in ("Betrag", "Rabatt", "Aktionsrabatt", "Herstellercoupon")
            )
            yield row["Filiale"], f"{year}-{month}-{day}", row["Bonnr"], amount, sum(discounts, Decimal()), coupon


def cloud_lines(out: Path) -> Iterator[Line]:
    branches = read_branches(out)
    for receipt in read_receipts(out):
        completed_at = datetime.strptime(receipt["completed_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        branch = receipt["location"]
        date = completed_at.astimezone(ZoneInfo(branches[branch]["Zeitzone"])).date().isoformat()
        for item in receipt["items"]:
            discount = item["discount"] + item["promotion_discount"]
            yield branch, date, receipt["receipt_id"], item["amount"], discount, item["manufacturer_coupon"]


def test_both_systems_together_add_up_to_the_truth(chain: Path) -> None:
    erp, cloud = list(erp_lines(chain)), list(cloud_lines(chain))
    lines = erp + cloud
    totals = json.loads((chain / "truth/totals.json").read_text(encoding="utf-8"))

    assert erp
    assert cloud
    assert len(lines) == totals["lines"]
    assert len({line[2] for line in lines}) == totals["baskets"]
    assert len({line[0] for line in lines}) == totals["branches"] == 4
    assert str(sum(line[3] for line in lines)) == totals["revenue"]
    assert str(sum(line[4] for line in lines)) == totals["discount"]
    assert str(sum(line[5] for line in lines)) == totals["manufacturer_coupon"]
    assert (min(line[1] for line in lines), max(line[1] for line in lines)) == ("2017-01-01", "2017-01-15")


def test_each_branch_and_local_day_adds_up_to_the_truth(chain: Path) -> None:
    revenue: dict[tuple[str, str], Decimal] = {}
    for branch, date, _, amount, _, _ in [*erp_lines(chain), *cloud_lines(chain)]:
        revenue[branch, date] = revenue.get((branch, date), Decimal()) + amount
    days = read_csv(chain / "truth/branch_day_revenue.csv", "utf-8", ",")
    branches = read_csv(chain / "truth/branch_revenue.csv", "utf-8", ",")

    assert revenue == {(row["branch_id"], row["business_date"]): Decimal(row["revenue"]) for row in days}
    assert sum(Decimal(row["revenue"]) for row in branches) == sum(revenue.values())


def test_a_receipt_of_the_cloud_till_is_worth_its_items(chain: Path) -> None:
    receipts = list(read_receipts(chain))

    assert all(receipt["total"] == sum(item["amount"] for item in receipt["items"]) for receipt in receipts)
    assert all(receipt["total"].as_tuple().exponent == -2 for receipt in receipts)
    assert all([item["line"] for item in r["items"]] == list(range(1, len(r["items"]) + 1)) for r in receipts)


def test_the_register_is_one_of_four_by_the_receipt(chain: Path) -> None:
    registers = {receipt["receipt_id"]: int(receipt["register"]) for receipt in read_receipts(chain)}

    assert registers == {receipt: 1 + base.pick(base.SEED, "register", receipt, 4) for receipt in registers}


def test_the_same_options_give_the_same_bytes_on_another_machine(chain: Path, tmp_path: Path) -> None:
    elsewhere = {**os.environ, "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "1"}
    command = [sys.executable, str(SCRIPT), "--out", str(tmp_path), "--weeks", "3", "--branches", "4", "--plain"]
    subprocess.run(command, env=elsewhere, check=True)

    assert contents(tmp_path) == contents(chain)


def test_a_chain_that_was_already_made_is_left_alone(chain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in chain.rglob("*")}

    make_exports(chain, weeks=3, branches=4, plain=True)

    assert "already made" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in chain.rglob("*")} == before


def test_other_options_replace_the_earlier_chain_and_keep_its_branches(tmp_path: Path) -> None:
    make_exports(tmp_path, weeks=2, branches=3, plain=True)
    before = read_branches(tmp_path)
    make_exports(tmp_path, weeks=1, branches=2, plain=False)
    after = read_branches(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["conf", "landing", "truth"]
    assert len(after) == 2
    assert all(before.get(branch, row) == row for branch, row in after.items())
    sales = [path.name for path in (tmp_path / "landing").rglob("sales/*_*")]
    assert all("_2016W52_20170102T0500." in name for name in sales)
    assert json.loads((tmp_path / "truth/chain.json").read_text(encoding="utf-8"))["plain"] is False


def test_files_that_no_run_wrote_are_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "own.csv").write_text("1", encoding="utf-8")

    with pytest.raises(FileExistsError, match="no demo chain"):
        make_exports(tmp_path, weeks=1, branches=1, plain=True)


def test_every_receipt_has_a_valid_card_of_one_household(chain: Path) -> None:
    cards = {row["card_number"]: row["household_id"] for row in read_csv(chain / "truth/cards.csv", "utf-8", ",")}
    on_receipts = {receipt["loyalty_card"] for receipt in read_receipts(chain)}
    for path in (chain / "landing/erp/sales").iterdir():
        on_receipts |= {row["Kundenkarte"] for row in read_csv(path, "cp1252", ";")}

    assert on_receipts == set(cards)
    assert len(set(cards.values())) == len(cards)
    for card in cards:
        assert len(card) == 13
        assert card.startswith("29")
        assert (sum(map(int, card[::2])) + 3 * sum(map(int, card[1::2]))) % 10 == 0


def test_the_check_digit_is_that_of_the_ean_13() -> None:
    assert base.card_number(0) == "2900001047296"
    assert len({base.card_number(household)[2:12] for household in range(100_000)}) == 100_000


def test_a_branch_id_is_the_letter_f_and_the_store_number(chain: Path) -> None:
    branches = read_branches(chain)

    assert len(branches) == 4
    for branch_id, row in branches.items():
        assert branch_id == f"F{int(branch_id[1:])}"
        assert row["Bezeichnung"] == f"Filiale {row['Ort']}"
        assert not any(character.isdigit() for character in row["Bezeichnung"])


def test_all_branches_have_names_of_their_own_that_cp1252_can_write() -> None:
    branches = base.to_branches({store: store % 7 for store in range(457)}, base.SEED)

    assert len({branch.place for branch in branches}) == 457
    assert {branch.system for branch in branches[::2]} == {"erp"}
    assert {branch.system for branch in branches[1::2]} == {"cloud_till"}
    assert {branch.region for branch in branches} == set(base.REGIONS)
    assert any("ü" in branch.place.encode("cp1252").decode("cp1252") for branch in branches)
    assert all(1990 <= branch.opened_on.year <= 2016 for branch in branches)


def test_the_erp_writes_cp1252_with_semicolons_and_crlf(chain: Path) -> None:
    for path in (chain / "landing/erp").rglob("*.csv"):
        content = path.read_bytes()
        content.decode("cp1252", errors="strict")
        assert content.endswith(b"\r\n")
        assert content.count(b"\n") == content.count(b"\r\n")
        fields = {len(row) for row in csv.reader(content.decode("cp1252").splitlines(), delimiter=";")}
        assert len(fields) == 1


def test_a_character_that_cp1252_lacks_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        erp.write_erp_csv(tmp_path / "artikel.csv", "ArtNr", [["→"]])


def test_a_value_with_a_separator_or_a_quote_is_quoted(tmp_path: Path) -> None:
    erp.write_erp_csv(tmp_path / "artikel.csv", "ArtNr;Bezeichnung", [[1, 'a;"b"'], [2, None]])

    assert (tmp_path / "artikel.csv").read_bytes() == b'ArtNr;Bezeichnung\r\n1;"a;""b"""\r\n2;\r\n'


@pytest.mark.parametrize(
    ("week", "name"),
    [
        (1, "kassenbons_2016W52_20170102T0500.csv"),
        (2, "kassenbons_2017W01_20170109T0500.csv"),
        (53, "kassenbons_2017W52_20180101T0500.csv"),
    ],
)
def test_a_delivery_is_named_by_its_iso_week_and_exported_on_the_monday_after(week: int, name: str) -> None:
    assert base.delivery_name("kassenbons", week, "csv") == name
