"""Files above a limit of their source are held: what happens to them, and what a person can decide."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tests.conftest import Chain
from tests.sources.mappings import source
from tillhouse import cli, pipeline
from tillhouse.bronze import controls, files
from tillhouse.errors import HeldError
from tillhouse.ops import gate
from tillhouse.ops.gate import Facts
from tillhouse.sources.policy import Check
from tillhouse.store import Store
from tillhouse.tables import gold, ops, silver

QUALITY = """
file_pattern: till/{week}_{exported}.csv
csv: {delimiter: ";", footer_prefix: [Summe]}
locale: {decimal: ","}
version_order: {from_path: exported, date_formats: [yyyyMMdd'T'HHmm]}
delivery: {period: week, from_path: week, due_days: 1, due_time: "12:00"}
columns: {stated_gross_amount: {aliases: [Gesamt]}}
quality:
  rejected: {warn: 0.1, stop: 0.5}
  stated_totals: {warn: 0, stop: 0.5}
  control_totals: {stop: 0}
  delay: {warn: 1 day}
  trailer: {prefix: Summe, records: 2, amount: 4}
"""
HEADER = "Filiale;Bonnr;Datum;Betrag;Gesamt\n"
# A receipt of two lines, one whose lines do not add up, and one whose amount cannot be read.
BAD = HEADER + "F1;1;31.01.2026;1,00;3,00\nF1;1;31.01.2026;2,00;3,00\nF1;2;31.01.2026;4,00;5,00\nF1;3;31.01.2026;x;1,00\n"
GOOD = HEADER + "F1;4;31.01.2026;1,00;1,00\nSumme;1;;1,00;\n"
WARNED = Check("file_share_rejected", "warning", "2 of 20", "warn above 5.00%")
STOPPED = Check("file_share_rejected", "error", "12 of 20", "stop above 50.00%")


def delivered(path: str, *checks: Check) -> files.Inspection:
    delivery = files.Delivery(path, path, 1, datetime(2026, 2, 1), source(), {})  # noqa: DTZ001
    return files.Inspection(delivery, reason=None, sha256="abc", rows_read=20, checks=checks)


def decided(item: files.Inspection, status: str) -> dict[tuple[str, str], str]:
    assert item.file_id is not None
    return {(STOPPED.rule, f"{item.delivery.path}#{item.file_id[:8]}"): status}


def test_a_file_with_warnings_flows() -> None:
    assert gate.with_hold(delivered("till/a.csv", WARNED), {}).status == "loaded"


def test_a_file_above_a_stop_is_held_with_file_rule_limit_and_remedy() -> None:
    held = gate.with_hold(delivered("till/a.csv", STOPPED, WARNED), {})
    assert (held.status, held.checks) == ("held", (STOPPED, WARNED))
    assert held.reason is not None
    assert held.reason.startswith("file_share_rejected: 12 of 20, stop above 50.00%. Rule: quality in conf/sources/till.yml.")
    assert "tillhouse exceptions waive --file till/a.csv" in held.reason


def test_it_flows_when_it_is_waived_and_stays_out_when_it_is_resolved_by_hand() -> None:
    item = delivered("till/a.csv", STOPPED)
    assert gate.with_hold(item, decided(item, "waived")).status == "loaded"
    assert gate.with_hold(item, decided(item, "resolved")).status == "refused"


def test_a_decision_is_about_one_content_and_every_stop_needs_one() -> None:
    item = delivered("till/a.csv", STOPPED)
    assert gate.with_hold(replace(item, sha256="other"), decided(item, "waived")).status == "held"
    other = replace(STOPPED, rule="file_totals_differ")
    assert gate.with_hold(replace(item, checks=(STOPPED, other)), decided(item, "waived")).status == "held"


def test_a_file_that_waits_for_a_decision_is_looked_at_in_every_run() -> None:
    item = delivered("till/a.csv")
    for status, again in (("held", True), ("refused", True), ("rejected", True), ("loaded", False), ("duplicate", False)):
        found = files.news([item.delivery], {item.delivery.key: files.Seen(status, None)})
        assert bool(found) == again, status


def test_only_the_last_step_ends_with_exit_code_3(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each step is a job of its own, the steps after a held file have to work for all other files."""

    monkeypatch.setattr(gate, "held_files", lambda store: [{"path": "till/a.csv", "reason": "why"}])
    run: Any = SimpleNamespace(store=None)
    *others, last = pipeline.STEPS
    for step in others:
        pipeline.check_held(run, [step])
    for steps in ([last], pipeline.STEPS):
        with pytest.raises(HeldError) as error:
            pipeline.check_held(run, steps)
        assert error.value.exit_code == 3
        assert "files are held and not published (1):\n  till/a.csv: why\nEverything else is published." in str(error.value)


