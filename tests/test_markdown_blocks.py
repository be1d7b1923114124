"""The reader and runner of Markdown examples does what it says."""

import traceback
from pathlib import Path

import pytest
from markdown_blocks import Block, blocks, by_section, run

TEXT = """# Title

```python
one = 1
```

Between, with an indented fence that is none:

    ```python

## Next

````yaml
# config.yaml
```: 1
````

```python
two = await later()
```
"""


def _python(text: str, line: int = 1) -> Block:
    return Block("python", "", line, text)


def test_blocks_know_their_language_section_and_line() -> None:
    assert list(blocks(TEXT)) == [
        Block("python", "Title", 4, "one = 1\n"),
        Block("yaml", "Next", 14, "# config.yaml\n```: 1\n"),
        Block("python", "Next", 19, "two = await later()\n"),
    ]


def test_a_comment_on_the_first_line_names_a_file() -> None:
    assert [block.file_name for block in blocks(TEXT)] == [None, "config.yaml", None]


def test_blocks_are_grouped_by_heading() -> None:
    assert [(section, len(group)) for section, group in by_section(blocks(TEXT))] == [("Title", 1), ("Next", 2)]


def test_a_fence_without_an_end_is_an_error() -> None:
    with pytest.raises(ValueError, match="line 3"):
        list(blocks("a\n\n```python\nx\n"))


def test_blocks_of_a_section_share_names_and_one_event_loop() -> None:
    section = [
        _python("import asyncio\nasync def loop(): return asyncio.get_running_loop()\n"),
        _python("first = await loop()\n"),
        Block("text", "", 1, "not python\n"),
        _python("second = await loop()\nassert first is second\n"),
        _python("try:\n    asyncio.get_running_loop()\nexcept RuntimeError:\n    outside = True\n"),
    ]
    assert run(section, Path("README.md"))["outside"] is True


def test_a_failure_names_the_line_of_the_file() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run([_python("one = 1\none / 0\n", line=41)], Path("README.md"))
    frame = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (frame.filename, frame.lineno) == ("README.md", 42)


def test_what_a_section_made_is_closed() -> None:
    made = "class Door:\n    open = True\n    async def aclose(self): self.open = False\ndoor = Door()\n"
    assert run([_python(made), _python("assert door.open\nstate = door\n")], Path("x"))["state"].open is False  # type: ignore[attr-defined]  # a Door
