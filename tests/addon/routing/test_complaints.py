"""What providers say of a request that they refuse is understood."""

import pytest

from addon.formats.tolerant.error_body import full_text
from addon.routing.complaints import (
    fault,
    is_context_overflow,
    most_tokens,
    offered_efforts,
    room_for_answer,
    says_field_is_unknown,
    unknown_member,
)
from tests.addon.desk import error

TOO_LONG = {
    "openai": error(
        "Your input exceeds the context window of this model.", code="context_length_exceeded"
    ),
    "deepseek": error(
        "This model's maximum context length is 131072 tokens. However, you "
        "requested 140000 tokens."
    ),
    "openrouter": error(
        "Provider returned error", metadata={"raw": error("maximum context length is 9").decode()}
    ),
    "anthropic": b'{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 > 8"}}',
    "anthropic, with the answer": error(
        "input length and `max_tokens` exceed context limit: 195000 + 21333 > 204698"
    ),
    "kimi": error(
        "Invalid request: Your request exceeded model token limit: 262144 (requested: 269030)"
    ),
    "glm": b'{"error":{"code":"1261","message":"Prompt \xe8\xb6\x85\xe9\x95\xbf"}}',
    "llama.cpp": error("the request exceeds the available context size", n_ctx=4096),
    "xai": error(
        "This model's maximum prompt length is 131072 but the request contains 150000 tokens."
    ),
    "gemini": error(
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
    ),
    "minimax": error("invalid params, context window exceeds limit (2013)"),
    "qwen": error("Range of input length should be [1, 129024]"),
}
OTHERS = {
    "rate": error(
        "Request too large for model on tokens per minute (TPM): Limit 10000, Requested 21247"
    ),
    "answer": error("max_tokens must be less than or equal to 16384"),
    "password": error("The password is too long"),
    "number": error("Order 1261 is unknown"),
    "empty": b"",
}


@pytest.mark.parametrize("body", TOO_LONG.values(), ids=TOO_LONG)
def test_a_conversation_that_is_too_long_is_recognised(body: bytes) -> None:
    assert is_context_overflow(full_text(body))


@pytest.mark.parametrize("body", OTHERS.values(), ids=OTHERS)
def test_other_errors_are_not_taken_for_it(body: bytes) -> None:
    assert not is_context_overflow(full_text(body))


@pytest.mark.parametrize(
    "text",
    [
        "The reasoning_content in the thinking mode must be passed back to the API.",
        "the `reasoning_content` in the thinking mode MUST be passed back to the API.".replace(
            "`", ""
        ),
        "Missing reasoning_content field in the assistant message at message index 2",
        (
            "thinking is enabled but reasoning_content is missing in assistant tool "
            "call message at index 3"
        ),
        "The reasoning_text in the thinking mode must be passed back",
        "The content[].thinking in the thinking mode must be passed back to the API.",
        "Function call is missing a thought_signature in functionCall parts.",
        "Function call default_api:Read in the 2. content block is missing a thought_signature.",
        "messages.1.content.0.type: Expected thinking or redacted_thinking, but found tool_use.",
        "a final assistant message must start with a thinking block",
        (
            "Item 'fc_1' of type 'function_call' was provided without its required "
            "'reasoning' item: 'rs_1'."
        ),
        "Reasoning details must be preserved when using tools.",
    ],
)
def test_a_provider_that_misses_reasoning_is_understood(text: str) -> None:
    assert fault(f"Param Incorrect\n{text}\n400") == "missing"


@pytest.mark.parametrize(
    "text",
    [
        "messages.3.content.0: Invalid signature in thinking block",
        "The block is bound to a different conversation.",
        "thinking or redacted_thinking blocks in the latest assistant message cannot be modified.",
        "messages.1.content.0.thinking.signature: Field required",
        "Corrupted thought signature.",
        "Thought signature is not valid",
        "invalid_encrypted_content",
        (
            "The encrypted content gAAA could not be verified. Reason: Encrypted "
            "content could not be decrypted or parsed."
        ),
        "Could not decrypt the provided encrypted_content",
        "Item with id 'rs_1' not found. Items are not persisted when store is set to false.",
        "Previous response with id 'resp_1' not found.",
        "Duplicate item found with id rs_1.",
    ],
)
def test_a_provider_that_refuses_state_is_understood(text: str) -> None:
    assert fault(f"Provider returned error\n{text}") == "refused"
    assert not says_field_is_unknown(text)


