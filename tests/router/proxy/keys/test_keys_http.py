"""Keys of the configuration, over real sockets: who is let in, for what, and how much of it."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from prices import PerToken
from proxies import proxying
from redis_servers import until
from routers import AFFINITY, entry, misbehave
from virtual_keys import MASTER, Client, configured, error, keyed, secret

from providers.errors import ConfigurationError
from providers.simulated import Behaviour, SimulatedUpstream
from router import CallRecord, Router
from router.proxy.app import Proxy
from router.proxy.holder import Grant

KEYS = (
    configured("all"),
    configured("gpt-only", models=["gpt"], user_id="ada", team_id="red"),
    configured("wild", models=["vendor/*", "nick*"]),
    configured("same-team", team_id="red"),
    configured("tenant-a", tenant="a"),
    configured("tenant-a-too", tenant="a"),
    configured("gone", expires=1_000_000_000),
    configured("lasting", expires="2999-01-01"),
    configured("stopped", blocked=True),
    configured("few", rpm_limit=2),
    configured("few-chats", rpm_limit=1),
    configured("small", tpm_limit=200),
    configured("one-at-a-time", max_parallel_requests=1),
    configured("rich", max_budget=20, budget_duration="1d"),
    configured("poor", max_budget=0),
)


class World:
    """A proxy with keys over two groups, and what became of its calls."""

    def __init__(self, stack: ExitStack) -> None:
        behaviour = Behaviour(tokens=16)
        self.upstreams = [
            stack.enter_context(SimulatedUpstream.in_thread(name, behaviour=behaviour)) for name in ("u0", "u1", "u2")
        ]
        self.records: list[CallRecord] = []
        models = [
            entry(self.upstreams[0]),
            entry(self.upstreams[1], "other"),
            entry(self.upstreams[2], "vendor/*", model="openai/*"),
        ]
        self.router = Router(
            models,
            optional_pre_call_checks=AFFINITY,
            model_group_alias={"nickname": "other"},
            callbacks=[self.records.append, "prometheus"],
            price_source=PerToken(),
            default_litellm_params={"max_output_tokens": 16},
            num_retries=0,
        )
        self.url = stack.enter_context(proxying(self.router, keyed(*KEYS)))
        self.http = stack.enter_context(httpx.Client(timeout=20))

    def by(self, alias: str) -> Client:
        return self.showing(MASTER if alias == "master" else secret(alias))

    def showing(self, key: str | None) -> Client:
        return Client(self.http, self.url, key)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with ExitStack() as stack:
        world = World(stack)
        for model in ("gpt", "other", "vendor/x"):  # so that connections are there before a test counts them
            assert world.by("master").create(model).status_code == 200
        assert world.by("master").get("/metrics").status_code == 200  # and a thread
        assert world.by("master").create(stream=True).status_code == 200
        yield world


@pytest.fixture
def fresh() -> Iterator[World]:
    """One of a test's own, which breaks connections or is the first to ask for something."""
    with ExitStack() as stack:
        yield World(stack)


def test_who_shows_no_key_or_a_wrong_one_is_turned_away(world: World) -> None:
    for client in map(world.showing, (None, "sk-of-all", "wrong")):
        for answer in (client.create(), client.chat(), client.get("/v1/models"), client.get("/key/list")):
            assert error(answer) == (401, "invalid_api_key")
    for alias in ("all", "lasting", "master"):
        assert world.by(alias).create().status_code == 200


@pytest.mark.parametrize(("alias", "code"), [("gone", "expired"), ("stopped", "blocked")])
def test_a_key_that_is_good_for_nothing_is_turned_away(world: World, alias: str, code: str) -> None:
    answer = world.by(alias).create()
    assert error(answer) == (401, code)
    assert secret(alias) not in answer.text
    assert answer.json()["error"]["type"] == "authentication_error"


