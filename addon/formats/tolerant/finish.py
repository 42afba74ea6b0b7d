"""Why an answer ended, in whatever words an upstream says it: many servers pass on those of the
model's own API.

Words: Chat Completions (https://platform.openai.com/docs/api-reference/chat/object), Messages
(https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons), Gemini
(https://ai.google.dev/api/generate-content#FinishReason), Mistral's `model_length`
(https://docs.mistral.ai/api), Cohere's `COMPLETE` (https://docs.cohere.com/reference/chat), GLM's
`sensitive` (https://docs.z.ai/api-reference/llm/chat-completion), Bedrock's
`guardrail_intervened` (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html),
text-generation-inference's `eos_token`.
"""

from typing import Any

from addon.formats.wire.lenient import as_str

__all__ = ("finish_of", "is_cut", "stop_sequence_of")

_WORDS = {
    "stop": (
        *("stop", "end_turn", "stop_sequence", "eos", "eos_token", "end_of_text", "complete"),
        *("completed", "end"),
    ),
    "length": (
        *("length", "max_tokens", "max_output_tokens", "max_completion_tokens", "model_length"),
        *("model_context_window_exceeded", "context_length_exceeded", "token_limit"),
    ),
    "tool_calls": ("tool_calls", "tool_use", "tool_call", "function_call", "function_calls"),
    "content_filter": (
        *("content_filter", "content_filtered", "refusal", "safety", "recitation", "blocklist"),
        *("prohibited_content", "spii", "image_safety", "sensitive", "guardrail_intervened"),
        "error_toxic",
    ),
    "pause_turn": ("pause_turn",),
}
_REASONS = {word: reason for reason, words in _WORDS.items() for word in words}


def finish_of(word: Any, *, calls: bool) -> str:
    """The reason of `Finish` for an upstream's word, in any case; for one that nobody knows, what
    the answer holds tells.
    """
    reason = _REASONS.get(as_str(word).lower().removeprefix("finish_reason_"))
    if reason is not None:
        return reason
    if calls:
        return "tool_calls"
    return "stop"


def stop_sequence_of(stop_reason: Any, reason: str) -> str:
    """The stop sequence that vLLM and its kind name in `stop_reason` of a choice that ended for
    this reason; empty for the id of a token or a word for the reason
    (https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html).
    """
    named = as_str(stop_reason)
    if reason != "stop" or named.lower() in _REASONS:
        return ""
    return named


def is_cut(reason: str) -> bool:
    """Whether an answer that ended so may lack the end of its last call."""
    return reason in ("length", "content_filter")
