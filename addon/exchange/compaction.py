"""A conversation that is too long for its model, told so that Cursor makes it shorter by itself.

Cursor shows an error and stops there; a usage near its own limit makes it summarise and go on.
"""

import re

from addon.formats.chat import patch_response
from addon.formats.wire.splice import scalar_text
from addon.translation.pair import ClientRequest

__all__ = ("PROMPT_TOKENS", "hears_usage", "is_context_overflow", "signal")

PROMPT_TOKENS = 1_000_000
"""More than any limit that a client knows."""

_TEXTS = re.compile(
    "|".join(
        (
            # OpenAI, Azure, Groq (https://platform.openai.com/docs/guides/error-codes);
            # llama.cpp's is its own.
            (
                r"\bcontext_length_exceeded\b|exceed_context_size_error|exceeds the "
                r"available context size"
            ),
            # OpenAI, DeepSeek, OpenRouter, vLLM, SGLang; LM Studio.
            r"maximum context length|greater than the context length",
            # OpenAI's Responses; Bedrock; MiniMax.
            (
                r"exceeds the context window|input is too long for requested "
                r"model|context window exceeds limit"
            ),
            # Anthropic (https://platform.claude.com/docs/en/api/errors), which counts the
            # answer in, too.
            r"prompt is too long|exceed context limit",
            # Kimi (github.com/MoonshotAI/kimi-cli/issues/2011); xAI.
            r"exceeded model token limit|maximum prompt length is \d+",
            # GLM (https://docs.z.ai/api-reference/api-code); Qwen; Gemini.
            (
                r"^1261$|prompt exceeds max length|range of input length should "
                r"be|input token count.{0,40}exceeds"
            ),
        )
    ),
    re.IGNORECASE | re.MULTILINE,
)


def is_context_overflow(text: str) -> bool:
    """Whether an upstream's error, as `full_text` gives it, says that the conversation is
    too long for the model.
    """
    return _TEXTS.search(text) is not None


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
