"""What people do with exceptions: find, assign, waive, open again, take along."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Chain
from tillhouse import cli
from tillhouse.ops.worklist import Filter
from tillhouse.tables import silver


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
    assert tell(chain, "assign", "--rule", "product_unknown", "--to", "anna") == 0
    assert tell(chain, "waive", "--rule", "product_unknown", "--reason", "carrier bags", "--by", "anna") == 0
    assert store.version(silver.EXCEPTION)[1] == before + 2
    rows = store.read(silver.EXCEPTION).collect()
    assert {(row["status"], row["assigned_to"], row["reason"], row["decided_by"]) for row in rows} == {
        ("waived", "anna", "carrier bags", "anna")
    }
    assert all(row["decided_at"] is not None for row in rows)
    assert tell(chain, "waive", "--rule", "product_unknown", "--reason", "x", "--by", "y") == 2
    assert "no open exception is meant by that" in capsys.readouterr().err
    assert tell(chain, "reopen", "--owner", "anna", "--by", "ben") == 0
    assert {(row["status"], row["resolution"]) for row in store.read(silver.EXCEPTION).collect()} == {("open", None)}


def test_nothing_is_decided_by_accident(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(chain, "waive", "--reason", "x", "--by", "y") == 2
    assert "say which exceptions" in capsys.readouterr().err
    assert tell(chain, "assign", "ab", "--to", "y") == 2
    assert "at least the first 6 characters" in capsys.readouterr().err


def test_overdue_ones_are_those_past_their_due_time(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(chain, "list", "--overdue") == 0
    assert capsys.readouterr().out == "none\n"
    due = chain.store.read(silver.EXCEPTION).agg({"due_at": "max"}).collect()[0][0]
    late = chain.store.read(silver.EXCEPTION).where(Filter(overdue_at=due.replace(year=due.year + 1)).condition())
    assert late.count() == 2


def test_a_work_list_holds_no_formula(chain: Chain, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(chain, "assign", "--rule", "product_unknown", "--to", '=HYPERLINK("http://example.com")') == 0
    assert tell(chain, "export", "--to", str(tmp_path / "list.csv")) == 0
    assert "wrote 2 exceptions" in capsys.readouterr().out
    with (tmp_path / "list.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["assigned_to"] for row in rows} == {'\'=HYPERLINK("http://example.com")'}
    assert {row["record_key"] for row in rows} == {"4711", "4720"}
