"""What hands out keys at AWS, over a real socket: the token service, instance metadata, a container's endpoint."""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl

_ASSUMED = """<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>
<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn><AssumedRoleId>A:s</AssumedRoleId></AssumedRoleUser>
<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>assumed-secret</SecretAccessKey>
<SessionToken>assumed-token</SessionToken><Expiration>{until}</Expiration></Credentials>
</{action}Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{action}Response>"""
_DENIED = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>not authorized to perform sts:AssumeRole</Message></Error></ErrorResponse>"""


class FakeSts:
    """`with FakeSts() as sts:`; `sts.url` is its address."""

    def __init__(self, lifetime: timedelta = timedelta(hours=1)) -> None:
        self.lifetime = lifetime
        self.denies = False
        self.asked: list[dict[str, str]] = []
        """The parameters of each request to the token service."""
        self.authorized: list[str] = []
        """How each of them was signed."""
        self.fetched = 0
        """How often instance metadata or a container's endpoint gave keys."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _until(self) -> str:
        return (datetime.now(UTC) + self.lifetime).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _assume(self, body: bytes, authorization: str) -> tuple[int, str]:
        parameters = dict(parse_qsl(body.decode()))
        self.asked.append(parameters)
        self.authorized.append(authorization)
        if self.denies:
            return 403, _DENIED
        action, key = parameters["Action"], f"ASSUMED{len(self.asked)}"
        return 200, _ASSUMED.format(action=action, key=key, until=self._until())

    def _metadata(self, path: str) -> str:
        if path.endswith("/security-credentials/"):
            return "the-role"
        self.fetched += 1
        keys = {"AccessKeyId": f"METADATA{self.fetched}", "SecretAccessKey": "s", "Token": "t"}
        return json.dumps({"Code": "Success", **keys, "Expiration": self._until()})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        sts = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self._say(*sts._assume(body, self.headers.get("authorization", "")))

            def do_GET(self) -> None:
                self._say(200, sts._metadata(self.path))

            def do_PUT(self) -> None:
                self._say(200, "a-token-for-metadata")

            def _say(self, status: int, text: str) -> None:
                self.send_response(status)
                self.send_header("content-length", str(len(text.encode())))
                self.send_header("x-aws-ec2-metadata-token-ttl-seconds", "21600")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        return Handler
