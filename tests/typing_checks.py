"""What the type checkers must see in the views: read by mypy and pyright, never run."""

from typing import Any, assert_type

from providers.views import (
    Content,
    Conversation,
    ConversationItem,
    Deleted,
    Event,
    IncompleteDetails,
    InputTokensDetails,
    ItemPage,
    OutputItem,
    Response,
    Routing,
    Usage,
    View,
)
from router import Router


def response_fields(response: Response) -> None:
    assert_type(response.id, str)
    assert_type(response.status, str | None)
    assert_type(response.output, list[OutputItem])
    assert_type(response.output[0].content[0], Content)
    assert_type(response.output[0].content[0].text, str)
    assert_type(response.output_text, str)
    assert_type(response.usage, Usage | None)
    assert_type(response.incomplete_details, IncompleteDetails | None)
    assert_type(response.metadata, View | None)
    assert_type(response.routing, Routing)
    assert_type(response.anything_else, Any)
    if response.usage is not None:
        assert_type(response.usage.input_tokens, int)
        assert_type(response.usage.input_tokens_details, InputTokensDetails)


def event_fields(event: Event) -> None:
    assert_type(event.type, str)
    assert_type(event.sequence_number, int)
    assert_type(event.response, Response)
    assert_type(event.item, OutputItem)
    assert_type(event.part, Content)
    assert_type(event.delta, Any)


def other_views(page: ItemPage, response: Response, routing: Routing) -> None:
    assert_type(page.data, list[OutputItem])
    assert_type(page.has_more, bool)
    assert_type(response.served_by(routing), Response)
    assert_type({**response}, dict[str, Any])


async def conversations(router: Router) -> None:
    assert_type(await router.acreate_conversation(metadata={}), Conversation)
    assert_type(router.create_conversation(model="gpt"), Conversation)
    assert_type(router.delete_conversation("conv_1"), Deleted)
    assert_type(router.list_conversation_items("conv_1", limit=1), ItemPage)
    assert_type(router.get_conversation_item("conv_1", "msg_1"), ConversationItem)
    assert_type(router.get_conversation_item("conv_1", "msg_1").content[0].text, str)
    assert_type(router.get_conversation("conv_1").metadata, View | None)
