"""The step on a small chain: what nights give is what one run gives, nothing new changes nothing, and zones change nothing."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest
import yaml
from compare_lakes import compare
from pyspark.sql import functions as F

from tests.conftest import ROOT, Chain, time_zone
from tillhouse import cli
from tillhouse.ops.runs import StepResult
from tillhouse.tables import gold

# What was decided when is kept as it was; all else is told by deliveries and conf.
OF_RUNS = {gold.SEGMENT_DEFINITION, gold.SEGMENT_CHANGE}
COMPARED = [table for table in gold.INSIGHT_TABLES if table not in OF_RUNS]
AS_OF = date(2017, 2, 15)  # measured as of the first of February as well: customers move in between
RULES = """
every: month
reorder: {population: all}
affinity: {minimum_baskets: 5, minimum_pairs: 3}
"""


@pytest.fixture(scope="module")
def conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("conf") / "conf"
    shutil.copytree(ROOT / "conf", folder)
    (folder / "insight.yml").write_text(RULES, "utf-8")
    return folder


@pytest.fixture(scope="module")
def at_once(demo_lake: Chain, conf: Path, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Four weeks, measured by months in one run, in a session of another time zone. Tests only read it."""
    chain = copy_of(demo_lake, conf, tmp_path_factory.mktemp("at_once"))
    with time_zone(chain.spark, "America/New_York"):
        measure(chain, AS_OF)
    return chain


@pytest.fixture(scope="module")
def by_night(demo_lake: Chain, conf: Path, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The same: as of a day in the middle first, then what came after that day."""
    chain = copy_of(demo_lake, conf, tmp_path_factory.mktemp("by_night"))
    measure(chain, date(2017, 1, 18))
    with time_zone(chain.spark, "Asia/Tokyo"):
        measure(chain, AS_OF)
    return chain


def measure(chain: Chain, as_of: date) -> list[StepResult]:
    """The step alone, on the facts as they are: what is not before ``as_of`` is not known to it."""
    return chain.run(as_of=as_of, from_step="insight", to_step="insight")


def copy_of(lake: Chain, conf: Path, folder: Path) -> Chain:
    shutil.copytree(lake.folder, folder, dirs_exist_ok=True)
    return Chain(folder, conf, lake.spark)


def test_nights_give_what_one_run_gives_whatever_the_zone_of_the_session(at_once: Chain, by_night: Chain) -> None:
    found = {table.full_name: compare(at_once.lake, by_night.lake, table) for table in COMPARED}
    assert {name: result for name, result in found.items() if result.differing} == {}
    assert all(found[table.full_name].rows for table in (gold.CUSTOMER_STATE, gold.SEGMENT_MEMBER, gold.QUALITY_SCORE))


def test_a_run_without_news_measures_nothing(by_night: Chain) -> None:
    before = {table.full_name: by_night.store.version(table) for table in gold.INSIGHT_TABLES}
    results = {result.step: result.status for result in measure(by_night, AS_OF)}
    assert results["insight"] == "unchanged"
    assert {table.full_name: by_night.store.version(table) for table in gold.INSIGHT_TABLES} == before


def test_scores_are_the_sum_of_their_points_and_moves_lose_nobody(at_once: Chain) -> None:
    store = at_once.store
    points = F.aggregate(F.map_values("points"), F.lit(0).cast("DECIMAL(38,2)"), lambda total, part: total + part)
    scored = store.read(gold.QUALITY_SCORE)
    assert scored.where(F.col("score") != points).isEmpty()
    assert not scored.isEmpty()
    moved = store.read(gold.SEGMENT_MOVE).groupBy("rule_set", "from_as_of", "to_as_of").agg(F.sum("customers").alias("moved"))
    states = store.read(gold.CUSTOMER_STATE).where("purchase_count > 0").groupBy("as_of").agg(F.count("*").alias("known"))
    both = moved.join(states.withColumnRenamed("as_of", "to_as_of"), on="to_as_of", how="left").collect()
    assert {row["rule_set"] for row in both} >= {"rf", "rf_quarter", "service_level"}
    assert [row for row in both if row["moved"] != row["known"]] == []


def test_another_definition_is_a_change_and_nobody_moves(at_once: Chain, conf: Path, tmp_path: Path) -> None:
    folder = tmp_path / "conf"
    shutil.copytree(conf, folder)
    rules = yaml.safe_load((folder / "segments.yml").read_text("utf-8"))
    [value] = [one for one in rules["rule_sets"] if one["name"] == "value"]
    [regular] = [one for one in value["segments"] if one["name"] == "regular"]
    regular["when"] = "active_weeks_13 >= 2"
    (folder / "segments.yml").write_text(yaml.safe_dump(rules, sort_keys=False), "utf-8")
    shutil.copytree(at_once.folder, tmp_path / "copy")
    chain = Chain(tmp_path / "copy", folder, at_once.spark)
    store = chain.store
    moves = store.version(gold.SEGMENT_MOVE)
    [result] = [result for result in measure(chain, AS_OF) if result.step == "insight"]
    assert result.reason == "changed: segments.yml"
    changes = store.read(gold.SEGMENT_CHANGE).collect()
    assert {row["rule_set"] for row in changes} == {"value"}
    joined = sum(row["customers"] for row in changes if (row["from_segment"], row["to_segment"]) == ("none", "regular"))
    now = store.read(gold.SEGMENT_MEMBER).where("segment = 'regular'").where(F.col("as_of") == changes[0]["as_of"]).count()
    assert joined == now > 0
    assert store.version(gold.SEGMENT_MOVE) == moves
    assert store.read(gold.SEGMENT_DEFINITION).where("rule_set = 'value'").count() == 2


def test_anonymous_sales_are_in_no_figure_of_a_customer(at_once: Chain) -> None:
    known = at_once.store.read(gold.CUSTOMER_STATE).select("customer_id").distinct()
    named = at_once.store.read(gold.FCT_RECEIPT).where("customer_id IS NOT NULL").select("customer_id").distinct()
    assert known.exceptAll(named).isEmpty()
    assert not known.isEmpty()


def test_the_commands_tell_what_gold_holds(
    at_once: Chain, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tillhouse.cli.open_session", lambda: at_once.spark)
    place = ["--conf-dir", str(at_once.conf_dir), "--lake", str(at_once.lake), "--vault", str(at_once.vault)]
    [customer] = at_once.store.read(gold.QUALITY_SCORE).where("position = 1").orderBy(F.desc("as_of")).limit(1).collect()
    for command, told in (
        (["segment", "list"], "regular"),
        (["segment", "explain", customer["customer_id"]], "active_weeks_13"),
        (["segment", "moves", "rf"], "hibernating"),
        (["score", "list", "--rank", "3"], customer["customer_id"]),
        (["score", "show", customer["customer_id"]], "revenue"),
        (["score", "groups"], ""),
        (["score", "statistics"], ""),
        (["score", "what-if", str(at_once.conf_dir / "score.yml")], ""),
    ):
        assert cli.main([*command, *place]) == 0
        out = capsys.readouterr().out
        assert out.strip()
        assert told in out
    assert date.fromisoformat(str(customer["as_of"]))
