"""Limits for delivered files: what the mapping may say, and which one a file exceeds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.sources.mappings import source
from tillhouse.errors import ConfigError
from tillhouse.sources import policy, written
from tillhouse.sources.model import Csv, Locale
from tillhouse.sources.policy import Check, ControlFile, DelayLimits, ShareLimits, Trailer

LIMITS = ShareLimits(warn=0.01, stop=0.1)
TRAILER = Trailer(prefix="Summe", records=2, amount=4)


@pytest.mark.parametrize(("rejected", "severity"), [(0, None), (1, None), (2, "warning"), (10, "warning"), (11, "error")])
def test_a_file_exceeds_a_limit_with_more_than_it(rejected: int, severity: str | None) -> None:
    found = policy.exceeded_rejected(LIMITS, rejected, 100)
    assert [check.severity for check in found] == ([severity] if severity else [])


def test_what_is_told_has_both_figures_and_the_limit() -> None:
    [check] = policy.exceeded_rejected(LIMITS, 12, 96)
    assert str(check) == "file_share_rejected: 12 of 96 records are kept out (12.50%), stop above 10.00%"


def test_a_limit_of_zero_allows_none_and_no_limit_allows_all() -> None:
    assert policy.exceeded_stated(ShareLimits(warn=0), 1, 1000)[0].severity == "warning"
    assert policy.exceeded_stated(ShareLimits(warn=0), 0, 1000) == []
    assert policy.exceeded_rejected(None, 5, 5) == []
    assert policy.exceeded_rejected(ShareLimits(stop=0), 0, 0) == []  # an empty file


def test_the_trailer_is_the_last_line_with_its_prefix() -> None:
    text = 'F1;1;31.01.2026;1,00\r\nSumme;9;;9,00\r\n  Summe;"2";;1.234,50-\r\n\r\n'
    assert policy.trailer_of(text, TRAILER, Csv(delimiter=";")) == {"records": "2", "amount": "1.234,50-"}
    assert policy.trailer_of("F1;1\n", TRAILER, Csv(delimiter=";")) == {"records": None, "amount": None}


def test_a_control_file_is_one_row_beside_the_file() -> None:
    control = ControlFile(pattern="till/{week}.ctl", records="Anzahl", amount="Summe")
    assert control.path_for({"week": "2026W05", "exported": "x"}) == "till/2026W05.ctl"
    layout = Csv(delimiter=";")
    assert policy.control_of("Datei;Anzahl;Summe\nx.csv;3;4,50\n", control, layout) == {"records": "3", "amount": "4,50"}
    assert policy.control_of("Anzahl\n7\n", control, layout) == {"records": "7", "amount": None}
    assert policy.control_of("", control, layout) == {"records": None, "amount": None}


def test_a_control_file_is_no_file_of_its_source() -> None:
    till = source(
        changes="{file_pattern: 'till/{week}.*', quality: {control_totals: {stop: 0}, "
        "control_file: {pattern: 'till/{week}.ctl', records: n}}}"
    )
    assert [till.has_control_at(path) for path in ("till/2026W05.ctl", "till/2026W05.csv", "shop/2026W05.ctl")] == [
        True,
        False,
        False,
    ]
    assert not source().has_control_at("till/2026W05.ctl")


@pytest.mark.parametrize(
    ("text", "number"),
    [("1.234,50", "1234.50"), ("12,00-", "-12.00"), ("-3", "-3"), ("7 €", "7"), ("", None), ("1,2,3", None), ("zwei", None)],
)
def test_a_stated_total_is_read_by_the_locale(text: str, number: str | None) -> None:
    expected = None if number is None else Decimal(number)
    assert written.to_number(text, Locale(decimal=",", grouping=".", strip=("€",))) == expected


def test_a_file_that_does_not_hold_what_it_states_exceeds_the_limit_once() -> None:
    german = Locale(decimal=",", grouping=".")
    held = {"records": Decimal(98), "amount": Decimal("1234.50")}
    assert policy.exceeded_control(LIMITS, {"records": "98", "amount": "1.234,50"}, held, german) == []
    assert policy.exceeded_control(LIMITS, {"records": "100", "amount": "2.469,00"}, held, german) == [
        Check(policy.CONTROL, "error", "amount 1,234.50 instead of 2,469.00 as stated", "stop above 10.00%")
    ]
    [unread] = policy.exceeded_control(LIMITS, {"records": None}, held, german)
    assert (unread.severity, unread.found) == ("error", "no records stated")
    assert policy.exceeded_control(ShareLimits(stop=0), {"amount": "0,00"}, held, german)[0].severity == "error"


def test_a_delay_counts_from_the_due_time_to_the_declared_export_time() -> None:
    limits = DelayLimits.model_validate({"warn": "1 day", "stop": "3 days"})
    due_at = datetime(2026, 2, 16, 12, tzinfo=UTC)
    found = [policy.exceeded_delay(limits, due_at, due_at + timedelta(hours=hours)) for hours in (-5, 24, 25, 96)]
    assert [[check.severity for check in checks] for checks in found] == [[], [], ["warning"], ["error"]]
    assert found[3][0].found == "exported 4 days after it was due (2026-02-16 12:00 UTC)"


@pytest.mark.parametrize(
    ("quality", "told"),
    [
        ("{}", "sets no limit; add rejected, stated_totals, control_totals or delay"),
        ("{rejected: {}}", "needs warn, stop or both"),
        ("{rejected: {warn: 0.2, stop: 0.1}}", "warn (0.2) is above stop (0.1)"),
        ("{rejected: {stop: 5}}", "less than or equal to 1"),
        ("{reject: {stop: 0.1}}", "key 'quality.reject' is unknown (did you mean 'rejected'?)"),
        ("{stated_totals: {warn: 0}}", "needs the field stated_gross_amount; map it under columns"),
        ("{delay: {warn: 1 day}}", "needs delivery.from_path (the period) and version_order.from_path"),
        ("{delay: {warn: 1 week}}", "'1 week' is no duration; write for example 3 days or 12 hours"),
        ("{control_totals: {stop: 0}}", "control_totals goes together with trailer or control_file"),
        (
            "{control_totals: {stop: 0}, control_file: {pattern: 'till/{day}.ctl', amount: x}}",
            "'day' is not captured in file_pattern",
        ),
        ("{control_totals: {stop: 0}, control_file: {pattern: x}}", "states nothing; say which column holds"),
        ("{control_totals: {stop: 0}, trailer: {prefix: Summe}}", "states nothing; say in which column"),
        ("{control_totals: {stop: 0}, trailer: {prefix: Summe, records: 2}}", "'Summe' must be one of csv.footer_prefix"),
    ],
)
def test_a_limit_that_cannot_be_judged_is_refused_with_the_remedy(quality: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        source(changes=f"quality: {quality}")
    assert told in str(error.value)
    assert "conf/sources/till.yml: key 'quality" in str(error.value)


def test_another_limit_reads_no_record_in_another_way() -> None:
    assert source(changes="quality: {rejected: {stop: 0.1}}").without_policy == source()
