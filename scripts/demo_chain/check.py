"""Compare a lake with the truth about the whole chain: every figure to the cent, every planted document by its fate."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import duckdb
from deltalake import DeltaTable

from demo_chain.check_customers import IDENTITIES, NAMES, OF_CUSTOMERS
from demo_chain.check_customers import TABLES as CUSTOMER_TABLES

TABLES = (
    "gold.kpi_branch_day", "gold.fct_receipt", "gold.dim_branch", "silver.receipt", "silver.receipt_line",
    "silver.receipt_payment", "silver.receipt_line_tax", "silver.exception", "ops.file_ledger", "ops.delivery",
)  # fmt: skip


# What is said of who is who follows from people, not from what is planted.
_PLANTED = "entity NOT IN ('party', 'card', 'identifier', 'block')"


@dataclass(frozen=True)
class Comparison:
    """One part of the truth: how many of its rows the lake has, and some of the rows that only one of them has."""

    name: str
    expected: int
    equal: int
    differing: list[str]

    @property
    def ok(self) -> bool:
        """Nothing is missing, and nothing is there that should not be."""
        return self.equal == self.expected and not self.differing


# Rows of the truth and rows of the lake, which must be the same.
FIGURES = {
    "branch and day: revenue, returns, receipts, baskets, with a card, excluded": (
        """SELECT branch_id, business_date::DATE, revenue::DECIMAL(18,2), return_amount::DECIMAL(18,2), receipts::BIGINT,
                  baskets::BIGINT, identified_revenue::DECIMAL(18,2), excluded_amount::DECIMAL(18,2)
           FROM expected_branch_day""",
        """SELECT branch_id, business_date, revenue, return_amount, receipts, baskets, identified_revenue + unclear_amount,
                  excluded_amount
           FROM kpi_branch_day WHERE revenue IS NOT NULL""",
    ),
    "region of each branch and day, as it was then": (
        """SELECT d.branch_id, d.business_date::DATE,
                  CASE WHEN d.business_date::DATE < p.business_date::DATE THEN split_part(p.fate, ' before, ', 1)
                       ELSE b.region END
           FROM expected_branch_day d JOIN branches b ON b.branch_id = d.branch_id
           LEFT JOIN planted p ON p.kind = 'new_region' AND p.branch_id = d.branch_id""",
        """SELECT DISTINCT f.branch_id, f.business_date, b.region
           FROM fct_receipt f JOIN dim_branch b ON b.branch_key = f.branch_key""",
    ),
    "payments by branch and tender": (
        "SELECT source, branch_id, tender_type, amount::DECIMAL(18,2) FROM expected_payments",
        """SELECT source, branch_id, tender_type, sum(amount)::DECIMAL(18,2) FROM receipt_payment
           GROUP BY ALL HAVING sum(amount) <> 0""",
    ),
    "VAT of the tills that tell it, by branch and day": (
        """SELECT branch_id, business_date::DATE, sum(gross_amount::DECIMAL(18,2)), sum(net_amount::DECIMAL(18,2)),
                  sum(tax_amount::DECIMAL(18,2))
           FROM expected_taxes GROUP BY ALL""",
        """SELECT branch_id, business_date, sum(gross_amount), sum(net_amount), sum(tax_amount) FROM fct_receipt
           WHERE source = 'dsfinvk' GROUP BY ALL""",
    ),
    "VAT by branch, day and rate": (
        """SELECT branch_id, business_date::DATE, rate::INTEGER, net_amount::DECIMAL(18,2), tax_amount::DECIMAL(18,2)
           FROM expected_taxes""",
        """SELECT branch_id, business_date, (100 * tax_rate)::INTEGER, sum(net_amount), sum(tax_amount)
           FROM receipt_line_tax SEMI JOIN fct_receipt USING (receipt_key) WHERE source = 'dsfinvk' GROUP BY ALL""",
    ),
    "open exceptions by source and rule": (
        "SELECT coalesce(source, '-'), rule, count(*) FROM expected_exceptions GROUP BY ALL",
        f"SELECT coalesce(source, '-'), rule, count(*) FROM exception WHERE status = 'open' AND {_PLANTED} GROUP BY ALL",
    ),
    "exceptions of known records": (
        "SELECT DISTINCT rule, record_key::VARCHAR FROM expected_exceptions WHERE record_key IS NOT NULL",
        f"""SELECT DISTINCT rule, coalesce(record_id, exception.record_key) FROM exception LEFT JOIN ({NAMES}) USING (record_key)
            WHERE status = 'open' AND {_PLANTED} AND (rule, coalesce(exception.source, '-')) IN (
                SELECT (rule, coalesce(source, '-')) FROM expected_exceptions GROUP BY rule, source
                HAVING count(record_key) = count(*)
            )""",
    ),
    "days delivered late": (
        "SELECT source, branch_id, business_date::DATE FROM expected_deliveries",
        """SELECT source, branch_id, business_date FROM delivery SEMI JOIN receipt USING (source, branch_id, business_date)
           WHERE delivery.status = 'late'""",
    ),
}
FIGURES |= OF_CUSTOMERS
# What must be true of a planted document (p) and its receipt (r) in the lake, by the beginning of its fate.
FATES = {
    "counts as a return": "r.transaction_type = 'RETURN' AND r.is_fact AND r.gross_amount = p.amount",
    "counts as a sale": "r.transaction_type = 'SALE' AND r.is_fact AND r.gross_amount = p.amount",
    "counts, without customer": "r.is_fact AND r.customer_status = 'anonymous'",
    "counts once": "r.copies = 1",
    "counts as the later export": "r.copies = 1 AND r.is_fact",
    "counts as its lines say; listed as total": "r.is_fact AND r.stated_gross_amount - r.gross_amount = p.amount",
    "counts as its lines say; listed as payments": "r.is_fact AND r.stated_gross_amount = r.gross_amount",
    "deleted by": "r.receipt_id IS NULL",
    "kept out": "r.receipt_id IS NULL",
    "excluded: VOIDED": "r.status = 'VOIDED' AND NOT r.is_fact",
    "excluded: ": "r.transaction_type = replace(p.fate, 'excluded: ', '') AND NOT r.is_fact",
    "no revenue: ": "l.line_type = replace(p.fate, 'no revenue: ', '') AND l.gross_amount = p.amount",
    "voided with": "l.is_voided AND l.is_void AND l.gross_amount = p.amount",
    "rejected": "f.status = 'rejected'",
    "of no source": "f.status = 'rejected' AND f.source IS NULL",
    "ignored as": "f.status = 'duplicate'",
}
_FOUND = """
    CREATE TABLE found AS
    SELECT p.*, r.receipt_id IS NULL AS is_absent, {conditions} AS fate_holds
    FROM planted p
    LEFT JOIN (
        SELECT receipt.*, fct_receipt.receipt_key IS NOT NULL AS is_fact, fct_receipt.customer_status,
               count(*) OVER (PARTITION BY receipt.source, receipt.branch_id, receipt.receipt_id) AS copies
        FROM receipt LEFT JOIN fct_receipt USING (receipt_key)
    ) r ON r.source = p.source AND r.branch_id = p.branch_id AND r.receipt_id = p.receipt_id
    LEFT JOIN receipt_line l ON l.receipt_key = r.receipt_key AND l.line_number = p.line_number
    LEFT JOIN file_ledger f ON f.path = p.receipt_id
    WHERE p.kind NOT IN ('late_delivery', 'new_region')
