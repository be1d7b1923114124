"""URLs and fields that say where Redis is."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from providers.errors import ConfigurationError
from router.stores.redis_url import RedisSettings

LOCAL = (("localhost", 6379),)


def secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value else None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://localhost", {"nodes": LOCAL}),
        ("redis://h:1/2", {"nodes": (("h", 1),), "db": 2}),
        ("redis://h?db=3", {"nodes": (("h", 6379),), "db": 3}),
        ("redis://[::1]:7/", {"nodes": (("::1", 7),)}),
        ("rediss://h", {"nodes": (("h", 6379),), "ssl": True}),
        (
            "rediss://h?ssl_ca_certs=/ca&ssl_certfile=/c&ssl_keyfile=/k&ssl_cert_reqs=optional&ssl_check_hostname=False",
            {
                "nodes": (("h", 6379),),
                "ssl": True,
                "ssl_ca_certs": "/ca",
                "ssl_certfile": "/c",
                "ssl_keyfile": "/k",
                "ssl_cert_reqs": "optional",
                "ssl_check_hostname": False,
            },
        ),
        ("unix:///run/redis.sock?db=1", {"nodes": (), "path": "/run/redis.sock", "db": 1}),
        (
            "redis+cluster://a:1,b,[fe80::1]:3",
            {"topology": "cluster", "nodes": (("a", 1), ("b", 6379), ("fe80::1", 3))},
        ),
        ("rediss+cluster://a", {"topology": "cluster", "nodes": (("a", 6379),), "ssl": True}),
        (
            "redis+sentinel://a:1,b/main",
            {"topology": "sentinel", "nodes": (("a", 1), ("b", 26379)), "master": "main"},
        ),
        (
            "rediss+sentinel://a/main/4?sentinel_username=watch",
            {
                "topology": "sentinel",
                "nodes": (("a", 26379),),
                "master": "main",
                "db": 4,
                "ssl": True,
                "sentinel_username": "watch",
            },
        ),
    ],
)
def test_every_form(url: str, expected: dict[str, Any]) -> None:
    assert RedisSettings.parse(url) == RedisSettings(**expected)


def test_fields_instead_of_a_url() -> None:
    found = RedisSettings.parse(host="h", port=7, username="u", password="p", ssl=True, db=5)
    assert (found.nodes, found.username, found.ssl, found.db) == ((("h", 7),), "u", True, 5)
    assert secret(found.password) == "p"


def test_access_beside_a_url() -> None:
    found = RedisSettings.parse(SecretStr("redis://h/3"), username="u", password=SecretStr("p"), db=3)
    assert (found.username, secret(found.password), found.db) == ("u", "p", 3)


@given(user=st.text(min_size=1), password=st.text(min_size=1))
def test_any_password_survives_percent_encoding(user: str, password: str) -> None:
    for place in ("redis://{}@h", "unix://{}@/tmp/s", "redis+cluster://{}@a,b", "redis+sentinel://{}@a,b/m"):
        found = RedisSettings.parse(place.format(f"{quote(user, safe='')}:{quote(password, safe='')}"))
        assert (found.username, secret(found.password)) == (user, password)


def test_the_sentinels_own_password() -> None:
    found = RedisSettings.parse("redis+sentinel://:data@a/m?sentinel_password=watch")
    assert (secret(found.password), secret(found.sentinel_password)) == ("data", "watch")


def test_passwords_are_never_shown() -> None:
    found = RedisSettings.parse("redis+sentinel://u:hunter2@a/m?sentinel_password=hunter2")
    assert "hunter2" not in repr(found)
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("localhost:6379", "starts with none of redis://"),
        ("redi://h", "did you mean redis://"),
        ("redis+sentinell://h/m", r"did you mean redis\+sentinel://"),
        ("redis://", "lacks a host"),
        ("redis://h:0", "1 to 65535"),
        ("redis://h:65536", "1 to 65535"),
        ("redis://h:port", "name:port"),
        ("redis://h/first", "db is not a number"),
        ("redis://h?db=-1", "db is not a number"),
        ("redis://a,b", r"redis\+cluster://"),
        ("redis+cluster://a/1", "db 0 only"),
        ("redis+sentinel://a", "lacks the name of the master"),
        ("redis://u@h", "needs a password"),
        ("redis://h?dbb=1", "'dbb' is no option.*did you mean db"),
        ("redis://h?ssl_ca_certs=/x", "no option of this kind"),
        ("rediss://h?ssl_cert_reqs=maybe", "required, optional, none"),
        ("rediss://h?ssl_check_hostname=1", "true or false"),
        ("unix://tmp/redis.sock", "three slashes"),
        ("unix://", "three slashes"),
    ],
)
def test_what_is_wrong_is_named(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        RedisSettings.parse(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2/x@h/0",
        "redis://:hunter2?x@h/0",
        "redis://:hunter2#x@h/0",
        "redis://hunter2:6379x@h:hunter2",
        "redis://:9hunter2/x",
        "redis://:h@h/hunter2",
        "hunter2@h",
        "redis:hunter2@h",
        "redis+sentinel://:hunter2@h",
    ],
)
def test_an_error_never_repeats_a_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        RedisSettings.parse(url)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("parse", "field"),
    [
        (lambda: RedisSettings.parse("redis://h", host="h"), "redis_host"),
        (lambda: RedisSettings.parse("redis://h", port=1), "redis_port"),
        (lambda: RedisSettings.parse("redis://h", ssl=True), "redis_ssl.*rediss://"),
        (lambda: RedisSettings.parse("redis://u:p@h", username="v"), "redis_username"),
        (lambda: RedisSettings.parse("redis://u:p@h", password="q"), "redis_password"),
        (lambda: RedisSettings.parse("redis://h/1", db=2), "redis_db"),
        (lambda: RedisSettings.parse(host="h", db=-1), "redis_db"),
        (lambda: RedisSettings.parse(host="h", username="u"), "redis_username"),
        (lambda: RedisSettings.parse(), "redis_host"),
    ],
)
def test_fields_that_clash_or_lack(parse: Callable[[], RedisSettings], field: str) -> None:
    with pytest.raises(ConfigurationError, match=field):
        parse()


def test_tls_settings_make_a_context(tmp_path: Path) -> None:
    assert RedisSettings.parse("redis://h").tls() is None
    context = RedisSettings.parse("rediss://h").tls()
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    context = RedisSettings.parse("rediss://h?ssl_cert_reqs=none").tls()
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)
    context = RedisSettings.parse("rediss://h?ssl_check_hostname=false").tls()
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, False)


@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile"])
def test_tls_files_that_cannot_be_used_are_named(option: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.pem"):
        RedisSettings.parse(f"rediss://h?{option}={tmp_path / 'absent.pem'}").tls()
    (tmp_path / "bad.pem").write_text("hello")
    with pytest.raises(ConfigurationError, match=r"bad\.pem"):
        RedisSettings.parse(f"rediss://h?{option}={tmp_path / 'bad.pem'}").tls()


@pytest.mark.parametrize(("url", "where"), [("unix:///run/s", "/run/s"), ("redis+cluster://:p@a,b:1", "a:6379,b:1")])
def test_an_address_for_messages(url: str, where: str) -> None:
    assert RedisSettings.parse(url).where == where
