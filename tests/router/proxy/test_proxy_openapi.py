"""The proxy's OpenAPI document tells what is served, all of it and no more; and whatever it allows is answered well."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from conversations import KEY
from proxies import proxying
from pydantic import SecretStr
from routers import AFFINITY, entry, tick

from providers.simulated import SimulatedUpstream
from router import Router
from router.proxy.app import Proxy
from router.proxy.openapi.document import OPERATIONS, document
from router.proxy.settings import ProxySettings

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)


@pytest.fixture
def url() -> Iterator[str]:
    with SimulatedUpstream.in_thread("u0", seed=1) as one, SimulatedUpstream.in_thread("u1", seed=1) as two:
        entries = [entry(each, "*", model="openai/*") for each in (one, two)]
        router = Router(entries, optional_pre_call_checks=AFFINITY, num_retries=0, disable_cooldowns=True, sleep=tick)
        with proxying(router, ProxySettings(master_key=SecretStr(KEY))) as url:
            yield url


async def test_the_document_tells_of_every_route_and_of_no_other() -> None:
    async with Router([entry("http://127.0.0.1:9")]) as router:
        served = {(method, path) for path, methods in Proxy(router)._routes.items() for method in methods}
    told = {
        (each.method, tuple(None if part.startswith("{") else part for part in each.path.strip("/").split("/")))
        for each in OPERATIONS
    }
    assert told == served
    assert len({each.name for each in OPERATIONS}) == len(OPERATIONS)


def test_the_document_is_served_without_a_key(url: str) -> None:
    answer = httpx.get(f"{url}/openapi.json")
    assert answer.status_code == 200
    assert answer.json() == document()
    assert httpx.get(f"{url}/v1/openapi.json").json() == answer.json()


@pytest.mark.timeout(330)  # thousands of requests, on machines that are busy, too
def test_whatever_the_document_allows_is_answered_as_it_says(url: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
            *("--header", f"Authorization: Bearer {KEY}"),
            *("--checks", ",".join(CHECKS)),
            *("--phases", "coverage,fuzzing,stateful"),
            *("--max-examples", "12", "--seed", "7", "--generation-deterministic"),
            *("--exclude-path-regex", "^/fleet/"),  # one has no end, two would take the deployments away
            *("--request-timeout", "20", "--continue-on-failure", "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
