"""The whole chain on one page: five till systems, what is planted in their documents, and the truth about it."""

from __future__ import annotations

from pathlib import Path

import duckdb

from demo_chain.broken import plant_broken
from demo_chain.cloud_till import write_cloud_receipts
from demo_chain.conf import write_conf
from demo_chain.customers import write_customers
from demo_chain.day_totals import load_day_totals, write_day_totals
from demo_chain.deliveries import plant_deliveries
from demo_chain.dsfinvk import write_dsfinvk
from demo_chain.erp import plant_new_region, write_kassenbons
from demo_chain.expected import write_expected
from demo_chain.extras import plant_anonymous_receipts, plant_extras, plant_wrong_payments, plant_wrong_sums
from demo_chain.poslog import write_poslog
from demo_chain.returns import plant_returns
from demo_chain.systems import load_details
from demo_chain.voids import plant_voids

FOLDERS = ("dsfinvk", "poslog", "category_totals")


def plant(con: duckdb.DuckDBPyConnection) -> None:
    """Plant the documents. The order matters: what comes later sees what was planted before."""
    plant_anonymous_receipts(con)
    plant_returns(con)
    plant_voids(con)
    plant_extras(con)
    plant_wrong_sums(con)
    load_day_totals(con)
    plant_deliveries(con)
    load_details(con)
    plant_wrong_payments(con)


def write_chain(con: duckdb.DuckDBPyConnection, new: Path, out: Path, seed: int) -> None:
    """Write the deliveries of all systems into ``new/landing``, the truth and the conf beside it."""
    landing = new / "landing"
    for folder in FOLDERS:
        (landing / folder).mkdir()
    write_kassenbons(con, landing / "erp" / "sales")
    write_cloud_receipts(con, landing / "cloud_till" / "sales")
    write_dsfinvk(con, landing / "dsfinvk")
    write_poslog(con, landing / "poslog")
    write_day_totals(con, landing / "category_totals")
    plant_new_region(con, landing / "erp" / "branches")
    plant_broken(con, landing)
    write_customers(con, landing, new / "truth", seed)
    write_expected(con, new / "truth")
    write_conf(con, new / "conf", out)