def test_a_key_for_some_models_is_for_these_alone(world: World) -> None:
    client = world.by("gpt-only")
    assert client.create("gpt").status_code == 200
    assert client.create("u0").status_code == 200  # its deployment
    for model in ("other", "nickname", "u1", "vendor/x", "none", "gpt" * 500):
        answer = client.create(model)
        assert error(answer) == (403, "model_not_allowed")
        assert answer.json()["error"]["param"] == "model"
        assert error(client.chat(model)) == (403, "model_not_allowed")
    assert [each["id"] for each in client.get("/v1/models").json()["data"]] == ["gpt"]
    assert client.get("/v1/models/gpt").status_code == 200
    assert error(client.get("/v1/models/other")) == (404, "model_not_found")
    for path in ("/v1/responses/input_tokens", "/v1/responses/compact"):
        assert error(client.post(path, model="other", input="x")) == (403, "model_not_allowed")
    messages = [{"role": "user", "content": "Hello"}]
    answer = client.post("/openai/deployments/other/chat/completions", messages=messages)
    assert error(answer) == (403, "model_not_allowed")


def test_names_may_have_any_part_and_lead_to_a_group(world: World) -> None:
    client = world.by("wild")
    assert client.create("vendor/x").status_code == 200
    assert client.create("nickname").status_code == 200
    assert error(client.create("other")) == (403, "model_not_allowed")
    assert [each["id"] for each in client.get("/v1/models").json()["data"]] == ["vendor/*", "nickname"]


@pytest.mark.parametrize("argument", ["fallbacks", "context_window_fallbacks", "content_policy_fallbacks"])
@pytest.mark.parametrize("form", [["other"], [{"model": "other"}], [{"gpt": ["other"]}], {"*": ["gpt", "nickname"]}])
def test_a_call_cannot_turn_to_a_model_that_its_key_is_not_for(world: World, argument: str, form: Any) -> None:
    calls = world.upstreams[1].calls
    assert error(world.by("gpt-only").create(**{argument: form})) == (403, "model_not_allowed")
    allowed: dict[str, Any] = {argument: ["gpt"]}
    assert world.by("gpt-only").create(**allowed).status_code == 200
    assert world.by("all").create(**{argument: form}).status_code == 200
    assert world.upstreams[1].calls == calls
    by_group: dict[str, Any] = {argument: [{"other": ["gpt"]}]}  # the group of the alias that is asked for
    assert error(world.by("wild").create("nickname", **by_group)) == (403, "model_not_allowed")


def test_what_is_the_operators_takes_the_master_key(world: World) -> None:
    for path in ("/metrics", "/health", "/fleet", "/fleet/events", "/key/list", "/key/info", "/nothing"):
        assert error(world.by("all").get(path)) == (403, "master_key_required")
    for path in ("/key/generate", "/key/delete", "/key/x/regenerate", "/key/update", "/fleet/u0/drain"):
        assert error(world.by("all").post(path)) == (403, "master_key_required")
    for path in ("/", "/health/liveness", "/health/readiness", "/openapi.json"):
        assert world.showing(None).get(path).status_code == 200
    assert world.by("master").get("/health").status_code == 200


# tenants


def about(client: Client, identity: str) -> dict[str, httpx.Response]:
    """All that can be asked of a response."""
    path = f"/v1/responses/{identity}"
    return {
        "follow": client.create(previous_response_id=identity),
        "stream": client.create(previous_response_id=identity, stream=True),
        "items": client.get(f"{path}/input_items"),
        "cancel": client.post(f"{path}/cancel"),
        "get": client.get(path),
        "get from a model": client.get(path, model="gpt"),
        "again": client.get(path, stream="true"),
        "delete": client.delete(path),
    }


@pytest.mark.parametrize(
    ("owner", "other"),
    [("all", "lasting"), ("tenant-a", "all"), ("gpt-only", "tenant-a"), ("same-team", "tenant-a")],
)
def test_the_responses_of_another_do_not_exist(world: World, owner: str, other: str) -> None:
    identity = world.by(owner).create(background=True).json()["id"]
    for name, answer in about(world.by(other), identity).items():
        told = answer.json()["error"]
        expected = (400, "previous_response_not_found") if name in ("follow", "stream") else (404, None)
        assert (answer.status_code, told["code"]) == expected, (name, answer.text)
        assert owner not in answer.text
    nobodys = about(world.by(other), "resp_" + "0" * 50)
    theirs = about(world.by(other), identity)
    for name, answer in theirs.items():
        assert answer.text.replace(identity, "?") == nobodys[name].text.replace("resp_" + "0" * 50, "?"), name
    assert world.by(owner).get(f"/v1/responses/{identity}").status_code == 200


