"""The step on a small chain: what nights give is what one run gives, nothing new changes nothing, and zones change nothing."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest
import yaml
from compare_lakes import compare
from pyspark.sql import functions as F

from tests.conftest import MEASURED_AS_OF, Chain, time_zone
from tillhouse import cli
from tillhouse.ops.runs import StepResult
from tillhouse.tables import gold

# What was decided when is kept as it was; all else is told by deliveries and conf.
OF_RUNS = {gold.SEGMENT_DEFINITION, gold.SEGMENT_CHANGE}
COMPARED = [table for table in gold.INSIGHT_TABLES if table not in OF_RUNS]


@pytest.fixture(scope="module")
def by_night(demo_lake: Chain, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The same chain, as of a day in the middle first, as if nothing had been measured, then what came after that day."""
    chain = demo_lake.in_folder(tmp_path_factory.mktemp("by_night"))
    shutil.copytree(demo_lake.folder, chain.folder, dirs_exist_ok=True)
    measure(chain, date(2017, 1, 18), full=True)
    with time_zone(chain.spark, "Asia/Tokyo"):
        measure(chain, MEASURED_AS_OF)
    return chain


def measure(chain: Chain, as_of: date, full: bool = False) -> list[StepResult]:
    """The step alone, on the facts as they are: what is not before ``as_of`` is not known to it."""
    return chain.run(as_of=as_of, full=full, from_step="insight", to_step="insight")


def test_nights_give_what_one_run_gives_whatever_the_zone_of_the_session(demo_lake: Chain, by_night: Chain) -> None:
    found = {table.full_name: compare(demo_lake.lake, by_night.lake, table) for table in COMPARED}
    assert {name: result for name, result in found.items() if result.differing} == {}
    assert all(found[table.full_name].rows for table in (gold.CUSTOMER_STATE, gold.SEGMENT_MEMBER, gold.QUALITY_SCORE))


def test_a_run_without_news_measures_nothing(by_night: Chain) -> None:
    before = {table.full_name: by_night.store.version(table) for table in gold.INSIGHT_TABLES}
    results = {result.step: result.status for result in measure(by_night, MEASURED_AS_OF)}
    assert results["insight"] == "unchanged"
    assert {table.full_name: by_night.store.version(table) for table in gold.INSIGHT_TABLES} == before


def test_scores_are_the_sum_of_their_points_and_moves_lose_nobody(demo_lake: Chain) -> None:
    store = demo_lake.store
    points = F.aggregate(F.map_values("points"), F.lit(0).cast("DECIMAL(38,2)"), lambda total, part: total + part)
    scored = store.read(gold.QUALITY_SCORE)
    assert scored.where(F.col("score") != points).isEmpty()
    assert not scored.isEmpty()
    moved = store.read(gold.SEGMENT_MOVE).groupBy("rule_set", "from_as_of", "to_as_of").agg(F.sum("customers").alias("moved"))
    states = store.read(gold.CUSTOMER_STATE).where("purchase_count > 0").groupBy("as_of").agg(F.count("*").alias("known"))
    both = moved.join(states.withColumnRenamed("as_of", "to_as_of"), on="to_as_of", how="left").collect()
    assert {row["rule_set"] for row in both} >= {"rf", "rf_quarter", "service_level"}
    assert [row for row in both if row["moved"] != row["known"]] == []


@pytest.mark.long
def test_another_definition_is_a_change_and_nobody_moves(demo_lake: Chain, tmp_path: Path) -> None:
    folder = tmp_path / "conf"
    shutil.copytree(demo_lake.conf_dir, folder)
    rules = yaml.safe_load((folder / "segments.yml").read_text("utf-8"))
    [value] = [one for one in rules["rule_sets"] if one["name"] == "value"]
    [regular] = [one for one in value["segments"] if one["name"] == "regular"]
    regular["when"] = "active_weeks_13 >= 2"
    (folder / "segments.yml").write_text(yaml.safe_dump(rules, sort_keys=False), "utf-8")
    shutil.copytree(demo_lake.folder, tmp_path / "copy")
    chain = Chain(tmp_path / "copy", folder, demo_lake.spark)
    store = chain.store
    moves = store.version(gold.SEGMENT_MOVE)
    [result] = [result for result in measure(chain, MEASURED_AS_OF) if result.step == "insight"]
    assert result.reason == "changed: segments.yml"
    changes = store.read(gold.SEGMENT_CHANGE).collect()
    assert {row["rule_set"] for row in changes} == {"value"}
    joined = sum(row["customers"] for row in changes if (row["from_segment"], row["to_segment"]) == ("none", "regular"))
    now = store.read(gold.SEGMENT_MEMBER).where("segment = 'regular'").where(F.col("as_of") == changes[0]["as_of"]).count()
    assert joined == now > 0
    assert store.version(gold.SEGMENT_MOVE) == moves
    assert store.read(gold.SEGMENT_DEFINITION).where("rule_set = 'value'").count() == 2


def test_anonymous_sales_are_in_no_figure_of_a_customer(demo_lake: Chain) -> None:
    known = demo_lake.store.read(gold.CUSTOMER_STATE).select("customer_id").distinct()
    named = demo_lake.store.read(gold.FCT_RECEIPT).where("customer_id IS NOT NULL").select("customer_id").distinct()
    assert known.exceptAll(named).isEmpty()
    assert not known.isEmpty()


def test_the_commands_tell_what_gold_holds(
    demo_lake: Chain, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tillhouse.cli.open_session", lambda: demo_lake.spark)
    place = ["--conf-dir", str(demo_lake.conf_dir), "--lake", str(demo_lake.lake), "--vault", str(demo_lake.vault)]
    [customer] = demo_lake.store.read(gold.QUALITY_SCORE).where("position = 1").orderBy(F.desc("as_of")).limit(1).collect()
    for command, told in (
        (["segment", "list"], "regular"),
        (["segment", "explain", customer["customer_id"]], "active_weeks_13"),
        (["segment", "moves", "rf"], "hibernating"),
        (["score", "list", "--rank", "3"], customer["customer_id"]),
        (["score", "show", customer["customer_id"]], "revenue"),
        (["score", "groups"], ""),
        (["score", "statistics"], ""),
        (["score", "what-if", str(demo_lake.conf_dir / "score.yml")], ""),
    ):
        assert cli.main([*command, *place]) == 0
        out = capsys.readouterr().out
        assert out.strip()
        assert told in out
    assert date.fromisoformat(str(customer["as_of"]))
