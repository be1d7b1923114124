"""The checks of `conftest.py` find what a test leaves behind, and find nothing where nothing is left."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent

LEAKY = """
import asyncio, socket, threading
import conftest, leftovers

conftest.GRACE = leftovers.GRACE = 0.05
kept = []
release = threading.Event()


async def test_task():
    kept.append(asyncio.create_task(asyncio.Event().wait()))


def test_thread():
    kept.append(threading.Thread(target=release.wait, args=(60,)))
    kept[-1].start()


def test_socket():
    kept.append(socket.socket())


async def test_clean():
    release.set()
    await asyncio.to_thread(int)
    kept.append(asyncio.create_task(asyncio.to_thread(int)))
    with socket.socket():
        pass
"""


def test_what_a_test_leaves_behind_fails_it(tmp_path: Path) -> None:
    (tmp_path / "test_leaky.py").write_text(LEAKY)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    )
    plugins = ("-p", "pytest_asyncio.plugin", "-p", "conftest")  # and no others, which take long to load
    command = [sys.executable, "-m", "pytest", *plugins, "--import-mode=importlib"]
    env = os.environ | {"PYTHONPATH": str(TESTS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    run = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=100, check=False)
    assert "ERROR test_leaky.py::test_task - AssertionError: tasks left running" in run.stdout, run.stdout + run.stderr
    assert "ERROR test_leaky.py::test_thread - AssertionError: threads left running" in run.stdout, run.stdout
    assert "ERROR test_leaky.py::test_socket - AssertionError: sockets left open" in run.stdout, run.stdout
    assert "4 passed, 3 errors" in run.stdout, run.stdout
