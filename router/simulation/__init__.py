"""What if: a recorded trace, replayed under other configurations by the Router itself, in simulated time."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import cast

from providers.errors import ConfigurationError
from router.simulation.configured import ConfigSource, Prepared, prepare
from router.simulation.figures import Figures, Percentiles, figures
from router.simulation.past import History
from router.simulation.reading import Trace, TraceSource, read_trace
from router.simulation.replay import Replay, replay
from router.simulation.result import Simulation

__all__ = ["Figures", "Percentiles", "Simulation", "prepare", "simulate"]


def simulate(
    trace: TraceSource,
    config: ConfigSource | Sequence[ConfigSource],
    *,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> Simulation:
    """What would have become of the calls of `trace` under `config`, or under each of several.

    `trace` is the path of what `Router.record` wrote, or its lines, parsed. A configuration is a mapping with
    `model_list` and `router_settings`, or the path of a YAML or JSON file; it needs no credentials, and no Redis is
    used. The Router itself decides, on a clock that jumps from event to event. Deployments take as long as they did,
    fail when they did, and refuse what is beyond their `rpm` and `tpm`, or beyond what they took; they don't get
    slower under more load. A caller leaves when it left, and goes on from a response no sooner than it is there.

    `progress` is called now and then with a configuration's name, calls begun, and calls in all. Blocks until it is
    done, about ten seconds for ten thousand calls; in a running event loop it blocks that too. Raises
    `ConfigurationError` for a trace or a configuration that can't be used.
    """
    read = read_trace(trace)
    several = isinstance(config, Sequence) and not isinstance(config, str)
    sources = cast("Sequence[ConfigSource]", config if several else [config])
    if not sources:
        raise ConfigurationError("config: is empty; give at least one configuration")
    if not read.calls:
        raise ConfigurationError("trace: there is no call in it")
    prepared = _named([prepare(each) for each in sources])
    history = History(read.calls, seed)
    replays: list[Replay] = []
    for each in prepared:

        def told(begun: int, name: str = each.name) -> None:
            if progress is not None:
                progress(name, begun, len(read.calls))

        try:
            replays.append(_apart(read, history, each, seed, told))
        except ConfigurationError as error:
            if len(prepared) == 1:
                raise
            raise ConfigurationError(f"{each.name}: {error}") from None
    return _result(read, prepared, replays, seed)


def _named(prepared: Sequence[Prepared]) -> list[Prepared]:
    """Each with a name of its own."""
    single = len(prepared) == 1
    names = [each.name or ("simulated" if single else f"config {number}") for number, each in enumerate(prepared, 1)]
    twice = {name for name, count in Counter([*names, "recorded"]).items() if count > 1}
    unique = [f"{name} {number}" if name in twice else name for number, name in enumerate(names, 1)]
    return [
        Prepared(name, each.model_list, each.settings, each.notes) for name, each in zip(unique, prepared, strict=True)
    ]


def _apart(trace: Trace, history: History, config: Prepared, seed: int, told: Callable[[int], None]) -> Replay:
    """Replay in this thread, or in another if an event loop runs in this one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return replay(trace, history, config, seed, told)
    found: list[Replay | BaseException] = []

    def work() -> None:
        try:
            found.append(replay(trace, history, config, seed, told))
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=work, name="homing-router-simulation")
    thread.start()
    thread.join()
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def _result(trace: Trace, prepared: Sequence[Prepared], replays: Sequence[Replay], seed: int) -> Simulation:
    notes = [f"lines of the trace that could not be read: {trace.damaged}"] if trace.damaged else []
    for config, each in zip(prepared, replays, strict=True):
        prefix = f"{config.name}: " if len(prepared) > 1 else ""
        notes += [prefix + note for note in each.notes]
    return Simulation(
        figures("recorded", [call for call in trace.calls if call.verb == "create"]),
        tuple(figures(config.name, each.calls) for config, each in zip(prepared, replays, strict=True)),
        seed,
        tuple(notes),
        b"".join(line + b"\n" for each in replays for line in each.decisions),
    )