@pytest.mark.parametrize(
    "text",
    [
        "Unrecognized request argument supplied: reasoning_content",
        "messages.1.assistant.reasoning_content: Extra inputs are not permitted",
        "'messages.2' : for 'role:assistant' the following must be "
        "satisfied[('messages.2' : property "
        "'reasoning_details' is unsupported)]",
        "unknown field reasoning_content",
        "messages.1.assistant.reasoning: Extra inputs are not permitted",
    ],
)
def test_a_provider_that_knows_no_such_member_is_understood(text: str) -> None:
    assert (fault(text), says_field_is_unknown(text)) == ("refused", True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Invalid request: messages must not be empty",
        "max_tokens must be passed as an integer",
        "The tool_call_id must be passed back",
        "reasoning_effort is not supported by this model",
        "Unsupported parameter: 'reasoning_effort'",
        "thinking: Extra inputs are not permitted",
        "max_tokens: Field required",
    ],
)
def test_other_complaints_are_not_taken_for_it(text: str) -> None:
    assert fault(text) is None


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "The `content[].thinking` in the thinking mode must be passed back to the API.",
            "missing",
        ),
        (
            "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, "
            "but found `tool_use`. When "
            "`thinking` is enabled, a final `assistant` message must start with a thinking block",
            "missing",
        ),
        (
            (
                "thinking is enabled but reasoning_content is missing in assistant "
                "tool call message at index 2"
            ),
            "missing",
        ),
        ("messages.3.content.0: Invalid `signature` in `thinking` block", "refused"),
        ("messages.1.content.0: Invalid `data` in `redacted_thinking` block", "refused"),
        ("messages.1.content.0.thinking.signature: Field required", "refused"),
        ("messages.1.content.0.redacted_thinking.data: Field required", "refused"),
        (
            (
                "messages.1.content.0: Invalid `signature` in `thinking` block. The "
                "block is bound to a different …"
            ),
            "refused",
        ),
        ("The block is bound to a different conversation.", "refused"),
        (
            "messages.5.content.1: `thinking` or `redacted_thinking` blocks in the "
            "latest assistant message cannot be "
            "modified. These blocks must remain as they were in the original response.",
            "refused",
        ),
        ("max_tokens: Field required", None),
        ("`max_tokens` must be greater than `thinking.budget_tokens`.", None),
        ("messages: text content blocks must be non-empty", None),
    ],
)
@pytest.mark.parametrize("nested", [False, True], ids=["plain", "wrapped"])
def test_an_error_that_names_the_thinking_is_told_from_others(
    message: str, expected: str | None, nested: bool
) -> None:
    assert (
        fault(f"Provider returned error\n{message}" if nested else message.replace("`", ""))
        == expected
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Failed to deserialize: messages[1]: unknown variant `image_url`, expected `text`",
            "pictures",
        ),
        ("This model does not support images.", "pictures"),
        ("image input is not supported - hint: you may need to provide the mmproj", "pictures"),
        ("Conversation roles must alternate user/assistant/user/assistant/...", "in a row"),
        ("The model does not support successive user or assistant messages", "in a row"),
        (
            "This model does not support assistant message prefill. The conversation must end "
            "with a user message.",
            "ending",
        ),
        ("The last message of deepseek-reasoner must be a user message, or an", "ending"),
        ("Expected last role User or Tool (or Assistant with prefix True) for serving", "ending"),
        ("Thinking mode does not support this tool_choice", "forced"),
        ("deepseek-reasoner does not support this tool_choice", "forced"),
        (
            "The tool_choice parameter does not support being set to required or object in "
            "thinking mode",
            "forced",
        ),
        ("tool_choice 'specified' is incompatible with thinking enabled", "forced"),
        ("tool_choice is only allowed with tools", None),
        (
            "An assistant message with 'tool_calls' must be followed by tool messages responding",
            "results",
        ),
        ("Messages with role 'tool' must be a response to a preceding message", "results"),
        ("No tool output found for function call call_1.", "results"),
        ("No tool call found for function call output with call_id call_1.", "results"),
        ("tool_use ids were found without tool_result blocks immediately after: t1", "results"),
        ("unexpected tool_use_id found in tool_result blocks: t1", "results"),
        ("Not the same number of function calls and responses", "results"),
        ("The first message must be from the user", None),
        ("image_url is not a valid URL", None),
        ("animated GIF images are not supported", None),
        ("does not support image content in tool messages", None),
        ("The image is too large", None),
    ],
)
def test_what_else_an_upstream_refuses_is_understood(text: str, expected: str | None) -> None:
    assert fault(text) == expected


