"""Expectations on data sets, judged by great-expectations before a table is published. The only module that imports it."""

from __future__ import annotations

import importlib
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.errors import QualityError
from tillhouse.frames import union
from tillhouse.keys import content_hash
from tillhouse.tables import Table


@dataclass(frozen=True, slots=True)
class Identity:
    """Two figures that must be equal, such as the amounts on both sides of a hand-over."""

    name: str
    expected: Decimal | int | None
    actual: Decimal | int | None

    @property
    def difference(self) -> Decimal:
        return Decimal(self.expected or 0) - Decimal(self.actual or 0)


def preload() -> None:
    """Import great-expectations, which takes seconds, while Spark works."""
    threading.Thread(target=lambda: importlib.import_module("great_expectations"), daemon=True).start()


def keys_of(published: Mapping[Table, DataFrame]) -> list[Identity]:
    """The keys that the contracts of tables promise are unique in what is about to be published."""
    keys = [
        rows.select(F.lit(table.name).alias("table"), content_hash(*table.key).alias("key"), F.hash(*table.key).alias("other"))
        for table, rows in published.items()
    ]
    counted = union(keys).groupBy("table").agg(F.count("*"), F.count_distinct("key", "other")).collect()
    found = {row[0]: (row[1], row[2]) for row in counted}
    return [Identity(f"{table.name}: {', '.join(table.key)} is unique", *found.get(table.name, (0, 0))) for table in published]


def expect(suite: str, identities: Sequence[Identity]) -> None:
    """All identities hold.

    The figures are computed by Spark over the whole data beforehand; what reaches the expectations is one row per identity, so
    that judging costs the same for a day and for ten years, and no Spark query.

    Raises:
        QualityError: names each identity that does not hold, with both figures.
    """
    rows = [(item.name, str(item.expected or 0), str(item.actual or 0), float(item.difference)) for item in identities]
    frame = pd.DataFrame(rows, columns=["identity", "expected", "actual", "difference"])
    if _validate(frame, suite):
        return
    broken = [
        f"{item.name}: expected {item.expected or 0}, found {item.actual or 0}" for item in identities if item.difference != 0
    ]
    raise QualityError(
        f"{suite} was not published, what was published before stays: {'; '.join(broken)}. "
        "Compare the two tables named; nothing was changed, so the run can be repeated after the repair."
    )


def _validate(frame: pd.DataFrame, suite_name: str) -> bool:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    # Importing takes seconds, and only publishing needs it.
    import great_expectations as gx  # noqa: PLC0415
    from great_expectations.expectations.core import expect_column_values_to_be_between as between  # noqa: PLC0415
    from great_expectations.expectations.core import expect_column_values_to_not_be_null as not_null  # noqa: PLC0415

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    source = context.data_sources.add_pandas(suite_name)
    batch = source.add_dataframe_asset(suite_name).add_batch_definition_whole_dataframe("all")
    suite = context.suites.add(gx.ExpectationSuite(name=suite_name))
    suite.add_expectation(not_null.ExpectColumnValuesToNotBeNull(column="identity"))
    suite.add_expectation(between.ExpectColumnValuesToBeBetween(column="difference", min_value=0, max_value=0))
    definition = gx.ValidationDefinition(name=suite_name, data=batch, suite=suite)
    result = context.validation_definitions.add(definition).run(
        batch_parameters={"dataframe": frame}, result_format="BOOLEAN_ONLY"
    )
    return bool(result.success)
