"""Our proxy beside LiteLLM's: `python benchmarks/proxy.py --litellm PATH` (or `--with-peers`).

One worker each, over two deployments that are one fast server in a process of its own; the same requests, from the same
driver, in turn, in rounds. Each has a master key, which the driver sends. LiteLLM's proxy is set up as its guide for
production says: one worker, no database, `LITELLM_LOG=ERROR`, `LITELLM_MODE=PRODUCTION`, its own aiohttp transport, no
callbacks. Neither logs calls.

- *requests*: answers in a second at `--connections` (64) connections, and CPU time of the proxy for each, which a noisy
  machine disturbs least;
- *added*: the median time of an answer at one connection, less that of the same request sent straight to the server;
- for `/responses` and, as it is what LiteLLM's proxy has been made for, `/chat/completions`; whole, and streams of 108
  (103) events. Our deployments speak the Responses API, so that our `/chat/completions` is translated both ways;
  LiteLLM's goes on as it is.

*direct* is the driver and the server without a proxy: what they could take. Promised of `/responses`, judged against
both of LiteLLM's endpoints: at least 40 times the requests, at most a twentieth of what is added. The ratios are the
medians of those of each round.

`--litellm PATH` is an interpreter with `litellm[proxy]` in an environment of its own; `--with-peers` makes one.
"""

from __future__ import annotations

import argparse
import secrets
import socket
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import run
from typing import Any

import upstream
from contest import console, pin
from load import Driver, driver
from peers import interpreter
from processes import cpu, memory, serving
from rich.box import MARKDOWN
from rich.table import Table

KEY = f"sk-{secrets.token_hex(16)}"
FASTER, SOONER = 40.0, 1 / 20
_QUESTION = "Tell me something of some length, please. " * 8
_RESPONSES: dict[str, Any] = {"model": "gpt", "input": _QUESTION}
_CHAT: dict[str, Any] = {"model": "gpt", "messages": [{"role": "user", "content": _QUESTION}]}
_DEPLOYMENT = """
  - model_name: gpt
    litellm_params:
      model: openai/gpt-4.1
      api_base: {base}
      api_key: sk-upstream-{number}
"""


@dataclass(frozen=True)
class Kind:
    """One kind of request."""

    name: str
    path: str
    body: dict[str, Any]
    mark: str
    """What is in every good answer."""


KINDS = (
    Kind("/responses", "/responses", _RESPONSES, '"completed"'),
    Kind("/responses, streamed", "/responses", {**_RESPONSES, "stream": True}, "response.completed"),
    Kind("/chat/completions", "/chat/completions", _CHAT, "finish_reason"),
    Kind("/chat/completions, streamed", "/chat/completions", {**_CHAT, "stream": True}, "[DONE]"),
)


@dataclass
class Contender:
    """A server that is asked."""

    name: str
    url: str
    """Ends in `/v1`."""
    pid: int | None = None
    """None: only what its answers take is measured."""
    found: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    """Of each kind, by what was measured: one for each round."""
    resident: float = 0.0

    def note(self, kind: Kind, **measured: float) -> None:
        """What a round has found."""
        for what, value in measured.items():
            self.found.setdefault((kind.name, what), []).append(value)

    def median(self, kind: Kind, what: str) -> float:
        """Of the rounds."""
        return statistics.median(self.found[kind.name, what])


def measure(load: Driver, one: Contender, kind: Kind, options: argparse.Namespace) -> None:
    """One round of one kind: at one connection, then at many."""
    order = {"mark": kind.mark, "key": KEY}
    alone = load.ask(one.url + kind.path, kind.body, connections=1, seconds=options.seconds / 2, **order)
    before = 0.0 if one.pid is None else cpu(one.pid)
    many = load.ask(one.url + kind.path, kind.body, connections=options.connections, seconds=options.seconds, **order)
    used = 0.0 if one.pid is None else cpu(one.pid) - before
    one.note(kind, latency=alone["median"], first=alone["first"], rate=many["answers"] / many["seconds"])
    one.note(kind, cpu=used / many["answers"], events=many["events"] / many["answers"])
    if one.pid is not None:
        one.resident = max(one.resident, memory(one.pid))


def added(one: Contender, direct: Contender, kind: Kind, what: str = "latency") -> list[float]:
    """Seconds that a proxy adds, in each round."""
    return [a - b for a, b in zip(one.found[kind.name, what], direct.found[kind.name, what], strict=True)]


