"""The files around the code agree with it and with each other."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SCRIPTS = sorted(file for file in (ROOT / "scripts").iterdir() if file.suffix in {"", ".sh"} and file.is_file())


def test_the_changelog_ends_with_this_version() -> None:
    headings = re.findall(r"^## \[(.+?)\](.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    released = [version for version, _ in headings if version != "Unreleased"]
    assert released[0] == PYPROJECT["project"]["version"]
    assert released == sorted(released, key=lambda version: [int(part) for part in version.split(".")], reverse=True)
    assert all(re.fullmatch(r" - \d{4}-\d\d-\d\d", date) for version, date in headings if version != "Unreleased")


def _locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize(
    "wanted", [*PYPROJECT["project"]["dependencies"], *PYPROJECT["dependency-groups"]["dev"]], ids=str
)
def test_the_lock_has_what_is_asked_for(wanted: str) -> None:
    requirement = Requirement(wanted)
    assert requirement.specifier.contains(_locked()[canonicalize_name(requirement.name)])


def test_the_lock_is_tied_to_no_index() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"://|--|@|\bvia\b", text), "a lock of names and versions only works with any package index"


def test_every_script_is_valid_and_executable() -> None:
    assert {"demo", "format", "lock", "test"} <= {file.name for file in SCRIPTS}
    for file in [*SCRIPTS, ROOT / ".ci" / "run"]:
        subprocess.run(["bash", "-n", file], check=True, timeout=30)
        assert file.suffix == ".sh" or os.access(file, os.X_OK), f"{file} is not executable"


def test_too_old_a_python_is_refused_with_a_word_on_what_to_do(tmp_path: Path) -> None:
    """As on a machine whose only Python is 3.9: `.venv` is made by none."""
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo "Python 3.9.2" && exit\nexit 1\n')
    old.chmod(0o755)
    environment = (ROOT / "scripts" / "environment.sh").read_text()
    scripts = tmp_path / "clone" / "scripts"
    scripts.mkdir(parents=True)
    (scripts / "environment.sh").write_text(environment)
    (tmp_path / "dirname").symlink_to(shutil.which("dirname") or "")
    env = {"PATH": str(tmp_path)}
    command = ["/bin/bash", "-c", "source scripts/environment.sh; environment dev"]
    run = subprocess.run(command, cwd=scripts.parent, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert run.returncode != 0
    assert "Homing Router needs Python 3.11 or newer. None of these is: python3 (Python 3.9.2)" in run.stderr
    assert "PYTHON=/path/to/python3" in run.stderr


def test_scripts_name_their_stages(tmp_path: Path) -> None:
    run = subprocess.run(
        ["bash", ROOT / "scripts" / "test", "nonsense"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert run.returncode == 2
    assert "no stage nonsense; there are: format lint mypy pyright layers tests coverage package demo" in run.stderr
