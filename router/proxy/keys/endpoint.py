"""The endpoints that make, change, show and revoke keys: for whoever has the master key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from providers import jsonio
from providers.errors import BadRequestError, ConflictError, NotFoundError
from providers.types import Json, JsonObject
from router.budgeting import wall_clock
from router.config.keys import digest
from router.proxy.exchange import Exchange
from router.proxy.holder import Grant
from router.proxy.keys.asked import changed, made, rotated, told
from router.proxy.keys.keys import Keys
from router.proxy.settings import ProxySettings
from router.router import Router

if TYPE_CHECKING:
    from router.proxy.keys.known import KnownKeys

LARGEST_BODY: Final = 1024 * 1024
"""Bytes of a request."""
MOST_AT_ONCE: Final = 1_000
"""Keys of one page of a list, and of one request to revoke some."""
_UNSEEN: Final = ((b"cache-control", b"no-store"),)
"""Nobody on the way keeps what holds a key."""
_HINDERED: Final[Mapping[str, str]] = {
    "changed": "the key was changed by somebody else meanwhile; look at it, and try again",
    "key": "there is this key already",
    "alias": "another key has this key_alias",
    "full": "there are as many keys as can be kept; revoke some",
}


class KeyEndpoints:
    """Answers for the keys."""

    def __init__(self, router: Router, settings: ProxySettings, keys: Keys) -> None:
        self._router = router
        self._timeout = settings.body_timeout
        self._keys = keys
        self._now = wall_clock(router._clock)

    async def generate(self, exchange: Exchange) -> None:
        """POST /key/generate: make a key. It is told this once."""
        body = await self._body(exchange)
        known = self._known()
        grant, key = made(body, self._now())
        self._free(grant)
        _saved(await known.book.save(grant))
        await self._tell(exchange, {"key": key, **self._told(grant)})

    async def regenerate(self, exchange: Exchange, name: str) -> None:
        """POST /key/{key}/regenerate: put another key in its place, which is told this once. The old one ends."""
        await self._change(exchange, name, await self._body(exchange), rotate=True)

    async def update(self, exchange: Exchange) -> None:
        """POST /key/update: change what a key is good for."""
        body = await self._body(exchange)
        name = body.pop("key", None)
        if not isinstance(name, str) or not name:
            raise BadRequestError("key: is required: its token, its alias, or itself", param="key")
        await self._change(exchange, name, body, rotate=False)

    async def delete(self, exchange: Exchange) -> None:
        """POST /key/delete: revoke keys, all that are named or none."""
        body = await self._body(exchange)
        names = [*_names(body, "keys"), *_names(body, "key_aliases")]
        if body or not 0 < len(names) <= MOST_AT_ONCE:
            said = f"keys: give a list of 1 to {MOST_AT_ONCE:,} keys, by token, key_alias, or themselves; nothing else"
            raise BadRequestError(said, param="keys", code="invalid_argument")
        known = self._known()
        grants = [await self._kept(name) for name in names]
        for grant in grants:
            await known.book.drop(grant)
            known.forget(grant.digest)
        await exchange.answer(200, jsonio.dumps({"deleted_keys": [grant.id for grant in grants]}))

    async def info(self, exchange: Exchange) -> None:
        """GET /key/info?key=…: what a key is good for."""
        name = exchange.parameters().get("key")
        if not isinstance(name, str) or not name:
            raise BadRequestError("key: is required, once", param="key", code="missing_required_parameter")
        grant = await self._one(name)
        await self._tell(exchange, {"key": grant.id, "info": self._told(grant)})

    async def listing(self, exchange: Exchange) -> None:
        """GET /key/list?page=…&size=…: all keys, those of the configuration first."""
        asked = exchange.parameters()
        page, size = _count(asked, "page", 1), _count(asked, "size", 100)
        full = asked.get("return_full_object", "false") == "true"
        known = self._keys.known
        grants = [*self._keys.configured, *([] if known is None else await known.book.all())]
        shown = grants[(page - 1) * size : page * size]
        keys: list[Json] = [self._told(grant) if full else grant.id for grant in shown]
        counts: JsonObject = {
            "total_count": len(grants),
            "current_page": page,
            "total_pages": -(-len(grants) // size),
        }
        await self._tell(exchange, {"keys": keys, **counts})

    async def _change(self, exchange: Exchange, name: str, body: Mapping[str, Json], *, rotate: bool) -> None:
        known = self._known()
        before = await self._kept(name)
        after, key = changed(before, body, self._now()), None
        self._free(after)
        if rotate:
            after, key = rotated(after)
        _saved(await known.book.save(after, before))
        known.forget(before.digest)
        await self._tell(exchange, {**({} if key is None else {"key": key}), **self._told(after)})

    async def _body(self, exchange: Exchange) -> dict[str, Json]:
        return await exchange.json(LARGEST_BODY, self._timeout)

    def _known(self) -> KnownKeys:
        """The keys that can be changed. Raises `BadRequestError` that says why none can be."""
        if self._keys.known is None:
            raise BadRequestError(str(self._keys.unkept), code="keys_not_kept")
        return self._keys.known

    def _free(self, grant: Grant) -> None:
        """Raises `ConflictError` if the configuration has a key of this name, or this very key."""
        if self._keys.has(grant.digest):
            _saved("key")
        if grant.key_alias is not None and grant.key_alias in {each.key_alias for each in self._keys.configured}:
            _saved("alias")

    async def _kept(self, name: str) -> Grant:
        """The grant of this name, if it can be changed. Raises `NotFoundError`, `BadRequestError`."""
        grant = await self._one(name)
        if grant.created is None:
            said = f"the key {grant.name!r} is one of the configuration; change general_settings.keys"
            raise BadRequestError(said, param="key", code="configured_key")
        return grant

    async def _one(self, name: str) -> Grant:
        """The grant with this id, alias or key. Raises `NotFoundError`."""
        shown = digest(name)
        for each in self._keys.configured:
            if name in (each.id, each.key_alias) or shown == each.digest:
                return each
        known = self._keys.known
        found = None if known is None else await known.book.one(_plain(name)) or await known.book.one(shown)
        if found is None:
            raise NotFoundError("there is no such key", param="key", code="key_not_found")  # which may be one: unsaid
        return found

    def _told(self, grant: Grant) -> JsonObject:
        spent = [each.spent for each in self._router.budgets() if (each.scope, each.name) == ("key", grant.id)]
        return told(grant, spent[0] if spent else None)

    async def _tell(self, exchange: Exchange, json: JsonObject) -> None:
        await exchange.answer(200, jsonio.dumps(json), _UNSEEN)


def _saved(how: str) -> None:
    """Raises `ConflictError` unless it was."""
    if how != "saved":
        raise ConflictError(_HINDERED[how], status_code=409, code=f"key_{how}", type="invalid_request_error")


def _names(body: dict[str, Json], field: str) -> Sequence[str]:
    given = body.pop(field, None)
    if given is None:
        return ()
    if not isinstance(given, list) or not all(isinstance(each, str) and each for each in given):
        raise BadRequestError(f"{field}: must be a list of texts", param=field, code="invalid_argument")
    return [each for each in given if isinstance(each, str)]


def _count(asked: Mapping[str, object], name: str, usual: int) -> int:
    value = asked.get(name)
    if value is None:
        return usual
    if not isinstance(value, str) or not (value.isascii() and value.isdigit()) or not 0 < int(value[:9]) <= 10**6:
        raise BadRequestError(f"{name}: must be a whole number from 1", param=name, code="invalid_argument")
    return min(int(value), MOST_AT_ONCE) if name == "size" else int(value)


def _plain(name: str) -> str:
    """What Redis can be asked for."""
    return name.encode(errors="backslashreplace").decode()
