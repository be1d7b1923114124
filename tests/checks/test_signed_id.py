"""Ids that say where home is."""

import re
import string
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from checks.affinity.packing import pack, unpack
from checks.affinity.signed_id import (
    LONGEST,
    SHORTEST_KEY,
    Signed,
    SignedIdError,
    SignedIds,
    fits,
    owner_tag,
)
from providers.errors import BadRequestError, ConfigurationError

KEY, OTHER_KEY = SecretStr("a key for tests only"), SecretStr("another key, as long")
IDS = SignedIds(KEY)
URL_SAFE = string.ascii_letters + string.digits + "-_"
HEX = st.binary(min_size=25, max_size=25).map(bytes.hex)
OPENAI = HEX.map(lambda digits: f"resp_{digits}")
UPSTREAM = st.one_of(
    OPENAI,
    st.uuids().map(str),
    st.uuids().map(lambda each: f"resp_{each.hex}"),
    st.text(URL_SAFE, min_size=1, max_size=33),
    st.text(URL_SAFE, max_size=33).map(lambda text: f"resp_{text}"),
    st.text(st.characters(codec=None), min_size=1, max_size=6),
)
"""Ids of the shapes that upstreams use, and odd ones."""
TEXTS = st.text(st.characters(codec=None), max_size=20)
SAMPLE = "resp_" + "68af42" * 8 + "1c"


TALKS = IDS.of_conversations()
BARE = st.one_of(HEX, st.uuids().map(str), st.text(URL_SAFE, min_size=1, max_size=33))


@given(BARE, TEXTS, TEXTS)
@example("resp_1", "a", "")
@example("conv_1", "a", "")
def test_ids_of_conversations_are_wrapped_alike(bare: str, deployment_id: str, scope: str) -> None:
    upstream = f"conv_{bare}"
    wrapped = TALKS.wrap(upstream, deployment_id, scope=scope)
    assert TALKS.unwrap(wrapped, scope=scope) == Signed(upstream, owner_tag(deployment_id))
    assert len(wrapped) <= LONGEST
    assert re.fullmatch(r"conv_hr1-[A-Za-z0-9_-]+", wrapped)
    assert TALKS.wrap(wrapped, "b", scope=scope) == wrapped, "wrapped once only"
    assert SignedIds(KEY).of_conversations().wrap(upstream, deployment_id, scope=scope) == wrapped
    assert IDS.unwrap(wrapped) is None, "that is the id of no response"
    with pytest.raises(SignedIdError, match=r"pass a response's id exactly as it was returned") as forged:
        IDS.unwrap(wrapped.replace("conv_", "resp_", 1), scope=scope)
    assert forged.value.code == "invalid_response_id"
    for ids, other in ((TALKS, f"{scope}x"), (SignedIds(OTHER_KEY).of_conversations(), scope)):
        with pytest.raises(SignedIdError, match=r"pass a conversation's id exactly as it was returned") as foreign:
            ids.unwrap(wrapped, scope=other)
        assert foreign.value.code == "invalid_conversation_id"
    rotated = SignedIds(OTHER_KEY, previous_key=KEY).of_conversations()
    assert rotated.unwrap(wrapped, scope=scope) == Signed(upstream, owner_tag(deployment_id))


@pytest.mark.parametrize("upstream", ["conv_", "thread_1", "1", "", "conv_" + "z" * 60])
def test_other_ids_of_conversations_stay_as_they_are(upstream: str) -> None:
    assert TALKS.wrap(upstream, "a") == upstream
    assert TALKS.unwrap(upstream) is None


@given(UPSTREAM, TEXTS, TEXTS)
@example("resp_", "a", "")
@example("A", "a", "")
@example("resp_AAAA", "a", "")
@example("resp_resp_1", "a", "")
@example("resp_ABCDEF", "a", "")
@example("\ud800", "\ud800", "\ud800")
def test_what_is_wrapped_is_unwrapped(upstream: str, deployment_id: str, scope: str) -> None:
    assert fits(upstream)
    wrapped = IDS.wrap(upstream, deployment_id, scope=scope)
    expected = Signed(upstream, owner_tag(deployment_id))
    assert IDS.unwrap(wrapped, scope=scope) == expected
    assert len(wrapped) <= LONGEST
    assert re.fullmatch(r"resp_[A-Za-z0-9_-]+", wrapped)
    assert IDS.wrap(upstream, deployment_id, scope=scope) == wrapped, "the same on every read"
    assert SignedIds(KEY).wrap(upstream, deployment_id, scope=scope) == wrapped, "the same in every process"
    assert IDS.wrap(wrapped, "b", scope=scope) == wrapped, "wrapped once only"


@given(OPENAI, TEXTS)
def test_an_id_of_openai_becomes_as_long_as_openai_takes(upstream: str, deployment_id: str) -> None:
    assert len(IDS.wrap(upstream, deployment_id)) == LONGEST


def test_two_owners_two_scopes_or_two_keys_give_different_ids() -> None:
    given = [
        IDS.wrap(SAMPLE, "a"),
        IDS.wrap(SAMPLE, "b"),
        IDS.wrap(SAMPLE, "a", scope="tenant"),
        SignedIds(OTHER_KEY).wrap(SAMPLE, "a"),
        IDS.wrap(SAMPLE.upper(), "a"),
    ]
    assert len(set(given)) == len(given)