@pytest.mark.parametrize(
    ("text", "member"),
    [
        ("Unrecognized request argument supplied: stream_options", "stream_options"),
        ("property 'prompt_cache_key' is unsupported", "prompt_cache_key"),
        ("body.stream_options: Extra inputs are not permitted", "stream_options"),
        (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            "max_tokens",
        ),
        ("'parallel_tool_calls' is only allowed when 'tools' are specified", "parallel_tool_calls"),
        ("Unknown parameter: 'store'.", "store"),
        ("max_tokens is too large: 64000", ""),
        ("no such model", ""),
    ],
)
def test_a_member_that_an_upstream_does_not_take_is_named(text: str, member: str) -> None:
    names = (
        *("max_completion_tokens", "max_tokens", "parallel_tool_calls", "prompt_cache_key"),
        *("store", "stream_options"),
    )
    assert unknown_member(text, names) == member
    assert unknown_member(text, ()) == ""


@pytest.mark.parametrize(
    ("text", "most"),
    [
        (
            "max_tokens is too large: 100000. This model supports at most 16384 completion "
            "tokens, whereas you provided 100000.",
            16384,
        ),
        (
            "max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens "
            "for claude-sonnet-4-5-20250929",
            64000,
        ),
        ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", 8192),
        ("Range of max_tokens should be [1, 65536]", 65536),
        ("max_tokens must be less than or equal to 8192, the maximum value for max_tokens", 8192),
        ("The maximum tokens you requested exceeds the model limit of 4096. Try again", 4096),
        (
            "it has a maxOutputTokens value of 100000 but the supported range is from 1 "
            "(inclusive) to 8193 (exclusive).",
            8192,
        ),
        ("max_output_tokens: must be <= 4096", 4096),
        ("max_tokens must be less than or equal to 200000", None),
        ("max_tokens must be at least 1", None),
        ("This model's maximum context length is 4096 tokens. max_tokens is up to you", None),
    ],
)
def test_the_longest_answer_is_read(text: str, most: int | None) -> None:
    assert most_tokens(text, 100_000) == most


@pytest.mark.parametrize(
    ("text", "room"),
    [
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 100000. This model's maximum "
            "context length is 40960 tokens and your request has 960 input tokens",
            40000,
        ),
        (
            "This model's maximum context length is 8192 tokens. However, you requested 102000 "
            "tokens (2000 in the messages, 100000 in the completion).",
            6192,
        ),
        (
            "input length and max_tokens exceed context limit: 190000 + 100000 > 200000, "
            "decrease input length",
            10000,
        ),
        (
            "inputs tokens + max_new_tokens must be <= 32769. Given: 769 inputs tokens and "
            "100000 max_new_tokens",
            32000,
        ),
        ("maximum context length is 8192 tokens (8000 in the messages, 100000 in the", None),
        ("prompt is too long", None),
    ],
)
def test_the_room_that_a_conversation_leaves_is_read(text: str, room: int | None) -> None:
    assert room_for_answer(text, 100_000) == room
    assert most_tokens(text, 100_000) is None


@pytest.mark.parametrize(
    ("text", "efforts"),
    [
        (
            "Unsupported value: 'reasoning_effort' does not support 'xhigh' with this model. "
            "Supported values are: 'minimal', 'low', 'medium', and 'high'.",
            ("minimal", "low", "medium", "high"),
        ),
        (
            "Invalid value: 'max'. Supported values are: 'low' and 'high'.\nreasoning.effort",
            ("low", "high"),
        ),
        ("reasoning_effort must be one of low, medium, or high", ("low", "medium", "high")),
        ("output_config.effort: Input should be 'low' or 'high'", ("low", "high")),
        ("please use low, high, or max", ("low", "high", "max")),
        ("reasoning_effort is not supported", ()),
        ("the effort was high", ()),
    ],
)
def test_the_efforts_that_are_offered_are_read(text: str, efforts: tuple[str, ...]) -> None:
    assert offered_efforts(text) == efforts
