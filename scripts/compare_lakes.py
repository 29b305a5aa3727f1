"""Compare two lakes row by row. Customer ids are random: a customer is named by the first party that it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from tillhouse.tables import Table, gold, silver

ONLY_IN_ONE = "((FROM one EXCEPT ALL FROM other) UNION ALL (FROM other EXCEPT ALL FROM one))"
COMPARED = (*gold.TABLES, silver.RECEIPT, silver.RECEIPT_LINE, silver.RECEIPT_VERSION)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rows of a table in the first of two lakes, and rows that only one of them has."""

    rows: int
    differing: int


def compare(one: Path, other: Path, table: Table) -> Comparison:
    """All columns but technical ones of a table in two lakes."""
    con = duckdb.connect()
    for name, lake in (("one", one), ("other", other)):
        show(con, name, lake, table)
    found = con.sql(f"SELECT (SELECT count(*) FROM one), count(*) FROM {ONLY_IN_ONE}")  # noqa: S608 - names of views
    return Comparison(*found.fetchall()[0])


def show(con: duckdb.DuckDBPyConnection, name: str, lake: Path, table: Table) -> None:
    """Make a view of a lake's table in which customers have comparable names; an id that stands for nobody stays."""
    known_as = {"customer_id": "person", "customer_key": "version", "company_id": "company"}
    columns = columns_of(stored(lake, table))
    con.register(f"{name}_rows", read(lake, table, *columns))
    con.register(f"{name}_parties", read(lake, silver.PARTY_CUSTOMER, "party_key", "customer_id"))
    con.register(f"{name}_customers", read(lake, gold.DIM_CUSTOMER, "customer_key", "customer_id", "valid_from"))
    shown = [f"coalesce({known_as[column]}, {column}) AS {column}" if column in known_as else f'"{column}"' for column in columns]
    con.execute(f"""
        CREATE VIEW {name}_by_id AS SELECT customer_id, min(party_key) AS person FROM {name}_parties GROUP BY customer_id;
        CREATE VIEW {name}_companies AS SELECT customer_id AS company_id, person AS company FROM {name}_by_id;
        CREATE VIEW {name}_by_key AS
            SELECT customer_key, concat_ws(' ', person, valid_from) AS version
            FROM {name}_customers JOIN {name}_by_id USING (customer_id);
        CREATE VIEW {name} AS SELECT {", ".join(shown)} FROM {name}_rows
            {f"LEFT JOIN {name}_by_id USING (customer_id)" if "customer_id" in columns else ""}
            {f"LEFT JOIN {name}_by_key USING (customer_key)" if "customer_key" in columns else ""}
            {f"LEFT JOIN {name}_companies USING (company_id)" if "company_id" in columns else ""}
        """)  # noqa: S608 - names of columns


def read(lake: Path, table: Table, *columns: str) -> pa.Table:
    return stored(lake, table).to_pyarrow_table(columns=list(columns))


def stored(lake: Path, table: Table) -> DeltaTable:
    return DeltaTable(str(lake / table.schema / table.name))


def columns_of(table: DeltaTable) -> list[str]:
    """All columns but technical ones."""
    return [field.name for field in table.schema().fields if not field.name.startswith("_")]
