"""A request goes where it fits, and its size is looked at closely only near a limit."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsons import VALUES
from pydantic import BaseModel

from checks import ContextWindow, tokens
from checks.tokens import PER_IMAGE, bound, estimate, guess
from providers.errors import ContextWindowExceededError
from providers.types import Call, Deployment, Verb
from providers.views import OutputItem


def call(text: object, **body: object) -> Call:
    return Call("gpt", body={"input": text, **body})


def deployment(limit: int | None) -> Deployment:
    return Deployment(f"takes {limit}", "gpt", "openai", "m", max_input_tokens=limit)


SMALL, LARGE, ANY = deployment(50), deployment(500), deployment(None)


# how large a request is


@given(st.text())
def test_the_estimate_of_a_text_is_within_its_bytes(text: str) -> None:
    assert 0 <= estimate(call(text)) <= bound(call(text)) == len(text.encode())


@given(VALUES)
def test_no_input_is_a_crash(value: Any) -> None:
    for each in (call(value), call([value]), Call("gpt", body={"tools": value, "text": value})):
        assert estimate(each) >= 0
        assert guess(each) == bound(each) // 4


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("", 0, 0),
        ("Hello, who are you?", 5, 7),
        ("The quick brown fox jumps over the lazy dog. " * 100, 900, 1_100),
        ("internationalization", 3, 5),
        ("1234567", 3, 3),
        ("def f(x): return x + 1", 10, 14),
        ("東京は今日も雨です", 6, 12),
        ("\n \t", 0, 1),
    ],
)
def test_the_estimate_is_near_what_tokenizers_count(text: str, low: int, high: int) -> None:
    assert low <= estimate(call(text)) <= high


class Message(BaseModel):
    role: str
    content: str


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "some words"},
        MappingProxyType({"role": "user", "content": "some words"}),
        Message(role="user", content="some words"),
        OutputItem({"role": "user", "content": "some words"}),
        ({"role": "user"}, {"content": ["some words", None, 7, True, 1.5, object(), Message]}),
    ],
)
def test_every_form_of_a_message_counts_alike(message: object) -> None:
    assert bound(call([message])) == len("role user content some words") - 3
    assert estimate(call([message])) == 6  # `content` is a word of two


def test_what_counts() -> None:
    whole = Call(
        "gpt",
        body={
            "model": "ignored " * 9,
            "metadata": {"ignored": "ignored"},
            "input": "one",
            "instructions": "two",
            "tools": [{"name": "three", "parameters": {"properties": {"four": None, "five": {}}}}],
            "text": {"format": {"six": None}},
            "prompt": {"id": "seven"},
        },
    )
    words = "one two name three parameters properties five format id seven"
    assert bound(whole) == len(words.replace(" ", ""))
    assert bound(Call("gpt")) == estimate(Call("gpt")) == 0


DATA_URL = "data:image/png;base64," + "A" * 100_000


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_image", "image_url": DATA_URL},
        {"type": "input_image", "image_url": {"url": DATA_URL}},
        {"type": "input_image", "image_url": None, "file_id": "file_1"},
        {"type": "input_file", "file_data": DATA_URL},
        {"type": "input_file", "file_url": "https://x/report.pdf"},
        {"type": "input_audio", "input_audio": {"data": "A" * 100_000, "format": "wav"}},
        {"type": "reasoning", "encrypted_content": "A" * 100_000},
        {"type": "image_generation_call", "result": "A" * 100_000},
    ],
)
def test_a_file_counts_for_a_fixed_size(part: dict[str, Any]) -> None:
    for size in (estimate(call([part])), guess(call([part]))):
        assert PER_IMAGE <= size < PER_IMAGE + 20
    assert bound(call([part])) < 5 * PER_IMAGE


def test_names_and_nulls_are_no_files() -> None:
    schema = {"properties": {"image_url": {"type": "string"}, "file_id": {"type": "string"}, "file_url": ["x"]}}
    assert estimate(call("", tools=[{"type": "function", "parameters": schema}])) < 30
    assert estimate(call([{"type": "reasoning", "encrypted_content": None, "summary": []}])) < 10
    assert estimate(call([{"type": "mcp_call", "result": "two words"}])) < 10


def test_nesting_of_any_depth() -> None:
    deep: Any = "word"
    for _ in range(3_000):
        deep = {"x": [deep]}
    assert bound(call(deep)) == 3_000 + 4
    for _ in range(20_000):
        deep = [deep]
    assert bound(call(deep)) == 0, "nobody can send that"


def test_what_contains_itself_ends() -> None:
    loop: list[Any] = ["word"]
    loop += [loop, {"again": loop}, "end"]
    assert bound(call(loop)) == len("word" + "again" + "end")


def test_what_is_there_twice_counts_twice() -> None:
    message = {"content": "word"}
    assert bound(call([message, message, [message]])) == 3 * len("contentword")


class Endless:
    """Whose JSON is another one of its kind."""

    def to_dict(self) -> Endless:
        return Endless()


def test_what_never_ends_ends() -> None:
    assert bound(call([Endless(), "word"])) == 4


# where it may go


async def test_a_deployment_that_is_too_small_is_left_out() -> None:
    check = ContextWindow()
    among = (SMALL, LARGE, ANY)
    assert await check.eligible(call("word " * 100), among) == [LARGE, ANY]
    assert await check.eligible(call("word " * 1_000), among) == [ANY]
    assert await check.eligible(call("word"), among) is among


@pytest.mark.parametrize(("words", "fits"), [(49, True), (50, True), (51, False)])
async def test_the_limit_itself_fits(words: int, fits: bool) -> None:
    among = (SMALL, LARGE)
    found = await ContextWindow().eligible(call("word " * words), among)
    assert (found is among) is fits
    assert fits or found == [LARGE]


async def test_what_fits_nowhere_is_refused() -> None:
    with pytest.raises(ContextWindowExceededError) as caught:
        await ContextWindow().eligible(call("word " * 1_000), (SMALL, LARGE))
    assert str(caught.value) == "the request has about 1000 tokens; the largest deployment of 'gpt' takes 500"
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input")


@pytest.mark.parametrize("verb", [verb for verb in Verb if verb.by_id or verb is Verb.INPUT_TOKENS])
async def test_verbs_that_send_no_input_to_the_model_go_anywhere(verb: Verb) -> None:
    among = (SMALL,)
    asked = Call("gpt", verb, {"input": "word " * 1_000}, response_id="resp_1")
    assert await ContextWindow().eligible(asked, among) is among


async def test_a_compaction_has_to_fit() -> None:
    with pytest.raises(ContextWindowExceededError):
        await ContextWindow().eligible(Call("gpt", Verb.COMPACT, {"input": "word " * 1_000}), (SMALL,))


async def test_words_are_looked_at_only_near_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []
    pieces = tokens._pieces

    def spy(text: str) -> int:
        looked_at.append(text)
        return pieces(text)

    monkeypatch.setattr(tokens, "_pieces", spy)
    check, among = ContextWindow(), (SMALL, LARGE)
    await check.eligible(call("x" * 50), among)
    await check.eligible(call("x" * 9_999), (ANY,))
    assert looked_at == []
    await check.eligible(call("x" * 51), among)
    assert looked_at == ["x" * 51]


async def test_without_limits_not_even_the_bytes_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "bound", None)
    among = (ANY, ANY)
    assert await ContextWindow().eligible(call("x"), among) is among
