"""Ask any measure by any dimensions: the metric view over gold, for the command line, notebooks and KPI tables alike."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import DataFrame

from tillhouse.errors import ConfigError
from tillhouse.kpi.metrics import DIMENSIONS, MEASURES, VIEW, view_definition
from tillhouse.store import Store
from tillhouse.tables import gold


def open_view(store: Store) -> None:
    """Make the metric view known to the session, over the tables of this lake."""
    store.register(gold.FCT_RECEIPT, gold.DIM_BRANCH, gold.DIM_CUSTOMER, gold.DIM_DATE)
    store.spark.sql(f"DROP VIEW IF EXISTS {VIEW}")  # a metric view cannot be replaced
    store.spark.sql(f"CREATE VIEW {VIEW} WITH METRICS LANGUAGE YAML AS $$\n{view_definition()}$$")


def ask(store: Store, measures: Sequence[str], by: Sequence[str] = (), where: str | None = None) -> DataFrame:
    """Measures by dimensions, ordered by them. ``open_view`` comes first. ``where``: Spark SQL over dimensions.

    Raises:
        ConfigError: a measure or dimension is unknown; names the nearest.
    """
    _check("measure", measures, [item.name for item in MEASURES])
    _check("dimension", by, [item.name for item in DIMENSIONS])
    columns = [*by, *(f"MEASURE({name}) AS {name}" for name in measures)]
    condition = f" WHERE {where}" if where else ""
    group = f" GROUP BY {', '.join(by)} ORDER BY {', '.join(by)}" if by else ""
    try:
        return store.spark.sql(f"SELECT {', '.join(columns)} FROM {VIEW}{condition}{group}")  # noqa: S608 - names are checked
    except (AnalysisException, ParseException) as error:
        text = str(error).split("\n", 1)[0]
        known = ", ".join(item.name for item in DIMENSIONS)
        raise ConfigError(f"--where {where!r} is no condition over the dimensions: {text} There are: {known}") from None


def _check(kind: str, given: Sequence[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f", did you mean {close[0]}" if close else ""
            raise ConfigError(f"no {kind} named {name!r}{hint}. There are: {', '.join(known)}")
