"""`homing serve --workers`: several processes at one socket."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import yaml
from commands import PATIENCE, homing_serve

from providers.simulated import SimulatedUpstream
from router.proxy.workers import Workers


def children(process: subprocess.Popen[str]) -> list[int]:
    """The processes that a process has started."""
    return [int(each) for each in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def write(path: Path, *urls: str, **more: object) -> Path:
    entries = [
        {"model_name": "gpt", "litellm_params": {"model": "openai/gpt", "api_base": f"{url}/v1", "api_key": "k"}}
        for url in urls
    ]
    path.write_text(yaml.safe_dump({"model_list": entries, **more}))
    return path


def ask(url: str) -> str:
    return httpx.post(f"{url}/v1/responses", json={"model": "gpt", "input": "x"}, timeout=PATIENCE).text


def test_workers_serve_are_replaced_read_again_and_end(tmp_path: Path) -> None:
    with SimulatedUpstream.in_thread("one") as one, SimulatedUpstream.in_thread("two") as two:
        path = write(tmp_path / "config.yaml", one.url)
        with homing_serve(path, "--workers", "2", "--json-logs") as serving:
            assert "at one" in ask(serving.url)
            first = children(serving.process)
            assert len(first) == 2
            os.kill(first[0], signal.SIGKILL)
            serving.until(f"the worker {first[0]} has ended with -9; another takes its place")
            assert "at one" in ask(serving.url)
            write(path, two.url)
            os.kill(serving.process.pid, signal.SIGHUP)
            serving.until("was read again")
            assert serving.end(signal.SIGINT) == 0
    assert not any(Path(f"/proc/{each}").exists() for each in first)


def test_workers_that_cannot_serve_as_asked_end_the_command(tmp_path: Path) -> None:
    path = write(tmp_path / "config.yaml", "http://127.0.0.1:9", router_settings={"routing_strategy": "adaptif"})
    with homing_serve(path, "--workers", "2") as serving:
        serving.until("router_settings.routing_strategy: unknown strategy 'adaptif'")
        assert serving.process.wait(PATIENCE) == 2


def test_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    with (
        SimulatedUpstream.in_thread("one") as one,
        homing_serve(write(tmp_path / "config.yaml", one.url), "--workers", "2", "--log-level", "debug") as serving,
    ):
        for _ in range(2):
            serving.until("Application startup complete")
        serving.process.kill()
        for _ in range(2):
            serving.until("Finished server process")


async def test_a_worker_that_has_just_started_ends_too_and_one_that_is_gone_is_told_nothing() -> None:
    class Gone:
        def send_signal(self, number: int) -> None:
            raise ProcessLookupError

    with socket.socket() as listening:
        workers = Workers([sys.executable, "-c", "import time; time.sleep(60)"], listening, 1, 1.0)
        keeping = asyncio.create_task(workers._keep())
        await asyncio.sleep(0)  # it is being started
        workers._end()
        workers._end()
        await asyncio.wait_for(keeping, PATIENCE)
        workers._send(Gone(), signal.SIGTERM)  # type: ignore[arg-type]  # the least there is to send to
