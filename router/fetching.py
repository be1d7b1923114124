"""Downloads the files that a call refers to, for deployments that take no addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from providers.errors import BadRequestError
from providers.types import Fetched


class Fetcher:
    """Downloads files."""

    async def fetch(self, urls: Sequence[str], timeout: float) -> Mapping[str, Fetched]:
        """The files at `urls`, within `timeout` seconds. Raises `BadRequestError`."""
        raise BadRequestError(f"{urls[0]}: can't be downloaded within {timeout:g} s")
