"""Ask any measure by any dimensions: the metric views over gold, for the command line, notebooks and KPI tables alike."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import DataFrame

from tillhouse.errors import ConfigError
from tillhouse.kpi.metrics import (
    ALL_DIMENSIONS,
    ALL_MEASURES,
    INSTEAD,
    LINES,
    PRODUCT_DIMENSIONS,
    PRODUCT_MEASURES,
    RECEIPTS,
    VIEWS,
    View,
)
from tillhouse.store import Store

_TEXT = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"")
_NAME = re.compile(r"[A-Za-z_]\w*")


def open_view(store: Store, *views: View) -> None:
    """Make metric views known to the session, over the tables of this lake: that of receipts if nothing is said."""
    views = views or (RECEIPTS,)
    store.register(*dict.fromkeys(table for view in views for table in view.tables))
    for view in views:
        store.spark.sql(f"DROP VIEW IF EXISTS {view.name}")  # a metric view cannot be replaced
        store.spark.sql(f"CREATE VIEW {view.name} WITH METRICS LANGUAGE YAML AS $$\n{view.definition}$$")


def view_for(measures: Sequence[str], by: Sequence[str] = (), where: str | None = None) -> View:
    """The view that knows all that is asked: that of receipts, which is smaller, unless something of products is asked.

    Raises:
        ConfigError: a measure or dimension is unknown (names the nearest), or a measure does not hold by product.
    """
    _check("measure", measures, [item.name for item in ALL_MEASURES])
    _check("dimension", by, [item.name for item in ALL_DIMENSIONS])
    used = [*by, *_NAME.findall(_TEXT.sub("", where or "").lower())]
    of_lines = {item.name for item in PRODUCT_DIMENSIONS} | {item.name for item in PRODUCT_MEASURES}
    asked = [name for name in (*measures, *used) if name in of_lines]
    if not asked:
        return RECEIPTS
    refused = [name for name in measures if name not in {item.name for item in LINES.measures}]
    if refused:
        hints = sorted({f"{INSTEAD[name]} in place of {name}" for name in refused if name in INSTEAD})
        raise ConfigError(
            f"{', '.join(refused)} cannot be told together with {', '.join(dict.fromkeys(asked))}: a receipt and a customer are "
            "of several products, and would count for each of them. "
            + (f"Ask {', '.join(hints)}, or ask" if hints else "Ask")
            + " without products."
        )
    return LINES


def ask(store: Store, measures: Sequence[str], by: Sequence[str] = (), where: str | None = None) -> DataFrame:
    """Measures by dimensions, ordered by them. ``open_view`` comes first. ``where``: Spark SQL over dimensions.

    Raises:
        ConfigError: a measure or dimension is unknown, or a measure does not hold by product; see ``view_for``.
    """
    view = view_for(measures, by, where)
    try:
        return store.spark.sql(to_sql(view, measures, by, where))
    except (AnalysisException, ParseException) as error:
        text = str(error).split("\n", 1)[0]
        known = ", ".join(item.name for item in ALL_DIMENSIONS)
        raise ConfigError(f"--where {where!r} is no condition over the dimensions: {text} There are: {known}") from None


def to_sql(view: View, measures: Sequence[str], by: Sequence[str] = (), where: str | None = None) -> str:
    """The question as SQL over the metric view, as any SQL client of Spark may ask it. The names are known ones."""
    columns = ", ".join([*by, *(f"MEASURE({name}) AS {name}" for name in measures)])
    condition = f" WHERE {where}" if where else ""
    group = f" GROUP BY {', '.join(by)} ORDER BY {', '.join(by)}" if by else ""
    return f"SELECT {columns} FROM {view.name}{condition}{group}"  # noqa: S608 - names are checked, the condition is the asker's


def open_for(store: Store, measures: Sequence[str], by: Sequence[str] = (), where: str | None = None) -> None:
    """Open the view that a question needs, and that of receipts, which tells the coverage.

    Raises:
        ConfigError: as ``view_for``.
    """
    open_view(store, *(view for view in VIEWS if view in (RECEIPTS, view_for(measures, by, where))))


def _check(kind: str, given: Sequence[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f", did you mean {close[0]}" if close else ""
            raise ConfigError(f"no {kind} named {name!r}{hint}. There are: {', '.join(known)}")
