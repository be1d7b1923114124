"""The endpoint of chat completions."""

from __future__ import annotations

from providers.types import Json, Verb
from router.proxy.chat.parameters import translated
from router.proxy.chat.wording import ChatWording
from router.proxy.exchange import Exchange
from router.proxy.responses import Responses
from router.router import Router


class ChatCompletions:
    """Takes chat completions for responses: they are served as those are, and told in their own words."""

    def __init__(self, router: Router, answers: Responses) -> None:
        self._router = router
        self._answers = answers

    async def create(self, exchange: Exchange, deployment: str | None = None) -> None:
        """POST /chat/completions, streamed or not; `deployment`: the model, where the path names it (Azure's form)."""
        body = await self._answers.body(exchange)
        if deployment is not None:
            body["model"] = deployment
        exchange.query = ""  # says nothing that a response could be asked for: `api-version`
        call = translated(body, drop=self._drops(body))
        wording = ChatWording(call)
        try:
            await self._answers.serve(exchange, Verb.CREATE, call.body, wording)
        except Exception as error:
            raise wording.renamed(error) from None

    def _drops(self, body: dict[str, Json]) -> bool:
        """Whether what has no word is left out: the call says so, or every deployment that it may go to."""
        asked, model, registry = body.get("drop_params"), body.get("model"), self._router._registry
        if isinstance(asked, bool):
            return asked
        if not isinstance(model, str) or not registry.knows(model):
            return False
        found = registry.resolve(model)
        members = [found.deployment] if found.deployment is not None else registry.groups.get(found.group, ())
        return all(each.drop_params for each in members)