def free_port() -> int:
    """One that nobody listens on just now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def ours(base: str, folder: Path) -> Iterator[Contender]:
    """`homing serve`."""
    file, port = folder / "homing.yaml", free_port()
    entries = "".join(_DEPLOYMENT.format(base=base, number=number) for number in (1, 2))
    file.write_text(f"model_list:{entries}\ngeneral_settings:\n  master_key: {KEY}\n")
    code = "from router.cli import main; raise SystemExit(main())"
    command: list[str | Path] = [
        sys.executable,
        "-c",
        code,
        "serve",
        "--config",
        file,
        "--port",
        str(port),
        "--log-level",
        "error",
    ]
    with serving(command, f"http://127.0.0.1:{port}/health/liveness", log=folder / "homing.log", last=True) as process:
        yield Contender("homing", f"http://127.0.0.1:{port}/v1", process.pid)


@contextmanager
def litellms(base: str, folder: Path, python: Path) -> Iterator[Contender]:
    """LiteLLM's proxy."""
    file, port = folder / "litellm.yaml", free_port()
    entries = "".join(_DEPLOYMENT.format(base=base, number=number) for number in (1, 2))
    general = f"general_settings:\n  master_key: {KEY}\nlitellm_settings:\n  set_verbose: false\n  telemetry: false\n"
    file.write_text(f"model_list:{entries}\n{general}")
    code = "from importlib.metadata import version; print(version('litellm'))"
    version = run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    command: list[str | Path] = [
        python.parent / "litellm",
        "--config",
        file,
        "--port",
        str(port),
        "--host",
        "127.0.0.1",
    ]
    command += ["--num_workers", "1"]
    environ = {
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "DISABLE_ADMIN_UI": "True",
        "NO_DOCS": "True",
    }
    ready = f"http://127.0.0.1:{port}/health/liveliness"
    with serving(command, ready, environ=environ, log=folder / "litellm.log", last=True) as process:
        yield Contender(f"LiteLLM {version}", f"http://127.0.0.1:{port}/v1", process.pid)


def show(contenders: list[Contender], kinds: list[Kind], options: argparse.Namespace) -> None:
    """The table of medians."""
    direct = contenders[0]
    table = Table("request", "contender", title="medians of rounds", box=MARKDOWN, title_justify="left")
    for title in (f"requests/s ({options.connections})", "CPU us each", "added us (1)", "to first byte", "events"):
        table.add_column(title, justify="right")
    for kind in kinds:
        for one in contenders:
            if one is direct:
                extra = [f"({one.median(kind, 'latency') * 1e6:,.0f})", f"({one.median(kind, 'first') * 1e6:,.0f})"]
            else:
                extra = [
                    f"{statistics.median(added(one, direct, kind, what)) * 1e6:,.0f}" for what in ("latency", "first")
                ]
            spent = "" if one.pid is None else f"{one.median(kind, 'cpu') * 1e6:,.0f}"
            table.add_row(
                kind.name,
                one.name,
                f"{one.median(kind, 'rate'):,.0f}",
                spent,
                *extra,
                f"{one.median(kind, 'events'):.0f}",
            )
    console().print(table)
    for one in contenders[1:]:
        console().print(f"{one.name}: {one.resident:.0f} MiB", highlight=False)


def judge(us: Contender, them: Contender, direct: Contender, kinds: list[Kind]) -> int:
    """Print each promise and whether it is kept; the exit status."""
    verdicts: list[tuple[str, bool]] = []
    names = {kind.name: kind for kind in kinds}
    for mine in [kind for kind in kinds if kind.path == "/responses"]:
        for theirs in [mine, names.get(mine.name.replace("/responses", "/chat/completions"), mine)]:
            pairs = zip(us.found[mine.name, "rate"], them.found[theirs.name, "rate"], strict=True)
            rate = statistics.median(a / b for a, b in pairs)
            pairs = zip(them.found[theirs.name, "cpu"], us.found[mine.name, "cpu"], strict=True)
            spent = statistics.median(a / b for a, b in pairs)
            pairs = zip(added(us, direct, mine), added(them, direct, theirs), strict=True)
            late = statistics.median(a / b for a, b in pairs)
            against = f"{mine.name} against its {theirs.name}"
            text = f"{against}: {rate:.0f} times the requests ({spent:.0f} times by CPU time), at least {FASTER:.0f}"
            verdicts += [(text, rate >= FASTER)]
            text = f"{against}: 1/{1 / late:.0f} of what is added" if late > 0 else f"{against}: nothing is added"
            verdicts += [(f"{text}, at most 1/{1 / SOONER:.0f}", late <= SOONER)]
    for text, kept in dict.fromkeys(verdicts):
        console().print(f"{'kept  ' if kept else 'BROKEN'}  {text}", highlight=False)
    return 0 if all(kept for _, kept in verdicts) else 1


def main() -> int:
    """Run, print; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, help="per measurement (default %(default)s)")
    parser.add_argument("--connections", type=int, default=64, help="the many (default %(default)s)")
    parser.add_argument("--only", choices=("responses", "chat"), help="only this endpoint")
    parser.add_argument("--litellm", metavar="PATH", help="an interpreter that has litellm[proxy]")
    parser.add_argument("--with-peers", action="store_true", help="install LiteLLM in a cache, if it is missing")
    options = parser.parse_args()
    kinds = [kind for kind in KINDS if options.only is None or options.only in kind.path]
    python = interpreter("litellm[proxy]", options.litellm, install=options.with_peers)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        base = stack.enter_context(upstream.start())
        load = stack.enter_context(driver())
        pin(load.pid, last=False)
        contenders = [Contender("direct", base), stack.enter_context(ours(base, folder))]
        if python is not None:
            contenders.append(stack.enter_context(litellms(base, folder, python)))
        for one in contenders[1:]:  # warm: connections open, modules loaded, caches filled
            for kind in kinds:
                load.ask(one.url + kind.path, kind.body, mark=kind.mark, key=KEY, connections=8, seconds=1.0)
        for _ in range(options.rounds):
            for kind in kinds:
                for one in contenders:
                    measure(load, one, kind, options)
    show(contenders, kinds, options)
    return judge(contenders[1], contenders[2], contenders[0], kinds) if len(contenders) > 2 else 0


if __name__ == "__main__":
    sys.exit(main())
