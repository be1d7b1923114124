"""Entra ID on this machine: a directory that hands out tokens over TLS, and a host that does for its identity."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

TLS = Path(__file__).parent / "router" / "transport" / "tls"
CERTIFICATE = str(TLS / "loopback.pem")
TENANT, CLIENT, SECRET = "11111111-2222-3333-4444-555555555555", "application", "correct horse"


@dataclass
class FakeEntra:
    """Gives token-1, token-2, … to whoever knows the secret, and notes what it was asked for."""

    url: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    lifetime: int = 3600
    """Seconds a token is good for."""

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, object]]:
        """Answers a token request."""
        self.asked.append(form)
        if "client_secret" in form and form["client_secret"] != SECRET:
            said = "AADSTS7000215: Invalid client secret provided."
            return 401, {"error": "invalid_client", "error_description": said}
        name = f"token-{len(self.asked)}"
        expiry = {"expires_in": self.lifetime, "expires_on": "4102444800"}
        return 200, {"token_type": "Bearer", "access_token": name, "resource": form.get("resource"), **expiry}

    def directory(self, tenant: str) -> dict[str, object]:
        """OpenID's description of a tenant."""
        base = f"{self.url}/{tenant}"
        names = {"token_endpoint": "oauth2/v2.0/token", "authorization_endpoint": "oauth2/v2.0/authorize"}
        return {"issuer": f"{base}/v2.0", **{name: f"{base}/{path}" for name, path in names.items()}}


@contextmanager
def fake_entra(*, tls: bool = True) -> Iterator[FakeEntra]:
    """A running one. azure-identity speaks TLS to a directory, and plain HTTP to a host's own endpoint."""
    entra = FakeEntra()

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place = urlsplit(self.path)
            if place.path.endswith("/openid-configuration"):
                self._answer(200, entra.directory(place.path.split("/")[1]))
            else:
                self._answer(*entra.token({name: values[0] for name, values in parse_qs(place.query).items()}))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            self._answer(*entra.token({name: values[0] for name, values in parse_qs(body).items()}))

        def _answer(self, status: int, json_: dict[str, object]) -> None:
            content = json.dumps(json_).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS / "loopback-with-key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    entra.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield entra
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
