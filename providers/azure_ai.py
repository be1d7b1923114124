"""Azure AI Foundry: models at `*.services.ai.azure.com` and `*.openai.azure.com`, and what stands behind a gateway."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from providers.openai import OpenAI
from providers.types import Deployment

_HOSTS = (".services.ai.azure.com", ".openai.azure.com", ".cognitiveservices.azure.com")
_PROJECT = re.compile(r"/api/projects/[^/]+")


class AzureAI(OpenAI):
    """`azure_ai/<model>`. Azure's own hosts have one address whatever path is given; a project's path is kept."""

    def address(self, deployment: Deployment) -> tuple[str, str]:
        """`/openai/v1/responses` at Azure's hosts, the given base elsewhere."""
        parts = urlsplit(deployment.api_base or "")
        if not is_azure(parts.hostname):
            return super().address(deployment)
        project = _PROJECT.match(parts.path)
        path = (project.group() if project else "") + "/openai/v1/responses"
        return urlunsplit((parts.scheme, parts.netloc, path, "", "")), ""

    def authorization(self, deployment: Deployment, key: str, *, is_token: bool) -> tuple[str, str]:
        """`api-key` at Azure's hosts outside a project; a bearer token everywhere else."""
        parts = urlsplit(deployment.api_base or "")
        by_key = not is_token and is_azure(parts.hostname) and not _PROJECT.match(parts.path)
        return ("api-key", key) if by_key else ("authorization", f"Bearer {key}")


def is_azure(host: str | None) -> bool:
    """Whether a host is one that Azure names after a resource."""
    return host is not None and host.endswith(_HOSTS)
