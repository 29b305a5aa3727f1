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
    "gold.fct_return", "gold.fct_sale_line",
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


# Each planted return with what the lake says of its purchase. Another line of it with the same article and price is as right.
_RETURNS = """
    WITH named AS (SELECT receipt_key, source, branch_id, receipt_id FROM receipt), told AS (
        SELECT returns.*, r.receipt_key, o.receipt_key AS true_key
        FROM returns
        LEFT JOIN named r ON r.source = returns.source AND r.branch_id = returns.branch_id AND r.receipt_id = returns.receipt_id
        LEFT JOIN named o ON o.branch_id = original_branch_id AND o.receipt_id = original_id
    )
    SELECT has_reference::BOOLEAN AS has_reference, is_decidable::BOOLEAN AS is_decidable, is_elsewhere::BOOLEAN AS is_elsewhere,
           is_anonymous::BOOLEAN AS is_anonymous, candidates::INTEGER AS candidates, f.link_method, f.evidence,
           f.original_receipt_key IS NOT NULL AS is_linked,
           coalesce(f.original_receipt_key = true_key AND (f.original_line_number = original_line::INTEGER
               OR (found.product_id, found.gross_amount) = (meant.product_id, meant.gross_amount)), false) AS is_right
    FROM told
    LEFT JOIN fct_return f ON f.receipt_key = told.receipt_key AND f.line_number = told.line_number::INTEGER
    LEFT JOIN fct_sale_line found ON found.receipt_key = f.original_receipt_key AND found.line_number = f.original_line_number
    LEFT JOIN fct_sale_line meant ON meant.receipt_key = true_key AND meant.line_number = original_line::INTEGER
"""


@dataclass(frozen=True)
class Returns:
    """Planted returns and how many of them are linked to their purchase: with reference, and without."""

    named: int
    named_right: int
    linked: int
    linked_right: int
    decidable: int
    decidable_right: int
    several: int
    several_linked: int
    anonymous: int
    anonymous_linked: int

    @property
    def precision(self) -> float:
        return self.linked_right / max(self.linked, 1)

    @property
    def recall(self) -> float:
        return self.decidable_right / max(self.decidable, 1)

    @property
    def ok(self) -> bool:
        """All that name their purchase are right; of the others nearly all that are linked, and nearly all that can be."""
        return self.named == self.named_right and self.precision >= 0.98 and self.recall >= 0.95

    def __str__(self) -> str:
        return (
            f"returns: {self.named_right:,} of {self.named:,} with reference are linked to their purchase; without, "
            f"{self.linked:,} are linked (precision {self.precision:.4f}), {self.decidable_right:,} of {self.decidable:,} that "
            f"card, article and price decide (recall {self.recall:.4f}); of {self.several:,} that several purchases fit "
            f"{self.several_linked:,} are linked, of {self.anonymous:,} without card {self.anonymous_linked:,}: "
            f"{'=' if self.ok else 'DIFFERS'}"
        )


def returns(out: Path) -> Returns:
    """How many planted returns are linked to the purchase that they truly are of."""
    counted = """
        SELECT count(*) FILTER (has_reference), count(*) FILTER (has_reference AND is_right),
               count(*) FILTER (NOT has_reference AND is_linked), count(*) FILTER (NOT has_reference AND is_linked AND is_right),
               count(*) FILTER (is_decidable), count(*) FILTER (is_decidable AND is_right),
               count(*) FILTER (NOT has_reference AND candidates > 1),
               count(*) FILTER (NOT has_reference AND candidates > 1 AND is_linked),
               count(*) FILTER (NOT has_reference AND is_anonymous),
               count(*) FILTER (NOT has_reference AND is_anonymous AND is_linked)
        FROM"""
    return Returns(*map(int, _open(out).execute(f"{counted} ({_RETURNS})").fetchall()[0]))


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
