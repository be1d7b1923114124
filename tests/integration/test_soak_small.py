"""A small soak: two router processes killed and restarted, two of six deployments lost, and nobody is forgotten."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[2] / "benchmarks" / "soak.py"
SMALL = ("--conversations", "200", "--open", "100", "--processes", "2", "--deployments", "6", "--limit", "90")


@pytest.mark.timeout(150)  # three interpreters, a Redis and their restarts, on a machine that may be busy
def test_small_soak() -> None:
    ended = subprocess.run(
        [sys.executable, str(SOAK), *SMALL], capture_output=True, text=True, timeout=140, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    shown = ended.stdout
    assert shown.rstrip().endswith("kept")
    rows = {
        name.strip(): value.strip()
        for _, name, value, _ in (row.split("│") for row in shown.splitlines() if "│" in row)
    }
    assert rows["conversations completed"] == "200"
    assert rows["router processes restarted"].startswith("4 ")
    assert int(rows["replays"]) > 0, "the lost deployments held conversations that went on"
