"""What looks like a key is blotted out of texts; what doesn't stays."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.telemetry.redaction import LONGEST, Redactor, environment_secrets

REDACTOR = Redactor(["known-secret", "known-secret-longer", "short"])

BLOTTED = [
    ("the key sk-abcDEF123456 is wrong", "the key *** is wrong"),
    ("key:sk-ant-api03-AbC_d-9\nkey", "key:***\nkey"),
    ("xai-0123456789abcdef pplx-0123456789 nvapi-0123456789", "*** *** ***"),
    ("gsk_0123456789ab hf_0123456789ab ghp_0123456789ab fw_0123456789ab", "*** *** *** ***"),
    ("AIzaSyA1234567890123456789012345 ya29.a0Af_B-yC", "*** ***"),
    ("AKIAIOSFODNN7EXAMPLE", "***"),
    ("AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY.", "***."),
    ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig-na_ture!", "token ***!"),
    ("authorization: Bearer abc.def-123", "authorization: *** ***"),
    ("sent bearer abc.def-123, and BASIC dXNlcjpwYXNz", "sent bearer ***, and BASIC ***"),
    ("{'Authorization': 'Basic dXNlcjpwYXNz', 'a': 1}", "{'Authorization': '***', 'a': 1}"),
    ('{"api_key": "two words", "model": "gpt"}', '{"api_key": "***", "model": "gpt"}'),
    ("OPENAI_API_KEY=abc, x=1", "OPENAI_API_KEY=***, x=1"),
    ("aws_secret_access_key = wJalr/XUtn", "aws_secret_access_key = ***"),
    ("client_secret='s p'; password: hunter2)", "client_secret='***'; password: ***)"),
    ("https://h/p?sig=abc%2B&api-version=1&api-key=k", "https://h/p?sig=***&api-version=1&api-key=***"),
    ("X-Amz-Security-Token:IQoJb3 X-Amz-Signature=0af", "X-Amz-Security-Token:*** X-Amz-Signature=***"),
    ("azure_ad_token=abc access_token: def", "azure_ad_token=*** access_token: ***"),
    ("redis://user:pass@host/0 and redis://:pass@host", "redis://user:***@host/0 and redis://:***@host"),
    ("a known-secret, a known-secret-longer, a short", "a ***, a ***, a short"),
]
PLAIN = [
    *("risk-assessment, task-123456789", "disk-0123456789", "Basic understanding of bearer bonds", "sk-1"),
    *("input_tokens: 12, max_output_tokens=5, 120+45 tokens", "the secret of the secretary: none", "api_key: None"),
    *("https://host:8080/v1?api-version=preview", "signature", "password", "api_key=***", "resp_0123456789abcdef"),
    *("eyJ.eyJ", "call_0a1b2c3d4e5f000001", "gpt -> u0: succeeded in 1.204 s, 120+45 tokens, $0.000650"),
]


@pytest.mark.parametrize(("text", "expected"), BLOTTED)
def test_what_looks_like_a_key_is_blotted_out(text: str, expected: str) -> None:
    assert REDACTOR.text(text) == expected
    assert REDACTOR.text(expected) == expected


@pytest.mark.parametrize("text", PLAIN)
def test_what_does_not_stays(text: str) -> None:
    assert REDACTOR.text(text) == text


LONE = [
    *("sk-abcDEF123456", "xai-0123456789", "pplx-0123456789", "nvapi-0123456789", "gsk_0123456789", "hf_0123456789"),
    *("ghp_0123456789", "github_pat_0123456789", "fw_0123456789", "AIzaSyA1234567890123456789", "ya29.0123456789"),
    *("AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE", "eyJhbGciOiJI.eyJz.x", "bearer abc.123", "Basic dXNlcjpw"),
    *("http://a:b@c", "known-secret"),
]


@pytest.mark.parametrize("key", LONE)
def test_a_key_that_stands_alone_is_noticed_by_the_quick_look(key: str) -> None:
    assert REDACTOR.text(key) != key
    assert not REDACTOR.clean(f" gpt {key}")
    assert REDACTOR.clean(" gpt resp_0123456789abcdef gpt-4o-2026-05-01 default order-17 ann@example.com")


@pytest.mark.parametrize("text", [text for text, _ in BLOTTED], ids=range(len(BLOTTED)))
def test_the_quick_look_notices_whatever_is_blotted_out(text: str) -> None:
    assert not REDACTOR.clean(text)


@given(
    st.text(alphabet="sk-xaiAIzagh_rBe e yJ./:@0A", max_size=60)
    | st.lists(st.sampled_from([*("api", "key", "-", "_", "token", "access", "sig", "=", ":", "'", " ", "a1")])).map(
        "".join
    )
)
def test_names_that_pass_the_quick_look_hold_no_key(names: str) -> None:
    if REDACTOR.clean(f" {names}"):
        assert "***" not in REDACTOR.text(f" {names}")


def test_values_are_gone_through() -> None:
    deep: Any = "none"
    for _ in range(40):
        deep = [deep]
    found = REDACTOR.value(
        {
            "api_key": "anything at all",
            "password": {"inner": "sk-0123456789"},
            "list": ["sk-0123456789", 1, None, 1.5, True, ("fine", "known-secret")],
            "sk-0123456789": "as a name",
            "secret": "",
            "input_tokens": 17,
            7: "seven",
            "deep": deep,
        }
    )
    assert isinstance(found, dict)
    assert str(found.pop("deep")).strip("[]") == "None"
    assert found == {
        "api_key": "***",
        "password": {"inner": "***"},
        "list": ["***", 1, None, 1.5, True, ["fine", "***"]],
        "***": "as a name",
        "secret": "",
        "input_tokens": 17,
        "7": "seven",
    }


def test_long_texts_are_cut_and_a_key_on_the_edge_goes_whole() -> None:
    text = "x" * (LONGEST - 5) + " known-secret " + "y" * 100_000
    found = REDACTOR.text(text)
    assert "known" not in found
    assert found.endswith(f"… ({len(text) - LONGEST} more)")
    assert len(found) < LONGEST + 50


@pytest.mark.parametrize(
    "part", ["eyJ-", "api_key", "a_", "sk-", "://x:", "Bearer ", "AKIA ", "secret : ", "token-", "AKIA0123456789AB ,"]
)
def test_no_text_takes_long(part: str) -> None:
    """What would take a pattern time that grows with the square of the length, or worse, would never end here."""
    REDACTOR.text(part * (LONGEST // len(part)))


def test_variables_named_like_keys_hold_secrets() -> None:
    environ = {"OPENAI_API_KEY": "one", "AWS_SECRET_ACCESS_KEY": "two", "GITHUB_TOKEN": "three", "HOME": "/root"}
    assert environment_secrets(environ) == ["one", "two", "three"]
