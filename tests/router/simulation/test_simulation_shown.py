"""A simulation as a table and as a picture."""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console
from traces import attempt, call, config, entries, failed, simulated

from providers.errors import ConfigurationError
from router.simulation.figures import Figures, Percentiles
from router.simulation.plot import draw
from router.simulation.table import table, text


def figures(name: str, shares: dict[str, int] | None = None, **values: object) -> Figures:
    """Some figures."""
    usual: dict[str, object] = {
        "calls": 100,
        "failures": 0,
        "errors": {},
        "left": 0,
        "shares": {"a": 60, "b": 40} if shares is None else shares,
        "latency": Percentiles(1, 2, 3),
        "first_output": None,
        "limited_upstream": 0,
        "limited_callers": 0,
        "retries": 10,
        "fallbacks": 0,
        "cost": 1.5,
        "unpriced": 0,
        "follow_ups": 50,
        "home": 49,
        "breaks": 1,
    }
    return Figures(name=name, **{**usual, **values})  # type: ignore[arg-type]  # its own fields


def rows(shown: str) -> dict[str, list[str]]:
    """The cells of each row, by label."""
    return {line[:25].strip(): line[25:].split() for line in shown.splitlines()}


def test_the_table_has_a_column_for_each_configuration() -> None:
    now = figures("now", latency=Percentiles(0.0123, 2.5, 123), cost=1234.5, retries=1234, shares={"c": 1, "a": 3})
    found = rows(text([figures("recorded"), now], ["one", "two"]))
    assert found["served by a"] == ["60.0%", "75.0%"]
    assert found["served by c"] == ["0.0%", "25.0%"]
    assert found["latency p50"] == ["1.00", "s", "12", "ms"]
    assert found["latency p99"] == ["3.00", "s", "123.00", "s"]
    assert found["retries"] == ["10", "1,234"]
    assert found["cost"] == ["$1.5000", "$1,234.50"]
    assert found["came home"] == ["49", "(98.0%)", "49", "(98.0%)"]
    assert "note: one" in found
    assert "left by their callers" not in found
    assert "first output p50" not in found
    assert "of unknown cost" not in found


def test_what_there_is_not_has_no_row_and_what_is_not_known_says_so() -> None:
    nothing = figures("now", {}, latency=None, first_output=None, cost=0, unpriced=3, follow_ups=0, home=0, breaks=0)
    streams = figures("recorded", first_output=Percentiles(1, 1, 1), left=2, errors={"RateLimitError": 7}, failures=7)
    found = rows(text([streams, nothing], []))
    assert list(found)[3:6] == ["failed", "RateLimitError", "left by their callers"]
    assert found["latency p50"] == ["1.00", "s", "–"]
    assert found["first output p90"] == ["1.00", "s", "–"]
    assert found["served by a"] == ["60.0%", "–"]
    assert found["cost"] == ["$1.5000", "unknown"]
    assert found["of unknown cost"] == ["0", "3"]
    assert found["left by their callers"][-1] == "0"
    assert found["RateLimitError"] == ["7", "0"]
    assert found["failed"] == ["7", "(7.0%)", "0"]


def test_many_deployments_are_told_together() -> None:
    many = {f"d{number:02}": 50 - number for number in range(30)}
    found = rows(text([figures("recorded", many), figures("now", {"d29": 1})], []))
    assert "served by d19" in found
    assert "served by d20" not in found
    assert found["served by 10 others"][1] == "100.0%"


def test_what_is_better_is_green_and_what_is_worse_is_red() -> None:
    console = Console(force_terminal=True, width=120, color_system="standard", legacy_windows=False)
    now = figures("now", latency=Percentiles(0.5, 2.01, 6), retries=0)
    with console.capture() as captured:
        console.print(table([figures("recorded"), now]))
    lines = captured.get().splitlines()
    p50, p90, p99 = (next(line for line in lines if f"latency p{share}" in line) for share in (50, 90, 99))
    assert re.search(r"\x1b\[32m *500 ms", p50)
    assert "\x1b[3" not in p90
    assert re.search(r"\x1b\[31m *6.00 s", p99)


def test_pictures_are_png_or_svg_by_their_names(tmp_path: Path) -> None:
    calls = [call(index, "ab"[index % 2], first=0.3 if index % 3 else None) for index in range(30)]
    calls.append(failed(31, attempt("a", 0.1, "InternalServerError")))
    found = simulated(calls, config(entries("a", "b")), config(entries("b")))
    found.plot(tmp_path / "p.png")
    found.plot(str(tmp_path / "p.SVG"))
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert ElementTree.parse(tmp_path / "p.SVG").getroot().tag.endswith("svg")
    assert "matplotlib.pyplot" not in sys.modules


def test_pictures_of_much_and_of_nothing(tmp_path: Path) -> None:
    many = {f"deployment-with-a-rather-long-name-{number:02}": 50 - number for number in range(30)}
    columns = [figures("recorded", many), *(figures(f"_config ${number}", many) for number in range(8))]
    draw(columns, tmp_path / "much.svg")
    text = (tmp_path / "much.svg").read_text()
    assert "<!-- all others -->" in text
    assert "<!-- deployment-wit…r-long-name-10 -->" in text
    assert "name-11 -->" not in text
    assert [name for name in map(str, range(8)) if f"_config ${name} -->" not in text] == [], "all are in the legend"
    draw([figures("recorded", {}, latency=None), figures("now", {}, latency=None)], tmp_path / "nothing.svg")
    assert "<!-- Latency -->" in (tmp_path / "nothing.svg").read_text()
    assert "<!-- Time to first output -->" not in (tmp_path / "nothing.svg").read_text()


def test_pictures_that_cannot_be_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = simulated([call(0)], config(entries("a")))
    with pytest.raises(ConfigurationError, match=r"path: 'p.gif' must end with .png or .svg"):
        found.plot("p.gif")
    with pytest.raises(ConfigurationError, match=r"p.png' can't be written: No such file or directory"):
        found.plot(tmp_path / "none" / "p.png")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigurationError, match=r"a plot needs `pip install 'homing-router\[plot\]'`"):
        found.plot(tmp_path / "p.png")
