"""Set damaged files aside that the logs of tables end in."""

from __future__ import annotations

import sys

from tillhouse.cli import run_job

if __name__ == "__main__":
    sys.exit(run_job("repair", __doc__))
