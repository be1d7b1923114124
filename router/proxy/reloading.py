"""Takes a configuration that has changed into a proxy that is running."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from typing import Final

from router.config.general import GeneralSettings
from router.config.proxy_file import ProxyConfig, read_proxy_config, set_environment
from router.proxy.keys.keys import Keys
from router.router import Router

_log = logging.getLogger("router.proxy")
_POLL: Final = 0.5
"""Seconds between two looks at the files. What has changed must be the same twice: nobody reads half a file."""


class Reloader:
    """Reads the file again when asked to: model list and keys are swapped at once, all else is said to wait.

    Calls in flight end where they are. A file with any problem changes nothing. `environ`: the process's environment
    without what `config` gives.
    """

    def __init__(self, router: Router, keys: Keys, config: ProxyConfig, environ: Mapping[str, str]) -> None:
        self._router = router
        self._keys = keys
        self._began = self._config = config
        self._environ = environ
        self._asked = asyncio.Event()
        self._taken = self._seen = self._stamps()

    def ask(self) -> None:
        """Have the file read again."""
        self._asked.set()

    async def run(self) -> None:
        """Read the file whenever asked to, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            self._taken = self._stamps()
            await self._reload()

    async def watch(self) -> None:
        """Ask whenever the file, or one that it includes, has changed, until cancelled."""
        while True:
            await asyncio.sleep(_POLL)
            if self._changed():
                self.ask()

    async def _reload(self) -> None:
        name, old = self._began.files[0], self._config
        try:
            new = await asyncio.to_thread(read_proxy_config, name, self._environ)
            names = {*old.environment, *new.environment}
            set_environment(names, new.environment, self._environ)
            try:
                self._keys.check(new.general.keys)
                self._router.set_model_list(new.model_list)
            except BaseException:
                set_environment(names, old.environment, self._environ)
                raise
        except Exception as error:  # a proxy that serves goes on to, whatever the file holds
            _log.error("%s was read again, and nothing is changed: %s", name, error)
            return
        self._keys.take(new.general.keys)
        self._config = new
        if new.files != old.files:  # others are to be watched
            self._taken = self._stamps()
        groups = {each.get("model_name") for each in new.model_list}
        keys = f", {len(new.general.keys)} keys" if old.general.keys or new.general.keys else ""
        _log.info("%s was read again: %d deployments in %d groups%s", name, len(new.model_list), len(groups), keys)
        waiting = _differences(self._began, new)
        if waiting:
            _log.warning("%s: until it is started again, the proxy leaves as they were: %s", name, ", ".join(waiting))

    def _changed(self) -> bool:
        former, self._seen = self._seen, self._stamps()
        return self._seen == former != self._taken and None not in self._seen

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        """By what a change of the files shows; None for one that is not there just now."""
        return [_stamp(name) for name in self._config.files]


def _stamp(name: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(name)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _differences(began: ProxyConfig, new: ProxyConfig) -> list[str]:
    """What of `new` is otherwise than the proxy was started with, beside the model list."""
    one, other = began.router_settings, new.router_settings
    found = [f"router_settings.{name}" for name in {**one, **other} if one.get(name) != other.get(name)]
    found += [
        f"general_settings.{name}"
        for name in GeneralSettings.model_fields
        if name != "keys" and getattr(began.general, name) != getattr(new.general, name)
    ]
    return found + ["callbacks"] * (began.callbacks != new.callbacks)
