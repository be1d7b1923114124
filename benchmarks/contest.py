"""Contenders side by side: one process each, measured in turn, in rounds, and compared round by round.

What makes the ratios trustworthy on a noisy machine: everybody is asked for the same thing of the same server in the
same run; rounds are interleaved, so that a slow minute hits all; a ratio is taken within its round, and the median of
rounds is shown. Microseconds swing with the machine, ratios hardly do.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peers import PEERS, interpreter
from rich.box import MARKDOWN
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

_HERE = Path(__file__).parent


class Worker:
    """A contender's process, pinned to the last core, where the system can: the server has the others."""

    def __init__(self, name: str, python: Path, urls: Sequence[str], script: str = "worker.py") -> None:
        self.name = name
        command: list[str | Path] = [python, _HERE / script, name, *urls]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        pin(self._process.pid, last=True)
        hello = self._answer()
        self.error = hello.get("error")
        """Why it can't take part, if so."""
        self.label = f"{name} {hello.get('version', '')}".strip()

    def ask(self, **order: Any) -> dict[str, float]:
        """Send one command, return its answer."""
        assert self._process.stdin is not None
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return self._answer()

    def cpu(self, **order: Any) -> float:
        """CPU microseconds per unit of one measurement."""
        got = self.ask(**order)
        return got["cpu"] / got["units"] * 1e6

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the contender {self.name} ended with {self._process.wait()}; its complaint stands above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def pin(pid: int, *, last: bool) -> None:
    """Keep a process on the last core, or off it."""
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(pid, cores[-1:] if last else cores[:-1])


@dataclass
class Column:
    """One thing that is measured of every contender."""

    title: str
    order: Mapping[str, Any]
    samples: dict[str, list[float]] = field(default_factory=dict)

    def median(self, name: str) -> float:
        """Median over rounds, microseconds."""
        return statistics.median(self.samples[name])

    def ratio(self, name: str, reference: str) -> float:
        """Median over rounds of the ratio to another contender in the same round."""
        pairs = zip(self.samples[name], self.samples[reference], strict=True)
        return statistics.median(mine / theirs for mine, theirs in pairs)


def arguments(text: str | None, *, rounds: int, most: int, unit: str) -> argparse.Namespace:
    """The command line that the contests share."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help="interleaved rounds (default %(default)s)")
    parser.add_argument(f"--{unit}", dest="most", type=int, default=most, help="at most, per round (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.4, help="at most, per measurement (%(default)s)")
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PATH", help=f"for {', '.join(PEERS)}")
    parser.add_argument("--with-peers", action="store_true", help="install the peers that are missing, in a cache")
    return parser.parse_args()


@contextmanager
def workers(
    names: Iterable[str], urls: Sequence[str], args: argparse.Namespace, script: str = "worker.py"
) -> Iterator[list[Worker]]:
    """A running worker for each contender that can be had; a line on how to get each of the others."""
    given = dict(item.partition("=")[::2] for item in args.python)
    with ExitStack() as stack:
        running: list[Worker] = []
        for name in names:
            python = interpreter(name, given.get(name), install=args.with_peers)
            if python is None:
                continue
            worker = Worker(name, python, urls, script)
            stack.callback(worker.close)
            if worker.error is None:
                running.append(worker)
            elif name in PEERS:
                print(f"skipped {name}: its first call failed: {worker.error}", file=sys.stderr)
            else:
                raise SystemExit(f"{name}: its first call failed: {worker.error}")
        yield running


def compete(contenders: Sequence[Worker], columns: Sequence[Column], args: argparse.Namespace) -> None:
    """Fill the columns."""
    with Progress(transient=True, disable=not sys.stderr.isatty(), console=Console(stderr=True)) as progress:
        for _ in progress.track(range(args.rounds), description="rounds"):
            for column in columns:
                for worker in contenders:
                    took = worker.cpu(**{"most": args.most, "seconds": args.seconds, **column.order})
                    column.samples.setdefault(worker.name, []).append(took)


def show(title: str, columns: Sequence[Column], contenders: Iterable[Worker], reference: str) -> None:
    """Print the table: microseconds, and ratios to `reference`."""
    table = Table("contender", title=title, box=MARKDOWN, title_justify="left")
    for column in columns:
        table.add_column(f"{column.title}: us", justify="right")
        table.add_column(f"x {reference}", justify="right")
    for worker in contenders:
        name, cells = worker.name, []
        for column in columns:
            cells += [f"{column.median(name):,.{0 if column.median(name) >= 100 else 1}f}"]
            cells += [f"{column.ratio(name, reference):.2f}"]
        table.add_row(worker.label, *cells)
    console().print(table)


@dataclass(frozen=True)
class Target:
    """What was promised: `ours` over `other` in a column stays within `bound`; without `other`, in microseconds."""

    column: Column
    ours: str
    bound: float
    other: str | None = None

    def verdict(self) -> tuple[str, bool]:
        """The finding in words, and whether the promise is kept."""
        if self.other is None:
            found, of = self.column.median(self.ours), "us"
        else:
            found, of = self.column.ratio(self.ours, self.other), f"of {self.other}"
        kept = found <= self.bound
        return f"{self.column.title}: {self.ours} {found:.3g} {of}, at most {self.bound:.3g}", kept


def judge(targets: Iterable[Target], more: Iterable[tuple[str, bool]] = ()) -> int:
    """Print each promise and whether it is kept; the exit status."""
    measured = [t for t in targets if t.other is None or t.other in t.column.samples]
    found = [*(target.verdict() for target in measured), *more]
    for text, kept in found:
        console().print(f"{'kept  ' if kept else 'BROKEN'}  {text}", highlight=False)
    return 0 if all(kept for _, kept in found) else 1


def console() -> Console:
    """Where tables go: wide enough to be read where there is no terminal."""
    return Console() if sys.stdout.isatty() else Console(width=140)