"""


def compare(out: Path) -> list[Comparison]:
    """Every part of the truth in ``out/truth`` against the lake in ``out/lake``, and the vault beside it."""
    con = _open(out)
    figures = [_compare(con, name, expected, found) for name, (expected, found) in FIGURES.items()]
    conditions = " ".join(f"WHEN starts_with(p.fate, '{fate}') THEN {condition}" for fate, condition in FATES.items())
    con.execute(_FOUND.format(conditions=f"coalesce(CASE {conditions} END, false)"))
    kinds = con.execute("SELECT kind, count(*), count(*) FILTER (fate_holds) FROM found GROUP BY kind ORDER BY kind").fetchall()
    planted = [
        Comparison(f"planted: {kind}", expected, equal, _examples(con, kind) if equal < expected else [])
        for kind, expected, equal in kinds
    ]
    return [*figures, *planted, _region(con)]


@dataclass(frozen=True)
class Identities:
    """Pairs of contacts: of one person in truth (``true``), of one customer (``made``), both (``right``)."""

    contacts: int
    true: int
    made: int
    right: int
    of_household: int

    @property
    def recall(self) -> float:
        return self.right / max(self.true, 1)

    @property
    def precision(self) -> float:
        return self.right / max(self.made, 1)

    def __str__(self) -> str:
        return (
            f"who is who, of {self.contacts:,} contacts: {self.true:,} pairs are of one person, {self.right:,} of them found "
            f"(recall {self.recall:.3f}); {self.made:,} made (precision {self.precision:.4f}), "
            f"{self.of_household - self.right:,} of them of two persons of one household"
        )


def identities(out: Path) -> Identities:
    """How well it was found out who is who, by the person that each contact truly is."""
    return Identities(*map(int, _open(out).execute(IDENTITIES).fetchall()[0]))


def _open(out: Path) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    for name in (*TABLES, *CUSTOMER_TABLES):
        schema, table = name.split(".")
        is_clear = schema == "vault"
        path = out / ("vault" if is_clear else "lake") / schema / table
        con.register(f"vault_{table}" if is_clear else table, DeltaTable(str(path)).to_pyarrow_dataset())
    for path in sorted((out / "truth").glob("*.csv")):
        con.execute(f"CREATE TABLE {path.stem} AS FROM read_csv('{path}', all_varchar := true)")
    con.execute("ALTER TABLE planted ALTER amount TYPE DECIMAL(18,2)")
    con.execute("ALTER TABLE planted ALTER line_number TYPE INTEGER")
    return con


def _compare(con: duckdb.DuckDBPyConnection, name: str, expected: str, found: str) -> Comparison:
    wanted, actual = Counter(con.execute(expected).fetchall()), Counter(con.execute(found).fetchall())
    missing = [f"expected {_text(row)}" for row in sorted(wanted - actual, key=str)[:3]]
    surplus = [f"found {_text(row)}" for row in sorted(actual - wanted, key=str)[:3]]
    return Comparison(name, wanted.total(), (wanted & actual).total(), missing + surplus)


def _examples(con: duckdb.DuckDBPyConnection, kind: str) -> list[str]:
    rows = con.execute(
        "SELECT source, branch_id, business_date, receipt_id, amount, fate FROM found WHERE kind = ? AND NOT fate_holds "
        "ORDER BY ALL LIMIT 3",
        [kind],
    ).fetchall()
    return [f"not so: {_text(row)}" for row in rows]


def _region(con: duckdb.DuckDBPyConnection) -> Comparison:
    """The region that each branch has now."""
    return _compare(
        con, "regions of the branches", "SELECT branch_id, region FROM branches",
        "SELECT branch_id, region FROM dim_branch WHERE is_current",
    )  # fmt: skip


def _text(row: tuple[object, ...]) -> str:
    return ", ".join(str(cell) for cell in row)
