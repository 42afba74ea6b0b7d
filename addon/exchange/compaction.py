"""A conversation that is too long for its model, told so that Cursor makes it shorter by itself.

Cursor shows an error and stops there; a usage near its own limit makes it summarise and go on.
"""

from addon.formats.chat import patch_response
from addon.formats.wire.splice import scalar_text
from addon.translation.pair import ClientRequest

__all__ = ("PROMPT_TOKENS", "hears_usage", "signal")

PROMPT_TOKENS = 1_000_000
"""More than any limit that a client knows."""


def hears_usage(request: ClientRequest) -> bool:
    """Whether the client learns the usage of an answer of Chat Completions."""
    return request.wire_format == "chat" and (request.usage_asked or not request.stream)


def signal(request: ClientRequest, answer_id: str, created: int) -> tuple[dict[str, str], bytes]:
    """Headers and body of an empty answer whose usage says that the conversation is too
    long; Unix seconds.
    """
    body = {
        "id": f"chatcmpl-{answer_id}",
        "object": "chat.completion",
        "created": created,
        "model": request.model,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}
        ],
        "usage": {
            "prompt_tokens": PROMPT_TOKENS,
            "completion_tokens": 0,
            "total_tokens": PROMPT_TOKENS,
        },
    }
    whole = scalar_text(body)
    if request.stream:
        return {"content-type": "text/event-stream"}, patch_response.as_stream(whole)
    return {"content-type": "application/json"}, whole
