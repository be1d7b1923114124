"""`homing serve`: the proxy of a configuration file, until Ctrl-C."""

from __future__ import annotations

import argparse
import json
import logging
import socket
import sys
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from providers.errors import ConfigurationError
from router.cli import exits
from router.cli.parsing import Commands, takes_file, whole

if TYPE_CHECKING:
    from router.config.proxy_file import ProxyConfig

_LEVELS = ("debug", "info", "warning", "error")
_EPILOG = """\
examples:
  homing serve --config config.yaml
      serve the groups of config.yaml at http://127.0.0.1:4000, with /v1 and
      without
  homing serve --config config.yaml --host 0.0.0.0 --port 80 --json-logs
      for other machines, which needs a key in it; with a log for programs
  homing serve --config config.yaml --workers 4 --reload
      four processes, which take changes of the file at once

signals:
  SIGTERM, SIGINT (Ctrl-C)
      take no more requests, let those that are there end for --grace seconds,
      exit with 0
  SIGHUP
      read the configuration again: its deployments and keys take the place of
      the former ones at once, what is in flight ends where it is; with a
      problem in it, nothing changes. What needs a new start is said in the
      log.
"""


def register(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "serve",
        help="serve the deployments of a configuration to every client of OpenAI's API",
        description="Serve the Responses API and chat completions, as a configuration says.",
        epilog=_EPILOG,
    )
    takes_file(
        parser.add_argument("--config", "-c", required=True, metavar="FILE", help="a configuration, as YAML or JSON")
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument(
        "--port", type=whole(0, 65535), metavar="PORT", default=4000, help="default: 4000; 0: a free one"
    )
    parser.add_argument(
        "--grace",
        type=whole(0, 86_400),
        default=30,
        metavar="S",
        help="seconds that streams may take to end (default: 30)",
    )
    parser.add_argument("--reload", action="store_true", help="read the configuration again when it has changed, too")
    parser.add_argument(
        "--allow-unauthenticated", action="store_true", help="let other machines in even if there is no key"
    )
    parser.add_argument(
        "--workers",
        type=whole(1, 256),
        default=1,
        metavar="N",
        help="processes; they share what Redis holds (default: 1)",
    )
    parser.add_argument("--fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--log-level", choices=_LEVELS, default="info", help="default: info, a line for each call")
    parser.add_argument("--json-logs", action="store_true", help="log as lines of JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; 0, or 2 if it can't be served as asked."""
    from router.config.proxy_file import read_proxy_config
    from router.proxy import launch
    from router.proxy.workers import Workers, end_with_parent

    try:
        config = read_proxy_config(arguments.config)
        launch.check_exposure(arguments.host, config, allowed=arguments.allow_unauthenticated)
        with _socket(arguments) as listening, config.exported() as environ:
            _log(arguments.log_level, as_json=arguments.json_logs)
            ready = end_with_parent if arguments.fd is not None else partial(_greet, config, listening)
            if arguments.workers > 1:
                ready()
                return Workers(_worker(arguments, listening), listening, arguments.workers, arguments.grace).run()
            launch.Launch(config, environ, arguments.grace, arguments.reload, ready).run(listening)
    except ConfigurationError as error:
        print(f"homing serve: {error}", file=sys.stderr)
        return exits.USAGE
    return exits.OK


def _socket(arguments: argparse.Namespace) -> socket.socket:
    """Where to listen: a worker has it from the process that started it."""
    from router.proxy.server import listen

    if arguments.fd is not None:
        return socket.socket(fileno=arguments.fd)
    return listen(arguments.host, arguments.port)


def _worker(arguments: argparse.Namespace, listening: socket.socket) -> list[str]:
    """The command of one of several workers."""
    options = ["--config", arguments.config, "--fd", str(listening.fileno()), "--grace", str(arguments.grace)]
    options += ["--log-level", arguments.log_level, "--allow-unauthenticated"]  # that was looked at here
    options += ["--json-logs"] * arguments.json_logs + ["--reload"] * arguments.reload
    return [sys.executable, "-P", "-c", "from router.cli import main; raise SystemExit(main())", "serve", *options]


def _log(level: str, *, as_json: bool) -> None:
    """Log to stderr. The formatter knows the secrets that the environment holds now."""
    from router.telemetry.json_lines import JsonLog

    out: logging.Handler = JsonLog() if as_json else logging.StreamHandler()
    if not as_json:
        out.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[out], force=True)
    if level != "debug":  # what happens to the server's process is of no use to most
        logging.getLogger("uvicorn").setLevel(logging.WARNING)


def _greet(config: ProxyConfig, listening: socket.socket) -> None:
    """Say where it serves what, and how to try it."""
    host, port = listening.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    groups = Counter(str(entry["model_name"]) for entry in config.model_list)
    print(f"Homing Router serves at {url} (with and without /v1); Ctrl-C stops it.")
    for name, count in groups.items():
        print(f"  {name}: {count} deployment{'s' if count > 1 else ''}")
    for note in config.notes:
        print(f"note: {note}")
    body = json.dumps({"model": next(iter(groups), "gpt"), "input": "Hello"})
    key = " -H 'authorization: Bearer '\"$KEY\"" if config.general.master_key or config.general.keys else ""
    print(f"Try: curl {url}/v1/responses{key} -H 'content-type: application/json' -d '{body}'", flush=True)
