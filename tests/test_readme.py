"""The README's examples run, word for word, and its commands exist.

Each section's Python blocks run in order against simulated deployments on real sockets. Examples name hosts as a user
would; one simulated deployment stands in for each host, and only the transport learns where it really is.
"""

import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from markdown_blocks import Block, blocks, by_section, run
from redis_servers import Server

from providers.catalog import VENDORS, Login
from providers.simulated import SimulatedUpstream
from providers.types import Connection, HttpRequest
from router.cli import main
from router.transport.aiohttp_transport import AiohttpTransport
from router.transport.base import OpenReply
from router.transport.httpx_transport import HttpxTransport

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BLOCKS = list(blocks(README.read_text()))
PYTHON = [(section, group) for section, group in by_section(BLOCKS) if any(b.language == "python" for b in group)]


class Hosts:
    """One simulated deployment for each host that is asked for."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.upstreams: dict[str, SimulatedUpstream] = {}

    def locate(self, request: HttpRequest) -> HttpRequest:
        """`request`, addressed to the stand-in of its host."""
        parts = urlsplit(request.url)
        if parts.netloc not in self.upstreams:
            upstream = SimulatedUpstream.in_thread(parts.netloc)
            self.upstreams[parts.netloc] = self._stack.enter_context(upstream)
        below = parts._replace(scheme="", netloc="").geturl()
        return replace(request, url=self.upstreams[parts.netloc].url + below)


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosts]:
    """Stand-ins for every host that the built-in transports are sent to."""
    with ExitStack() as stack:
        found = Hosts(stack)
        for kind in (AiohttpTransport, HttpxTransport):
            _divert(kind, found, monkeypatch)
        yield found


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A real server, for the examples that want one."""
    server = Server(tmp_path / "redis").start()
    yield f"redis://127.0.0.1:{server.port}"
    server.kill()


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """An example may set up logging, which is the whole process's."""
    logger = logging.getLogger("router.calls")
    handlers, level = logger.handlers[:], logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


def _divert(kind: type[AiohttpTransport | HttpxTransport], hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    real = kind.send

    async def send(
        self: AiohttpTransport | HttpxTransport, request: HttpRequest, connection: Connection, *, timeout: float
    ) -> OpenReply:
        return await real(self, hosts.locate(request), connection, timeout=timeout)  # type: ignore[arg-type]  # its own

    monkeypatch.setattr(kind, "send", send)


def _set_environment(text: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each variable that `text` reads a value of the kind that its name tells."""
    for name in set(re.findall(r"os\.environ(?:/|\[\"|\.get\(\")(\w+)", text)):
        if name == "REDIS_URL":
            monkeypatch.setenv(name, request.getfixturevalue("redis_url"))
        elif re.search(r"(BASE|URL|ENDPOINT)(_|$)", name):
            monkeypatch.setenv(name, f"https://{name.lower().replace('_', '-')}.example.com")
        else:
            monkeypatch.setenv(name, f"secret-{name}")


@pytest.mark.parametrize("section", [group for _, group in PYTHON], ids=[section for section, _ in PYTHON])
def test_the_examples_of_a_section_run(
    section: list[Block],
    hosts: Hosts,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    for block in section:
        if block.file_name:
            (tmp_path / block.file_name).write_text(block.text)
    _set_environment("".join(block.text for block in section), request, monkeypatch)
    run(section, README)


async def test_a_simulated_deployment_stands_in_for_each_host(hosts: Hosts) -> None:
    content = b'{"model": "gpt-5", "input": "Hello"}'
    transport = AiohttpTransport()
    for url in ("https://one.example.com/v1/responses", "https://two.example.com/openai/responses?api-version=1"):
        request = HttpRequest("POST", url, {"content-type": "application/json"}, content)
        reply = await transport.send(request, Connection(), timeout=10)
        assert b'"status":"completed"' in (await reply.read()).replace(b" ", b"")
    await transport.aclose()
    assert {host: upstream.calls for host, upstream in hosts.upstreams.items()} == {
        "one.example.com": 1,
        "two.example.com": 1,
    }


def test_there_are_examples() -> None:
    assert "optional_pre_call_checks" in "".join(block.text for _, group in PYTHON for block in group)


def test_configuration_blocks_can_be_read() -> None:
    for block in BLOCKS:
        if block.language in {"yaml", "yml"}:
            yaml.safe_load(block.text)
        elif block.language == "json":
            json.loads(block.text)


def test_the_commands_exist() -> None:
    """`scripts/test` runs the two that matter; here every script that is named must be there and executable."""
    text = README.read_text()
    named = set(re.findall(r"(?<![\w/])(?:scripts|\.ci|benchmarks)/[\w.]+\w", text))
    assert {"scripts/demo", "scripts/test"} <= named
    for name in named:
        assert (ROOT / name).is_file(), f"the README names {name}"
        assert name.startswith("benchmarks/") or os.access(ROOT / name, os.X_OK), f"{name} is not executable"


def test_the_subcommands_exist(capsys: pytest.CaptureFixture[str]) -> None:
    commands = "".join(block.text for block in BLOCKS if block.language in {"console", "sh", "bash"})
    for command in set(re.findall(r"^(?:\$ )?(?:\S+/)?homing ([a-z]+)", commands, re.MULTILINE)):
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0, f"there is no `homing {command}`"
        assert capsys.readouterr().out


def test_links_within_the_project_lead_somewhere() -> None:
    text = README.read_text()
    anchors = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", text, re.M)
    }
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in anchors, f"no heading for {target}"
        elif "://" not in target:
            assert (ROOT / target).exists(), f"no file {target}"


def test_every_vendor_and_its_variables_are_named() -> None:
    section = README.read_text().partition("## Providers")[2].partition("\n## ")[0]
    for name, vendor in VENDORS.items():
        assert f"`{name}/" in section
        if len(vendor.dialects) < 2 or vendor.login is not Login.KEY:
            missing = [env for env in (*vendor.key_env, *vendor.base_env[:1]) if env not in section]
            assert not missing, f"{name}: the README does not name {missing}"