@given(UPSTREAM, st.data())
def test_any_changed_character_is_refused(upstream: str, data: st.DataObject) -> None:
    wrapped = IDS.wrap(upstream, "a")
    place = data.draw(st.integers(0, len(wrapped) - 1))
    other = data.draw(st.sampled_from([each for each in URL_SAFE + "=+/.ä\n" if each != wrapped[place]]))
    with pytest.raises(SignedIdError):
        IDS.unwrap(wrapped[:place] + other + wrapped[place + 1 :])


def test_every_single_change_of_one_id_is_refused() -> None:
    wrapped = IDS.wrap(SAMPLE, "a")
    for place, old in enumerate(wrapped):
        for new in set(URL_SAFE) - {old}:
            with pytest.raises(SignedIdError):
                IDS.unwrap(wrapped[:place] + new + wrapped[place + 1 :])


@given(UPSTREAM, st.integers(1, 40))
def test_a_cut_or_lengthened_id_is_refused(upstream: str, count: int) -> None:
    wrapped = IDS.wrap(upstream, "a")
    body = len(wrapped) - len("resp_hr1-")
    for changed in (wrapped[: -min(count, body)], wrapped + "A" * count, wrapped + "="):
        with pytest.raises(SignedIdError):
            IDS.unwrap(changed)


def test_a_refusal_names_the_id_and_the_fix_and_no_key() -> None:
    wrapped = SignedIds(OTHER_KEY).wrap(SAMPLE, "a")
    with pytest.raises(BadRequestError) as raised:
        IDS.unwrap(wrapped)
    assert wrapped in str(raised.value)
    assert "pass a response's id exactly as it was returned" in str(raised.value)
    assert raised.value.code == "invalid_response_id"
    with pytest.raises(BadRequestError) as raised:
        IDS.unwrap("resp_hr1-" + "A" * 10_000)
    assert len(str(raised.value)) < 400


@given(UPSTREAM | st.text() | st.text(URL_SAFE, max_size=64).map(lambda text: f"resp_{text}"))
@example("")
@example("resp_hr")
@example("resp_1")
def test_an_upstream_id_passes_through(upstream: str) -> None:
    assert IDS.unwrap(upstream) is None


@pytest.mark.parametrize(
    "upstream",
    [
        "",
        "resp_" + "a" * 52,
        "x" * 34,
        "resp_" + "x" * 34,
        "é" * 13,
        "resp_" + ":" * 26,
        SignedIds(OTHER_KEY).wrap(SAMPLE, "a"),
    ],
)
def test_an_id_that_does_not_fit_is_handed_on_as_it_is(upstream: str) -> None:
    assert not fits(upstream)
    assert IDS.wrap(upstream, "a") == upstream


@pytest.mark.parametrize(
    "upstream", [SAMPLE, "x" * 33, "resp_" + "x" * 33, "é" * 12, "resp_" + ":" * 25, str(UUID(int=7)), "a"]
)
def test_what_fits(upstream: str) -> None:
    assert fits(upstream)
    assert IDS.wrap(upstream, "a") != upstream


def test_a_key_is_rotated_without_losing_an_id() -> None:
    old, joining = SignedIds(KEY), SignedIds(KEY, previous_key=OTHER_KEY)
    swapped, new = SignedIds(OTHER_KEY, previous_key=KEY), SignedIds(OTHER_KEY)
    by_old, by_new = old.wrap(SAMPLE, "a"), swapped.wrap(SAMPLE, "a")
    assert joining.wrap(SAMPLE, "a") == by_old
    assert new.wrap(SAMPLE, "a") == by_new
    for ids in (joining, swapped):
        assert ids.unwrap(by_old) == ids.unwrap(by_new) == Signed(SAMPLE, owner_tag("a"))
    assert old.unwrap(by_old) == new.unwrap(by_new)
    for ids, foreign in ((old, by_new), (new, by_old)):
        with pytest.raises(SignedIdError):
            ids.unwrap(foreign)


def test_an_id_is_of_no_use_in_another_scope() -> None:
    wrapped = IDS.wrap(SAMPLE, "a", scope="one")
    for scope in ("two", ""):
        with pytest.raises(SignedIdError):
            IDS.unwrap(wrapped, scope=scope)


@pytest.mark.parametrize("name", ["key", "previous_key"])
def test_a_short_key_is_refused(name: str) -> None:
    keys = {"key": KEY, name: SecretStr("x" * (SHORTEST_KEY - 1))}
    with pytest.raises(ConfigurationError, match=f"^{name}: must have at least 16 characters") as raised:
        SignedIds(**keys)
    assert "xxx" not in str(raised.value)


def test_the_key_is_never_printed() -> None:
    assert KEY.get_secret_value() not in repr(IDS)


@given(st.text(st.characters(codec=None), max_size=80))
@example("")
def test_packing_loses_nothing_and_is_short(text: str) -> None:
    packed = pack(text)
    if packed is None:
        assert text == ""
    else:
        assert unpack(*packed) == text
        assert 0 <= packed[0] < 16


@pytest.mark.parametrize(
    ("text", "size"),
    [(SAMPLE, 25), (str(UUID(int=7)), 16), ("resp_" + str(UUID(int=7)), 16), ("gen-" + "z" * 29, 25), ("a.b", 3)],
)
def test_packing_is_short(text: str, size: int) -> None:
    packed = pack(text)
    assert packed is not None
    assert len(packed[1]) == size
