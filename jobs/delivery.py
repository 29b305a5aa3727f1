"""Say what each source should have delivered of each branch and day, and what of it has come."""

from __future__ import annotations

import sys

from tillhouse.cli import run_job

if __name__ == "__main__":
    sys.exit(run_job("delivery", __doc__))
