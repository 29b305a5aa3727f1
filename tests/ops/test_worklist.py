"""What people do with exceptions: find, assign, waive, open again, take along."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import Row

from tests.conftest import Chain
from tillhouse import cli
from tillhouse.ops.worklist import Filter
from tillhouse.tables import gold, silver


@pytest.fixture(scope="module")
def chain(readme_lake: Chain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A copy of the README's lake, of which two products have no master data."""
    folder = tmp_path_factory.mktemp("worklist") / "chain"
    shutil.copytree(readme_lake.folder, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "open_session", lambda: readme_lake.spark)
        yield readme_lake.in_folder(folder)


def tell(chain: Chain, *arguments: str) -> int:
    places = [f"--{name}={getattr(chain, name)}" for name in ("lake", "vault", "landing")]
    return cli.main(["exceptions", arguments[0], "--conf-dir", str(chain.conf_dir), *places, *arguments[1:]])


def exceptions(chain: Chain) -> list[Row]:
    return chain.store.read(silver.EXCEPTION).orderBy("exception_id").collect()


def test_open_exceptions_are_listed_with_who_and_until_when(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(chain, "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all("product_unknown" in line and " by 20" in line for line in lines)
    assert tell(chain, "list", "--rule", "file_rejected") == 0
    assert capsys.readouterr().out == "none\n"
    assert tell(chain, "list", "--limit", "1") == 0
    assert "and 1 more" in capsys.readouterr().out


def test_one_is_shown_with_file_row_value_and_remedy(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(chain, "list", "--json") == 0
    first = json.loads(capsys.readouterr().out)[0]
    assert tell(chain, "show", first["exception_id"][:8]) == 0
    said = capsys.readouterr().out
    assert all(str(first[name]) in said for name in ("record_key", "file", "row", "value", "remedy"))


def test_many_are_assigned_waived_and_opened_again_in_one_commit_each(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    store = chain.store
    before = store.version(silver.EXCEPTION)[1]
    assert tell(chain, "assign", "--rule", "product_unknown", "--to", "anna", "--by", "anna") == 0
    assert tell(chain, "waive", "--rule", "product_unknown", "--reason", "carrier bags", "--by", "anna") == 0
    assert store.version(silver.EXCEPTION)[1] == before + 2
    rows = store.read(silver.EXCEPTION).collect()
    assert {(row["status"], row["assigned_to"], row["reason"], row["decided_by"]) for row in rows} == {
        ("waived", "anna", "carrier bags", "anna")
    }
    assert all(row["decided_at"] is not None for row in rows)
    assert tell(chain, "waive", "--rule", "product_unknown", "--reason", "x", "--by", "y") == 2
    assert "none that is open is meant by that" in capsys.readouterr().err
    assert tell(chain, "reopen", "--owner", "anna", "--by", "ben") == 0
    assert {(row["status"], row["resolution"]) for row in store.read(silver.EXCEPTION).collect()} == {("open", None)}


def test_nothing_is_decided_by_accident(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(chain, "waive", "--reason", "x", "--by", "y") == 2
    assert "say which exceptions" in capsys.readouterr().err
    assert tell(chain, "assign", "ab", "--to", "y", "--by", "y") == 2
    assert "at least the first 6 characters" in capsys.readouterr().err


def test_overdue_ones_are_those_past_their_due_time(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(chain, "list", "--overdue") == 0
    assert capsys.readouterr().out == "none\n"
    due = chain.store.read(silver.EXCEPTION).agg({"due_at": "max"}).collect()[0][0]
    late = chain.store.read(silver.EXCEPTION).where(Filter(overdue_at=due.replace(year=due.year + 1)).condition())
    assert late.count() == 2


def test_a_work_list_holds_no_formula(chain: Chain, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(chain, "assign", "--rule", "product_unknown", "--to", '=HYPERLINK("http://example.com")', "--by", "ben") == 0
    assert tell(chain, "export", "--to", str(tmp_path / "list.csv")) == 0
    assert "wrote 2 exceptions" in capsys.readouterr().out
    with (tmp_path / "list.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["assigned_to"] for row in rows} == {'\'=HYPERLINK("http://example.com")'}
    assert {row["record_key"] for row in rows} == {"4711", "4720"}


def test_what_is_repaired_by_hand_is_resolved_and_may_be_opened_again(chain: Chain) -> None:
    unknown = ("--rule", "product_unknown")
    assert tell(chain, "resolve", *unknown, "--reason", "master data follow", "--by", "cora") == 0
    assert {tuple(row[name] for name in ("status", "resolution", "reason", "decided_by")) for row in exceptions(chain)} == {
        ("resolved", "resolved by hand", "master data follow", "cora")
    }
    assert tell(chain, "reopen", *unknown, "--by", "dora") == 0
    assert {row["status"] for row in exceptions(chain)} == {"open"}


def test_every_decision_is_kept(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    """All that the tests before have decided, in its order; a change of conf or a run takes nothing of it out."""
    decided = [[(item["decision"], item["decided_by"], item["reason"]) for item in row["decisions"]] for row in exceptions(chain)]
    assert (
        decided[0]
        == decided[1]
        == [
            ("assigned to anna", "anna", None),
            ("waived", "anna", "carrier bags"),
            ("reopened", "ben", None),
            ('assigned to =HYPERLINK("http://example.com")', "ben", None),
            ("resolved by hand", "cora", "master data follow"),
            ("reopened", "dora", None),
        ]
    )
    assert tell(chain, "show", exceptions(chain)[0]["exception_id"]) == 0
    assert " cora: resolved by hand (master data follow)" in capsys.readouterr().out


def test_another_owner_in_conf_touches_nothing_but_open_exceptions(
    chain: Chain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run says why; who works on them, what was decided and all figures stay."""
    store, before = chain.store, exceptions(chain)
    tables = (silver.RECEIPT, silver.RECEIPT_LINE, silver.BRANCH, gold.FCT_RECEIPT, gold.KPI_BRANCH_DAY)
    versions = [store.version(table) for table in tables]
    shutil.copytree(chain.conf_dir, tmp_path / "conf", ignore=shutil.ignore_patterns("lake", "vault", "landing"))
    (tmp_path / "conf" / "exceptions.yml").write_text(
        "responsible:\n"
        "  - when: {rules: [product_unknown]}\n"
        "    owner: assortment\n"
        "    due: 48 hours\n"
        "    escalate: [{to: buying, after: 2 days}, {to: board, after: 96 hours}]\n"
    )
    changed = replace(chain, conf_dir=tmp_path / "conf")
    reasons = {result.step: result.reason for result in changed.run() if result.status == "done"}
    assert reasons["silver"] == "changed: exceptions.yml"
    assert [store.version(table) for table in tables] == versions
    names = ("status", "assigned_to", "opened_at", "decisions", "amount")
    assert [[row[name] for name in names] for row in exceptions(chain)] == [[row[name] for name in names] for row in before]
    for row in exceptions(chain):
        assert (row["owner"], row["escalate_to"]) == ("assortment", "buying")
        assert row["due_at"] - row["opened_at"] == timedelta(days=2)
        assert [(level["to"], level["at"] - row["due_at"]) for level in row["escalations"]] == [
            ("buying", timedelta(days=2)), ("board", timedelta(days=4))
        ]  # fmt: skip

    for days, expected in (
        (2, "none"),
        (3, "level 0  "),
        (5, "level 1  "),
        (7, "level 2  "),
    ):  # at midnight, whenever it was opened
        day = (exceptions(chain)[0]["opened_at"] + timedelta(days=days)).date()
        assert tell(changed, "overdue", "--as-of", str(day)) == 0
        said = capsys.readouterr().out
        assert said.startswith(expected), said
    assert said.rstrip().endswith("escalated to board")
