"""Expectations on data sets, judged by great-expectations before a table is published. The only module that imports it."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pyspark.sql import SparkSession

from tillhouse.errors import QualityError


@dataclass(frozen=True, slots=True)
class Identity:
    """Two figures that must be equal, such as the amounts on both sides of a hand-over."""

    name: str
    expected: Decimal | int | None
    actual: Decimal | int | None

    @property
    def difference(self) -> Decimal:
        return Decimal(self.expected or 0) - Decimal(self.actual or 0)


def expect(spark: SparkSession, suite: str, identities: Sequence[Identity]) -> None:
    """All identities hold.

    The figures are computed natively over the whole data beforehand; what reaches the expectations is one row per identity,
    so that judging costs the same for a day and for ten years.

    Raises:
        QualityError: names each identity that does not hold, with both figures.
    """
    rows = [(item.name, str(item.expected or 0), str(item.actual or 0), float(item.difference)) for item in identities]
    frame = spark.createDataFrame(rows, "identity STRING, expected STRING, actual STRING, difference DOUBLE")
    if _validate(frame, suite):
        return
    broken = [
        f"{item.name}: expected {item.expected or 0}, found {item.actual or 0}" for item in identities if item.difference != 0
    ]
    raise QualityError(
        f"{suite} was not published, what was published before stays: {'; '.join(broken)}. "
        "Compare the two tables named; nothing was changed, so the run can be repeated after the repair."
    )


def _validate(frame: Any, suite_name: str) -> bool:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx  # noqa: PLC0415 - importing takes seconds; only publishing needs it

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    source = context.data_sources.add_spark(suite_name, persist=False)
    batch = source.add_dataframe_asset(suite_name).add_batch_definition_whole_dataframe("all")
    suite = context.suites.add(gx.ExpectationSuite(name=suite_name))
    suite.add_expectation(gx.expectations.ExpectColumnValuesToNotBeNull(column="identity"))
    suite.add_expectation(
        gx.expectations.ExpectColumnValuesToBeBetween(column="difference", min_value=0, max_value=0)
    )
    definition = gx.ValidationDefinition(name=suite_name, data=batch, suite=suite)
    result = context.validation_definitions.add(definition).run(
        batch_parameters={"dataframe": frame}, result_format="BOOLEAN_ONLY"
    )
    return bool(result.success)
