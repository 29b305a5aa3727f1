"""A week is compared with the week of last year that is like it: Easter with Easter, a week without holidays with one without."""

from __future__ import annotations

from datetime import date

import pytest

from tillhouse.config import to_model
from tillhouse.errors import ConfigError
from tillhouse.gold.calendar import Calendar
from tillhouse.kpi.last_year import Counterpart, counterpart, same_week_last_year
from tillhouse.kpi.rules import KpiRules


def week(year: int, number: int) -> date:
    return date.fromisocalendar(year, number, 1)


def germany(*years: int) -> dict[str, list[date]]:
    region = to_model(Calendar, {"regions": {"Süd": {"country": "DE", "subdivision": "BY"}}}, "calendar.yml").regions["Süd"]
    found: dict[str, list[date]] = {}
    for year in years:
        for day, name in region.in_year(year):
            assert isinstance(day, date)
            found.setdefault(name, []).append(day)
    return found


BAVARIA = germany(2016, 2017, 2018)


def test_without_holidays_it_is_the_iso_week_of_the_same_number() -> None:
    assert counterpart(week(2018, 15), {}) == Counterpart(week(2017, 15))
    assert same_week_last_year(week(2021, 1)) == week(2020, 1)


def test_easter_is_compared_with_easter() -> None:
    assert counterpart(week(2018, 13), BAVARIA) == Counterpart(week(2017, 15), ("Karfreitag",))
    assert counterpart(week(2018, 14), BAVARIA) == Counterpart(week(2017, 16), ("Ostermontag",))


def test_a_plain_week_is_not_compared_with_last_years_easter_but_with_the_nearest_week_without_a_holiday() -> None:
    assert counterpart(week(2018, 15), BAVARIA) == Counterpart(week(2017, 14))
    assert counterpart(week(2018, 16), BAVARIA) == Counterpart(week(2017, 17))
    assert counterpart(week(2018, 9), BAVARIA) == Counterpart(week(2017, 9))


def test_where_last_year_the_holidays_lay_in_two_weeks_the_usual_one_counts() -> None:
    """Both days of Christmas lie in week 52 of 2017; in 2016 the first was a Sunday, the second the Monday after it."""
    assert counterpart(week(2017, 52), BAVARIA) == Counterpart(week(2016, 52), ("Zweiter Weihnachtstag",))


def test_a_holiday_that_last_year_did_not_have_does_not_move_the_week() -> None:
    """In 2017 the day of the Reformation was a holiday of the whole country, once."""
    only = {"Reformationstag": [date(2017, 10, 31)]}
    assert counterpart(week(2017, 44), only) == Counterpart(week(2016, 44))


def test_a_week_53_has_no_week_of_last_year_unless_a_holiday_tells() -> None:
    assert counterpart(week(2020, 53), {}) is None
    new_year = {"Neujahr": [date(2020, 1, 1), date(2021, 1, 1)]}
    assert counterpart(week(2020, 53), new_year) == Counterpart(week(2020, 1), ("Neujahr",))


def test_a_region_has_the_holidays_of_its_part_of_the_country_under_the_names_of_the_country() -> None:
    assert BAVARIA["Fronleichnam"] == [date(2016, 5, 26), date(2017, 6, 15), date(2018, 5, 31)]
    whole = to_model(Calendar, {"regions": {"Nord": {"country": "DE"}}}, "calendar.yml").regions["Nord"]
    assert "Fronleichnam" not in {name for _, name in whole.in_year(2017)}


@pytest.mark.parametrize(
    ("region", "told"),
    [
        ({"country": "GER"}, "country 'GER' is unknown"),
        ({"country": "DE", "subdivision": "BAY"}, r"DE has no subdivision 'BAY'.*Allowed: BB, BE, BW, BY"),
        ({"country": "DE", "language": "xx"}, "have no names in language 'xx'. Allowed: de"),
        ({"country": False}, "must be a text, but YAML reads a yes/no value here"),
        ({"land": "DE"}, "'regions.Nord.land' is unknown"),
    ],
)
def test_a_wrong_calendar_is_told_with_what_is_allowed(region: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        to_model(Calendar, {"regions": {"Nord": region}}, "calendar.yml")


def test_wrong_rules_of_weeks_are_told() -> None:
    days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    with pytest.raises(ConfigError, match="'closed_weekdays' names all seven"):
        to_model(KpiRules, {"closed_weekdays": days}, "kpis.yml")
    with pytest.raises(ConfigError, match=r"week_anomaly\.rule.*Allowed: 'score' or 'change'"):
        to_model(KpiRules, {"week_anomaly": {"rule": "zscore"}}, "kpis.yml")
