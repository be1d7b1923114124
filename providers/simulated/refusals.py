"""The errors of the wire, worded as OpenAI and Azure word them."""

from __future__ import annotations

from collections.abc import Mapping

from providers.types import Json, JsonObject


class WireError(Exception):
    """A request is answered with an error: a status, a body, headers."""

    def __init__(self, status: int, body: JsonObject, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def envelope(message: str, kind: str | None, param: str | None = None, code: str | None = None) -> JsonObject:
    """OpenAI's error body: all four keys, always."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def invalid(message: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> WireError:
    """The caller's fault."""
    return WireError(status, envelope(message, "invalid_request_error", param, code))


def previous_not_found(response_id: str) -> WireError:
    """The request continues a response that is not known here."""
    message = f"Previous response with id '{response_id}' not found."
    return invalid(message, param="previous_response_id", code="previous_response_not_found")


def response_not_found(response_id: str) -> WireError:
    """The path names a response that is not known here."""
    return invalid(f"Response with id '{response_id}' not found.", status=404)


def conversation_not_found(name: Json, *, param: str | None = None) -> WireError:
    """The path, or `param`, names a conversation that is not known here."""
    return invalid(f"Conversation with id '{name}' not found.", param=param, status=404)


def item_not_found(item_id: str) -> WireError:
    """The input refers to an item that is not stored here."""
    message = (
        f"Item with id '{item_id}' not found. Items are not persisted when `store` is set to false. "
        "Try again with `store` set to true, or remove this item from your input."
    )
    return invalid(message, param="input", status=404)


def foreign_content(content: str) -> WireError:
    """The input carries encrypted content that was not issued here."""
    short = f"{content[:4]}...{content[-4:]}"
    message = (
        f"The encrypted content {short} could not be verified. Reason: Encrypted content could not be "
        "decrypted or parsed."
    )
    return invalid(message, code="invalid_encrypted_content")


def unknown_model(model: str) -> WireError:
    """The request names a model that is not served here."""
    return invalid(f"The requested model '{model}' does not exist.", param="model", code="model_not_found")


def wrong_key(azure: bool) -> WireError:
    """The credentials are missing or wrong. The message never holds the key."""
    if azure:
        message = (
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid "
            "key for an active subscription and use a correct regional API endpoint for your resource."
        )
        return WireError(401, {"error": {"code": "401", "message": message}})
    message = "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys."
    return invalid(message, code="invalid_api_key", status=401)


def no_such_path(method: str, path: str) -> WireError:
    """The URL leads nowhere."""
    return invalid(f"Invalid URL ({method} {path})", status=404)


def server_error(request_id: str) -> JsonObject:
    """The body of a 500."""
    return envelope(SERVER_ERROR.format(request_id), "server_error", None, "server_error")


SERVER_ERROR = (
    "The server had an error processing your request. Sorry about that! You can retry your request, or contact us "
    "through our help center at help.openai.com if you keep seeing this error. (Please include the request ID {} "
    "in your email.)"
)


def number_out_of_range(name: str, value: Json, low: float, high: float | None) -> WireError | None:
    """The refusal of a number outside its bounds, or None if it is within, or not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    kind = "integer" if isinstance(low, int) else "decimal"
    if value < low:
        message = f"Invalid '{name}': {kind} below minimum value. Expected a value >= {low}, but got {value} instead."
        return invalid(message, param=name, code=f"{kind}_below_min_value")
    if high is not None and value > high:
        message = f"Invalid '{name}': {kind} above maximum value. Expected a value <= {high}, but got {value} instead."
        return invalid(message, param=name, code=f"{kind}_above_max_value")
    return None
