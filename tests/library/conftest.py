"""One chain with an export of every system for which a mapping is shipped, after one run; with ``--long`` after two.

The second run brings a file of each kind of record, chosen by lot, three of receipts, and some of the first run's again. All
figures that the tests expect are counted by hand, so that they hold only if neither order nor repetition changes anything.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.conftest import ROOT, Chain
from tests.library import exports

LIBRARY = ROOT / "conf" / "library"
HERE = Path(__file__).parent
BRANCHES_MAPPING = """
source: branches
entity: branch
description: all branches
owner: data-steward
format: csv
file_pattern: branches/branches.csv
csv: {delimiter: ";"}
columns:
  branch_id: {aliases: [Filiale]}
  time_zone: {aliases: [Zeitzone]}
  currency: {aliases: [Waehrung]}
"""
SEED = 5  # of the lot

PRODUCT_RULES = """
lookup:
  shopify_orders: [sku]
  erp_receipts_de: [gtin]
bundles:
  explode: {category_l1: [MEALS]}
"""


@pytest.fixture(scope="package")
def library(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession, pytestconfig: pytest.Config) -> Chain:
    """Tests only read it."""
    folder = tmp_path_factory.mktemp("library")
    conf = folder / "conf"
    shutil.copytree(LIBRARY, conf / "sources")
    for name in ("lake.yml", "products.yml"):
        shutil.copy(ROOT / "conf" / name, conf / name)
    with (conf / "products.yml").open("a", encoding="utf-8") as rules:
        rules.write(PRODUCT_RULES)
    (conf / "sources" / "branches.yml").write_text(BRANCHES_MAPPING, "utf-8")
    chain = Chain(folder, conf, spark)
    shutil.copytree(HERE / "landing", chain.landing)
    german = exports.dsfinvk(("K-DD-1", "2025-10-25T20:05:00", "1.204"), exports.GERMAN)
    chain.deliver("dsfinvk/dresden.zip", german)
    chain.deliver("dsfinvk/dresden_again.zip", german)
    chain.deliver("dsfinvk/dresden_next.zip", exports.dsfinvk(("K-DD-1", "2025-10-27T20:05:00", "1.205"), exports.NEXT))
    chain.deliver(
        "dsfinvk/muenchen.zip",
        exports.dsfinvk(("K-M-1", "2025-10-26T09:00:00Z", "17"), exports.OTHER, decimal=".", grouping=""),
    )
    unknown = {name: exports.OTHER[name].strip().splitlines()[0] for name in ("Bonkopf", "Bonpos", "Bonpos_USt")}
    chain.deliver(
        "dsfinvk/unknown.zip", exports.dsfinvk(("K-X-9", "2025-10-26T09:00:00Z", "1"), unknown, decimal=".", grouping="")
    )
    chain.deliver("receipts_parquet/day_20260330T0500.parquet", exports.parquet())
    chain.deliver("erp_xlsx/bons_20251026T0500.xlsx", exports.workbook())
    chain.deliver("dynamics/contacts_20261001T0600.xlsx", exports.dynamics())
    if pytestconfig.getoption("--long"):
        deliver_in_two_runs(chain)
    else:
        chain.run()
    return chain


def deliver_in_two_runs(chain: Chain) -> None:
    """Of a file that comes twice from the start, the first by name is read: both are left to the second run.

    Branches come first, or else the second run would read all receipts again.
    """
    files = sorted(path.relative_to(chain.landing) for path in chain.landing.rglob("*") if path.is_file())
    of_kind: dict[tuple[str, bool], list[Path]] = {}
    for path in files:
        for source in chain.config.sources:
            if source.entity != "branch" and source.match_path(path.as_posix()) is not None:
                of_kind.setdefault((source.entity, source.pays is not None), []).append(path)
    lot = random.Random(SEED)
    waiting = {path for path in files if path.parts[0] == "dsfinvk"}
    for kind, paths in sorted(of_kind.items()):
        waiting.update(lot.sample(paths, 3 if kind == ("receipt", False) else 1))
    first = [path for path in files if path not in waiting]
    for path in waiting:
        move(chain.landing / path, chain.folder / "waiting" / path)
    chain.run()
    for path in first[::3]:
        chain.deliver(path.as_posix(), (chain.landing / path).read_bytes())
    shutil.copytree(chain.folder / "waiting", chain.landing, dirs_exist_ok=True)
    chain.run()


def move(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, target)