def test_the_same_content_under_another_name_is_held_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would otherwise be the duplicate of a file that has never been loaded."""
    till = source(changes="quality: {rejected: {stop: 0.5}}")
    items = [
        replace(item, delivery=replace(item.delivery, source=till))
        for item in (delivered("till/a.csv"), replace(delivered("till/b.csv"), is_duplicate=True, reason=files.DUPLICATE))
    ]
    run: Any = SimpleNamespace(store=None, config=SimpleNamespace(source=lambda name: till))
    monkeypatch.setattr(gate, "to_facts", lambda store, source, items: {item.delivery.path: Facts(12) for item in items})
    states: dict[tuple[str, str], str] = {}
    monkeypatch.setattr(gate, "_decisions", lambda store: states)
    assert [(item.delivery.path, item.status) for item in gate.judge(run, items)] == [
        ("till/a.csv", "held"), ("till/b.csv", "held")
    ]  # fmt: skip
    states |= {**decided(items[0], "waived"), **decided(items[1], "waived")}
    assert [item.status for item in gate.judge(run, items)] == ["loaded", "duplicate"]


def test_files_are_judged_by_what_they_hold(spark: SparkSession, tmp_path: Path) -> None:
    """No branch is known to the gate: F1 may be delivered later, so that it is unknown counts for nothing."""
    till = source(changes=QUALITY)
    names = ("2026W05_20260202T0600", "2026W05_20260204T0600")
    (tmp_path / "till").mkdir()
    for name, text in zip(names, (BAD, GOOD), strict=True):
        (tmp_path / f"till/{name}.csv").write_text(text)
    items = files.inspect(spark, files.list_deliveries(spark, str(tmp_path), [till]))
    found = gate.to_facts(Store(spark, str(tmp_path), str(tmp_path)), till, items)
    assert list(found.values()) == [
        Facts(1, Decimal(7), 2, 1, datetime(2026, 2, 2, 6, tzinfo=UTC)),
        Facts(0, Decimal(1), 1, 0, datetime(2026, 2, 4, 6, tzinfo=UTC)),
    ]
    told = [[str(check) for check in gate.exceeded(till, item, found[item.delivery.path])] for item in items]
    assert told == [
        [
            "file_share_rejected: 1 of 4 records are kept out (25.00%), warn above 10.00%",
            "file_totals_differ: 1 of 2 receipts differ from their stated total (50.00%), warn above 0.00%",
            "file_control_differs: no records stated, stop above 0.00%",
        ],
        ["file_delayed: exported 42 hours after it was due (2026-02-02 12:00 UTC), warn above 1 day"],
    ]


def test_a_control_file_states_what_its_file_holds_and_is_waited_for(spark: SparkSession, tmp_path: Path) -> None:
    till = source(
        changes="{locale: {decimal: ','}, quality: {control_totals: {stop: 0}, "
        "control_file: {pattern: 'till/{week}.ctl', records: Anzahl, amount: Summe}}}"
    )
    (tmp_path / "till").mkdir()
    texts = {"2026W05.csv": BAD, "2026W06.csv": GOOD, "2026W05.ctl": "Anzahl;Summe\n4;7,00\n", "2026W07.ctl": "Anzahl;Summe\n"}
    for name, text in texts.items():
        (tmp_path / "till" / name).write_text(text.replace("Summe;1", "F9;1"))
    listed = files.list_deliveries(spark, str(tmp_path), [till])
    control_files = {item.path: item for item in listed if item.is_control}
    assert sorted(control_files) == ["till/2026W05.ctl", "till/2026W07.ctl"]
    items = files.inspect(spark, [item for item in listed if not item.is_control])
    items = controls.with_controls(spark, items, control_files)
    assert [item.stated for item in items] == [{"records": "4", "amount": "7,00"}, {"records": None, "amount": None}]
    facts = [Facts(amount=Decimal(7)), Facts(amount=Decimal(1))]
    told = [[str(check) for check in gate.exceeded(till, *pair)] for pair in zip(items, facts, strict=True)]
    assert told == [[], ["file_control_differs: no records stated, stop above 0.00%"]]


LATER = "corner_till/sales_B07_20250305T0500.csv"
LINES = (
    "Receipt;Till;Date;Time;Kind;Article;Quantity;Amount;Customer card\n"
    "1001;1;04.03.2025;09:00:00;V;4711;1;3,49;\n"
    "1002;1;04.03.2025;09:10:00;V;4720;1;zwölf;\n"
)
BRANCHES = "branch,name,region,time_zone,currency\n" + "".join(
    f"{name},Market,North,Europe/Berlin,EUR\n" for name in ("B07", "B08")
)
PUBLISHED = (gold.DIM_PRODUCT, gold.DIM_CUSTOMER, gold.FCT_RECEIPT, gold.FCT_SALE_LINE, gold.KPI_BRANCH_DAY)


@pytest.mark.long
def test_a_held_file_leaves_what_is_published_and_flows_when_it_is_waived(
    readme_copy: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "open_session", lambda: readme_copy.spark)
    shutil.copytree(readme_copy.conf_dir, tmp_path / "conf", ignore=shutil.ignore_patterns("lake", "vault", "landing"))
    with (tmp_path / "conf/sources/corner_till.yml").open("a") as mapping:
        mapping.write("registers: of_chain\nquality: {rejected: {stop: 0.2}}\n")
    chain = replace(readme_copy, conf_dir=tmp_path / "conf")
    chain.deliver(LATER, LINES.encode("cp1252"))
    chain.deliver("branches/branches_2025-03-05.csv", BRANCHES)
    store = chain.store
    versions = {table.full_name: store.version(table) for table in PUBLISHED}

    def tell(*arguments: str) -> int:
        places = [f"--{name}={getattr(chain, name)}" for name in ("lake", "vault", "landing")]
        return cli.main([*arguments, "--conf-dir", str(chain.conf_dir), *places])

    assert tell("run", "--report", str(tmp_path / "report.json")) == 3
    said = capsys.readouterr().err
    assert f"HeldError: files are held and not published (1):\n  {LATER}: file_share_rejected: " in said
    assert "1 of 2 records are kept out (50.00%), stop above 20.00%. Rule: quality in conf/sources/corner_till.yml." in said
    assert json.loads((tmp_path / "report.json").read_text())["status"] == "held"
    assert {table.full_name: store.version(table) for table in PUBLISHED} == versions
    [row] = store.read(ops.FILE_LEDGER).where("status = 'held'").collect()
    assert (row["path"], row["rows_read"], row["checks"][0]["severity"]) == (LATER, 0, "error")
    of_file = "rule = 'file_share_rejected'"
    [exception] = store.read(silver.EXCEPTION).where(of_file).collect()
    assert (exception["status"], exception["severity"], exception["owner"]) == ("open", "error", "till-team")
    assert json.loads(exception["context"])["file"] == LATER

    assert tell("status") == 0
    assert f"held files: not published, gold and kpi are without them\n  {LATER}: " in capsys.readouterr().out
    before = {table.full_name: store.version(table) for table in (*PUBLISHED, silver.EXCEPTION, ops.FILE_LEDGER)}
    assert tell("run") == 3
    assert {table.full_name: store.version(table) for table in (*PUBLISHED, silver.EXCEPTION, ops.FILE_LEDGER)} == before

    assert tell("exceptions", "waive", "--file", LATER, "--reason", "the vendor knows", "--by", "anna") == 0
    # Beside it a file of another branch comes, with a till and a day that the first one has.
    chain.deliver("corner_till/sales_B08_20250305T0500.csv", LINES.replace("zwölf", "5,00").replace("04.03.", "03.03."))
    assert tell("run") == 0
    day = store.read(gold.KPI_BRANCH_DAY).where("business_date = '2025-03-04'").collect()
    assert [(row["revenue"], row["receipts"], row["open_exceptions"]) for row in day] == [(Decimal("3.49"), 1, 1)]
    assert [row["status"] for row in store.read(silver.EXCEPTION).where(of_file).collect()] == ["waived"]
    assert gate.held_files(store) == []
    in_two = store.read(silver.EXCEPTION).where("rule = 'register_in_two_branches'").orderBy("branch_id").collect()
    assert [(row["branch_id"], str(row["business_date"]), row["amount"]) for row in in_two] == [
        ("B07", "2025-03-03", Decimal("14.79")),  # with the deposit
        ("B08", "2025-03-03", Decimal("8.49")),
    ]
    assert [json.loads(row["context"])["value"] for row in in_two] == ["1 also in B08", "1 also in B07"]

    capsys.readouterr()
    assert tell("kpi", "revenue", "--by", "branch_id,business_date", "--where", "business_date = '2025-03-04'", "--json") == 0
    [told] = map(json.loads, capsys.readouterr().out.splitlines())
    assert (told["branch_id"], told["revenue"], told["open_exceptions"], told["missing_days"]) == ("B07", "3.49", 1, 0)
    assert float(told["identified_share"]) == float(told["unclear_amount"]) == float(told["excluded_amount"]) == 0
    assert tell("kpi", "revenue", "--by", "hour") == 0
    assert "known by branch and day only: branch_id, " in capsys.readouterr().out
