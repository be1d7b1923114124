"""A small soak of the proxy: clients leave, deployments, Redis and configuration change, no conversation is lost."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SOAK = Path(__file__).parents[2] / "benchmarks" / "proxy_soak.py"


def test_small_soak_of_the_proxy() -> None:
    ended = subprocess.run(
        [sys.executable, str(SOAK), "--seconds", "5"], capture_output=True, text=True, timeout=100, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.rstrip().endswith("kept")
    counts = {name: int(count) for name, count in re.findall(r"^([\w ]+): (\d+)$", ended.stdout, re.MULTILINE)}
    for each in ("turns", "turns of chats", "tools", "taken back", "left", "faults", "Redis restarts", "reloads"):
        assert counts.get(each, 0) > 0, ended.stdout
