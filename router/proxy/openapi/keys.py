"""Virtual keys: how they are made, and what they are good for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from providers.types import JsonObject
from router.proxy.openapi.shapes import (
    FLAG,
    LIMIT,
    NUMBER,
    TEXT,
    Operation,
    list_of,
    object_of,
    or_null,
    parameter,
    reference,
)

_PERIOD: JsonObject = {"type": "string", "pattern": "^[1-9][0-9]{0,8}(s|m|h|d|w|mo)$"}
_TERMS: JsonObject = {
    "key_alias": or_null({"type": "string", "minLength": 1, "maxLength": 200}),
    "models": or_null(list_of({"type": "string", "minLength": 1})),
    "max_budget": or_null({"type": "number", "minimum": 0, "description": "US dollars."}),
    "budget_duration": or_null(_PERIOD),
    "rpm_limit": or_null(LIMIT),
    "tpm_limit": or_null(LIMIT),
    "max_parallel_requests": or_null(LIMIT),
    "blocked": or_null(FLAG),
    "tenant": or_null({**TEXT, "description": "Whose responses its are."}),
    "team_id": or_null(TEXT),
    "user_id": or_null(TEXT),
    "metadata": or_null({"type": "object"}),
}
_KEY: JsonObject = object_of({"key": {**TEXT, "description": "Told once."}, "token": TEXT, **_TERMS}, "token")

SCHEMAS: Mapping[str, JsonObject] = {
    "Key": _KEY,
    "NewKey": object_of({**_TERMS, "duration": or_null({**_PERIOD, "description": "How long it is good."})}),
    "ChangedKey": object_of({"key": {**TEXT, "minLength": 1}, **_TERMS}, "key"),
    "KeyTerms": object_of(_TERMS),
    "KeyNames": object_of({"keys": list_of(TEXT), "key_aliases": list_of(TEXT)}),
    "KeyInfo": object_of({"key": TEXT, "info": reference("Key")}, "key", "info"),
    "Keys": object_of(
        {"keys": list_of({"anyOf": [TEXT, reference("Key")]}), "total_count": NUMBER, "total_pages": NUMBER},
        *("keys", "total_count"),
    ),
    "Revoked": object_of({"deleted_keys": list_of(TEXT)}, "deleted_keys"),
}

OPERATIONS: Sequence[Operation] = (
    Operation("POST", "/key/generate", "generateKey", "Make a key.", "Key", "NewKey", master=True),
    Operation("POST", "/key/update", "updateKey", "Change what a key is good for.", "Key", "ChangedKey", master=True),
    Operation("POST", "/key/delete", "deleteKeys", "Revoke keys.", "Revoked", "KeyNames", master=True),
    Operation(
        *("POST", "/key/{key}/regenerate", "regenerateKey", "Put another in a key's place.", "Key", "KeyTerms"),
        master=True,
    ),
    Operation(
        *("GET", "/key/info", "getKey", "What a key is good for.", "KeyInfo"),
        parameters=(parameter("key", TEXT, "Its token, its alias, or itself."),),
        master=True,
    ),
    Operation(
        *("GET", "/key/list", "listKeys", "All keys.", "Keys"),
        parameters=(
            parameter("page", LIMIT, "From 1."),
            parameter("size", LIMIT, "Keys of a page; 100 if not given."),
            parameter("return_full_object", {"enum": ["true", "false"]}, "Tell what each is good for."),
        ),
        master=True,
    ),
)
