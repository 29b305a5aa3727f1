"""``tillhouse score``: over a small lake, as people call it."""

from __future__ import annotations

import argparse
import json
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tests.insight.test_score_rules import ROOT
from tests.kpi.star import filled
from tillhouse.config import Config, load_config
from tillhouse.errors import ConfigError
from tillhouse.insight import score, score_rules
from tillhouse.ops import score_command
from tillhouse.store import Store
from tillhouse.tables import ops, vault
from tillhouse.tables.gold_customers import CUSTOMER_STATE
from tillhouse.tables.gold_scores import QUALITY_GROUP, QUALITY_SCORE

JULY, AUGUST = date(2026, 7, 1), date(2026, 8, 1)
RULES = """
criteria:
  - name: revenue
    meaning: one point for each euro
    value: revenue_total
    linear: {per: 1, points: 1}
    cap: {minimum: 0, maximum: 90}
  - {name: reached, meaning: buys in the store and online, value: channels = 'both', flag: 5, missing: 1}
maximum: 60
group_spacing: 20
colours:
  - {from: 0, colour: red, hex: "#C62828"}
  - {from: 50, colour: green, hex: "#2E7D32"}
"""
# customer, revenue, channels; who has objected to scoring has no score
CUSTOMERS = (
    ("anna01", "70.00", "both"), ("bert01", "49.50", None), ("cleo01", "45.25", "both"), ("dora01", "3.00", "store"),
    ("emil01", "80.00", "store"),
)  # fmt: skip
CONSENTS = (
    ("anna01", "email", "marketing", "granted"), ("anna01", "any", "scoring", "granted"),
    ("bert01", "any", "marketing", "granted"), ("bert01", "email", "marketing", "denied"),
    ("bert01", "post", "marketing", "granted"),
    ("cleo01", "any", "marketing", "granted"), ("cleo01", "email", "survey", "denied"),
    ("emil01", "any", "scoring", "denied"), ("emil01", "any", "marketing", "granted"),
)  # fmt: skip
Call = Callable[..., str]


