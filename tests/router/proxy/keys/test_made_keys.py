"""Keys that are made while proxies run, and that all of them know through one Redis."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes import Clock
from prices import PerToken
from proxies import proxying
from redis_servers import Server, until
from routers import AFFINITY, entry
from virtual_keys import MASTER, Client, configured, error, keyed, secret

from providers.errors import ServiceUnavailableError
from providers.simulated import Behaviour, SimulatedUpstream
from router import Router
from router.proxy.holder import Grant
from router.proxy.keys import known
from router.proxy.keys.book import KeyBook
from router.proxy.keys.known import KNOWN, KnownKeys
from router.stores.redis_link import OutageError


class Proxies:
    """Two that share a Redis and nothing else."""

    def __init__(self, stack: ExitStack, server: Server) -> None:
        self.server = server
        upstream = stack.enter_context(SimulatedUpstream.in_thread("u0", behaviour=Behaviour(tokens=16)))
        self.http = stack.enter_context(httpx.Client(timeout=20))
        self.urls = []
        for _ in range(2):
            router = Router(
                [entry(upstream), entry(upstream, "other", id="u1")],
                optional_pre_call_checks=AFFINITY,
                redis_url=f"redis://127.0.0.1:{server.port}",
                redis_timeout=5.0,
                price_source=PerToken(),
                default_litellm_params={"max_output_tokens": 16},
            )
            self.urls.append(stack.enter_context(proxying(router, keyed(configured("fixed")))))
        self.one, self.two = (Client(self.http, url, MASTER) for url in self.urls)

    def make(self, **terms: Any) -> dict[str, Any]:
        """A new key, and what is told of it."""
        answer = self.one.post("/key/generate", **terms)
        assert answer.status_code == 200, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def at(self, number: int, key: str) -> Client:
        """Whoever has the key, at one of the two."""
        return Client(self.http, self.urls[number], key)

    def refused_soon(self, client: Client) -> httpx.Response:
        """What the proxy says once it has heard of it."""
        answers: list[httpx.Response] = []

        def refused() -> bool:
            answers.append(client.get("/v1/models"))
            return answers[-1].status_code != 200

        until(refused, "the end of the key")
        return answers[-1]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def proxies(server: Server) -> Iterator[Proxies]:
    with ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(known, "FRESH", 0.2)
        made = Proxies(stack, server)
        key = made.make(max_budget=1_000, rpm_limit=1_000, max_parallel_requests=100)["key"]
        clients = [made.at(number, key) for number in range(2)] * 12
        with ThreadPoolExecutor(12) as pool:  # so that connections and threads are there before a test counts them
            assert {answer.status_code for answer in pool.map(Client.create, clients)} == {200}
        for client in (made.one, made.two):
            assert client.get("/key/list").status_code == 200
        yield made


def test_a_key_is_told_once_and_good_everywhere_at_once(proxies: Proxies) -> None:
    made = proxies.make(
        key_alias="web",
        models=["gpt"],
        duration="30d",
        rpm_limit=100,
        tpm_limit=None,
        user_id="ada",
        metadata={"purpose": "tests"},
    )
    key = made.pop("key")
    assert key.startswith("sk-")
    assert len(key) > 40
    for number in range(2):
        assert proxies.at(number, key).create().status_code == 200
        assert error(proxies.at(number, key).create("other")) == (403, "model_not_allowed")
    told = proxies.two.get("/key/info", key=key).json()
    assert told == {"key": made["token"], "info": made}
    assert (made["key_alias"], made["models"], made["rpm_limit"], made["tpm_limit"]) == ("web", ["gpt"], 100, None)
    assert (made["user_id"], made["metadata"], made["source"]) == ("ada", {"purpose": "tests"}, "redis")
    assert made["expires"] > made["created_at"]
    for name in ("web", made["token"]):
        assert proxies.two.get("/key/info", key=name).json() == told
    kept = str([proxies.server.client().hgetall(name) for name in (f"homing:{{keys}}:{n}" for n in HASHES)])
    assert made["token"] in kept
    assert key not in kept
    listed = proxies.one.get("/key/list", return_full_object="true").json()
    assert listed["keys"][0]["key_alias"] == "fixed"
    assert made in listed["keys"]


HASHES = ("grants", "digests", "aliases")


def test_a_key_that_is_revoked_is_refused_at_once_here_and_soon_elsewhere(proxies: Proxies) -> None:
    made = [proxies.make(key_alias=f"revoked-{number}") for number in range(2)]
    key = made[0]["key"]
    for number in range(2):
        assert proxies.at(number, key).get("/v1/models").status_code == 200
    answer = proxies.one.post("/key/delete", keys=[key], key_aliases=["revoked-1"])
    assert answer.json() == {"deleted_keys": [each["token"] for each in made]}
    assert error(proxies.at(0, key).get("/v1/models")) == (401, "invalid_api_key")
    assert error(proxies.refused_soon(proxies.at(1, key))) == (401, "invalid_api_key")
    assert error(proxies.one.post("/key/delete", keys=[key])) == (404, "key_not_found")
    assert proxies.make(key_alias="revoked-0")["token"] != made[0]["token"]  # its name is free again


def test_nothing_is_revoked_if_one_of_them_is_unknown(proxies: Proxies) -> None:
    key = proxies.make()["key"]
    assert error(proxies.one.post("/key/delete", keys=[key, "sk-unknown-0123456789"])) == (404, "key_not_found")
    assert error(proxies.one.post("/key/delete", keys=[key, "fixed"])) == (400, "configured_key")
    wrong: list[dict[str, Any]] = [{}, {"keys": []}, {"keys": "x"}, {"keys": [1]}, {"key_aliases": [""]}]
    for body in [*wrong, {"keys": [key], "key": "x"}]:
        assert error(proxies.one.post("/key/delete", **body)) == (400, "invalid_argument")
    assert proxies.at(0, key).get("/v1/models").status_code == 200


def test_a_key_is_rotated_and_keeps_what_it_had(proxies: Proxies) -> None:
    made = proxies.make(key_alias="rotated", rpm_limit=300)
    identity = proxies.at(0, made["key"]).create().json()["id"]
    answer = proxies.one.post("/key/rotated/regenerate").json()
    assert answer["key"] != made["key"]
    assert {**answer, "key": ""} == {**made, "key": ""}
    assert proxies.at(1, answer["key"]).get(f"/v1/responses/{identity}").status_code == 200
    assert error(proxies.at(0, made["key"]).get("/v1/models")) == (401, "invalid_api_key")
    again = proxies.one.post(f"/key/{answer['key']}/regenerate", duration="1d", tpm_limit=5).json()
    assert (again["tpm_limit"], again["rpm_limit"], again["token"]) == (5, 300, made["token"])
    assert again["expires"] is not None
    assert error(proxies.one.post("/key/nobody/regenerate")) == (404, "key_not_found")
    assert error(proxies.one.post("/key/fixed/regenerate")) == (400, "configured_key")
    assert error(proxies.one.post("/key/rotated/regenerate", key="sk-0123456789abcdef")) == (400, "invalid_argument")


def test_a_key_is_changed_and_blocked(proxies: Proxies) -> None:
    made = proxies.make(key_alias="changed")
    client = proxies.at(0, made["key"])
    assert client.create("other").status_code == 200
    changed = proxies.one.post("/key/update", key="changed", models=["gpt"], key_alias="renamed").json()
    assert "key" not in changed
    assert (changed["models"], changed["key_alias"]) == (["gpt"], "renamed")
    assert error(client.create("other")) == (403, "model_not_allowed")
    assert error(proxies.one.get("/key/info", key="changed")) == (404, "key_not_found")
    proxies.one.post("/key/update", key=made["token"], blocked=True)
    assert error(client.create()) == (401, "blocked")
    assert error(proxies.refused_soon(proxies.at(1, made["key"]))) == (401, "blocked")
    proxies.one.post("/key/update", key=made["token"], blocked=False)
    assert client.create().status_code == 200
    assert proxies.one.post("/key/update", models=[]).status_code == 400


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"rpm_limt": 3}, "rpm_limt: unknown field; did you mean 'rpm_limit'?"),
        ({"rpm": 3}, "rpm: not supported: it is called rpm_limit"),
        ({"permissions": {}}, "permissions: not supported: a virtual key may call models and nothing else"),
        ({"rpm_limit": 0}, "rpm_limit: must be at least 1"),
        ({"tpm_limit": "many"}, "tpm_limit: must be a whole number"),
        ({"max_budget": -1}, "max_budget: must be at least 0"),
        ({"budget_duration": "1d"}, "budget_duration: says for how long max_budget is; give both"),
        ({"max_budget": 1, "budget_duration": "soon"}, "budget_duration: must be a number and a unit"),
        ({"duration": "1y"}, "duration: must be a number and a unit"),
        ({"expires": "2030-01-01"}, "expires: not supported: write duration"),
        ({"key": "sk-short"}, "key: must have at least 16 characters"),
        ({"key": "sk-ä0123456789abcdef"}, "key: must be printable ASCII"),
        ({"key_alias": "a\nb"}, "key_alias: must be printable"),
        ({"models": "gpt"}, "models: must be a list"),
        ({"metadata": {"x": "y" * 70_000}}, "models and metadata take 70,1"),
        ({"rpm_limit": 0, "tpm_limit": 0}, "2 things are wrong with the key:\n  rpm_limit: must be"),
    ],
)
def test_what_is_wrong_with_a_key_is_said(proxies: Proxies, terms: dict[str, Any], said: str) -> None:
    answer = proxies.one.post("/key/generate", **terms)
    assert error(answer) == (400, "invalid_argument")
    assert answer.json()["error"]["message"].startswith(said)
    assert "sk-" not in answer.text


def test_what_cannot_be_kept_is_no_failure(proxies: Proxies) -> None:
    for body in (b'{"metadata": {"x": "\\ud800"}}', b'{"models": ["\\ud800"]}', b'{"key_alias": "\\ud800"}'):
        assert error(proxies.one.ask("POST", "/key/generate", content=body)) == (400, "invalid_argument")


def test_keys_and_their_names_are_each_there_once(proxies: Proxies) -> None:
    own = "sk-chosen-by-hand-0123456789"
    made = proxies.make(key=own, key_alias="twin")
    assert made["key"] == own
    assert proxies.at(1, own).get("/v1/models").status_code == 200
    assert error(proxies.two.post("/key/generate", key=own)) == (409, "key_key")
    assert error(proxies.two.post("/key/generate", key_alias="twin")) == (409, "key_alias")
    assert error(proxies.two.post("/key/generate", key_alias="fixed")) == (409, "key_alias")
    assert error(proxies.two.post("/key/generate", key=secret("fixed"))) == (409, "key_key")
    other = proxies.make()["token"]
    assert error(proxies.two.post("/key/update", key=other, key_alias="twin")) == (409, "key_alias")
    assert error(proxies.two.post("/key/generate", key=MASTER)) == (409, "key_key")


def test_limits_are_those_of_all_proxies_together(proxies: Proxies) -> None:
    key = proxies.make(rpm_limit=4, max_budget=1_000)["key"]
    for number in (0, 1, 0, 1):
        assert proxies.at(number, key).create().status_code == 200
    for number in range(2):
        assert error(proxies.at(number, key).create()) == (429, "rate_limit_exceeded")


def test_a_budget_is_that_of_all_proxies_together(proxies: Proxies) -> None:
    made = proxies.make(max_budget=20, budget_duration="1d")
    for number in range(2):  # eight dollars each
        assert proxies.at(number, made["key"]).create().status_code == 200
    for number in range(2):
        until(
            lambda number=number: proxies.at(number, made["key"]).create().status_code == 429,  # type: ignore[misc]
            "what was spent",
        )
        assert error(proxies.at(number, made["key"]).create()) == (429, "budget_exceeded")
        client = (proxies.one, proxies.two)[number]
        assert client.get("/key/info", key=made["token"]).json()["info"]["spend"] == 16.0


def test_while_redis_is_away_known_keys_are_let_in_and_others_are_not(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = Server(tmp_path).start()
        stack.callback(server.kill)
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(known, "FRESH", 0.2)
        proxies = Proxies(stack, server)
        key = proxies.make(rpm_limit=50)["key"]
        assert proxies.at(0, key).create().status_code == 200
        server.kill()
        pause = threading.Event()
        for _ in range(10):  # longer than what it knows is fresh
            assert proxies.at(0, key).create().status_code == 200
            pause.wait(0.03)
        for client in (proxies.at(1, key), proxies.at(0, "sk-never-seen-0123456789")):
            answer = client.create()
            assert error(answer) == (503, "key_store_unavailable")
        assert proxies.at(0, secret("fixed")).create().status_code == 200
        assert proxies.one.create().status_code == 200
        for answer in (proxies.one.post("/key/generate"), proxies.one.get("/key/list")):
            assert error(answer) == (503, "key_store_unavailable")


def test_keys_are_made_where_the_router_knows_whose_a_response_is(server: Server) -> None:
    router = Router([entry("http://127.0.0.1:9")], redis_url=f"redis://127.0.0.1:{server.port}", redis_timeout=5.0)
    with proxying(router, keyed()) as url, httpx.Client(timeout=20) as http:
        answer = Client(http, url, MASTER).post("/key/generate")
        assert error(answer) == (400, "keys_not_kept")
        assert "responses_api_deployment_check" in answer.text
    router = Router([entry("http://127.0.0.1:9")], redis_url=f"redis://127.0.0.1:{server.port}", redis_timeout=5.0)
    with proxying(router) as url, httpx.Client(timeout=20) as http:
        answer = Client(http, url, None).post("/key/generate")
        assert error(answer) == (400, "keys_not_kept")
        assert "general_settings.master_key" in answer.text


# what is known


def grant(name: str, **more: Any) -> Grant:
    return Grant(id=name, digest=f"digest-{name}", created=1.0, **more)


class Shelf(KeyBook):
    """A book whose answers a test gives."""

    def __init__(self) -> None:
        self.kept: dict[str, Grant] = {}
        self.asked = 0
        self.away = False
        self.waiting: asyncio.Event | None = None

    async def find(self, digest: str) -> Grant | None:
        self.asked += 1
        if self.waiting is not None:
            await self.waiting.wait()
        if self.away:
            raise OutageError
        return self.kept.get(digest)


async def test_a_key_is_looked_up_again_when_that_is_long_ago() -> None:
    shelf, clock = Shelf(), Clock()
    known_keys = KnownKeys(shelf, clock)
    assert await known_keys.find("x") is None
    shelf.kept["x"] = grant("a")
    holder = await known_keys.find("x")  # what is not known is asked for each time
    assert holder is not None
    assert shelf.asked == 2
    assert await known_keys.find("x") is holder
    clock.now += known.FRESH - 0.1
    assert (await known_keys.find("x"), shelf.asked) == (holder, 2)
    clock.now += 0.1
    assert (await known_keys.find("x"), shelf.asked) == (holder, 3)
    shelf.kept["x"] = grant("a", blocked=True)
    clock.now += known.FRESH
    assert (await known_keys.find("x")) is not holder
    del shelf.kept["x"]
    known_keys.forget("x")
    assert await known_keys.find("x") is None


async def test_a_key_is_known_for_a_while_in_an_outage() -> None:
    shelf, clock = Shelf(), Clock()
    known_keys = KnownKeys(shelf, clock)
    shelf.kept["x"] = grant("a")
    holder = await known_keys.find("x")
    shelf.away = True
    with pytest.raises(ServiceUnavailableError, match="whether the API key is valid is not known"):
        await known_keys.find("y")
    clock.now += KNOWN - 0.1
    assert await known_keys.find("x") is holder
    clock.now += known.FRESH
    with pytest.raises(ServiceUnavailableError):
        await known_keys.find("x")
    shelf.away = False
    clock.now += known.FRESH
    assert await known_keys.find("x") is holder


async def test_while_one_asks_others_go_by_what_is_known() -> None:
    shelf, clock = Shelf(), Clock()
    known_keys = KnownKeys(shelf, clock)
    shelf.kept["x"] = grant("a")
    holder = await known_keys.find("x")
    clock.now += known.FRESH
    shelf.waiting = asyncio.Event()
    asking = asyncio.ensure_future(known_keys.find("x"))
    await asyncio.sleep(0)
    assert await known_keys.find("x") is holder
    assert shelf.asked == 2
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    shelf.waiting = None
    del shelf.kept["x"]
    assert await known_keys.find("x") is None  # whoever is cancelled has not asked
