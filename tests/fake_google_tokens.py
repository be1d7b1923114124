"""Google's token services on loopback: OAuth's token endpoint, impersonation, token exchange, and a subject token."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt
from wire import Link

EMAIL = "robot@acme.iam.gserviceaccount.com"


def _keys() -> tuple[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # weak, and read four times as fast
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


PRIVATE, PUBLIC = _keys()


def service_account(server: str, **changes: Any) -> dict[str, Any]:
    """The key file of a service account whose tokens `server` issues."""
    return {
        "type": "service_account",
        "project_id": "acme",
        "private_key_id": "k1",
        "private_key": PRIVATE,
        "client_email": EMAIL,
        "token_uri": f"{server}/token",
        **changes,
    }


def authorized_user(**changes: Any) -> dict[str, Any]:
    """What `gcloud auth application-default login` writes; google-auth knows where its tokens are issued."""
    return {
        "type": "authorized_user",
        "client_id": "c",
        "client_secret": "s",
        "refresh_token": "r",
        **changes,
    }


@dataclass
class FakeTokens:
    """Issues tokens `t1`, `t2`, … to who proves who they are. A play for `wire.serve`."""

    issues: str | None = None
    """The one token it issues, instead."""
    expires_in: int = 3600
    broken: bool = False
    """Answer 503."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    """The claims, form or body of each question, and its path."""

    async def __call__(self, link: Link) -> None:
        while request := await link.request():
            status, body = self.answer(request)
            content = json.dumps(body).encode()
            head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
            await link.send(head.encode() + content)

    def answer(self, request: bytes) -> tuple[int, dict[str, Any]]:
        """Status and JSON for one request."""
        head, _, body = request.partition(b"\r\n\r\n")
        path = head.split(b" ")[1].decode()
        if self.broken:
            return 503, {"error": "backend_error"}
        if path == "/subject":
            return 200, {"access_token": "subject"}
        if path.endswith(":generateAccessToken"):
            bearer = next(line for line in head.decode().split("\r\n") if line.lower().startswith("authorization"))
            self.asked.append({"path": path, "bearer": bearer.partition(": ")[2], **json.loads(body)})
            return 200, {"accessToken": "impersonated", "expireTime": "2099-01-01T00:00:00Z"}
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if "assertion" in form:
            claims = jwt.decode(form["assertion"], certs=PUBLIC)  # type: ignore[no-untyped-call]  # google-auth declares no types
            form = {"path": path, **claims}
        self.asked.append({"path": path, **form})
        token = self.issues or f"t{len(self.asked)}"
        return 200, {"access_token": token, "expires_in": self.expires_in, "token_type": "Bearer"}
