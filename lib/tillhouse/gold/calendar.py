"""Holidays of the chain's regions: ``conf/calendar.yml`` names their country, gold.dim_holiday lists them."""

from __future__ import annotations

from typing import Annotated, Self

import holidays
from pydantic import Field, model_validator
from pyspark.sql import functions as F

from tillhouse.config import Config, read_model
from tillhouse.store import Since, Store
from tillhouse.strict import StrictModel, did_you_mean
from tillhouse.tables import gold

FILE = "calendar.yml"
Text = Annotated[str, Field(min_length=1)]


class RegionHolidays(StrictModel):
    """Whose holidays a region has: a country (ISO 3166-1), there a subdivision (ISO 3166-2 without the country)."""

    country: Text
    subdivision: Text | None = None
    language: Text | None = None

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        countries = holidays.list_supported_countries()
        if self.country not in countries:
            hint = did_you_mean(self.country, countries)
            raise ValueError(f"country {self.country!r} is unknown{hint}; write an ISO 3166-1 code in capitals, such as DE")
        known = countries[self.country]
        if self.subdivision is not None and self.subdivision not in known:
            raise ValueError(
                f"{self.country} has no subdivision {self.subdivision!r}{did_you_mean(self.subdivision, known)}. "
                f"Allowed: {', '.join(known) or 'none'}"
            )
        languages = holidays.country_holidays(self.country).supported_languages
        if self.language is not None and self.language not in languages:
            raise ValueError(
                f"holidays of {self.country} have no names in language {self.language!r}. "
                f"Allowed: {', '.join(languages) or 'none'}"
            )
        return self

    def in_year(self, year: int) -> list[tuple[object, str]]:
        """Day and name of each holiday of a year. A day may be two of them."""
        # Without a language the names would be those of the machine's.
        language = self.language or holidays.country_holidays(self.country).default_language
        found = holidays.country_holidays(self.country, subdiv=self.subdivision, years=year, language=language)
        return [(day, name) for day in sorted(found) for name in sorted(set(found.get_list(day)))]


class Calendar(StrictModel):
    """``conf/calendar.yml``. A region that is not named, by its name in the branches' master data, has no holidays."""

    regions: dict[Text, RegionHolidays] = Field(default_factory=dict)


def load(config: Config) -> Calendar:
    """The calendar of a chain; without the file no region has holidays.

    Raises:
        ConfigError: the file is wrong.
    """
    path = config.conf_dir / FILE
    return read_model(Calendar, path) if path.exists() else Calendar()


def publish(store: Store, calendar: Calendar, since: Since | None) -> None:
    """Keep gold.dim_holiday: the holidays of each region in the years of dim_date."""
    if since is not None and not since.has_changed(FILE) and not store.has_news(gold.DIM_DATE, since):
        return
    years = [row[0] for row in store.read(gold.DIM_DATE).select(F.year("date")).distinct().collect()]
    rows = [
        (day, region, name)
        for region, of_region in sorted(calendar.regions.items())
        for year in sorted(years)
        for day, name in of_region.in_year(year)
    ]
    store.overwrite(gold.DIM_HOLIDAY, store.spark.createDataFrame(rows, gold.DIM_HOLIDAY.struct))
