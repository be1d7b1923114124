"""A loopback server to measure against: the Responses API, answered from ready-made bytes by one small protocol.

`POST …/responses` is answered with a Response of about 1.2 KB; with `"stream": true` in the body, with 108 events
(a delta is 214 bytes of JSON), one HTTP chunk each. `POST …/chat/completions` is answered with as many words in the
older API's form. Head and body leave in one write. Ids are unique. It runs in a process of its own, so that the CPU
time of the measuring process is the client's alone:

    with upstream.start() as base_url:      # http://127.0.0.1:<port>/v1
        ...

`python benchmarks/upstream.py` runs it by hand, until its standard input closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from load import run

EVENTS = 108
"""Events of a stream."""
DELTAS = 100
"""Those among them that carry text."""
DELTA_BYTES = 214
"""Bytes of JSON of a delta event."""

_PLACE = "0" * 32
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_STREAM = re.compile(rb'"stream": *true')
_TEXT = "An answer of some length, so that the whole reply has the size that short answers have in practice. " * 3


def _item(text: str, status: str) -> dict[str, object]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    content = [part] if status == "completed" else []
    return {"id": f"msg_{_PLACE}", "type": "message", "status": status, "role": "assistant", "content": content}


def response(status: str = "completed", text: str = _TEXT) -> dict[str, object]:
    """A Response as OpenAI sends it; its id is a place for a unique one."""
    done = status == "completed"
    usage = {
        "input_tokens": 36,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 87,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 123,
    }
    return {
        "id": f"resp_{_PLACE}",
        "object": "response",
        "created_at": 1741476542,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": "gpt-4.1-2025-04-14",
        "output": [_item(text, status)] if done else [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage if done else None,
        "user": None,
        "metadata": {},
    }


def events() -> list[dict[str, object]]:
    """The events of a stream, in order."""
    item = {"item_id": f"msg_{_PLACE}", "output_index": 0}
    part = {**item, "content_index": 0}
    text = "".join(" token" for _ in range(DELTAS))
    empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    found: list[dict[str, object]] = [
        {"type": "response.created", "response": response("in_progress")},
        {"type": "response.in_progress", "response": response("in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": _item("", "in_progress")},
        {"type": "response.content_part.added", **part, "part": empty},
        *({"type": "response.output_text.delta", **part, "delta": " token", "logprobs": []} for _ in range(DELTAS)),
        {"type": "response.output_text.done", **part, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **part, "part": {**empty, "text": text}},
        {"type": "response.output_item.done", "output_index": 0, "item": _item(text, "completed")},
        {"type": "response.completed", "response": response(text=text)},
    ]
    for number, event in enumerate(found):
        event["sequence_number"] = number
        if "delta" in event:
            event["obfuscation"] = ""
            event["obfuscation"] = "x" * (DELTA_BYTES - len(_json(event)))
    return found


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def completion() -> dict[str, object]:
    """The same words as a chat completion."""
    message: dict[str, object] = {"role": "assistant", "content": _TEXT, "refusal": None, "annotations": []}
    return {
        "id": f"chatcmpl-{_PLACE}",
        "object": "chat.completion",
        "created": 1741476542,
        "model": "gpt-4.1-2025-04-14",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 36, "completion_tokens": 87, "total_tokens": 123},
        "service_tier": "default",
    }


def chunks() -> list[dict[str, object]]:
    """The chunks of a chat completion that is streamed, in order."""
    head: dict[str, object] = {"id": f"chatcmpl-{_PLACE}", "object": "chat.completion.chunk", "created": 1741476542}
    head |= {"model": "gpt-4.1-2025-04-14", "service_tier": "default"}
    words: list[dict[str, object]] = [{"content": " token"} for _ in range(DELTAS)]
    deltas: list[dict[str, object]] = [{"role": "assistant", "content": ""}, *words, {}]
    found: list[dict[str, object]] = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}]}
        for delta in deltas
    ]
    return [*found, {**head, "choices": [], "usage": completion()["usage"]}]


def _whole(answer: object) -> bytes:
    body = _json(answer)
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def _streamed(frames: Iterable[bytes]) -> bytes:
    parts = [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"]
    parts += [b"%x\r\n%b\r\n" % (len(data), data) for data in frames]
    return b"".join(parts) + b"0\r\n\r\n"


def _answers() -> dict[tuple[bool, bool], bytes]:
    """What is answered, by whether it is a chat completion, and whether it is streamed."""
    named = (b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), _json(event)) for event in events())
    nameless = (b"data: %b\n\n" % _json(chunk) for chunk in chunks())
    return {
        (False, False): _whole(response()),
        (False, True): _streamed(named),
        (True, False): _whole(completion()),
        (True, True): _streamed([*nameless, b"data: [DONE]\n\n"]),
    }


class _Connection(asyncio.Protocol):
    """Answers requests, pipelined or in pieces."""

    def __init__(self, answers: Mapping[tuple[bool, bool], bytes], numbers: Iterator[int]) -> None:
        self._answers = answers
        self._numbers = numbers
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send at once: no waiting for full packets."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's say so by no class
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[: end + 2]
            length = _LENGTH.search(head)
            until = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < until:
                return
            body, self._received = self._received[end + 4 : until], self._received[until:]
            chat = b"/chat/completions" in head[: head.find(b"\r\n")]
            answer = self._answers[chat, _STREAM.search(body) is not None]
            self._transport.write(answer.replace(_PLACE.encode(), b"%032x" % next(self._numbers)))


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    answers, numbers = _answers(), itertools.count(1)
    server = await loop.create_server(
        lambda: _Connection(answers, numbers), "127.0.0.1", 0, backlog=4096, reuse_address=True
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)  # nobody writes to it: readable means closed
    await ended.wait()
    server.close()


@contextlib.contextmanager
def start() -> Iterator[str]:
    """Run the server in another process while the block runs; gives its base URL, ending in `/v1`."""
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.terminate()


if __name__ == "__main__":
    run(_serve())
