"""The rules that hold for every module of the four packages, beyond those that the linter knows."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("router", "strategies", "checks", "providers")
FILES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
NAMES = [str(file.relative_to(ROOT)) for file in FILES]
MOST_LINES = 400

every_module = pytest.mark.parametrize("file", FILES, ids=NAMES)
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(), filename=str(file))


def _public(body: list[ast.stmt]) -> Iterator[Definition]:
    """Public classes, functions and methods defined in `body`, and in its classes.

    Without overloads and setters: their docstring stands at the implementation, at the property.
    """
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_") and not _second_part(node):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body)


def _second_part(node: Definition) -> bool:
    decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
    return "overload" in decorators or f"{node.name}.setter" in decorators


def _contracts() -> set[str]:
    """Names of methods that a contract documents (modules named `base`), for all that implement them."""
    classes = [node for file in FILES if file.stem == "base" for node in _tree(file).body]
    methods = [node for kind in classes if isinstance(kind, ast.ClassDef) for node in _public(kind.body)]
    return {node.name for node in methods if ast.get_docstring(node)}


CONTRACTS = _contracts()


def test_there_is_something_to_look_at() -> None:
    assert {name.split("/")[0] for name in NAMES} == set(PACKAGES)
    assert {"pick", "eligible", "encode", "send"} <= CONTRACTS


@every_module
def test_a_module_can_be_read_in_one_sitting(file: Path) -> None:
    lines = len(file.read_text().splitlines())
    assert lines <= MOST_LINES


@every_module
def test_everything_public_says_what_it_is(file: Path) -> None:
    tree = _tree(file)
    assert ast.get_docstring(tree), "the module has no docstring"
    methods = {node for kind in ast.walk(tree) if isinstance(kind, ast.ClassDef) for node in kind.body}
    silent = [
        f"{node.name} (line {node.lineno})"
        for node in _public(tree.body)
        if not ast.get_docstring(node) and not (node in methods and node.name in CONTRACTS)
    ]
    assert not silent, f"without a docstring: {silent}"


@every_module
def test_names_say_what_a_thing_is(file: Path) -> None:
    classes = [node.name for node in ast.walk(_tree(file)) if isinstance(node, ast.ClassDef)]
    vague = [name for name in classes if re.search(r"Manager|Handler|Helper|Utils", name)]
    assert not vague, f"names that say nothing: {vague}"


@every_module
def test_policies_and_translations_do_no_io(file: Path) -> None:
    """What the import contracts can't say: they know whole packages of the standard library only."""
    if file.parent.name == "simulated" or file.relative_to(ROOT).parts[0] not in {"strategies", "providers"}:
        return
    found = [
        node.lineno
        for node in ast.walk(_tree(file))
        if (isinstance(node, ast.Import) and any(name.name in {"http.client", "urllib.request"} for name in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module in {"http.client", "urllib.request"})
        or (isinstance(node, ast.Attribute) and ast.unparse(node) in {"time.sleep", "socket.socket", "builtins.open"})
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open")
        or isinstance(node, ast.Await)
    ]
    assert not found, f"waits, or reaches out, on lines {found}"


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None, exclude_type_checking_imports=True)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_can_be_imported_first(package: str) -> None:
    code = f"import {package}, threading; print(threading.active_count())"
    command = [sys.executable, "-W", "error", "-c", code]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert run.stdout.split() == ["1"], f"an import failed or started threads: {run.stdout}{run.stderr}"
