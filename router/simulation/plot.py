"""A simulation as a picture: who serves, and how long calls take, side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from providers.errors import ConfigurationError
from router.simulation.figures import Figures, Percentiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS: Final = ("#999999", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
"""Okabe and Ito's, which nobody takes for each other; grey is what was recorded."""
_FORMATS: Final = (".png", ".svg")
_PERCENTILES: Final = ("p50", "p90", "p99")
_MOST: Final = 12
"""Deployments that get bars of their own."""
_LONGEST: Final = 28
"""Letters of a name."""
_BAR: Final = 0.8
"""Of the room for one group of bars."""


def draw(columns: Sequence[Figures], path: str | os.PathLike[str]) -> None:
    """Write the picture; the first of the columns is what was recorded. Raises `ConfigurationError`."""
    kind = Path(path).suffix.lower()
    if kind not in _FORMATS:
        raise ConfigurationError(f"path: {str(path)!r} must end with {' or '.join(_FORMATS)}")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError:
        raise ConfigurationError("a plot needs `pip install 'homing-router[plot]'`") from None
    names = _names(columns)
    panels = _times(columns)
    tall = max(4.2, 1.7 + 0.2 * len(names) * (len(columns) + 0.6))
    figure = Figure(
        figsize=(6.0 + 3.6 * len(panels), tall), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08), dpi=150
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 1 + len(panels), squeeze=False, width_ratios=[1.5, *(1.0 for _ in panels)])[0]
    _draw_shares(axes[0], columns, names)
    for place, (title, of) in zip(axes[1:], panels, strict=True):
        _draw_times(place, columns, title, of)
    figure.suptitle(f"{columns[0].calls:,} recorded calls, and what would have become of them", fontsize=12)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(columns)), frameon=False)
    try:
        figure.savefig(path, format=kind[1:])
    except OSError as error:
        raise ConfigurationError(f"path: {str(path)!r} can't be written: {error.strerror or error}") from None


def _names(columns: Sequence[Figures]) -> list[str]:
    """The deployments that serve, those first that serve most; the last may stand for all others, as ``."""
    totals: dict[str, float] = {}
    for each in columns:
        for name, number in each.shares.items():
            totals[name] = totals.get(name, 0.0) + number
    names = sorted(totals, key=lambda name: (-totals[name], name))
    return names if len(names) <= _MOST else [*names[: _MOST - 1], ""]


def _offsets(columns: Sequence[Figures]) -> Iterator[tuple[int, float, Figures]]:
    """Where each configuration's bar stands in its group."""
    for index, each in enumerate(columns):
        yield index, (index - (len(columns) - 1) / 2) * _BAR / len(columns), each


def _draw_shares(axes: Axes, columns: Sequence[Figures], names: Sequence[str]) -> None:
    for index, offset, each in _offsets(columns):
        served = sum(each.shares.values()) or 1
        own = [100 * each.shares.get(name, 0) / served for name in names]
        if names and not names[-1]:
            own[-1] = 100 - sum(own[:-1])
        places = [place + offset for place in range(len(names))]
        colour, hatch = _look(index)
        bars = axes.barh(places, own, _BAR / len(columns), color=colour, hatch=hatch, label=_short(each.name))
        axes.bar_label(bars, fmt="%.0f %%", padding=2, fontsize=7, color="#444444")
    axes.set_yticks(range(len(names)), [_short(name) or "all others" for name in names])
    axes.set_ylim(max(1, len(names)) - 0.5, -0.5)
    axes.margins(x=0.12)
    axes.set_xlabel("share of the calls served, %")
    axes.set_title("Who serves", fontsize=11)
    _tidy(axes, "x")


def _draw_times(
    axes: Axes, columns: Sequence[Figures], title: str, of: Callable[[Figures], Percentiles | None]
) -> None:
    for index, offset, each in _offsets(columns):
        found = of(each)
        heights = [0.0 if found is None else float(getattr(found, name)) for name in _PERCENTILES]
        places = [place + offset for place in range(len(_PERCENTILES))]
        colour, hatch = _look(index)
        bars = axes.bar(places, heights, _BAR / len(columns), color=colour, hatch=hatch)
        labels = ["" if found is None else f"{height:.3g}" for height in heights]
        axes.bar_label(bars, labels, padding=2, fontsize=7, color="#444444", rotation=90 if len(columns) > 2 else 0)
    axes.set_xticks(range(len(_PERCENTILES)), _PERCENTILES)
    axes.margins(y=0.12)
    axes.set_ylabel("seconds")
    axes.set_title(title, fontsize=11)
    _tidy(axes, "y")


def _times(columns: Sequence[Figures]) -> list[tuple[str, Callable[[Figures], Percentiles | None]]]:
    panels: list[tuple[str, Callable[[Figures], Percentiles | None]]] = [("Latency", lambda each: each.latency)]
    if any(each.first_output for each in columns):
        panels.append(("Time to first output", lambda each: each.first_output))
    return panels


def _look(index: int) -> tuple[str, str]:
    """Colour, and hatching where colours begin again."""
    rounds, colour = divmod(index, len(_COLOURS))
    return _COLOURS[colour], ("", "//", "..")[rounds % 3]


def _short(name: str) -> str:
    short = name if len(name) <= _LONGEST else f"{name[: _LONGEST // 2]}…{name[-_LONGEST // 2 :]}"
    # `$` would begin a formula, and `_` would keep it out of the legend
    return f"{' ' * short.startswith('_')}{short}".replace("$", r"\$")


def _tidy(axes: Axes, along: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x" if along == "x" else "y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9)
