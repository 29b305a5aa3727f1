"""Join small files and delete what no promised version needs."""

from __future__ import annotations

import sys

from tillhouse.cli import run_job

if __name__ == "__main__":
    sys.exit(run_job("maintain", __doc__))
