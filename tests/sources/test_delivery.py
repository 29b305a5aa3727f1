"""Periods, due times and closed days as a source's mapping declares them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from tests.sources.mappings import source
from tillhouse.errors import ConfigError
from tillhouse.sources.delivery import Closed, Delivery


def test_a_week_is_an_iso_week_and_due_after_its_sunday_in_local_time() -> None:
    plan = Delivery(period="week", due_days=1, due_time="06:00", timezone="Europe/Berlin")
    assert plan.start_of(date(2025, 3, 30)) == date(2025, 3, 24)
    assert plan.due_at(date(2025, 3, 24)) == datetime(2025, 3, 31, 4, 0, tzinfo=UTC)  # summer time began on that Sunday


def test_a_day_is_due_the_day_after_unless_conf_says_otherwise() -> None:
    assert Delivery(period="day").due_at(date(2025, 12, 31)) == datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
    assert Delivery(period="day", due_days=0, due_time="23:30").due_at(date(2025, 12, 31)) == datetime(
        2025, 12, 31, 23, 30, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("period", "text", "start"),
    [
        ("week", "2026W01", date(2025, 12, 29)),
        ("week", "2026-w53", date(2026, 12, 28)),
        ("week", "20260214", date(2026, 2, 9)),
        ("day", "2026-02-14", date(2026, 2, 14)),
        ("day", "2026W07", None),
        ("week", "2025W53", None),
        ("day", "20260230", None),
        ("day", "yesterday", None),
    ],
)
def test_a_path_names_its_period(period: str, text: str, start: date | None) -> None:
    assert Delivery.model_validate({"period": period}).start_from(text) == start


def test_the_whole_chain_is_closed_only_by_rules_without_branches() -> None:
    sundays = Closed(weekdays=("sunday",))
    holiday = Closed(days=(date(2026, 1, 6),), regions=("South",))
    plan = Delivery(period="day", closed=(sundays, holiday))
    assert [plan.is_open(date(2026, 1, day)) for day in (4, 5, 6)] == [False, True, True]


@pytest.mark.parametrize(
    ("delivery", "told"),
    [
        ("{period: week, from_path: wek}", "delivery.from_path.*did you mean 'week'"),
        ("{period: week, numbered: {receipt_number: register}}", "delivery.numbered.receipt_number.*map it under columns"),
        ("{period: week, branch_from_path: week}", "needs from_path"),
        ("{period: week, timezone: Europe/Berln}", "Europe/Berln"),
        ("{period: week, due_time: noon}", "due_time"),
        ("{period: month}", "'month' is not allowed"),
        ("{period: week, closed: [{regions: [South]}]}", "needs weekdays or days"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused_with_the_key(delivery: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        source(changes=f"delivery: {delivery}")
