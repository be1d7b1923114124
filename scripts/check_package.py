"""Builds the wheel through the sdist, looks inside, installs it in a bare environment and uses it from elsewhere.

Run by `scripts/test package`, with the project's development environment. Everything happens in a temporary folder.
"""

import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("router", "strategies", "checks", "providers")
TIMEOUT = 600
"""Seconds for any one command; installing from a slow index takes longest."""


def run(*command: str | Path, cwd: Path) -> str:
    """What `command` prints; ends this script with its errors if it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def require(fact: bool, otherwise: str) -> None:
    """End this script with the complaint `otherwise` unless `fact`."""
    if not fact:
        sys.exit(otherwise)


def build(work: Path) -> Path:
    """A wheel, made from the sdist and not from this folder."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", work / "dist", ROOT, cwd=work)
    (wheel,) = (work / "dist").glob("*.whl")
    require(len(list((work / "dist").glob("*.tar.gz"))) == 1, "the build made no sdist")
    return wheel


def look_inside(wheel: Path) -> None:
    """The four packages as they are here, the metadata, and nothing else."""
    with ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if not name.endswith("/")}
    top = {name.split("/")[0] for name in shipped}
    info = {name for name in top if name.endswith(".dist-info")}
    require(len(info) == 1 and top - info == set(PACKAGES), f"the wheel's top level holds {sorted(top)}")
    tracked = run("git", "ls-files", "--", *PACKAGES, cwd=ROOT).split() if (ROOT / ".git").exists() else []
    here = {name for name in tracked if (ROOT / name).exists()}
    shipped = {name for name in shipped if name.split("/")[0] not in info}
    require(not here - shipped, f"missing from the wheel: {sorted(here - shipped)}")
    foreign = {name for name in shipped if not (ROOT / name).exists() or "__pycache__" in name}
    require(not foreign, f"in the wheel and not in the project: {sorted(foreign)}")
    for package in PACKAGES:
        require(f"{package}/py.typed" in shipped, f"{package}/py.typed is missing from the wheel")


def install(wheel: Path, work: Path) -> Path:
    """The interpreter of a new environment that holds the wheel and what it asks for."""
    run(sys.executable, "-m", "venv", work / "bare", cwd=work)
    python = work / "bare" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "requirements.lock", wheel, cwd=work)
    run(python, "-m", "pip", "check", cwd=work)
    return python


def use(python: Path, work: Path, version: str) -> None:
    """Each package imported first, the command run, from a folder that has nothing to do with this one."""
    elsewhere = work / "elsewhere"
    elsewhere.mkdir()
    for package in PACKAGES:
        code = f"import {package}; print({package}.__file__)"
        where = Path(run(python, "-W", "error", "-c", code, cwd=elsewhere).strip())
        require(where.is_relative_to(work / "bare"), f"import {package} found {where}")
    installed = run(
        python, "-c", "from importlib.metadata import version; print(version('homing-router'))", cwd=elsewhere
    )
    require(installed.strip() == version, f"installed is version {installed.strip()}, pyproject.toml says {version}")
    help_text = run(python.with_name("homing"), "--help", cwd=elsewhere)
    require("demo" in help_text, f"homing --help does not mention demo:\n{help_text}")


def main() -> None:
    """All of it; ends with status 0 and one line if the package is as it should be."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    work = Path(tempfile.mkdtemp(prefix="homing-package-")).resolve()
    try:
        wheel = build(work)
        look_inside(wheel)
        use(install(wheel, work), work, version)
        print(f"{wheel.name}: built through the sdist, installed and used in a bare environment")
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
