"""What a Router weighs: `python benchmarks/footprint.py` (half a minute; --help for more).

Import: `import router`; with its default transport, which the first Router imports; and libraries it stands on; each
in fresh interpreters, with what resident memory grew by. Building: a Router of 1, 10, 100 and 1,000 deployments;
time, the objects it holds (tracemalloc, in a run of its own, for tracing slows building down), resident memory. First
calls: those of a fresh process, over loopback, so that what is put off until the first call shows. `litellm` is
compared if this interpreter has it, or with `--python litellm=PATH`, once only, for it is slow.

Times are CPU time, medians over fresh processes; they scale with the machine's speed, and ratios hold. At the end
stand the project's promises; the exit status is 1 if one is broken.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import upstream
from contest import arguments, console, judge
from peers import PEERS, interpreter
from rich.box import MARKDOWN
from rich.table import Table

_ROOT = Path(__file__).resolve().parents[1]
_LONGEST_IMPORT = 500.0
"""Milliseconds `import router` may take."""
_SIZES = (1, 10, 100, 1000)
_SIZES_OF_PEERS = (10, 1000)

_PROBE = """
import json, sys, time
sys.path += [{root!r}, {here!r}]
def resident():
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096
    except OSError:  # not Linux: the peak instead
        import resource
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
found = {{}}
def timed(name, act):
    before, began = resident(), time.process_time()
    kept = act()
    found[name] = (time.process_time() - began) * 1e3
    found[name + " bytes"] = resident() - before
    return kept
{body}
print(json.dumps(found))
"""

_IMPORT = "timed('it', lambda: __import__({name!r}))\nfound['modules'] = len(sys.modules)"

_BUILD = """
from contenders import model_list
from {library} import Router
Router(model_list=model_list("http://127.0.0.1:9/v1", 1))
entries = model_list("http://127.0.0.1:9/v1", {count})
router = timed("build", lambda: Router(model_list=entries))
"""

_TRACED = """
import tracemalloc
from contenders import model_list
from {library} import Router
Router(model_list=model_list("http://127.0.0.1:9/v1", 1))
entries = model_list("http://127.0.0.1:9/v1", {count})
tracemalloc.start()
router = Router(model_list=entries)
found["objects"] = tracemalloc.get_traced_memory()[0]
"""

_CALLS = """
import asyncio
from contenders import CONTENDERS
async def main():
    contender = CONTENDERS[{name!r}]({url!r})
    await contender.open()
    for name in ("first", "second", "third"):
        began = time.process_time()
        await contender.call()
        found[name] = (time.process_time() - began) * 1e3
    await contender.close()
asyncio.run(main())
"""


def probe(python: Path, body: str, rounds: int = 1) -> dict[str, float]:
    """Medians of what fresh interpreters found."""
    code = _PROBE.format(root=str(_ROOT), here=str(Path(__file__).parent), body=body)
    runs: list[dict[str, float]] = []
    for _ in range(rounds):
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def _rounds(name: str, rounds: int) -> int:
    """How often to ask: a peer that takes seconds to import, once."""
    return 1 if name in PEERS else rounds


def table(title: str, *columns: str) -> Table:
    """An empty table."""
    made = Table(columns[0], title=title, box=MARKDOWN, title_justify="left")
    for column in columns[1:]:
        made.add_column(column, justify="right")
    return made


def imports(pythons: dict[str, Path], rounds: int) -> float:
    """Print what importing costs; how long `import router` takes, milliseconds."""
    shown = table("Import, in fresh interpreters", "import", "ms", "x router", "MB resident", "modules loaded")
    names = ["router", *(name for name in pythons if name != "router")]
    names += ["router.transport.aiohttp_transport", "pydantic", "aiohttp", "httpx"]
    own = Path(sys.executable)
    found = {name: probe(pythons.get(name, own), _IMPORT.format(name=name), _rounds(name, rounds)) for name in names}
    ours = found["router"]["it"]
    for name, got in found.items():
        row = (f"{got['it']:,.0f}", f"{got['it'] / ours:.2f}", f"{got['it bytes'] / 1e6:.1f}", f"{got['modules']:.0f}")
        shown.add_row(name, *row)
    console().print(shown)
    return ours


def building(pythons: dict[str, Path], rounds: int) -> None:
    """Print what building a Router costs, and what it holds."""
    shown = table(
        "A Router", "deployments", *(f"{name}: {what}" for name in pythons for what in ("ms", "MB", "MB RSS"))
    )
    for count in _SIZES:
        cells = []
        for name, python in pythons.items():
            if name in PEERS and count not in _SIZES_OF_PEERS:
                cells += ["", "", ""]
                continue
            got = probe(python, _BUILD.format(library=name, count=count), _rounds(name, rounds))
            traced = probe(python, _TRACED.format(library=name, count=count))
            cells += [f"{got['build']:,.1f}", f"{traced['objects'] / 1e6:.2f}", f"{got['build bytes'] / 1e6:.1f}"]
        shown.add_row(f"{count:,}", *cells)
    console().print(shown)


def calling(pythons: dict[str, Path], rounds: int) -> None:
    """Print how the first calls of a process compare."""
    shown = table("The first calls of a process, 10 deployments", "", "first ms", "second ms", "third ms", "1st / 2nd")
    with upstream.start() as url:
        for name, python in pythons.items():
            contender = "ours" if name == "router" else name
            got = probe(python, _CALLS.format(name=contender, url=url), _rounds(name, rounds))
            times: list[Any] = [f"{got[which]:.1f}" for which in ("first", "second", "third")]
            shown.add_row(name, *times, f"{got['first'] / got['second']:.1f}")
    console().print(shown)


def main() -> int:
    """Measure and print; the exit status."""
    args = arguments(__doc__, rounds=5, most=0, unit="calls")
    given = dict(item.partition("=")[::2] for item in args.python)
    pythons = {"router": Path(sys.executable)}
    litellm = interpreter("litellm", given.get("litellm"), install=args.with_peers)
    if litellm is not None:
        pythons["litellm"] = litellm
    took = imports(pythons, args.rounds)
    building(pythons, min(args.rounds, 3))
    calling(pythons, min(args.rounds, 3))
    return judge((), [(f"import router: {took:.0f} ms, at most {_LONGEST_IMPORT:.0f}", took <= _LONGEST_IMPORT)])


if __name__ == "__main__":
    sys.exit(main())
