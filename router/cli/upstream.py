"""`homing upstream`: one simulated deployment, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Iterable
from dataclasses import fields
from textwrap import fill
from typing import TYPE_CHECKING, cast

from providers.errors import ConfigurationError
from router.cli import exits
from router.cli.parsing import Commands, Suggestions, whole

if TYPE_CHECKING:
    from providers.simulated import Fault, SimulatedUpstream

_EXAMPLES = """\
examples:
  homing upstream --port 8001 --name east
      it says how to write it into a model_list
  homing upstream --port 8002 --latency 0.8 --jitter 0.3 --token-delay 0.02
      as slow as a model that thinks and speaks
  homing upstream --port 8003 --rpm 60 --rate-limit-headers --failure-rate 0.05
      that refuses what is too much, and fails now and then

"""


def register(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "upstream",
        help="run a simulated deployment on this machine",
        description=(
            "Run a simulated deployment that speaks the Responses API and keeps\n"
            "conversations, over HTTP, until Ctrl-C."
        ),
    )
    parser.examples = _examples
    parser.add_argument("--name", default="sim", help="appears in its replies (default: sim)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=whole(0, 65535), metavar="PORT", default=0, help="default: a free one")
    parser.add_argument("--seed", type=int, metavar="N", help="makes ids and chances repeatable")
    parser.add_argument("--api-key", action="append", metavar="KEY", help="accept only this key; may be repeated")
    parser.add_argument("--model", action="append", metavar="NAME", help="serve only this model; may be repeated")
    parser.add_argument("--latency", type=float, default=0.0, metavar="S", help="mean seconds before a reply")
    parser.add_argument("--jitter", type=float, default=0.0, metavar="S", help="how far latency varies either way")
    parser.add_argument("--tokens", type=int, default=8, metavar="N", help="deltas of a text (default: 8)")
    parser.add_argument("--token-delay", type=float, default=0.0, metavar="S", help="seconds between two deltas")
    parser.add_argument("--failure-rate", type=float, default=0.0, metavar="P", help="share of requests that get a 500")
    parser.add_argument("--rpm", type=int, metavar="N", help="requests per minute before it answers 429")
    parser.add_argument("--tpm", type=int, metavar="N", help="input tokens per minute before it answers 429")
    parser.add_argument("--rate-limit-headers", action="store_true", help="send x-ratelimit-* with every reply")
    parser.add_argument(
        "--fault", metavar="FAULT", choices=Suggestions(_faults), help="break it in one of the ways below"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; 0, or 2 if it can't be started as asked."""
    from providers.simulated import Behaviour, SimulatedUpstream  # here, for it takes a while

    given = vars(arguments)
    try:
        behaviour = Behaviour(
            **{
                each.name: given[each.name] for each in fields(Behaviour) if each.name in given and each.name != "fault"
            },
            fault=cast("Fault | None", arguments.fault),
        )
        upstream = SimulatedUpstream(
            arguments.name,
            behaviour=behaviour,
            seed=arguments.seed,
            api_keys=arguments.api_key,
            models=arguments.model,
            host=arguments.host,
            port=arguments.port,
        )
        asyncio.run(_serve(upstream))
    except (ConfigurationError, OSError) as error:
        print(f"homing upstream: {error}", file=sys.stderr)
        return exits.USAGE
    return exits.OK


def _faults() -> Iterable[str]:
    from providers.simulated import MEANINGS

    return MEANINGS


def _examples() -> str:
    from providers.simulated import MEANINGS

    lines = [
        fill(f"  {name:26}{meaning}", 79, subsequent_indent=" " * 28, break_long_words=False)
        for name, meaning in MEANINGS.items()
    ]
    return _EXAMPLES + "\n".join(["faults:", *lines])


async def _serve(upstream: SimulatedUpstream) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with upstream:
        print(f"{upstream.name} serves the Responses API at {upstream.url}/v1/responses; Ctrl-C stops it.")
        print(
            'In a model_list: {"model_name": "gpt", "litellm_params": {"model": "openai/gpt", '
            f'"api_base": "{upstream.url}/v1", "api_key": "any"}}}}',
            flush=True,
        )
        await stopped.wait()
