"""Reads the fenced blocks of a Markdown file, and runs those that are Python."""

import ast
import asyncio
import inspect
import re
from collections.abc import Coroutine, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import CodeType
from typing import cast


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    language: str
    section: str
    """The heading that it stands under, of any level."""
    line: int
    """Line of the file on which its text begins, from 1."""
    text: str

    @property
    def file_name(self) -> str | None:
        """The name in a first line like `# config.yaml`: the file that the reader is to write."""
        found = re.match(r"#\s*([\w.-]+\.\w+)\s*$", self.text.split("\n", 1)[0])
        return found.group(1) if found else None


def blocks(markdown: str) -> Iterator[Block]:
    """The fenced blocks, in order. Raises `ValueError` for a fence that is never closed."""
    section = ""
    lines = enumerate(markdown.splitlines(), 1)
    for number, line in lines:
        if heading := re.match(r"#{1,6}\s+(.+)", line):
            section = heading.group(1).strip()
        elif fence := re.match(r"(`{3,})(\S*)", line):
            body = []
            for _, inner in lines:
                if inner.strip() == fence.group(1):
                    break
                body.append(inner)
            else:
                raise ValueError(f"the block that begins on line {number} has no end")
            yield Block(fence.group(2), section, number + 1, "\n".join(body) + "\n")


def by_section(found: Iterable[Block]) -> list[tuple[str, list[Block]]]:
    """Consecutive blocks grouped by their heading."""
    return [(section, list(group)) for section, group in groupby(found, key=lambda block: block.section)]


def run(section: Iterable[Block], file: Path) -> dict[str, object]:
    """Run the Python blocks of one section, as one would type them: one namespace, `await` allowed anywhere.

    A block without `await` runs outside any event loop. Tracebacks name lines of `file`. What the blocks made is
    closed afterwards, if it can be. Returns their names.
    """
    names: dict[str, object] = {"__name__": "readme"}
    with asyncio.Runner() as runner:
        try:
            for block in section:
                if block.language == "python":
                    _run_block(_compile(block, file), names, runner)
        finally:
            for value in list(names.values()):
                if not inspect.isclass(value) and inspect.iscoroutinefunction(getattr(value, "aclose", None)):
                    runner.run(value.aclose())  # type: ignore[attr-defined]  # has it: the line above looked
    return names


def _compile(block: Block, file: Path) -> CodeType:
    source = "\n" * (block.line - 1) + block.text
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return cast("CodeType", compile(source, str(file), "exec", flags=flags, dont_inherit=True))


def _run_block(code: CodeType, names: dict[str, object], runner: asyncio.Runner) -> None:
    if code.co_flags & inspect.CO_COROUTINE:
        runner.run(cast("Coroutine[None, None, None]", eval(code, names)))
    else:
        exec(code, names)
