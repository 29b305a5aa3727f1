"""The conf of the chain: that of the plain chain, and shipped mappings with what a newcomer has to change in them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import duckdb
import yaml

from demo_chain.exports import ZONE

ROOT = Path(__file__).resolve().parents[2]
IN_DOLLARS = {"columns": {"currency": {"value": "USD"}}}
AT_THE_BRANCHES = {"timezone": ZONE, "version_order": {"timezone": ZONE}}
OF_CUSTOMERS: dict[str, dict[str, Any]] = {
    "loyalty_members": {}, "hubspot_contacts": {}, "shopify_customers": {}, "tickets_csv": AT_THE_BRANCHES,
    "open_items_csv": {}, "warranties_csv": {}, "campaigns_csv": IN_DOLLARS, "campaign_contacts_csv": {},
    "coupons_csv": IN_DOLLARS, "coupon_redemptions_csv": IN_DOLLARS,
}  # fmt: skip


def write_conf(con: duckdb.DuckDBPyConnection, conf: Path, out: Path) -> None:
    """Write ``conf`` for a lake in ``out``."""
    shutil.copytree(ROOT / "conf", conf, ignore=shutil.ignore_patterns("library", "lake.yml"))
    lake = yaml.safe_load((ROOT / "conf" / "lake.yml").read_text("utf-8"))
    places = {name: str(out / name) for name in ("lake", "vault", "landing")}
    _write(conf / "lake.yml", {**lake, **places, "token_key_file": str(out / "secrets" / "token.key")}, "")
    registers = con.execute(
        "SELECT DISTINCT till(branch_id, register), branch_id FROM receipts WHERE system = 'dsfinvk' ORDER BY 1"
    ).fetchall()
    changes: dict[str, dict[str, Any]] = {
        "dsfinvk": {"value_maps": {"branch_id": dict(registers)}, "version_order": {"timezone": ZONE}},
        "poslog": {"file_pattern": "poslog/{branch}_poslog_{week}_{exported}.xml"},
        "category_totals": {"file_pattern": "category_totals/{branch}/tage_{week}_{exported}.csv"},
        **OF_CUSTOMERS,
    }
    for name, changed in changes.items():
        mapping = yaml.safe_load((ROOT / "conf" / "library" / f"{name}.yml").read_text("utf-8"))
        said = f"# Made from conf/library/{name}.yml. Changed: {', '.join(changed) or 'nothing'}.\n"
        _write(conf / "sources" / f"{name}.yml", _with(mapping, changed), said)


def _with(mapping: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    """Changes one level deep; the map of branches replaces the shipped one."""
    result = dict(mapping)
    for key, value in changed.items():
        result[key] = {**mapping[key], **value} if isinstance(value, dict) else value
    return result


def _write(path: Path, content: dict[str, Any], head: str) -> None:
    path.write_text(head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=130), "utf-8")
