"""Who closes a period keeps what was published; what comes later is listed with amount and cause, and the figures go on."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.conftest import Chain
from tillhouse import cli
from tillhouse.tables import gold

HEAD = "Receipt;Till;Date;Time;Kind;Article;Quantity;Amount;Customer card\n"


@pytest.fixture
def chain(readme_copy: Chain) -> Iterator[Chain]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "open_session", lambda: readme_copy.spark)
        yield readme_copy


def tell(chain: Chain, *arguments: str) -> int:
    places = [f"--{name}={getattr(chain, name)}" for name in ("lake", "vault", "landing")]
    return cli.main(["close", "--conf-dir", str(chain.conf_dir), *places, *arguments])


def restated(chain: Chain) -> dict[str, tuple[str, str, str, int]]:
    return {
        row.measure: (f"{row.published:.2f}", f"{row.now:.2f}", row.cause, row.receipt_count)
        for row in chain.store.read(gold.RESTATEMENT).collect()
    }


def test_a_closed_month_tells_what_comes_late_until_it_is_opened_again(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    store = chain.store
    assert tell(chain, "2025-03", "--by", "anna") == 2
    said = capsys.readouterr().err
    assert "it is not over: the last trading day that the lake knows is 2025-03-03" in said
    assert "--force" in said
    assert tell(chain, "2025-03") == 2
    assert tell(chain, "2025-02", "--by", "anna") == 2
    assert "has no day of it" in capsys.readouterr().err
    assert tell(chain, "2025-03", "--reopen", "--reason", "x", "--by", "anna") == 2
    assert "is not closed" in capsys.readouterr().err
    assert store.version(gold.CLOSED_PERIOD)[1] == 0

    assert tell(chain, "2025-03", "--by", "anna", "--force") == 0
    assert "2025-03 is closed: 1 branch days, revenue 14.29 EUR" in capsys.readouterr().out
    assert tell(chain, "2025-03", "--by", "ben", "--force") == 2
    assert "2025-03 was closed by anna on 20" in capsys.readouterr().err
    kpi = {result.step: result for result in chain.run()}["kpi"]
    assert (kpi.status, kpi.reason) == ("unchanged", "new in gold.closed_period")
    assert restated(chain) == {}

    chain.deliver("corner_till/sales_B07_20250306T0500.csv", HEAD + "1009;1;03.03.2025;18:01:00;V;4711;1;3,49;\n")
    figures = {result.step: result.figures for result in chain.run()}["kpi"]
    assert figures["restated"] == 6
    late = ("late_receipt", 1)
    assert restated(chain) == {
        "revenue": ("14.29", "17.78", *late), "sales_before_returns": ("17.78", "21.27", *late),
        "receipts": ("3.00", "4.00", *late), "baskets": ("2.00", "3.00", *late), "items": ("3.00", "4.00", *late),
        "lines_revenue": ("14.29", "17.78", *late),
    }  # fmt: skip

    correction = "1001;1;03.03.2025;09:12:44;V;4711;1;3,49;\n1001;1;03.03.2025;09:12:44;P;;2;0,50;\n"
    chain.deliver("corner_till/sales_B07_20250307T0500.csv", HEAD + correction)
    chain.run()
    both = ("correction+late_receipt", 2)
    assert restated(chain) == {
        "receipts": ("3.00", "4.00", *both), "baskets": ("2.00", "3.00", *both),
    }  # fmt: skip

    before = {table.full_name: store.version(table) for table in gold.TABLES}
    rows = sorted(map(str, store.read(gold.RESTATEMENT).collect()))
    chain.run()
    chain.run(full=True)
    assert sorted(map(str, store.read(gold.RESTATEMENT).collect())) == rows
    assert store.version(gold.RESTATEMENT) == before["gold.restatement"]

    assert tell(chain, "--list", "--json") == 0
    [listed] = json.loads(capsys.readouterr().out)
    assert (listed["period"], listed["restated_days"], listed["still_open"][:14]) == ("2025-03", 1, "it is not over")
    assert tell(chain, "--restated", "2025-03") == 0
    assert "correction+late_receipt" in capsys.readouterr().out
    assert tell(chain, "2025-03", "--reopen", "--reason", "one till was not read out", "--by", "ben") == 0
    chain.run()
    assert restated(chain) == {}
    capsys.readouterr()
    assert tell(chain, "2025-03", "--by", "ben", "--force") == 0
    assert tell(chain, "--list") == 0
    again, first = sorted(capsys.readouterr().out.splitlines()[1:], key=lambda line: "opened again" in line)
    assert "revenue            14.29 EUR" in again
    assert "opened again" in first
    assert "ben (one till was not read out)" in first