@pytest.mark.parametrize(("one", "other"), [("gpt-only", "same-team"), ("tenant-a", "tenant-a-too")])
def test_keys_of_one_team_or_tenant_share_their_responses(world: World, one: str, other: str) -> None:
    identity = world.by(one).create().json()["id"]
    assert world.by(other).create(previous_response_id=identity).status_code == 200
    assert world.by(other).delete(f"/v1/responses/{identity}").status_code == 200
    assert error(world.by(one).get(f"/v1/responses/{identity}")) == (404, None)


@pytest.mark.parametrize(
    "claim",
    [
        {"litellm_metadata": {"affinity_scope": "a", "user_api_key_hash": "config:tenant-a", "tenant": "a"}},
        {"metadata": {"affinity_scope": "a"}},
        {"extra_body": {"affinity_scope": "a"}},
        {"tenant": "a"},
        {"team_id": "a"},
        {"user": "a", "safety_identifier": "a"},
    ],
    ids=["litellm_metadata", "metadata", "extra_body", "tenant", "team_id", "user"],
)
def test_nobody_calls_in_anothers_name(world: World, claim: dict[str, Any]) -> None:
    identity = world.by("tenant-a").create().json()["id"]
    answer = world.by("all").create(previous_response_id=identity, **claim)
    assert error(answer) == (400, "previous_response_not_found")
    for query in ("affinity_scope", "tenant", "litellm_metadata"):
        assert error(world.by("all").get(f"/v1/responses/{identity}", **{query: "a"})) == (404, None)
    mine = world.by("all").create(**claim).json()["id"]
    assert error(world.by("tenant-a").get(f"/v1/responses/{mine}")) == (404, None)


@pytest.mark.parametrize("name", ["affinity_scope", "extra_headers", "extra_query"])
def test_a_scope_is_not_for_clients_to_set(world: World, name: str) -> None:
    for alias in ("all", "master"):
        assert error(world.by(alias).create(**{name: "a"})) == (400, "invalid_argument")


# records


def test_records_say_whose_key_it_was(world: World) -> None:
    metadata = {"user_api_key_alias": "somebody else", "user_api_key": "x", "order": 7}
    world.records.clear()
    world.by("gpt-only").create(litellm_metadata=metadata)
    world.by("master").create(litellm_metadata=metadata)
    until(lambda: len(world.records) >= 2, "the records")
    one, other = world.records
    assert (one.key, one.tenant, one.status) == ("gpt-only", "team:red", "succeeded")
    assert other.key is None
    assert {name: value for name, value in one.metadata.items() if name != "headers"} == {
        "order": 7,
        "user_api_key_alias": "gpt-only",
        "user_api_key_hash": "config:gpt-only",
        "user_api_key_team_id": "red",
        "user_api_key_user_id": "ada",
    }
    assert other.metadata.keys() == {"order", "headers"}
    counted = world.by("master").get("/metrics").text
    assert 'homing_key_requests_total{key="gpt-only",status="succeeded"}' in counted
    assert 'homing_key_tokens_total{key="gpt-only",type="output"}' in counted
    assert 'homing_key_cost_dollars_total{key="gpt-only"}' in counted
    assert "somebody else" not in counted


def test_no_key_is_anywhere_to_be_seen(world: World) -> None:
    world.by("all").create()
    seen = [world.by("master").get(path).text for path in ("/metrics", "/health", "/fleet", "/v1/models")]
    seen += [world.by("master").get("/key/list", return_full_object="true").text, repr(KEYS), repr(keyed(*KEYS))]
    seen += [repr(record) for record in world.records]
    for alias in ("all", "gpt-only", "poor"):
        assert not [text for text in seen if secret(alias) in text]
    assert not [text for text in seen if MASTER in text]


