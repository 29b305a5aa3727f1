"""Who answers for an exception until when: rules in their order, by branch and region, with levels of escalation."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from tests.sources.mappings import source
from tests.test_config import fault, write_conf
from tillhouse.config import load_config, to_model
from tillhouse.errors import ConfigError
from tillhouse.ops.overdue import as_lines, to_overdue
from tillhouse.quality.duties import Duties, ExceptionsFile, with_duties
from tillhouse.strict import to_duration

OPENED = datetime(2026, 2, 1, 6)  # noqa: DTZ001 - as Spark collects
COLUMNS = (
    "exception_id STRING, rule STRING, severity STRING, source STRING, entity STRING, branch_id STRING, status STRING, "
    "opened_at TIMESTAMP, owner STRING, due_at TIMESTAMP, escalate_to STRING, "
    "escalations ARRAY<STRUCT<to: STRING, at: TIMESTAMP>>"
)
CONF = """
responsible:
  - when: {rules: [file_rejected]}
    due: 4 hours
    escalate: [{to: on-call, after: 2 hours}, {to: it-manager, after: 1 day}]
  - when: {branches: [F3]}
    owner: anna
  - when: {regions: [Nord], severity: error}
    owner: region-nord
    due: 2 days
    escalate: [{to: sales-director, after: 5 days}]
