#!/usr/bin/env python3
"""Put the Delta jars that belong to the installed delta-spark beside Spark's own, so that every start finds them offline."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import pyspark
from delta import pip_utils
from pyspark.sql import SparkSession

# The rest of what the package names drags an older Hadoop client than Spark's own; these were needed in every trial.
NEEDED = (
    "delta-spark_", "delta-storage-", "delta-kernel-api-", "delta-kernel-defaults-", "delta-kernel-unitycatalog-",
    "unitycatalog-client-", "unitycatalog-hadoop-",
)  # fmt: skip


def main() -> int:
    version = metadata.version("delta-spark")
    target = Path(pyspark.__file__).parent / "jars"
    coordinates = pip_utils.configure_spark_with_delta_pip(SparkSession.builder)._options["spark.jars.packages"]
    with tempfile.TemporaryDirectory() as ivy:
        script = Path(ivy) / "nothing.py"
        script.write_text("", "utf-8")
        submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
        command = [str(submit), "--packages", coordinates, "--conf", f"spark.jars.ivy={ivy}", str(script)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        fetched = sorted(jar for jar in (Path(ivy) / "jars").glob("*.jar") if any(name in jar.name for name in NEEDED))
        if len(fetched) != len(NEEDED):
            sys.stderr.write(done.stderr[-4000:])
            sys.stderr.write(
                f"\n{coordinates} could not be fetched: found {len(fetched)} of {len(NEEDED)} jars. Check the network.\n"
            )
            return 1
        for old in target.glob("*delta-*.jar"):
            old.unlink()
        for jar in fetched:
            shutil.copy2(jar, target / jar.name)
    wrong = [jar.name for jar in target.glob("*_delta-*.jar") if not jar.name.endswith(f"-{version}.jar")]
    if wrong:
        sys.stderr.write(f"delta-spark from pip is {version}, but these jars are not: {', '.join(wrong)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