# limits


def test_requests_a_minute(world: World) -> None:
    client = world.by("few")
    assert client.get("/v1/models").status_code == 200  # is no call of a model
    first = client.create()
    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    assert 0 < float(first.headers["x-ratelimit-reset-requests"].removesuffix("s")) <= 61
    with client.streaming() as stream:
        assert stream.headers["x-ratelimit-remaining-requests"] == "0"
        stream.read()
    calls = world.upstreams[0].calls
    for refused in (client.create(), client.create(stream=True), client.chat(), client.chat(stream=True)):
        assert error(refused) == (429, "rate_limit_exceeded")
        assert refused.json()["error"]["type"] == "requests"
        assert 0 < int(refused.headers["retry-after"]) <= 61
        assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert world.upstreams[0].calls == calls
    assert client.get(f"/v1/responses/{first.json()['id']}").status_code == 200
    assert world.by("all").create().status_code == 200


def test_chat_completions_count_too(world: World) -> None:
    client = world.by("few-chats")
    answer = client.chat()
    assert answer.headers["x-ratelimit-remaining-requests"] == "0"
    assert error(client.create()) == (429, "rate_limit_exceeded")


def test_tokens_a_minute(world: World) -> None:
    client = world.by("small")
    first = client.create(max_output_tokens=150)
    used = first.json()["usage"]["total_tokens"]
    assert used < 60
    assert int(first.headers["x-ratelimit-remaining-tokens"]) <= 50  # as many are assumed
    second = client.create(max_output_tokens=120)  # what was not used is there again
    assert second.status_code == 200
    with client.streaming() as stream:
        stream.read()
    refused = client.create(max_output_tokens=150)
    assert error(refused) == (429, "rate_limit_exceeded")
    assert refused.json()["error"]["type"] == "tokens"
    assert refused.headers["x-ratelimit-limit-tokens"] == "200"
    assert client.post("/v1/responses/input_tokens", model="gpt", input="Hello").status_code == 200  # uses none
    misbehave(world.upstreams[0], "500")
    before = int(client.post("/v1/responses/input_tokens", model="other", input="x").headers[REMAINING])
    assert client.create(max_output_tokens=20).status_code == 500
    misbehave(world.upstreams[0])
    after = int(client.post("/v1/responses/input_tokens", model="other", input="x").headers[REMAINING])
    assert after == before  # what fails uses none


REMAINING = "x-ratelimit-remaining-tokens"


def test_one_at_a_time(fresh: World) -> None:
    client, other = fresh.by("one-at-a-time"), fresh.by("one-at-a-time")
    misbehave(fresh.upstreams[0], "stall_after_output", cut_after=2)
    with client.streaming() as stream:
        lines = stream.iter_text()
        next(lines)
        refused = other.create("other")
        assert error(refused) == (429, "rate_limit_exceeded")
        assert (refused.headers["retry-after"], refused.json()["error"]["type"]) == ("1", "requests")
    misbehave(fresh.upstreams[0])
    answer = again(other)
    assert answer.status_code == 200
    for _ in range(3):  # one after the other is one at a time
        assert other.create("other").status_code == 200
        assert other.create("other", stream=True).status_code == 200
        assert error(other.create("none")) == (400, "model_not_found")


def again(client: Client) -> httpx.Response:
    """Ask until there is room: that a client has left is noticed a moment later."""
    pause = threading.Event()
    for _ in range(400):
        answer = client.create("other")
        if answer.status_code != 429:
            return answer
        pause.wait(0.01)
    raise AssertionError("there was never room")