"""


def read(text: str) -> ExceptionsFile:

    return to_model(ExceptionsFile, yaml.safe_load(text), "conf/exceptions.yml")


def judged(spark: SparkSession, conf: str, rows: list[tuple[object, ...]]) -> list[Row]:
    """``rows``: id, rule, severity, source, entity, branch, status; all opened at the same time."""
    filled = [(*row, OPENED, None, None, None, None) for row in rows]
    branches = spark.createDataFrame([("F1", "Nord"), ("F2", "Süd"), ("F3", "Nord")], "branch_id STRING, region STRING")
    duties = Duties(read(conf).responsible, [source(changes="{owner: till-team, due_days: 3}")])
    return with_duties(spark.createDataFrame(filled, COLUMNS), duties, branches).orderBy("exception_id").collect()


def test_the_first_duty_that_says_it_counts_for_owner_due_time_and_escalation(spark: SparkSession) -> None:
    rows = judged(
        spark,
        CONF,
        [
            ("1 a file of no branch", "file_rejected", "error", "till", "file", None, "open"),
            ("2 a branch before its region", "branch_unknown", "error", "till", "receipt", "F3", "open"),
            ("3 a region", "branch_unknown", "error", "till", "receipt", "F1", "open"),
            ("4 another severity", "total_differs", "warning", "till", "receipt", "F1", "open"),
            ("5 another region", "branch_unknown", "error", "till", "receipt", "F2", "open"),
            ("6 of no source", "file_unmatched", "error", None, "file", None, "open"),
            ("7 an unknown branch", "branch_unknown", "error", "till", "receipt", "F9", "open"),
        ],
    )
    found = [(row["owner"], row["due_at"] - OPENED, row["escalate_to"]) for row in rows]
    assert found == [
        ("till-team", timedelta(hours=4), "on-call"),
        ("anna", timedelta(days=2), "sales-director"),
        ("region-nord", timedelta(days=2), "sales-director"),
        ("till-team", timedelta(days=3), None),
        ("till-team", timedelta(days=3), None),
        ("data-steward", timedelta(days=7), None),
        ("till-team", timedelta(days=3), None),
    ]
    assert [(level["to"], level["at"] - OPENED) for level in rows[0]["escalations"]] == [
        ("on-call", timedelta(hours=6)),
        ("it-manager", timedelta(hours=28)),
    ]


def test_what_is_decided_or_resolved_keeps_its_owner_and_due_time(spark: SparkSession) -> None:
    rows = judged(
        spark,
        CONF,
        [(state, "file_rejected", "error", "till", "file", None, state) for state in ("resolved", "waived")],
    )
    assert [(row["owner"], row["due_at"], row["escalations"]) for row in rows] == [(None, None, None)] * 2


def test_without_the_file_the_source_answers_as_before(spark: SparkSession) -> None:
    [row] = judged(spark, "responsible: []", [("1", "file_rejected", "error", "till", "file", None, "open")])
    assert (row["owner"], row["due_at"], row["escalate_to"]) == ("till-team", OPENED + timedelta(days=3), None)
    assert row["escalations"] == []


def test_an_exception_of_an_older_lake_keeps_the_time_that_it_was_opened(spark: SparkSession) -> None:
    old = ("1", "file_rejected", "error", "till", "file", None, "open", None, "x", OPENED + timedelta(days=3), None, None)
    branches = spark.createDataFrame([], "branch_id STRING, region STRING")
    duties = Duties(read(CONF).responsible, [source(changes="{owner: till-team, due_days: 3}")])
    [row] = with_duties(spark.createDataFrame([old], COLUMNS), duties, branches).collect()
    assert (row["opened_at"], row["due_at"]) == (OPENED, OPENED + timedelta(hours=4))


def test_overdue_ones_are_counted_by_who_answers_and_level(spark: SparkSession) -> None:
    levels = [("on-call", OPENED + timedelta(hours=1)), ("it-manager", OPENED + timedelta(hours=9))]
    rows = [
        ("open", None, "till-team", OPENED, levels, "1.50", "EUR"),
        ("open", "anna", "till-team", OPENED, [], "2.00", "EUR"),
        ("open", None, "till-team", OPENED, levels, None, "EUR"),
        ("open", None, "till-team", OPENED + timedelta(days=1), levels, "9.00", "EUR"),
        ("waived", None, "till-team", OPENED, levels, "9.00", "EUR"),
    ]
    columns = (
        "status STRING, assigned_to STRING, owner STRING, due_at TIMESTAMP, "
        "escalations ARRAY<STRUCT<to: STRING, at: TIMESTAMP>>, _amount STRING, currency STRING"
    )
    exceptions = spark.createDataFrame(rows, columns).withColumn("amount", F.col("_amount").cast("DECIMAL(18,2)"))
    found = [row.asDict() for row in to_overdue(exceptions, OPENED + timedelta(hours=1)).collect()]
    assert as_lines(found) == [
        "level 1  till-team                 2  amount 1.50 EUR  due since 2026-02-01  escalated to on-call",
        "level 0  anna                      1  amount 2.00 EUR  due since 2026-02-01",
    ]
    assert to_overdue(exceptions, OPENED).isEmpty()


@pytest.mark.parametrize(
    ("text", "duration"), [("3 days", timedelta(days=3)), ("1 day", timedelta(days=1)), ("12 hours", timedelta(hours=12))]
)
def test_a_duration_is_written_in_days_or_hours(text: str, duration: timedelta) -> None:
    assert to_duration(text) == duration


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "responsible: [{when: {rules: [file_reject]}, owner: x}]",
            "named 'file_reject' (did you mean 'file_rejected'?)",
        ),
        ("responsible: [{when: {sources: [tills]}, owner: x}]", "no source named 'tills' (did you mean 'till'?)"),
        (
            "responsible: [{when: {rule: [file_rejected]}, owner: x}]",
            "when.rule' is unknown (did you mean 'rules'?)",
        ),
        ("responsible: [{owner: x, due: 3}]", "key 'responsible.0.due': 3 is no duration; write for example 3 days or 12 hours"),
        ("responsible: [{when: {branches: [F1]}}]", "key 'responsible.0': says nothing; add owner, due or escalate"),
        (
            "responsible: [{escalate: [{to: a, after: 2 days}, {to: b, after: 1 day}]}]",
            "each level must come later than the one before it",
        ),
        ("responsible: [{when: {severity: fatal}, owner: x}]", "'fatal' is not allowed"),
    ],
)
def test_a_fault_is_told_with_file_key_and_what_is_allowed(tmp_path: Path, text: str, told: str) -> None:
    said = fault(tmp_path, exceptions=text)
    assert str(tmp_path / "exceptions.yml") in said
    assert told in said


def test_branches_and_regions_may_be_any() -> None:
    assert read("responsible: [{when: {branches: [F99], regions: [Nirgends]}, owner: x}]").unknown_names([]) == []


def test_the_file_may_be_missing(tmp_path: Path) -> None:
    assert load_config(write_conf(tmp_path)).duties.of_conf == ()
    with pytest.raises(ConfigError, match="is empty"):
        load_config(write_conf(tmp_path, exceptions="# nothing yet\n"))
