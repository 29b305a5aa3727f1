"""conf/segments.yml: what is wrong is told before Spark starts; a definition has another version only if it decides otherwise."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession

from tillhouse.config import load_config, to_model
from tillhouse.errors import ConfigError
from tillhouse.insight import segment_rules
from tillhouse.insight.conditions import faults_of, without_layout, words_of
from tillhouse.insight.segment_rules import SegmentRules, from_json
from tillhouse.insight.segments import with_thresholds

CONF = Path(__file__).resolve().parents[2] / "conf"


def rules_of(*rule_sets: dict[str, Any], **thresholds: object) -> SegmentRules:
    return to_model(SegmentRules, {"rule_sets": list(rule_sets), "thresholds": thresholds}, "segments.yml")


def rule_set(when: str, **more: object) -> dict[str, Any]:
    return {"name": "spend", "kind": "exclusive", "segments": [{"name": "big", "meaning": "Much.", "when": when}], **more}


def version_of(*given: dict[str, Any], **thresholds: object) -> str:
    return rules_of(*given, **thresholds).definitions[0].version


def test_the_shipped_rule_sets_are_read_and_a_chain_without_the_file_has_none(tmp_path: Path) -> None:
    config = load_config(CONF)
    shipped = segment_rules.load(config)
    assert [(one.name, one.kind, one.window_months, one.for_each) for one in shipped.rule_sets] == [
        ("value", "overlapping", None, None), ("rf", "exclusive", None, None), ("rf_quarter", "exclusive", 3, None),
        ("category_buyer", "overlapping", None, "category_l1"), ("service_level", "exclusive", None, None),
        ("age", "exclusive", None, None),
    ]  # fmt: skip
    used = {name for one in shipped.definitions for name in one.thresholds}
    assert used == set(shipped.thresholds)
    assert all(len(meaning) > 10 for one in shipped.rule_sets for meaning in one.meanings.values())
    assert segment_rules.load(replace(config, conf_dir=tmp_path)).definitions == ()


@pytest.mark.parametrize(
    ("when", "fault"),
    [
        ("activ_weeks_13 >= 10", "which is no field, threshold or known function (did you mean 'active_weeks_13'?)"),
        ("customer_id > 'a'", "names customer_id"),
        ("rand() < 0.5", "names rand"),
        ("first_purchase_date > current_date()", "names current_date"),
        ("revenue_total > (SELECT 1)", "names select"),
        ("sum(revenue_total) > 1", "names sum"),
        ("revenue_total / purchase_count > 5", "divides with /, which fails on 0. Remedy: try_divide(a, b)"),
        ("purchase_count % 2 = 0", "divides with %"),
        ("revenue_total > 1 -- or so", "has '--'"),
        ("`revenue_total` > 1", "has '`'"),
        ("category_share > 0.5", "names category_share"),
    ],
)  # fmt: skip
def test_a_condition_that_names_what_it_may_not_is_told_with_its_key_and_a_remedy(when: str, fault: str) -> None:
    with pytest.raises(ConfigError) as error:
        rules_of(rule_set(when))
    text = str(error.value)
    assert text.startswith(f"segments.yml: key 'rule_sets.spend.segments.big.when': {when!r} ")
    assert fault in text
    assert "Remedy" in text


def test_words_in_quotes_are_no_names_and_single_values_are_compared_as_one_likes() -> None:
    names = {"age_band", "revenue_total", "limit_of_all"}
    assert faults_of("age_band IN ('65-', 'select `x` / 1') AND Revenue_Total >= 1e3 * limit_of_all", names) == []
    assert words_of("A = 'b c' OR a > try_divide(d, 2)") == ["a", "or", "try_divide", "d"]
    assert without_layout("a  =\n  'b  c'  AND d ") == "a = 'b  c' AND d"


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (rule_set("true", window=3), "key 'rule_sets.0.window' is unknown"),
        (rule_set("true", kind="overlapping", other="rest"), "spend: key 'other' is for exclusive rule sets"),
        (rule_set("true", for_each="category_l1"), "spend: key 'for_each' is for overlapping rule sets"),
        (rule_set("true", other="big"), "spend: key 'segments' names big twice"),
        (rule_set("true", other="none"), "spend: 'none' is the name of those in no segment"),
        (rule_set("true", name="service_level", window_months=3), "make it exclusive and without window_months"),
        (rule_set("true", name="Spend!"), "key 'rule_sets.0.name'"),
        (rule_set("true", segments=[]), "key 'rule_sets.0.segments'"),
    ],
)
def test_a_rule_set_that_contradicts_itself_is_refused(given: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError) as error:
        rules_of(given)
    assert fault in str(error.value)


def test_names_that_are_taken_or_repeated_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"'thresholds.purchase_count' is also the name of a field") as error:
        rules_of(rule_set("true"), rule_set("true"), purchase_count={"default": 1})
    assert "key 'rule_sets' has spend twice" in str(error.value)
    with pytest.raises(ConfigError, match=r"'thresholds.least' is also the name of a field or function; rename it"):
        rules_of(least={"default": 1})
    with pytest.raises(ConfigError, match=r"no rule set 'spent' \(did you mean 'spend'\?\)"):
        rules_of(rule_set("true")).rule_set("spent")


def test_a_version_changes_with_what_decides_and_not_with_meaning_layout_or_order_of_keys() -> None:
    limit = {"default": 30, "regions": {"Nord": 20}}
    version = version_of(rule_set("revenue_total >= minimum"), minimum=limit)
    meant = rule_set("revenue_total  >=\n minimum", other="other")
    meant["segments"][0]["meaning"] = "Spends a lot."
    assert version_of(meant, minimum={"regions": {"Nord": 20.0}, "default": "30.00"}, unused={"default": 1}) == version
    others = [
        version_of(rule_set("revenue_total > minimum"), minimum=limit),
        version_of(rule_set("revenue_total >= minimum"), minimum={"default": 30}),
        version_of(rule_set("revenue_total >= minimum", window_months=3), minimum=limit),
        version_of(rule_set("revenue_total >= minimum", other="small"), minimum=limit),
        version_of(rule_set("revenue_total >= minimum", kind="overlapping"), minimum=limit),
    ]
    assert len({version, *others}) == 6


def test_the_order_of_rules_decides_only_where_the_first_counts() -> None:
    segments = [{"name": name, "meaning": name, "when": f"revenue_total > {limit}"} for name, limit in (("a", 9), ("b", 5))]
    turned = segments[::-1]
    assert version_of(rule_set("", segments=segments)) != version_of(rule_set("", segments=turned))
    both = [version_of(rule_set("", kind="overlapping", segments=given)) for given in (segments, turned)]
    assert both[0] == both[1]


def test_a_definition_can_be_read_again_from_what_is_kept() -> None:
    [definition] = rules_of(rule_set("revenue_total >= minimum"), minimum={"default": 30, "branches": {"1": 20}}).definitions
    assert from_json(definition.as_json) == definition
    assert json.loads(definition.as_json)["thresholds"]["minimum"] == {"default": "30", "branches": {"1": "20"}}
    assert definition.version == version_of(rule_set("revenue_total >= minimum"), minimum={"default": 30, "branches": {"1": 20}})


def test_spark_can_ask_every_shipped_condition_and_tells_those_that_it_cannot(spark: SparkSession) -> None:
    segment_rules.check(spark, segment_rules.load(load_config(CONF)), CONF / "segments.yml")
    wrong = ["revenue_total", "revenue_total > > 1", "postal_area > 50", "age_band > first_purchase_date"]
    given = rules_of(*(rule_set(when, name=f"set_{number}") for number, when in enumerate(["revenue_total > 1", *wrong])))
    with pytest.raises(ConfigError) as error:
        segment_rules.check(spark, given, Path("conf/segments.yml"))
    lines = str(error.value).splitlines()
    assert [line.split(": ", 3)[1] for line in lines] == [f"key 'rule_sets.set_{n}.segments.big.when'" for n in (1, 2, 3, 4)]
    assert all(line.startswith("conf/segments.yml: ") and "Remedy" in line for line in lines)
    assert "is decimal(18,2), not true or false" in lines[0]
    assert "cannot be read" in lines[1]
    assert "reads the text postal_area as a number or day" in lines[2]


def test_the_example_of_the_docs_is_read_and_says_what_the_page_says(spark: SparkSession) -> None:
    page = (CONF.parent / "docs" / "segments.md").read_text("utf-8")
    [example] = re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    rules = to_model(SegmentRules, yaml.safe_load(example), "docs/segments.md")
    segment_rules.check(spark, rules, Path("docs/segments.md"))
    places = [("B2C", "7", "Süd"), ("B2B", "2", "Süd"), ("B2B", "3", "Nord"), ("B2C", None, None)]
    customers = spark.createDataFrame(places, "customer_type STRING, home_branch_id STRING, home_region STRING")
    values = [row["family_basket"] for row in with_thresholds(customers, rules.definitions).collect()]
    assert values == [60, 100, 300, 80]
    assert all(f"`{one.name}`" in page for one in segment_rules.load(load_config(CONF)).rule_sets)
