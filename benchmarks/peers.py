"""Where the peers live: an interpreter of its own for each, since openai and litellm do not fit into one."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path

PEERS = {"openai": ("openai",), "litellm": ("litellm", "mcp"), "litellm[proxy]": ("litellm[proxy]",)}
"""Contenders that are not dependencies of ours, and what to install for them: litellm's Responses API imports mcp."""


def interpreter(name: str, given: str | None, *, install: bool) -> Path | None:
    """The interpreter to run a contender with; None, after a line on how to get it, if there is none."""
    packages = PEERS.get(name)
    if packages is None:
        return Path(sys.executable)
    if given is not None:
        return Path(given)
    if all(find_spec(package.partition("[")[0]) for package in packages):
        return Path(sys.executable)
    cached = _cache() / name
    python = cached / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if install and not (cached / "complete").exists():
        print(f"installing {' and '.join(packages)} in {cached} …", file=sys.stderr)
        venv.create(cached, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True, timeout=900)
        (cached / "complete").touch()
    if (cached / "complete").exists():
        return python
    print(
        f"skipped {name}: not installed. Pass --with-peers (a private environment under {_cache()}),"
        f" or --python {name}=PATH of an interpreter that has it (pip install {' '.join(packages)}).",
        file=sys.stderr,
    )
    return None


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "homing-router" / "benchmarks"
