"""conf/score.yml: what it may say, and how faults in it are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession

from tillhouse.config import load_config, to_model
from tillhouse.errors import ConfigError
from tillhouse.insight import score_rules
from tillhouse.insight.score_rules import ScoreRules

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "conf" / "score.yml"
BLUE = [{"from": -100, "colour": "blue", "hex": "#0000FF"}]
BANDS = [{"from": 2, "points": 1}, {"from": 5, "points": 3}]


def criterion(**given: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever YAML may hold
    usual = {"name": "purchases", "meaning": "number of purchases", "value": "purchase_count"}
    return {**usual, **given} if {"bands", "flag", "linear"} & set(given) else {**usual, "flag": 1, **given}


def rules_of(*criteria: Mapping[str, Any], **given: Any) -> ScoreRules:  # noqa: ANN401
    data = {"criteria": criteria or [criterion(bands=BANDS)], "group_spacing": 10, "colours": BLUE, **given}
    return to_model(ScoreRules, data, "conf/score.yml")


def test_the_shipped_rules_reach_from_0_to_95_and_keep_the_cap_as_a_part() -> None:
    rules = score_rules.read(SHIPPED)
    assert rules.reach == (Decimal(0), Decimal(95))
    assert rules.part_names[-1] == "cap"
    assert len(rules.part_names) == 11


def test_without_the_file_there_are_no_rules(tmp_path: Path) -> None:
    config = load_config(ROOT / "conf")
    assert score_rules.load(config) is not None
    assert score_rules.load(replace(config, conf_dir=tmp_path)) is None


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"bands": [*BANDS, BANDS[1]]}, "key 'bands' begins twice at 5. Remedy"),
        ({"bands": BANDS[::-1]}, "key 'bands' is not sorted: from 2 comes after from 5. Remedy: write the lowest first"),
        ({"bands": []}, "key 'bands' is empty"),
        ({"bands": BANDS, "flag": 1}, "needs one of bands, flag and linear, but has bands and flag"),
        ({"flag": None}, "but has none of them"),
        ({"flag": 1, "below": 2}, "key 'below' belongs to bands"),
        ({"flag": 1, "cap": {"minimum": 0, "maximum": 1}}, "cap and linear belong together. Remedy: remove cap"),
        ({"linear": {"per": 1, "points": 1}}, "Remedy: give it cap: {minimum: N, maximum: N}"),
        ({"linear": {"per": 1, "points": 0}, "cap": {"minimum": 0, "maximum": 1}}, "key 'points' is 0"),
        (
            {"linear": {"per": 0, "points": 1}, "cap": {"minimum": 0, "maximum": 1}},
            "per': Input should be greater than 0, but is 0",
        ),
        ({"linear": {"per": 1, "points": 1}, "cap": {"minimum": 2, "maximum": 1}}, "minimum (2) is above maximum (1)"),
        ({"flag": "much"}, "key 'criteria.0.flag'"),
        ({"flag": 1.234}, "no more than 2 decimal places, but is 1.234"),
        ({"name": "No Name", "flag": 1}, "key 'criteria.0.name'"),
        ({"bands": [{"form": 2, "points": 1}]}, "key 'criteria.0.bands.0.form' is unknown"),
    ],
)
def test_a_criterion_that_does_not_fit_is_told_with_file_key_and_value(given: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError) as told:
        rules_of(criterion(**given))
    assert fault in str(told.value)
    assert str(told.value).startswith("conf/score.yml: key 'criteria.0")


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"criteria": []}, "key 'criteria' has 0 entries"),
        ({"criteria": [criterion(), criterion()]}, "key 'criteria': the name 'purchases' is there twice"),
        ({"criteria": [criterion(name="cap")]}, "'cap' is kept for minimum and maximum of the whole score"),
        ({"colours": []}, "key 'colours' has 0 entries"),
        ({"colours": [{**BLUE[0], "from": 0.5}]}, "has a gap: scores begin at 0, the first colour at 0.5"),
        ({"colours": [BLUE[0], {**BLUE[0], "from": 1}]}, "the colour 'blue' is there twice"),
        ({"colours": [BLUE[0], {**BLUE[0], "from": 4, "colour": "red"}]}, "'red' begins at 4, but no score is above 3"),
        ({"colours": [{**BLUE[0], "hex": "0000FF"}]}, "key 'colours.0.hex'"),
        ({"group_spacing": 0}, "key 'group_spacing'"),
        ({"criteria": [criterion(flag=1000)], "group_spacing": 0.5}, "so 0.5 makes more than 1,000 groups"),
        ({"minimum": 5, "maximum": 1}, "key 'minimum' (5) is above maximum (1)"),
        ({"spacing": 1}, "key 'spacing' is unknown (did you mean 'group_spacing'?). Allowed here: colours, criteria"),
    ],
)
def test_rules_that_do_not_fit_are_told_with_file_key_and_value(given: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError) as told:
        rules_of(**given)
    assert fault in str(told.value)
    assert str(told.value).startswith("conf/score.yml: key ")


def test_what_a_score_can_reach_comes_from_all_forms_and_from_what_is_missing() -> None:
    linear = criterion(name="a", linear={"per": 1, "points": 1}, cap={"minimum": -3, "maximum": 4}, missing=-5)
    bands = criterion(name="b", bands=BANDS, below=-1)
    assert rules_of(linear, bands, criterion(name="c", flag=-2)).reach == (Decimal(-8), Decimal(7))
    assert rules_of(linear, bands, minimum=-6, maximum=2).reach == (Decimal(-6), Decimal(2))


def test_a_definition_has_another_version_with_each_change_of_a_number_and_with_no_other() -> None:
    version = rules_of().definition_version
    assert rules_of(criterion(bands=BANDS, meaning="other words")).definition_version == version
    assert rules_of(group_spacing="10.00").definition_version == version
    others = [
        rules_of(criterion(bands=BANDS, missing=1)), rules_of(group_spacing=20), rules_of(population="purchase_count > 1"),
        rules_of(maximum=100), rules_of(criterion(bands=BANDS, value="purchase_dates")),
    ]  # fmt: skip
    assert len({version, *(other.definition_version for other in others)}) == 6


def test_sql_that_cannot_be_asked_is_told_and_all_faults_at_once(spark: SparkSession) -> None:
    score_rules.check(score_rules.read(SHIPPED), spark, SHIPPED)
    values = {
        "no_column": ("revenue", "cannot be asked: [UNRESOLVED_COLUMN"),
        "no_sql": ("revenue_total >", "cannot be asked: [PARSE_SYNTAX_ERROR]"),
        "no_number": ("language", "gives string. Remedy: write a number"),
        "several": ("sum(revenue_total)", "cannot be asked: "),
        "neighbours": ("rank() OVER (ORDER BY revenue_total)", "cannot be asked: "),
        "divides": ("late_invoice_count / invoice_count", "Remedy: use try_divide, try_cast or NULLIF"),
        "clock": ("datediff(current_date(), first_purchase_date)", "depends on the clock or on chance"),
        "chance": ("rand() * 10", "depends on the clock or on chance"),
        "later": ("quality_score", "cannot be asked: [UNRESOLVED_COLUMN"),
        "fine": ("revenue_total", ""),
    }
    criteria = [criterion(name=name, value=value, bands=BANDS) for name, (value, _) in values.items()]
    flag = criterion(name="flag", value="purchase_count", flag=1)
    with pytest.raises(ConfigError) as told:
        score_rules.check(rules_of(*criteria, flag, population="purchase_count"), spark, Path("conf/score.yml"))
    faults = str(told.value).splitlines()
    expected = [
        (f"key 'criteria.{number}.value': {value!r} ", fault) for number, (value, fault) in enumerate(values.values()) if fault
    ]
    expected += [("key 'criteria.10.value': 'purchase_count' ", "gives bigint. Remedy: write a condition"),
                 ("key 'population': 'purchase_count' ", "gives bigint. Remedy: write a condition")]  # fmt: skip
    assert len(faults) == len(expected)
    for found, (key, fault) in zip(faults, expected, strict=True):
        assert found.startswith(f"conf/score.yml: {key}")
        assert fault in found


def test_the_page_shows_the_shipped_keys_and_a_file_that_is_valid(spark: SparkSession) -> None:
    page = (ROOT / "docs" / "score.md").read_text("utf-8")
    shown = page.split("```yaml\n", 1)[1].split("```", 1)[0]
    score_rules.check(to_model(ScoreRules, yaml.safe_load(shown), "docs/score.md"), spark, Path("docs/score.md"))
    for name in score_rules.read(SHIPPED).part_names:
        assert f"| {name} |" in page or name == "cap"
    keys = {*ScoreRules.model_fields, *score_rules.Criterion.model_fields}
    assert not [key for key in keys if f"`{key}`" not in page]
