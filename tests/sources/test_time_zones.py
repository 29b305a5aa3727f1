"""Names of time zones as exports write them."""

from __future__ import annotations

import pytest

from tillhouse.sources.time_zones import RAILS, iana_zones, zone_of


def test_every_label_means_a_zone_that_exists() -> None:
    assert {label: zone for label, zone in RAILS.items() if zone not in iana_zones()} == {}


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("Eastern Time (US & Canada)", "America/New_York"),
        ("Bern", "Europe/Zurich"),
        ("Europe/Berlin", "Europe/Berlin"),
        ("Moon Time", None),
    ],
)
def test_a_zone_is_known_by_its_label_and_by_its_own_name(name: str, zone: str | None) -> None:
    assert zone_of(name) == zone
