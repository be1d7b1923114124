"""Refuses to start on someone else's `strategies`, `checks` or `providers`.

Their names are plain words: an application's own `providers/` ahead of ours on `sys.path`, or another distribution
that overwrote `checks/__init__.py`, would otherwise surface as a puzzling error deep inside this library. `router`
calls `require_own_packages` before it imports anything else.
"""

import os
from importlib.machinery import ModuleSpec
from importlib.util import find_spec

MARKER = b"Part of homing-router."
"""Stands in the docstring of each package's `__init__`, so that a file written over ours is told from it."""

_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def require_own_packages(names: tuple[str, ...] = ("strategies", "checks", "providers")) -> None:
    """Raise `ImportError`, naming the intruder's path and the remedy, unless importing each of `names` finds ours.

    Ours lies beside `router`, in a wheel as in an editable install. Nothing is imported to find out.
    """
    for name in names:
        spec = _find(name)
        found = spec.origin if spec else None
        if spec is None or found is None:  # None: a folder without `__init__`, what is left when that was deleted
            problem = f"Homing Router's package {name!r} is missing from {_HOME}. {_reinstall(name)}"
        elif not _beside_router(name, found):
            problem = (
                f"Homing Router needs its own top-level package {name!r} ({os.path.join(_HOME, name)}), but "
                f"`import {name}` finds {found}. Rename or move that one, or take its folder off sys.path "
                f"(the folder of the script that was started, or the current one, comes first there)."
            )
        elif not _marked(spec, found):
            problem = f"{found} is not Homing Router's: it was overwritten. {_reinstall(name)}"
        else:
            continue
        raise ImportError(problem, name=name, path=found)


def _find(name: str) -> ModuleSpec | None:
    try:
        return find_spec(name)
    except ValueError:  # in sys.modules without a spec: made by hand, not by an import
        return ModuleSpec(name, None, origin=f"a module put into sys.modules[{name!r}] by hand")


def _beside_router(name: str, found: str) -> bool:
    return os.path.realpath(os.path.dirname(found)) == os.path.realpath(os.path.join(_HOME, name))


def _marked(spec: ModuleSpec, found: str) -> bool:
    read = getattr(spec.loader, "get_data", None)
    return read is None or not found.endswith(".py") or MARKER in read(found)  # no source: it can't be told


def _reinstall(name: str) -> str:
    from importlib.metadata import packages_distributions  # costs milliseconds: only once something is wrong

    others = sorted(set(packages_distributions().get(name, [])) - {"homing-router"})
    culprit = f"{', '.join(others)} installs a package of that name too: uninstall it, then reinstall" if others else ""
    return f"{culprit or 'Reinstall'} this one: pip install --force-reinstall --no-deps homing-router"
