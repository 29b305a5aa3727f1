"""The benchmark counts what a process's descendants take, also those that nobody waited for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
MEASURE = """
import json, subprocess, sys
import bench_pipeline as bench
bench.adopt_orphans()
cost = bench.measure(lambda: subprocess.run([sys.executable, "-c", sys.argv[1]]).returncode)
print(json.dumps([cost.wall, cost.cpu, cost.memory]))
"""
BURN = """
import time
block = bytearray(b"x" * (80 << 20))
while time.process_time() < 0.8:
    pass
time.sleep(0.5)
"""


def measure(work: str) -> tuple[float, float, float]:
    command = [sys.executable, "-c", MEASURE, work]  # of its own, because it waits for every child that it has
    done = subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True, check=True)
    wall, cpu, memory = json.loads(done.stdout.splitlines()[-1])
    return wall, cpu, memory


@pytest.mark.skipif(sys.platform != "linux", reason="the benchmark reads /proc")
def test_cpu_and_memory_of_a_grandchild_are_counted() -> None:
    _, cpu, memory = measure(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}])")
    assert cpu > 0.8
    assert 80 < memory < 400


@pytest.mark.skipif(sys.platform != "linux", reason="the benchmark reads /proc")
def test_cpu_of_a_grandchild_that_outlives_its_parent_is_counted_and_its_time_is_not() -> None:
    wall, cpu, _ = measure(f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {BURN + 'time.sleep(2)'!r}])")
    assert cpu > 0.8
    assert wall < 2


def test_a_contender_that_fails_ends_the_benchmark() -> None:
    with pytest.raises(subprocess.CalledProcessError) as failure:
        measure("raise SystemExit(7)")
    assert "exit code 7" in failure.value.stderr
