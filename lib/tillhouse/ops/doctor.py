"""Is this machine able to run tillhouse? Each check says what it found and what to do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from importlib import metadata
from pathlib import Path

from tillhouse.config import Config
from tillhouse.errors import ConfigError
from tillhouse.faults import try_to_write
from tillhouse.store import damages
from tillhouse.tables.lake import tables_of

JAVA_VERSIONS = (17, 21)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be right."""

    name: str
    ok: bool
    found: str
    remedy: str


def examine(config: Config) -> list[Check]:
    """Everything that a run needs, without starting Spark."""
    return [
        _python(),
        _java(),
        _delta_jars(),
        _token_key(config),
        *(_writable(name, root) for name, root in (("lake", config.lake), ("vault", config.vault))),
        _landing(config.landing),
        *_logs(config),
    ]


def _python() -> Check:
    found = ".".join(str(part) for part in sys.version_info[:3])
    return Check("Python", sys.version_info >= (3, 11), found, "Install Python 3.11 or newer.")


def _java() -> Check:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    remedy = "Install Java 17 (Debian: apt-get install openjdk-17-jre-headless) or point JAVA_HOME to one."
    if not java or not Path(java).exists():
        return Check("Java", False, "none found", remedy)
    text = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', text)
    found = int(version.group(1)) if version else 0
    return Check("Java", found in JAVA_VERSIONS, f"{found} ({java})", remedy)


def _delta_jars() -> Check:
    """The jars beside Spark must be of the same Delta release as the Python package."""
    import pyspark  # noqa: PLC0415 - the doctor also answers where it is missing

    wanted = metadata.version("delta-spark")
    jars = Path(pyspark.__file__).parent / "jars"
    found = sorted(
        match.group(1) for jar in jars.glob("*delta-spark_*.jar") if (match := re.search(r"-(\d+\.\d+\.\d+)\.jar$", jar.name))
    )
    remedy = "Run scripts/setup; it fetches the jars that belong to the Python package, once."
    return Check("Delta jars", found == [wanted], f"pip {wanted}, jars {', '.join(found) or 'none'}", remedy)


def _token_key(config: Config) -> Check:
    try:
        config.token_key()
    except ConfigError as error:
        return Check("Token key", False, "missing", str(error))
    return Check("Token key", True, "found", "")


def _writable(name: str, root: str) -> Check:
    if "://" in root:
        return Check(f"{name} {root}", True, "object store; permission shows at the first run", "")
    path = Path(root)
    try:
        path.mkdir(parents=True, exist_ok=True)
        try_to_write(path)
    except OSError as error:
        remedy = "Choose a folder that this user may write, or change its permission."
        return Check(
            f"{name} {root}", False, str(error), "Make space on its disk." if error.errno in (ENOSPC, EDQUOT) else remedy
        )
    return Check(f"{name} {root}", True, "writable", "")


def _landing(landing: str) -> Check:
    ok = "://" in landing or Path(landing).is_dir()
    remedy = "Create the folder and let the systems deliver their exports there, or name another with --landing."
    return Check(f"landing {landing}", ok, "found" if ok else "no such folder", remedy)


def _logs(config: Config) -> list[Check]:
    """The end of each table's log, where an interrupted machine leaves its traces."""
    tables = tables_of(config.sources)
    found = damages(tables, config.lake, config.vault)
    remedy = "Run `tillhouse repair`, then `tillhouse run`, see docs/operations.md."
    faults = [Check(f"log of {table.full_name}", False, str(damage), remedy) for table, damage in found.items()]
    return faults or [Check("logs of the tables", True, "end as they should", "")]