def test_a_budget(fresh: World) -> None:
    client = fresh.by("rich")
    for _ in range(2):  # eight dollars each
        assert client.create().status_code == 200
    calls = fresh.upstreams[0].calls
    for refused in (client.create(), client.create(stream=True), client.chat()):
        assert error(refused) == (429, "budget_exceeded")
        assert refused.headers["x-should-retry"] == "false"
        assert "'config:rich'" in refused.json()["error"]["message"]
    assert fresh.upstreams[0].calls == calls
    told = fresh.by("master").get("/key/info", key="rich").json()
    assert (told["key"], told["info"]["spend"], told["info"]["source"]) == ("config:rich", 16.0, "configuration")
    assert client.post("/v1/responses/input_tokens", model="gpt", input="Hello").status_code == 200
    refused = fresh.by("poor").create()
    assert error(refused) == (429, "budget_exceeded")
    assert refused.json()["error"]["message"].startswith(
        "the budget of key 'config:poor' has no room: $0 of $0 per lifetime spent"
    )
    assert "retry-after" not in refused.headers
    for alias in ("all", "master"):
        assert fresh.by(alias).create().status_code == 200


# what there is of keys


def test_without_redis_keys_are_shown_and_not_made(world: World) -> None:
    master = world.by("master")
    listed = master.get("/key/list", return_full_object="true", size="3", page="2").json()
    assert [each["key_alias"] for each in listed["keys"]] == ["same-team", "tenant-a", "tenant-a-too"]
    assert (listed["total_count"], listed["current_page"], listed["total_pages"]) == (len(KEYS), 2, 5)
    assert master.get("/key/list").json()["keys"][0] == "config:all"
    answer = master.post("/key/generate")
    assert error(answer) == (400, "keys_not_kept")
    assert "redis_url" in answer.json()["error"]["message"]
    for shown in ("gone", "config:gone", secret("gone")):
        assert master.get("/key/info", key=shown).json()["info"]["expires"] == "2001-09-09T01:46:40+00:00"
    for query in ({}, {"key": ""}):
        assert master.get("/key/info", **query).status_code == 400
    answer = master.get("/key/info", key="sk-" + "0" * 40)
    assert error(answer) == (404, "key_not_found")
    assert "000" not in answer.text
    for query in ({"page": "0"}, {"size": "x"}, {"page": "9" * 30}):
        assert error(master.get("/key/list", **query)) == (400, "invalid_argument")


def test_without_a_master_key_nobody_is_the_operator() -> None:
    with (
        SimulatedUpstream.in_thread("u0") as upstream,
        proxying(Router([entry(upstream)], optional_pre_call_checks=AFFINITY), keyed(KEYS[0], master=None)) as url,
        httpx.Client(timeout=20) as http,
    ):
        assert Client(http, url, secret("all")).create().status_code == 200
        assert error(Client(http, url, None).create()) == (401, "invalid_api_key")
        assert error(Client(http, url, secret("all")).get("/health")) == (403, "master_key_required")


async def test_keys_need_a_router_that_knows_whose_a_response_is() -> None:
    async with Router([entry("http://127.0.0.1:9")]) as router:
        with pytest.raises(ConfigurationError, match="responses_api_deployment_check"):
            Proxy(router, keyed(*KEYS))


def test_a_model_of_a_query_is_one(world: World) -> None:
    answer = world.by("gpt-only").ask("GET", "/v1/responses/resp_1?model=gpt&model=other")
    assert error(answer) == (400, "invalid_argument")
    assert error(world.by("gpt-only").get("/v1/responses/resp_1", model="other")) == (403, "model_not_allowed")
    assert json.loads(answer.text)["error"]["param"] == "model"


def test_a_stream_that_is_left_has_used_what_was_assumed(fresh: World) -> None:
    client = fresh.by("small")
    misbehave(fresh.upstreams[0], "stall_after_output", cut_after=2)
    with client.streaming(max_output_tokens=140) as stream:
        lines = stream.iter_text()
        next(lines)
    until(lambda: fresh.records, "the end of the stream")
    assert fresh.records[0].status in ("abandoned", "cancelled")
    refused = client.create("other", max_output_tokens=100)
    assert error(refused) == (429, "rate_limit_exceeded")
    assert refused.json()["error"]["type"] == "tokens"


def test_a_grant_does_not_show_what_is_secret_of_it() -> None:
    grant = Grant(id="key_1", digest="0a" * 32, key_alias="web", models=("a",))
    assert repr(grant) == "<Grant 'web'>"