@pytest.fixture(scope="module")
def store(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("scores")
    store = Store(spark, str(folder / "lake"), str(folder / "vault"))
    store.create_missing([CUSTOMER_STATE, QUALITY_SCORE, QUALITY_GROUP, vault.CUSTOMER, vault.CONSENT, ops.RUN_STEP])
    states = [
        {
            "as_of": day, "customer_id": name, "revenue_total": Decimal(revenue), "channels": channels, "purchase_count": 1,
            "currency": "EUR", "first_purchase_date": date(2026, 1, 1), "smallest_receipt_key": name,
        }
        for day, rows in ((JULY, CUSTOMERS[:1]), (AUGUST, CUSTOMERS))
        for name, revenue, channels in rows
    ]  # fmt: skip
    fields = filled(spark, CUSTOMER_STATE, states)
    consents = filled(
        spark,
        vault.CONSENT,
        [dict(zip(("customer_id", "channel", "purpose", "state"), row, strict=True)) for row in CONSENTS],
    )
    people = [
        {"customer_id": "anna01", "family_name": "=HYPERLINK(1)", "emails": ["anna@example.org", "old@example.org"]},
        {"customer_id": "bert01", "family_name": "Berg", "emails": ["bert@example.org"], "street": "Weg 1", "city": "Bonn"},
        {"customer_id": "cleo01", "family_name": "Cleff", "phones": ["+491"], "street": " ", "city": "Bonn"},
    ]
    rules = score_rules.read(rules_file(folder))
    scores = score.to_scores(fields, rules, score.to_objections(consents))
    for table, rows in (
        (CUSTOMER_STATE, fields), (vault.CONSENT, consents), (vault.CUSTOMER, filled(spark, vault.CUSTOMER, people)),
        (QUALITY_SCORE, scores), (QUALITY_GROUP, score.to_groups(scores, rules)),
    ):  # fmt: skip
        store.append(table, rows)
    return store


def rules_file(folder: Path, text: str = RULES, name: str = "score.yml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


@pytest.fixture
def config(tmp_path: Path) -> Config:
    rules_file(tmp_path)
    return replace(load_config(ROOT / "conf"), conf_dir=tmp_path)


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    score_command.add_arguments(parser, lambda one: None)
    return parser.parse_args(arguments)


@pytest.fixture
def call(store: Store, config: Config) -> Call:
    def called(*arguments: str) -> str:
        said: list[str] = []
        assert score_command.run(parsed(*arguments), config, lambda: store, said.append) == 0
        return "\n".join(said)

    return called


def test_the_list_shows_the_best_first_and_what_is_left_out(call: Call) -> None:
    found = call("list", "--limit", "2")
    assert found.splitlines()[2].split() == ["1", "1", "anna01", "60.00", "green", "60.00", "-", "70.00", "EUR"]
    assert found.splitlines()[3].split() == ["2", "2", "bert01", "50.50", "green", "40.00", "-", "49.50", "EUR"]
    assert found.endswith("4 customers as of 2026-08-01; 2 more, see --limit")
    assert "emil01" not in call("list")


def test_the_list_goes_down_to_the_group_that_holds_the_rank_or_to_a_minimum(call: Call) -> None:
    assert [row["customer_id"] for row in json.loads(call("list", "--rank", "2", "--json"))] == ["anna01", "bert01", "cleo01"]
    assert call("list", "--min", "50.5").endswith("2 customers as of 2026-08-01")
    assert call("list", "--min", "60.01") == "nobody reaches that"
    assert call("list", "--as-of", "2026-07-01").endswith("1 customers as of 2026-07-01")


def test_a_customer_is_shown_with_every_part_and_what_led_to_it(call: Call, config: Config) -> None:
    lines = call("show", "anna01").splitlines()
    assert lines[2] == "score     60.00  green, group from 60.00"
    assert lines[3] == "rank      1 of 4"
    assert [line.split()[:3] for line in lines[7:10]] == [["revenue", "+70.00", "70"], ["reached", "+5.00", "yes"],
                                                          ["cap", "-15.00", "what"]]  # fmt: skip
    assert lines[10].split() == ["sum", "+60.00"]
    page = json.loads(call("show", "bert01", "--json"))
    assert [(part["criterion"], part["points"], part["value"]) for part in page["parts"]] == [
        ("revenue", "49.50", "49.50"), ("reached", "1.00", None), ("cap", "0.00", None),
    ]  # fmt: skip
    rules_file(config.conf_dir, RULES.replace("flag: 5", "flag: 6"))
    changed = call("show", "anna01")
    assert "conf/score.yml has changed since" in changed
    assert "yes" not in changed
    with pytest.raises(ConfigError, match=r"no customer_id begins like that. Remedy: .* who objects to it"):
        call("show", "emil01")


def test_groups_tell_how_many_reached_at_least_each(call: Call) -> None:
    lines = call("groups").splitlines()
    assert [line.split()[:4] for line in lines[3:7]] == [
        ["from", "60.00", "1", "1"], ["from", "40.00", "2", "3"], ["from", "20.00", "0", "3"], ["from", "0.00", "1", "4"],
    ]  # fmt: skip
    assert "94.75 EUR" in lines[4]
    assert lines[4].endswith("#" * 40)
    assert lines[3].endswith(" " + "#" * 20)
    assert "#" not in lines[5]


def test_statistics_tell_the_middle_the_colours_and_what_each_criterion_gives(call: Call) -> None:
    found = json.loads(call("statistics", "--json"))
    # 3, 50.25, 50.50, 60
    assert {name: found[name] for name in ("customers", "mean", "least", "lower_quartile", "median", "greatest")} == {
        "customers": 4, "mean": "40.94", "least": "3.00", "lower_quartile": "38.44", "median": "50.38", "greatest": "60.00",
    }  # fmt: skip
    assert found["colours"] == [{"colour": "green", "customers": 3}, {"colour": "red", "customers": 1}]
    assert found["criteria"] == [
        {"criterion": "revenue", "mean_points": "41.94", "gained": 4, "lost": 0},
        {"criterion": "reached", "mean_points": "2.75", "gained": 3, "lost": 0},
        {"criterion": "cap", "mean_points": "-3.75", "gained": 0, "lost": 1},
    ]
    told = call("statistics")
    assert f"  green          3   75.0 %  {'#' * 40}\n  red            1   25.0 %  {'#' * 13}\n" in told
    assert "median                 50.38" in told


def test_what_if_shows_who_would_move_and_writes_nothing(call: Call, store: Store, tmp_path: Path) -> None:
    versions = [store.version(table)[1] for table in (CUSTOMER_STATE, QUALITY_SCORE, QUALITY_GROUP)]
    text = RULES.replace("flag: 5", "flag: -5").replace("group_spacing", "population: revenue_total > 3\ngroup_spacing")
    path = rules_file(tmp_path, text.replace("from: 0", "from: -5"), "score_new.yml")
    found = json.loads(call("what-if", str(path), "--json"))
    assert found["as_of"] == "2026-08-01"
    assert found["customers"] == {
        "before": 4, "after": 3, "in_another_colour": 2, "in_another_group": 1, "gain": 0, "lose": 1, "stay": 2,
    }  # fmt: skip
    assert found["colours"] == [
        {"before": "green", "after": "green", "customers": 2}, {"before": "green", "after": "red", "customers": 1},
        {"before": "red", "after": "none", "customers": 1},
    ]  # fmt: skip
    assert [(row["points_from"], row["before"], row["after"], row["reached_before"], row["reached_after"])
            for row in found["groups"]] == [("60.00", 1, 1, 1, 1), ("40.00", 2, 2, 3, 3), ("20.00", 0, 0, 3, 3),
                                            ("0.00", 1, 0, 4, 3)]  # fmt: skip
    assert found["movers"] == {
        "gains": [],
        "loses": [
            {"customer_id": "cleo01", "score_before": "50.25", "score_after": "40.25", "change": "-10.00",
             "colour_before": "green", "colour_after": "red"}
        ],
    }  # fmt: skip
    told = call("what-if", str(path))
    assert "in another colour 2, in another group 1; 0 gain points, 1 lose some, 2 keep their score" in told
    assert "who loses most\n" in told
    assert "who gains most" not in told
    assert [store.version(table)[1] for table in (CUSTOMER_STATE, QUALITY_SCORE, QUALITY_GROUP)] == versions


def test_rules_that_cannot_be_tried_are_told_with_their_file(call: Call, tmp_path: Path) -> None:
    path = rules_file(tmp_path, RULES.replace("value: revenue_total", "value: revenues"), "score_new.yml")
    with pytest.raises(ConfigError, match=r"score_new.yml: key 'criteria.0.value': 'revenues' cannot be asked"):
        call("what-if", str(path))
    with pytest.raises(ConfigError, match=r"gone.yml: file not found"):
        call("what-if", str(tmp_path / "gone.yml"))


def test_an_address_list_holds_only_who_consents_and_its_texts_are_harmless(call: Call, tmp_path: Path) -> None:
    target = tmp_path / "mail.csv"
    said = call("addresses", "--min", "0", "--channel", "email", "--to", str(target))
    # bert has denied e-mail, dora has said nothing; cleo grants any channel, but has no e-mail address
    assert said.startswith(
        f"wrote 1 addresses to {target}; left out: 2 without consent to marketing by email, 1 without address."
    )
    head, *rows = target.read_text("utf-8-sig").splitlines()
    assert head == "customer_id,score,colour,salutation,title,given_name,family_name,company,contact_person,language,email"
    assert rows == ["anna01,60.00,green,,,,'=HYPERLINK(1),,,,anna@example.org"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_an_address_list_of_another_channel_and_by_rank(call: Call, tmp_path: Path) -> None:
    target = tmp_path / "letter.csv"
    said = call("addresses", "--rank", "2", "--channel", "post", "--to", str(target))
    # anna has granted e-mail alone; cleo's street is blank
    assert "wrote 1 addresses" in said
    assert "1 without consent to marketing by post, 1 without address" in said
    assert target.read_text("utf-8-sig").splitlines()[1].endswith(",Berg,,,,Weg 1,,Bonn,")
    with pytest.raises(ConfigError, match=r"letter.csv: cannot be written: No such file or directory. Remedy"):
        call("addresses", "--min", "0", "--channel", "post", "--to", str(tmp_path / "gone" / "letter.csv"))


def test_scores_that_are_as_before_are_not_written_again(store: Store, config: Config) -> None:
    rules = score_rules.load(config)
    assert rules is not None
    objections = score.to_objections(store.read(vault.CONSENT))
    scores = score.to_scores(store.read(CUSTOMER_STATE), rules, objections)
    assert not store.overwrite(QUALITY_SCORE, scores)
    assert not store.overwrite(QUALITY_GROUP, score.to_groups(scores, rules))


def test_a_day_without_scores_is_told_with_those_that_there_are(call: Call) -> None:
    with pytest.raises(ConfigError, match=r"--as-of 2026-06-01: gold.quality_score has no such day. .*2026-07-01, 2026-08-01"):
        call("list", "--as-of", "2026-06-01")


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("list", "--rank", "0"), "'0' is not a whole number from 1 on"),
        (("list", "--min", "much"), "'much' is not a number of points"),
        (("list", "--min", "NaN"), "'NaN' is not a number of points"),
        (("list", "--min", "1", "--rank", "1"), "not allowed with argument"),
        (("list", "--as-of", "yesterday"), "is not a date"),
        (("addresses", "--channel", "post", "--to", "x.csv"), "one of the arguments --min --rank is required"),
        (("addresses", "--min", "1", "--channel", "fax", "--to", "x.csv"), "invalid choice"),
        (("addresses", "--min", "1", "--channel", "post", "--purpose", "scoring", "--to", "x.csv"), "invalid choice"),
    ],
)
def test_a_wrong_call_is_refused_before_anything_starts(
    arguments: tuple[str, ...], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        parsed(*arguments)
    assert left.value.code == 2
    assert fault in capsys.readouterr().err


def test_without_rules_the_command_says_what_to_do_and_starts_no_spark(tmp_path: Path) -> None:
    def refuse() -> Any:  # noqa: ANN401 - never returns
        raise AssertionError("no session is needed")

    config = replace(load_config(ROOT / "conf"), conf_dir=tmp_path)
    with pytest.raises(ConfigError, match=r"so nobody is scored. Remedy: copy conf/score.yml"):
        score_command.run(parsed("show", "anna01"), config, refuse, print)
