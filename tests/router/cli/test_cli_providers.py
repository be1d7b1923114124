"""`homing providers`: the tables of the dialects, as they are declared."""

from dataclasses import replace

import pytest
from toy_dialect import TOY, toy

from providers.catalog import VENDORS, Vendor
from providers.openai import OpenAI
from providers.translation.parameters import RESPONSES, Outcome, Parameter
from providers.translation.translator import Translator
from providers.types import Dialect
from router.cli import dialects, main
from router.cli.dialects import columns

BASE = VENDORS["openai"]


def vendor(name: str, **rest: object) -> tuple[str, Vendor]:
    return name, replace(BASE, name=name, **rest)  # type: ignore[arg-type]  # fields


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> dict[str, Vendor]:
    """Vendors of which two speak one dialect in the same way, and one in another."""

    class Shy(type(toy())):  # type: ignore[misc]  # the toy's class
        table = {**TOY, "store": Parameter("store", Outcome.IGNORED, "is shy")}

    native = OpenAI("openai")
    vendors = dict(
        [
            vendor("openai", dialects={Dialect.RESPONSES: native}),
            vendor("first", dialects={Dialect.MESSAGES: toy(), Dialect.RESPONSES: native}),
            vendor("second", dialects={Dialect.CONVERSE: toy(), Dialect.MESSAGES: toy()}),
            vendor("third", dialects={Dialect.CONVERSE: Shy("third")}),
        ]
    )
    monkeypatch.setattr(dialects, "VENDORS", vendors)
    return vendors


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["providers", *arguments]) == 0
    return capsys.readouterr().out


def test_dialects_are_told_apart_by_their_tables(toys: dict[str, Vendor]) -> None:
    found = columns(toys)
    assert [(column.heading, column.vendors) for column in found] == [
        ("responses", ("openai", "first")),
        ("messages", ("first", "second")),
        ("converse (second)", ("second",)),
        ("converse (third)", ("third",)),
    ]
    assert [column.table is None for column in found] == [True, False, False, False]


@pytest.mark.usefixtures("toys")
def test_the_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    text = shown(capsys)
    assert "openai, first" in text
    rows = [line.split() for line in text.splitlines()]
    for name in RESPONSES:
        (row,) = [row for row in rows if len(row) == 4 and row[0] == name]
        outcomes = [TOY[name].outcome, TOY[name].outcome, "ignored" if name == "store" else TOY[name].outcome]
        assert row[1:] == outcomes
    assert "toys have none" in text
    assert "is shy" in text


@pytest.mark.usefixtures("toys")
def test_the_table_of_some(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    text = shown(capsys, "third")
    assert "is shy" in text
    assert "messages" not in text
    assert "messages" in shown(capsys, "messages")
    assert "temperature" not in shown(capsys, "openai", "responses")


@pytest.mark.usefixtures("toys")
def test_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, "--format", "md").splitlines()
    assert lines[:4] == [
        "| dialect | spoken by |",
        "|---|---|",
        "| responses | `openai`, `first` |",
        "| messages | `first`, `second` |",
    ]
    assert "| parameter | messages | converse (second) | converse (third) |" in lines
    assert "|---|---|---|---|" in lines
    assert "| `store` | yes | yes | ignored |" in lines
    assert "| `top_p` | 400 | 400 | 400 |" in lines
    assert "- `top_p`: toys have none." in lines
    assert "- `store`: converse (third): is shy." in lines
    assert not [line for line in lines if line.startswith("- `input`")]


@pytest.mark.usefixtures("toys")
def test_markdown_of_what_passes_on_everything(capsys: pytest.CaptureFixture[str]) -> None:
    expected = "| dialect | spoken by |\n|---|---|\n| responses | `openai`, `first` |\n"
    assert shown(capsys, "openai", "--format", "md") == expected


@pytest.mark.usefixtures("toys")
def test_what_there_is_not_is_one_clear_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["providers", "frist"]) == 2
    assert capsys.readouterr().err == (
        "homing providers: there is no provider or dialect 'frist'; did you mean 'first'?\n"
    )
    assert main(["providers", "zzz"]) == 2
    assert "did you mean" not in capsys.readouterr().err


def test_every_dialect_of_the_catalog_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "--format", "md")
    for name, known in VENDORS.items():
        assert f"`{name}`" in text
        for dialect, provider in known.dialects.items():
            assert f"| {dialect}" in text
            assert isinstance(provider, Translator) == (dialect is not Dialect.RESPONSES)
