"""The Conversations API through the proxy, over real sockets, asked by OpenAI's own client and by plain HTTP."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import leftovers
import openai
import pytest
from conversations import KEY, House, house
from conversing import HELLO, astray
from proxies import proxying
from pydantic import SecretStr
from routers import AFFINITY, entry
from virtual_keys import MASTER, configured, keyed, secret

from router import Router
from router.proxy.settings import ProxySettings

BEARER = {"authorization": f"Bearer {KEY}"}
BELOW = "/v1/conversations"


_nothing_left_open = leftovers.nothing_left_open_at_the_end


@pytest.fixture(scope="module")
def home() -> Iterator[House]:
    with house() as made:
        yield made


@pytest.fixture(scope="module")
def client(home: House) -> Iterator[openai.OpenAI]:
    """That takes nothing which is not as it should be."""
    base = f"{home.url}/v1"
    with openai.OpenAI(base_url=base, api_key=KEY, max_retries=0, _strict_response_validation=True) as made:
        yield made


@pytest.fixture(scope="module")
def plain(home: House) -> Iterator[httpx.Client]:
    """Plain HTTP, with the key."""
    with httpx.Client(base_url=home.url, headers=BEARER, timeout=20) as made:
        yield made


def text(item: Any) -> str:
    said: str = item.content[0].text
    return said


def test_openais_client_finds_each_conversation_where_it_is(home: House, client: openai.OpenAI) -> None:
    talks = client.conversations
    homes: dict[str, str] = {}
    for number in range(4):
        raw = talks.with_raw_response.create(metadata={"number": str(number)}, items=[HELLO])  # type: ignore[list-item]
        homes[raw.parse().id] = raw.headers["x-homing-deployment"]
    assert sorted(homes.values()) == ["u0", "u0", "u1", "u1"]
    for turn in (2, 3):
        for name in homes:
            stream = client.responses.create(model="gpt", input=f"turn {turn}", conversation=name, stream=True)
            said = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
            assert said.startswith(f"Turn {turn} at {homes[name]}. You began: 'hello'.")
    for number, name in enumerate(homes):
        assert talks.retrieve(name).metadata == {"number": str(number)}
        assert talks.update(name, metadata={"topic": "tea"}).metadata == {"topic": "tea"}
        added = talks.items.create(name, items=[{"role": "user", "content": "four"}])
        assert [text(item) for item in added.data] == ["four"]
        items = list(talks.items.list(name, order="asc", limit=2))
        assert [text(item)[:6] for item in items] == ["hello", "turn 2", "Turn 2", "turn 3", "Turn 3", "four"]
        assert [item.id for item in talks.items.list(name, limit=4)] == [item.id for item in items[::-1]]
        last: Any = items[-1]
        assert talks.items.retrieve(last.id, conversation_id=name) == last
        assert talks.items.delete(last.id, conversation_id=name).id == name
        assert talks.delete(name).deleted
        with pytest.raises(openai.NotFoundError) as gone:
            talks.retrieve(name)
        assert gone.value.body == {
            "message": f"Conversation with id '{name}' not found.",
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        }
    seen, wrong = astray(home.upstreams, homes)
    lookups = [record for each in home.upstreams for record in each.requests if record.verb == "get_conversation"]
    assert seen > 60
    assert all("GET" in each for each in wrong), "but for those that asked for what was gone, all went home"
    assert len(wrong) <= len(lookups)


async def test_openais_asynchronous_client_is_served_too(home: House) -> None:
    async with openai.AsyncOpenAI(base_url=home.url, api_key=KEY, max_retries=0) as client:
        made = await client.conversations.create(items=[HELLO] * 3)  # type: ignore[list-item] # plain JSON of one
        answer = await client.responses.create(model="gpt", input="more", conversation={"id": made.id})
        assert answer.conversation is not None
        assert answer.conversation.id == made.id
        items = [item async for item in client.conversations.items.list(made.id, limit=2)]
        assert len(items) == 5
        assert (await client.conversations.delete(made.id)).deleted


@pytest.mark.parametrize("prefix", ["", "/v1", "/openai/v1", "/openai"])
def test_it_is_served_below_every_prefix(plain: httpx.Client, prefix: str) -> None:
    made = plain.request("POST", f"{prefix}/conversations")
    assert made.status_code == 200
    assert {"x-request-id", "x-homing-deployment", "x-homing-attempts"} <= made.headers.keys()
    one = f"{prefix}/conversations/{made.json()['id']}"
    items = plain.request("POST", f"{one}/items", json={"items": [HELLO]}).json()
    item = f"{one}/items/{items['data'][0]['id']}"
    for path in (one, f"{one}/items", item):
        assert plain.request("GET", path).status_code == 200
    for path in (item, one):
        assert plain.request("DELETE", path).status_code == 200
        assert plain.request("GET", path).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "code", "said"),
    [
        ("GET", f"{BELOW}/conv_0", None, 404, None, "Conversation with id 'conv_0' not found."),
        ("GET", f"{BELOW}/conv_0/items/msg_0", None, 404, None, "Conversation with id 'conv_0' not found."),
        ("POST", f"{BELOW}/conv_0/items", b'{"items": []}', 404, None, "Conversation with id 'conv_0' not found."),
        ("GET", BELOW, None, 405, "method_not_allowed", "GET is not served here; POST is"),
        ("PUT", f"{BELOW}/conv_0", None, 405, "method_not_allowed", "PUT is not served here; GET, POST, DELETE is"),
        ("DELETE", f"{BELOW}/conv_0/items", None, 405, "method_not_allowed", "DELETE is not served here; GET, POST is"),
        ("GET", f"{BELOW}/conv_0/things/x", None, 404, "not_found", None),
        ("GET", f"{BELOW}/conv_0/items/x/y", None, 404, "not_found", None),
        ("POST", BELOW, b"{", 400, "invalid_json", None),
        ("POST", BELOW, b"[]", 400, "invalid_json", "the body must be a JSON object, not list"),
        ("POST", BELOW, b'{"model": 7}', 400, "invalid_argument", "model: must be the name of a group"),
        ("GET", f"{BELOW}/x?model=", None, 400, "invalid_argument", "model: must be the name of a group"),
        ("GET", f"{BELOW}/x?model=a&model=b", None, 400, "invalid_argument", "model: must be the name of a group"),
        ("POST", BELOW, b'{"affinity_scope": "x"}', 400, "invalid_argument", None),
        ("POST", BELOW, b'{"items": 7}', 400, "invalid_type", None),
    ],
)  # fmt: skip
def test_errors_are_openais(
    plain: httpx.Client, method: str, path: str, content: bytes | None, status: int, code: str | None, said: str | None
) -> None:
    answer = plain.request(method, path, content=content)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    assert said is None or error["message"] == said


def test_without_the_key_nothing_is_served(home: House) -> None:
    before = [upstream.calls for upstream in home.upstreams]
    assert httpx.post(f"{home.url}{BELOW}").status_code == 401
    assert httpx.get(f"{home.url}{BELOW}/conv_1/items").status_code == 401
    assert [upstream.calls for upstream in home.upstreams] == before


def test_where_there_are_several_groups_one_is_named_in_any_of_three_ways(home: House) -> None:
    one, two = home.upstreams
    router = Router([entry(one, "gpt"), entry(two, "other")], optional_pre_call_checks=AFFINITY)
    before = [upstream.calls for upstream in home.upstreams]
    with (
        proxying(router, ProxySettings(master_key=SecretStr(KEY))) as url,
        openai.OpenAI(base_url=url, api_key=KEY, max_retries=0) as client,
    ):
        talks = client.conversations
        with pytest.raises(
            openai.BadRequestError, match=r"several groups keep conversations; pass model= \(one of gpt"
        ):
            talks.create()
        with pytest.raises(openai.BadRequestError, match="no deployment serves the model 'mine'"):
            talks.create(extra_body={"model": "mine"})
        made = [
            talks.create(extra_body={"model": "other"}, metadata={"a": "b"}),
            talks.create(extra_query={"model": "other", "beta": "true"}),
            talks.create(extra_headers={"x-homing-model": "other"}),
        ]
        for each in made:
            assert talks.retrieve(each.id) == each
        assert talks.retrieve(made[0].id, extra_query={"model": "other"}) == made[0]
        with pytest.raises(openai.NotFoundError, match=r"Conversation with id 'conv_0' not found\."):
            talks.retrieve("conv_0")
        with pytest.raises(openai.NotFoundError):
            talks.items.create("conv_0", items=[], extra_body={"model": "gpt"})
    assert one.calls == before[0] + 3, "it was looked for in both, and in the one that was named, and asked for there"
    creations = [record for record in [*two.requests][before[1] :] if record.verb == "create_conversation"]
    assert [(record.body, record.query) for record in creations] == [
        ({"metadata": {"a": "b"}}, {}),
        ({}, {"beta": "true"}),
        ({}, {}),
    ]


# keys


@pytest.fixture(scope="module")
def rooms(home: House) -> Iterator[str]:
    """A proxy with keys, over two groups that keep conversations, and one that keeps none."""
    one, two = home.upstreams
    model_list = [entry(one), entry(two, "other"), entry(one, "open", id="open", model="hosted_vllm/gpt-oss")]
    keys = (
        configured("ada", tenant="a"),
        configured("ada-too", tenant="a"),
        configured("bob", tenant="b"),
        configured("gpt-only", models=["gpt"], rpm_limit=2),
        configured("open-only", models=["open"]),
    )
    with proxying(Router(model_list, optional_pre_call_checks=AFFINITY), keyed(*keys)) as url:
        yield url


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=20) as made:
        yield made


def test_another_keys_conversation_is_a_404(rooms: str, http: httpx.Client, home: House) -> None:
    def by(alias: str, method: str, path: str, body: Any = None) -> httpx.Response:
        shown = {"authorization": f"Bearer {MASTER if alias == 'master' else secret(alias)}"}
        return http.request(method, f"{rooms}/v1{path}", headers=shown, json=body)

    made = by("ada", "POST", "/conversations", {"model": "other", "items": [HELLO]}).json()
    one = f"/conversations/{made['id']}"
    item = f"{one}/items/{by('ada-too', 'GET', f'{one}/items').json()['data'][0]['id']}"
    acts: list[tuple[str, str, Any]] = [
        ("GET", one, None),
        ("POST", one, {"metadata": {"a": "b"}}),
        ("GET", f"{one}/items", None),
        ("POST", f"{one}/items", {"items": [HELLO]}),
        ("GET", item, None),
        ("POST", "/responses", {"model": "other", "input": "x", "conversation": made["id"]}),
        ("DELETE", item, None),
        ("DELETE", one, None),
    ]
    before = [upstream.calls for upstream in home.upstreams]
    for method, path, body in acts:
        theirs = by("bob", method, path, body)
        nothing = by("bob", method, path.replace(made["id"], "conv_0"), json_of(body, made["id"]))
        assert theirs.status_code == nothing.status_code == 404, (method, path)
        error = theirs.json()["error"]
        assert error["message"] == f"Conversation with id '{made['id']}' not found."
        assert error == json_of(nothing.json()["error"], "conv_0", made["id"])
    assert by("master", "GET", f"{one}?model=other").status_code == 404, "whoever has no tenant is none of theirs"
    assert [upstream.calls for upstream in home.upstreams] == before, "nobody was asked"
    for method, path, body in acts:
        assert by("ada-too", method, path, body).status_code == 200, (method, path)


def json_of(value: Any, old: str, new: str = "conv_0") -> Any:
    """`value` with one id in place of another."""
    return json.loads(json.dumps(value).replace(old, new))


def test_a_key_begins_conversations_where_it_may_ask(rooms: str, http: httpx.Client) -> None:
    def begin(alias: str, **body: Any) -> httpx.Response:
        shown = {"authorization": f"Bearer {secret(alias)}"}
        return http.post(f"{rooms}/conversations", headers=shown, json=body)

    assert begin("ada").status_code == 400, "it may ask both groups"
    refused = begin("gpt-only", model="other")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_not_allowed")
    none = begin("open-only")
    assert (none.status_code, none.json()["error"]["code"]) == (400, "unsupported_operation")
    first, second, third = begin("gpt-only"), begin("gpt-only", model="gpt"), begin("gpt-only")
    assert [first.status_code, second.status_code, third.status_code] == [200, 200, 429]
    assert first.headers["x-homing-deployment"] == "u0"
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    assert third.json()["error"]["code"] == "rate_limit_exceeded"
    one = f"{rooms}/conversations/{first.json()['id']}"
    shown = {"authorization": f"Bearer {secret('gpt-only')}"}
    assert http.get(one, headers=shown).status_code == 200, "what is there can be read all the same"
    assert http.get(one, headers=shown, params={"model": "other"}).status_code == 403
