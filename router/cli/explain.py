"""`homing explain`: where a call would go under a configuration, and why."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from rich.text import Text

from providers.errors import APIError, ConfigurationError
from router.cli import exits
from router.cli.output import console, sheet
from router.cli.parsing import Commands, takes_file

if TYPE_CHECKING:
    from router.explain import Explanation

_EPILOG = """\
examples:
  homing explain config.yaml --model gpt
      the deployments of the group gpt, and what keeps any of them out
  homing explain config.yaml --model gpt --tag eu --input "$(cat prompt.txt)"
      the same for a call with this tag and this input: tags, context windows
      and ties in the input count
  homing explain config.yaml --model gpt --json |
      jq '.options[] | select(.usable) | .deployment_id'

Nothing is sent and nothing is connected to: credentials may be missing, and
what Redis knows is not asked.
"""


def register(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "explain",
        help="show where a call would go under a configuration, and why",
        description=(
            "Show which deployments may serve a call, and what leaves out the others.\n"
            "The exit code is 0 if one could serve it now, 1 if none could, 2 if the\n"
            "question is wrong."
        ),
        epilog=_EPILOG,
    )
    takes_file(parser.add_argument("config", metavar="CONFIG", help="a configuration, as YAML or JSON"))
    parser.add_argument("--model", required=True, metavar="NAME", help="a group, an alias, or a deployment's id")
    parser.add_argument("--input", default="", metavar="TEXT", help="what is asked")
    parser.add_argument("--previous-response-id", metavar="ID", help="the response that the call goes on from")
    parser.add_argument("--tag", action="append", metavar="TAG", help="a tag of the call; may be repeated")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print it; 0, 1 if no deployment could serve the call, 2 if the question is wrong."""
    from router.router import Router
    from router.simulation.configured import prepare

    params: dict[str, Any] = {"input": arguments.input}
    if arguments.previous_response_id:
        params["previous_response_id"] = arguments.previous_response_id
    if arguments.tag:
        params["litellm_metadata"] = {"tags": arguments.tag}
    try:
        config = prepare(arguments.config)
        with Router(config.model_list, **config.settings) as router:
            found = router.explain(arguments.model, **params)
    except (ConfigurationError, APIError) as error:
        print(f"homing explain: {error}", file=sys.stderr)
        return exits.USAGE
    if arguments.json:
        print(json.dumps(found.to_dict(), indent=2))
    else:
        _show(found, config.notes)
    return exits.OK if any(option.usable for option in found.options) else exits.FOUND


def _show(found: Explanation, notes: tuple[str, ...]) -> None:
    out = console()
    out.print(Text(f"{found.model_group}: {f'home is {found.home}' if found.home else 'no home'}", "bold"))
    for tie in found.ties:
        out.print(f"tied by {tie}")
    table = sheet("deployment", "", "why", "dialect", folded=("deployment", "why"))
    for option in found.options:
        preferred = ", preferred" if option.deployment_id in found.preferred else ""
        mark = Text("yes", "green") if option.usable else Text("not now" if option.may_serve else "no", "red")
        table.add_row(Text(option.deployment_id), mark, Text(option.reason + preferred), Text(option.dialect))
    out.print(table)
    out.print(Text(found.outcome, "" if found.candidates else "red"))
    if found.fallbacks:
        out.print(Text(f"then: {', '.join(found.fallbacks)}"))
    for note in notes:
        out.print(Text(f"note: {note}", "dim"))
