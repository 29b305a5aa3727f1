#!/usr/bin/env python3
"""Write the Complete Journey data as the files a retail chain has on its disk.

The plain chain has two kinds of tills, each with its own export format: an ERP (semicolon files in cp1252 with decimal
commas and local times) and a cloud till (one JSON receipt per line with UTC instants). The ERP also holds the master
data of all branches and products. The whole chain has three more (DSFinV-K, ARTS POSLog, totals of days only) and planted
documents (returns, voids, corrections, faults), and what CRM, loyalty scheme, shop and others know of its customers. Quantities,
values, discounts, coupons and times are those of the data; what they lack (card numbers, registers, names of branches) is derived
from ids by hashing, people and addresses are made from them by Faker, so every run writes the same bytes.

``landing/`` holds the deliveries, ``truth/`` what a correct reading of them must arrive at, ``conf/`` the mappings of the
whole chain (the plain one needs no other than ``conf/`` of this project).
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from demo_chain.base import CLOUD_TILL, ERP, SEED, data_folder, load_receipts, open_source, select_chain
from demo_chain.chain import plant, write_chain
from demo_chain.cloud_till import write_cloud_receipts
from demo_chain.erp import write_kassenbons, write_master_data
from demo_chain.systems import assign_systems
from demo_chain.truth import write_json, write_truth

GENERATOR_VERSION = 1
CHAIN_VERSION = 3


def make_exports(out: Path, weeks: int | None, branches: int | None, plain: bool, seed: int = SEED) -> None:
    """Write ``out/landing`` and ``out/truth``; does nothing if the same chain was already made there.

    Raises:
        FileExistsError: ``out/landing`` holds files which no earlier run wrote.

    """
    landing, truth = out / "landing", out / "truth"
    version: dict[str, object] = {"generator_version": GENERATOR_VERSION, "seed": seed}
    if not plain:
        version["chain_version"] = CHAIN_VERSION
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
        if not plain:
            assign_systems(con, seed)
        load_receipts(con, seed)
        write_master_data(con, new / "landing", whole_chain=weeks is None and branches is None)
        write_truth(con, new / "truth")
        if plain:
            write_kassenbons(con, new / "landing" / ERP / "sales")
            write_cloud_receipts(con, new / "landing" / CLOUD_TILL / "sales")
        else:
            plant(con)
            write_chain(con, new, out.resolve(), seed)
            shutil.rmtree(out / "conf", ignore_errors=True)
            (new / "conf").rename(out / "conf")
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
