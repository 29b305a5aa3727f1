"""The yardstick without Spark: the same tables from the same files with DuckDB, as Parquet files."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv as pa_csv

BRONZE = {
    "bronze_branches": "FROM branch_file",
    "bronze_products": "FROM product_file",
    "bronze_erp": """
        FROM read_csv('{landing}/erp/sales/*.csv', delim = ';', header = true, all_varchar = true, encoding = 'latin-1',
                      filename = true)""",
    "bronze_cloud": """
        FROM read_json('{landing}/cloud_till/sales/*.jsonl', format = 'newline_delimited', filename = true, columns = {{
            receipt_id: 'VARCHAR', location: 'VARCHAR', register: 'VARCHAR', completed_at: 'VARCHAR', currency: 'VARCHAR',
            loyalty_card: 'VARCHAR', total: 'VARCHAR', items: 'STRUCT(line VARCHAR, sku VARCHAR, quantity VARCHAR, amount VARCHAR,
            discount VARCHAR, promotion_discount VARCHAR, manufacturer_coupon VARCHAR)[]'}})""",
}
TABLES = {
    "dim_branch": """
        SELECT Filiale AS branch_id, Bezeichnung AS branch_name, Region AS region, Zeitzone AS time_zone, Waehrung AS currency
        FROM bronze_branches""",
    "dim_product": """
        SELECT ArtNr AS product_id, Bezeichnung AS product_name, Warengruppe1 AS category_l1, Warengruppe2 AS category_l2,
               Warengruppe3 AS category_l3
        FROM bronze_products""",
    "line": """
        WITH erp AS (
            SELECT *, strptime(Datum || ' ' || Uhrzeit, '%d.%m.%Y %H:%M:%S') AS local_at
            FROM bronze_erp JOIN dim_branch ON Filiale = branch_id
        ), cloud AS (
            SELECT bronze_cloud.* EXCLUDE (items), unnest(items) AS item, CAST(completed_at AS TIMESTAMPTZ) AS started_at
            FROM bronze_cloud
        )
        SELECT 'erp' AS source, branch_id, Kasse AS register_id, Bonnr AS receipt_id, Position::INT AS line_number,
               local_at AT TIME ZONE time_zone AS started_at, hour(local_at) AS local_hour, local_at::DATE AS business_date,
               Kundenkarte AS card_number, currency, ArtNr AS product_id, replace(Menge, ',', '.')::DECIMAL(18, 3) AS quantity,
               money(Betrag) AS amount, money(Rabatt) + money(Aktionsrabatt) AS discount, money(Herstellercoupon) AS coupon
        FROM erp
        UNION ALL
        SELECT 'cloud_till', branch_id, register, receipt_id, item.line::INT, started_at,
               hour(started_at AT TIME ZONE time_zone), (started_at AT TIME ZONE time_zone)::DATE, loyalty_card,
               dim_branch.currency, item.sku, item.quantity::DECIMAL(18, 3), money(item.amount),
               money(item.discount) + money(item.promotion_discount), money(item.manufacturer_coupon)
        FROM cloud JOIN dim_branch ON location = branch_id""",
    "receipt": """
        SELECT source, branch_id, register_id, receipt_id, min(started_at) AS started_at, min(local_hour) AS local_hour,
               min(business_date) AS business_date, min(card_number) AS card_number, min(currency) AS currency,
               sum(amount)::DECIMAL(18, 2) AS gross_amount, count(*) AS line_count
        FROM line GROUP BY ALL""",
    "fct_sale_line": """
        SELECT source, branch_id, register_id, receipt_id, line_number, business_date, product_id, category_l1,
               amount < 0 OR (amount = 0 AND quantity < 0) AS is_return, quantity, amount, discount,
               (CASE WHEN coalesce(category_l1 = 'FUEL' OR category_l3 = 'GASOLINE-REG UNLEADED', false)
                     THEN CASE WHEN is_return THEN -1 ELSE 1 END ELSE quantity END)::DECIMAL(18, 3) AS item_count
        FROM line LEFT JOIN dim_product USING (product_id)""",
    "fct_receipt": """
        WITH sums AS (
            SELECT source, branch_id, register_id, receipt_id, sum(amount)::DECIMAL(18, 2) AS revenue_amount,
                   coalesce(-sum(amount) FILTER (is_return), 0)::DECIMAL(18, 2) AS return_amount,
                   sum(discount)::DECIMAL(18, 2) AS discount_amount,
                   coalesce(sum(item_count) FILTER (NOT is_return), 0)::DECIMAL(18, 3) AS sold_item_count,
                   bool_or(NOT is_return) AS is_basket
            FROM fct_sale_line GROUP BY ALL
        )
        FROM receipt JOIN sums USING (source, branch_id, register_id, receipt_id)""",
    "kpi_branch_day": """
        WITH firsts AS (
            SELECT card_number, arg_min(receipt_id, (started_at, receipt_id)) AS first_receipt_id
            FROM fct_receipt WHERE is_basket AND card_number IS NOT NULL GROUP BY ALL
        ), measured AS (
            SELECT branch_id, business_date, currency, sum(revenue_amount)::DECIMAL(18, 2) AS revenue,
                   sum(return_amount)::DECIMAL(18, 2) AS return_amount, sum(discount_amount)::DECIMAL(18, 2) AS discount_amount,
                   count(*) AS receipts, count(*) FILTER (is_basket) AS baskets, sum(sold_item_count)::DECIMAL(18, 3) AS items,
                   count(DISTINCT card_number) FILTER (is_basket) AS customers,
                   count(DISTINCT card_number) FILTER (receipt_id = first_receipt_id) AS new_customers
            FROM fct_receipt LEFT JOIN firsts USING (card_number) GROUP BY ALL
        )
        SELECT *, revenue + return_amount AS sales_before_returns,
               (revenue + return_amount) / nullif(baskets, 0) AS average_basket, items / nullif(baskets, 0) AS items_per_basket,
               customers - new_customers AS returning_customers
        FROM measured""",
}


def main(landing: Path, lake: Path) -> None:
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    con.execute("CREATE MACRO money(amount) AS CAST(replace(amount, ',', '.') AS DECIMAL(18, 2))")
    # DuckDB reads cp1252 only with an extension that it would have to download; the sales are digits and ASCII letters.
    con.register("branch_file", read_cp1252(landing / "erp" / "branches"))
    con.register("product_file", read_cp1252(landing / "erp" / "products"))
    lake.mkdir(parents=True, exist_ok=True)
    queries = {name: query.format(landing=landing) for name, query in BRONZE.items()} | TABLES
    for table, query in queries.items():
        path = lake / f"{table}.parquet"
        con.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
        con.read_parquet(str(path)).create_view(table)


def read_cp1252(folder: Path) -> pa.Table:
    """All files of a folder as text columns."""
    reading, parsing = pa_csv.ReadOptions(encoding="cp1252"), pa_csv.ParseOptions(delimiter=";")
    tables = []
    for path in sorted(folder.glob("*.csv")):
        header = path.read_bytes().split(b"\r\n", 1)[0].decode("cp1252").split(";")
        texts = pa_csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()))
        tables.append(pa_csv.read_csv(path, reading, parsing, texts))
    return pa.concat_tables(tables)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
