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
from router.cli.dialects import Line, spoken

BASE = VENDORS["openai"]


def vendor(name: str, **rest: object) -> tuple[str, Vendor]:
    return name, replace(BASE, name=name, **rest)  # type: ignore[arg-type]  # fields


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> dict[str, Vendor]:
    """Vendors of which two speak one dialect in the same way, and one in another."""

    class Shy(type(toy())):  # type: ignore[misc]  # the toy's class
        table = {
            **TOY,
            "top_k": Parameter("top_k", Outcome.MAPPED, "its own"),
            "store": Parameter("store", Outcome.IGNORED, "is shy"),
        }

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


def test_dialects_are_told_with_the_ways_in_which_they_are_spoken(toys: dict[str, Vendor]) -> None:
    found = spoken(toys)
    assert [(each.dialect, each.vendors, [way.vendors for way in each.ways]) for each in found] == [
        ("responses", ("openai", "first"), []),
        ("messages", ("first", "second"), [("first", "second")]),
        ("converse", ("second", "third"), [("second",), ("third",)]),
    ]
    assert found[2].lines("input") == [Line(Outcome.MAPPED, "the conversation", ())]
    mapped = Line(Outcome.MAPPED, TOY["store"].note, ("second",))
    assert found[2].lines("store") == [mapped, Line(Outcome.IGNORED, "is shy", ("third",))]


@pytest.mark.usefixtures("toys")
def test_the_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    text = shown(capsys)
    assert "openai, first" in text
    rows = [line.split() for line in text.splitlines()]
    for name in set(RESPONSES) - {"store"}:
        assert [name, TOY[name].outcome, TOY[name].outcome] in rows
    assert ["store", "mapped", "mapped", "at", "second"] in rows
    assert "ignored at third" in text
    assert "toys have none" in text
    assert "is shy" in text


@pytest.mark.usefixtures("toys")
def test_the_table_of_some(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "third")
    assert "is shy" in text
    assert "messages" not in text
    assert "ignored at" not in text
    text = shown(capsys, "messages", "third")
    assert "first, second" in text
    assert "is shy" in text
    assert "temperature" not in shown(capsys, "openai")


@pytest.mark.usefixtures("toys")
def test_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, "--format", "md").splitlines()
    assert lines[:5] == [
        "| dialect | spoken by |",
        "|---|---|",
        "| responses | `openai`, `first` |",
        "| messages | `first`, `second` |",
        "| converse | `second`, `third` |",
    ]
    assert "| parameter | messages | converse |" in lines
    assert "|---|---|---|" in lines
    assert "| `store` | yes | yes / ignored |" in lines
    assert "| `top_p` | 400 | 400 |" in lines
    assert "| `top_k` | 400 | 400 / yes |" in lines
    assert [line for line in lines if line.startswith("- `top_k`: messages, converse (second): is not OpenAI's")]
    assert "- `top_p`: toys have none." in lines
    assert "- `store`: converse (third): is shy." in lines
    assert not [line for line in lines if line.startswith("- `input`")]


@pytest.mark.usefixtures("toys")
def test_markdown_of_what_passes_on_everything(capsys: pytest.CaptureFixture[str]) -> None:
    expected = "| dialect | spoken by |\n|---|---|\n| responses | `openai` |\n"
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
            assert isinstance(provider, Translator) or dialect is Dialect.RESPONSES
