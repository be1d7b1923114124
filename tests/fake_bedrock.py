"""Amazon Bedrock over a real socket: checks who calls and what it is sent as AWS does, answers from a script.

Signatures are made again by botocore's signer, bodies are held against the service model that botocore ships, and
against rules that the documentation states in words. The official client runs against it too.
"""

import asyncio
import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from aiohttp import web
from amazon_frames import event
from bedrock_rules import complaint
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ACCESS_KEY = "AKIDEXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
BEARER = "bedrock-api-key-example"
REQUEST_ID = "6bb5f5f9-1f8d-4f53-8d9c-1f0000000001"
REGION = "us-east-1"


@dataclass(frozen=True)
class Received:
    """One request that was let in."""

    model: str
    path: str
    """As it was sent."""
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def streamed(self) -> bool:
        """Whether it asked for a stream."""
        return self.path.endswith("/converse-stream") or self.body.get("stream") is True


@dataclass(frozen=True)
class Answer:
    """What is said to one request."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks: Sequence[bytes] | None = None
    """The body of a stream, piece by piece."""
    content_type: str = "application/json"


def whole(
    *content: Mapping[str, Any],
    stop: str = "end_turn",
    usage: Mapping[str, Any] | None = None,
    **rest: Any,
) -> Answer:
    """A reply of Converse."""
    body = {
        "metrics": {"latencyMs": 551},
        "output": {"message": {"content": list(content), "role": "assistant"}},
        "stopReason": stop,
        "usage": usage or {"inputTokens": 11, "outputTokens": 4, "totalTokens": 15},
        **rest,
    }
    return Answer(body=body)


def stream(*events: Mapping[str, Any], tail: Sequence[bytes] = ()) -> Answer:
    """A stream of ConverseStream: events as `{kind: payload}`, and raw frames after them."""
    chunks = [event(kind, payload) for each in events for kind, payload in each.items()]
    return Answer(chunks=[*chunks, *tail], content_type="application/vnd.amazon.eventstream")


def told(*texts: str, stop: str = "end_turn") -> Answer:
    """A stream that says `texts`."""
    return stream(
        {"messageStart": {"role": "assistant", "p": "abc"}},
        *(
            {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": text}, "p": "abcdefghijk"}}
            for text in texts
        ),
        {"contentBlockStop": {"contentBlockIndex": 0, "p": "ab"}},
        {"messageStop": {"stopReason": stop, "p": "abcdefgh"}},
        {
            "metadata": {
                "metrics": {"latencyMs": 551},
                "usage": {"inputTokens": 11, "outputTokens": 4, "totalTokens": 15},
                "p": "abcd",
            }
        },
    )


def refused(status: int, kind: str, message: str, **headers: str) -> Answer:
    """An error as AWS words it. The type may come with its address behind a colon."""
    head = {"x-amzn-errortype": f"{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/", **headers}
    return Answer(status, {"message": message}, {name.replace("_", "-"): value for name, value in head.items()})


class FakeBedrock:
    """`async with FakeBedrock() as bedrock:`; `bedrock.url` is its address."""

    def __init__(self, region: str = REGION, session_token: str | None = None) -> None:
        self.url = ""
        self.received: list[Received] = []
        """Requests that were let in."""
        self.turned_away: list[str] = []
        """Why others were not."""
        self.region = region
        self.session_token = session_token
        self.keys = {ACCESS_KEY: (SECRET_KEY, session_token)}
        """Secret and session token by access key."""
        self._script: deque[Answer] = deque()
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{tail:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None)

    def answer(self, *answers: Answer) -> None:
        """What to say to the next requests; when all is said, `Hello.`."""
        self._script.extend(answers)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        content = await request.read()
        denied = self._denied(request, content)
        if denied is not None:
            return await self._say(request, denied)
        received, problem = _read(request, content)
        if received is None or problem:
            self.turned_away.append(problem)
            return await self._say(request, refused(400, "ValidationException", problem))
        self.received.append(received)
        answer = self._script.popleft() if self._script else None
        return await self._say(request, answer or (told("Hello.") if received.streamed else whole({"text": "Hello."})))

    async def _say(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        headers = {"x-amzn-RequestId": REQUEST_ID, "Content-Type": answer.content_type, **answer.headers}
        if answer.chunks is None:
            text = "" if answer.body is None else json.dumps(answer.body)
            return web.Response(status=answer.status, body=text.encode(), headers=headers)
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(request)
        for chunk in answer.chunks:
            await response.write(chunk)
            await asyncio.sleep(0)
        await response.write_eof()
        return response

    def _denied(self, request: web.Request, content: bytes) -> Answer | None:
        """Why the caller may not, if so."""
        authorization = request.headers.get("authorization", "")
        if authorization == f"Bearer {BEARER}":
            return None
        answer: Answer | None
        if authorization.startswith("Bearer "):
            answer = Answer(403, {"Message": "Authentication failed: Please make sure your API Key is valid."})
        else:
            answer = self._signature(authorization, request, content)
        if answer is not None:
            self.turned_away.append(str(answer.body))
        return answer

    def _signature(self, authorization: str, request: web.Request, content: bytes) -> Answer | None:
        if not authorization.startswith("AWS4-HMAC-SHA256 "):
            return refused(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        said = dict(part.split("=", 1) for part in authorization.partition(" ")[2].split(", "))
        key, date, region, service, _ = said["Credential"].split("/")
        names = said["SignedHeaders"].split(";")
        secret, token = self.keys.get(key, ("", "unknown"))
        if request.headers.get("x-amz-security-token") != token:
            return refused(403, "UnrecognizedClientException", "The security token included in the request is invalid.")
        stamp = request.headers["x-amz-date"]
        age = datetime.now(UTC) - datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        wanted = {
            "host",
            "content-type",
            *(name.lower() for name in request.headers if name.lower().startswith("x-amz")),
        }
        if (date, region, service) != (stamp[:8], self.region, "bedrock") or not wanted <= set(names):
            return refused(403, "InvalidSignatureException", f"Credential should be scoped otherwise: {said}")
        if abs(age.total_seconds()) > 300:
            return refused(403, "InvalidSignatureException", f"Signature expired: {stamp}")
        auth = SigV4Auth(Credentials(key, secret, token), "bedrock", region)
        if said["Signature"] != _signed(request, content, names, stamp, auth):
            return refused(
                403,
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided.",
            )
        return None


def _signed(request: web.Request, content: bytes, names: Sequence[str], stamp: str, auth: SigV4Auth) -> str:
    """The signature that botocore makes of what arrived."""
    url = f"http://{request.headers['host']}{request.raw_path}"
    copy = AWSRequest(request.method, url, {name: request.headers[name] for name in names}, content)
    copy.context["timestamp"] = stamp
    return str(auth.signature(auth.string_to_sign(copy, auth.canonical_request(copy)), copy))


def _read(request: web.Request, content: bytes) -> tuple[Received | None, str]:
    """The request, and what is wrong with it."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    path = request.raw_path.partition("?")[0]
    if request.method != "POST" or headers.get("content-type") != "application/json":
        return None, f"{request.method} of {headers.get('content-type')}"
    body = json.loads(content)
    *_, resource, model, verb = path.rsplit("/", 3)
    if path.endswith("/openai/v1/responses"):
        return Received(body.get("model", ""), path, headers, body), ""
    if resource != "model" or verb not in ("converse", "converse-stream") or not set(":/").isdisjoint(model):
        return None, f"no such operation: {path}"
    return Received(unquote(model), path, headers, body), complaint({**body, "modelId": unquote(model)}, verb)
