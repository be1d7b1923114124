"""A package that shadows or replaces one of ours gives one clear ImportError."""

import os
import shutil
import subprocess
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

from router import _guard

ROOT = Path(_guard.__file__).parents[1]
PACKAGES = ("router", "strategies", "checks", "providers")
LOWER = PACKAGES[1:]
ALONE = "-S"  # without site-packages, where an editable install of this project would supply what is missing


def _import_router(cwd: Path, path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`import router` in a fresh interpreter started in `cwd`, with our packages in `path`."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE_")} | {
        "PYTHONPATH": str(path)
    }
    command = [sys.executable, *options, "-W", "error", "-c", "import router; print('imported', router.__file__)"]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False)


def _only_error(run: subprocess.CompletedProcess[str]) -> str:
    """The message of the ImportError that ended `run`, having made sure that no other error is behind it."""
    assert run.returncode == 1, run.stdout + run.stderr
    assert run.stderr.count("Traceback") == 1, run.stderr
    last = run.stderr.splitlines()[-1]
    assert last.startswith("ImportError: "), run.stderr
    return last


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder that holds a copy of the four packages, as `site-packages` would."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / "site" / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "site"


@pytest.mark.parametrize("name", LOWER)
def test_each_package_carries_the_mark(name: str) -> None:
    assert _guard.MARKER in (ROOT / name / "__init__.py").read_bytes(), "the docstring must hold router._guard.MARKER"


def test_router_imports_where_nothing_shadows_it(tmp_path: Path) -> None:
    run = _import_router(tmp_path, ROOT)
    assert run.stdout.startswith("imported"), run.stderr


def test_a_folder_without_init_does_not_shadow_us(tmp_path: Path) -> None:
    (tmp_path / "strategies").mkdir()
    assert _import_router(tmp_path, ROOT).returncode == 0


@pytest.mark.parametrize("name", LOWER)
@pytest.mark.parametrize("form", ["{}.py", "{}/__init__.py"])
def test_an_applications_own_module_or_package_is_named(tmp_path: Path, name: str, form: str) -> None:
    intruder = tmp_path / form.format(name)
    intruder.parent.mkdir(exist_ok=True)
    intruder.write_text("raise RuntimeError('the guard must not run this')\n")
    message = _only_error(_import_router(tmp_path, ROOT))
    assert f"`import {name}` finds {intruder}" in message
    assert f"({ROOT / name})" in message
    assert "Rename or move that one" in message


def test_a_package_overwritten_by_another_distribution_is_named(tmp_path: Path, copy: Path) -> None:
    (copy / "checks" / "__init__.py").write_text("from .other import thing\n")
    for name in ("checks", "homing-router"):
        info = copy / f"{name.replace('-', '_')}-0.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.2\n")
        (info / "RECORD").write_text("checks/__init__.py,,\n")
    message = _only_error(_import_router(tmp_path, copy))
    assert f"{copy / 'checks' / '__init__.py'} is not Homing Router's: it was overwritten" in message
    assert (
        "overwritten. checks installs a package of that name too: uninstall it, then reinstall this one: pip install"
        in message
    )


def test_a_package_that_another_distributions_uninstall_took_along_is_reported(tmp_path: Path, copy: Path) -> None:
    (copy / "checks" / "__init__.py").unlink()
    message = _only_error(_import_router(tmp_path, copy, ALONE))
    assert f"package 'checks' is missing from {copy}. Reinstall this one: pip install" in message


def test_a_package_that_is_gone_altogether_is_reported(tmp_path: Path, copy: Path) -> None:
    shutil.rmtree(copy / "providers")
    assert "package 'providers' is missing" in _only_error(_import_router(tmp_path, copy, ALONE))


def test_ours_reached_through_a_link_is_ours(tmp_path: Path, copy: Path) -> None:
    (copy / "strategies").rename(copy / "elsewhere")
    (copy / "strategies").symlink_to(copy / "elsewhere")
    linked = tmp_path / "linked"
    linked.symlink_to(copy)
    assert _import_router(tmp_path, linked).returncode == 0


def test_ours_by_another_spelling_of_its_path_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python does not tidy what a program puts on sys.path."""
    loader = SourceFileLoader("checks", str(ROOT / ".." / ROOT.name / "checks" / "__init__.py"))
    spec = ModuleSpec("checks", loader, origin=loader.path)
    monkeypatch.setattr(_guard, "find_spec", lambda name: spec)
    _guard.require_own_packages(("checks",))


def test_the_error_carries_name_and_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    intruder = tmp_path / "strategies_of_mine.py"
    intruder.touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="strategies_of_mine") as caught:
        _guard.require_own_packages(("strategies_of_mine",))
    assert (caught.value.name, caught.value.path) == ("strategies_of_mine", str(intruder))


def test_a_missing_package_is_an_import_error() -> None:
    with pytest.raises(ImportError, match="'no_such_package' is missing"):
        _guard.require_own_packages(("no_such_package",))


def test_a_module_put_into_sys_modules_by_hand_is_an_intruder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "checks", ModuleType("checks"))
    with pytest.raises(ImportError, match=r"sys\.modules\['checks'\] by hand"):
        _guard.require_own_packages()


def test_a_file_beside_router_without_our_mark_was_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_guard, "MARKER", b"a mark that no file of ours has")
    with pytest.raises(ImportError, match="overwritten"):
        _guard.require_own_packages()


@pytest.mark.parametrize("origin", ["__init__.so", "__init__.py"])
def test_what_has_no_source_is_not_accused(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    """Compiled packages, and those of a loader that can't say what it loads."""
    own = ROOT / "checks" / "base.py"
    loader = SourceFileLoader("checks", str(own)) if origin.endswith(".so") else None
    spec = ModuleSpec("checks", loader, origin=str(own.with_name(origin)))
    monkeypatch.setattr(_guard, "find_spec", lambda name: spec)
    monkeypatch.setattr(SourceFileLoader, "get_data", lambda self, path: b"no mark")
    _guard.require_own_packages(("checks",))
