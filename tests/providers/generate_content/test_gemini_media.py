"""Files in Google's dialect: sent along, or named where Google fetches them itself, or downloaded first."""

from __future__ import annotations

from typing import Any

import pytest
from gemini_talk import AT_STUDIO, STUDIO, call, noted, written

from providers.errors import BadRequestError
from providers.types import Call, Fetched, JsonObject

FILES = "https://generativelanguage.googleapis.com/v1beta/files/abc-1"


def said(part: dict[str, Any], **rest: Any) -> Any:
    """What a part becomes."""
    return written([{"role": "user", "content": [part]}], **rest)["contents"][0]["parts"][0]


def image(url: str, **rest: Any) -> dict[str, Any]:
    return {"type": "input_image", "image_url": url, **rest}


@pytest.mark.parametrize(
    ("part", "media_type"),
    [
        (image("data:image/webp;base64,aQ=="), "image/webp"),
        (image("data:;base64,aQ=="), "image/png"),
        ({"type": "input_file", "filename": "a.csv", "file_data": "aQ=="}, "text/csv"),
        ({"type": "input_file", "file_data": "data:application/pdf;base64,aQ=="}, "application/pdf"),
        ({"type": "input_audio", "input_audio": {"data": "aQ==", "format": "mp3"}}, "audio/mp3"),
        ({"type": "input_audio", "input_audio": {"data": "aQ==", "format": "pcm16"}}, "audio/pcm"),
    ],
)
def test_files_are_sent_along(part: dict[str, Any], media_type: str) -> None:
    assert said(part) == {"inlineData": {"mimeType": media_type, "data": "aQ=="}}


@pytest.mark.parametrize(
    ("part", "data"),
    [
        (image("gs://b/a.jpg"), {"fileUri": "gs://b/a.jpg", "mimeType": "image/jpeg"}),
        (image("gs://b/a"), {"fileUri": "gs://b/a", "mimeType": "image/png"}),
        (
            {"type": "input_file", "file_url": "gs://b/x", "filename": "talk.mp3"},
            {"fileUri": "gs://b/x", "mimeType": "audio/mp3"},
        ),
        ({"type": "input_file", "file_url": "gs://b/x"}, {"fileUri": "gs://b/x", "mimeType": "application/pdf"}),
        ({"type": "input_file", "file_url": FILES}, {"fileUri": FILES}),
        ({"type": "input_file", "file_id": "files/abc-1"}, {"fileUri": FILES}),
        ({"type": "input_file", "file_id": FILES}, {"fileUri": FILES}),
        ({"type": "input_image", "file_id": "gs://b/c.webp"}, {"fileUri": "gs://b/c.webp", "mimeType": "image/webp"}),
        (
            {"type": "input_file", "file_url": "https://www.youtube.com/watch?v=1"},
            {"fileUri": "https://www.youtube.com/watch?v=1", "mimeType": "video/mp4"},
        ),
    ],
)
def test_what_google_fetches_is_named(part: dict[str, Any], data: dict[str, Any]) -> None:
    assert said(part) == {"fileData": data}
    asked = call([{"role": "user", "content": [part]}])
    assert STUDIO.remote(asked, AT_STUDIO) == []


def test_what_is_elsewhere_is_downloaded_and_sent_along() -> None:
    url = "https://x.org/a.png"
    asked = call([{"role": "user", "content": [image(url), image(url)]}])
    assert STUDIO.remote(asked, AT_STUDIO) == [url]
    inline = {"inlineData": {"mimeType": "image/gif", "data": "aQ=="}}
    assert said(image(url), fetched={url: Fetched("image/gif", b"i")}) == inline
    with pytest.raises(BadRequestError, match="was not downloaded") as caught:
        STUDIO.encode(asked, AT_STUDIO)
    assert caught.value.param == "input[0].content[0]"


def test_addresses_are_found_wherever_they_stand() -> None:
    history: tuple[JsonObject, ...] = (
        {"role": "user", "content": [{"type": "input_image", "image_url": "https://h"}]},
    )
    items = [
        {"type": "function_call_output", "call_id": "c", "output": [image("https://o")]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://n"}}, {"type": "input_text"}]},
        {"role": "user", "content": [{"type": "input_file", "file_url": "https://f"}, image("data:,x"), image("")]},
        {"role": "user", "content": "https://text"},
        {"role": "user", "content": [image("https://[")]},
    ]
    asked = Call("google", body={"input": items}, history=history)
    assert STUDIO.remote(asked, AT_STUDIO) == ["https://h", "https://o", "https://n", "https://f", "https://["]
    assert STUDIO.remote(Call("google", body={"input": "x"}, history=history), AT_STUDIO) == ["https://h"]
    for nothing in ("x", None, [object()]):
        assert STUDIO.remote(Call("google", body={"input": nothing}), AT_STUDIO) == []


@pytest.mark.parametrize("file_id", ["file-abc", "files/", "http://x"])
def test_files_of_others_are_refused(file_id: str) -> None:
    with pytest.raises(BadRequestError, match="file_id is the name"):
        said({"type": "input_file", "file_id": file_id})


def test_how_closely_to_look_is_googles_affair() -> None:
    part = image("data:image/png;base64,aQ==", detail="high")
    _, dropped = noted([{"role": "user", "content": [part]}])
    assert dropped == ("input[0].content[0].detail: Google decides how closely it looks",)
    assert said({**part, "detail": "auto"})
