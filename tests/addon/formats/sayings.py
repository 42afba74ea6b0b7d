"""Everything that a client of each format can say."""

from typing import Any

from addon.formats.neutral.request import WireFormat
from tests.addon.formats.hearing import (
    Json,
    Saying,
    declined,
    field,
    first_tool,
    marks,
    member,
    offered,
    output,
    parts,
    result_pictures,
    results,
    roles,
    thinking,
)
from tests.addon.formats.sayings_of_tools import CHAT_TOOLS, MESSAGES_TOOLS, RESPONSES_TOOLS

__all__ = ("BASES", "SAYINGS")

PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0="
WEB = "https://example.org/a.png"
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
GRAMMAR = {"syntax": "lark", "definition": "start: /a/"}
NAMES = ("Read", "Write", "Grep")
USER: Json = {"role": "user", "content": "hi"}

BASES: dict[WireFormat, Json] = {
    "chat": {
        "model": "m",
        "messages": [USER],
        "tools": [
            {"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in NAMES
        ],
    },
    "responses": {
        "model": "m",
        "input": [USER],
        "tools": [
            {"type": "function", "name": name, "parameters": SCHEMA, "strict": False}
            for name in NAMES
        ],
    },
    "messages": {
        "model": "m",
        "max_tokens": 9000,
        "messages": [USER],
        "tools": [{"name": name, "input_schema": SCHEMA} for name in NAMES],
    },
}


# -- Chat Completions ------------------------------------------------------------------------------


def chat_user(*content: Json) -> Json:
    return {"messages": [{"role": "user", "content": list(content)}]}


def chat_turn(**members: Any) -> Json:
    return {"messages": [USER, {"role": "assistant", "content": "so", **members}, USER]}


CALL = {"id": "call_1", "type": "function", "function": {"name": "Read", "arguments": '{"a":"b"}'}}
ANSWERED = [
    USER,
    {"role": "assistant", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "r"},
]
FUNCTION = {"name": "Read", "parameters": SCHEMA}
SOME = [{"type": "function", "function": {"name": name}} for name in NAMES[:2]]

CHAT = {
    "System messages at the beginning": Saying(
        {"messages": [{"role": "system", "content": "be brief"}, USER]}, roles
    ),
    "Developer messages at the beginning": Saying(
        {"messages": [{"role": "developer", "content": "be brief"}, USER]}, roles
    ),
    "System messages further on": Saying(
        {"messages": [USER, {"role": "system", "content": "be brief"}]}, roles
    ),
    "Pictures, as a `data:` URL or on the web": Saying(
        chat_user(*({"type": "image_url", "image_url": {"url": url}} for url in (PNG, WEB))),
        parts("Image", "url"),
    ),
    "`detail` of a picture": Saying(
        chat_user({"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}),
        parts("Image", "detail"),
    ),
    "Files": Saying(
        chat_user({"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}}),
        parts("File", "url", "name"),
    ),
    "`input_audio`": Saying(
        chat_user({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}),
        member("messages"),
    ),
    "Tool calls and their results": Saying(
        {"messages": ANSWERED}, parts("ToolCall", "name", "arguments")
    ),
    "`name` of a message": Saying(
        {"messages": [USER | {"name": "ada"}]}, lambda _, body: str(body).count("ada")
    ),
    "`refusal` of a turn": Saying(chat_turn(refusal="I decline"), declined),
    "`reasoning_content` that is sent back": Saying(
        chat_turn(reasoning_content="why"), parts("Reasoning", "text")
    ),
    "`strict` of a tool": Saying(
        {"tools": [{"type": "function", "function": FUNCTION | {"strict": True}}]},
        first_tool("strict"),
    ),
    "Custom tools": Saying(
        {
            "tools": [
                {
                    "type": "custom",
                    "custom": {"name": "Patch", "format": {"type": "grammar", "grammar": GRAMMAR}},
                }
            ]
        },
        lambda request, _: [(tool.name, tool.custom) for tool in request.tools],
    ),
    "`tool_choice`": Saying(
        {"tool_choice": {"type": "function", "function": {"name": "Read"}}}, field("tool_choice")
    ),
    "`tool_choice` of several tools": Saying(
        {
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": SOME},
            }
        },
        offered,
    ),
    "`parallel_tool_calls: false`": Saying(
        {"parallel_tool_calls": False}, lambda request, _: [request.parallel_tool_calls]
    ),
    "`max_tokens`, `max_completion_tokens`": Saying({"max_tokens": 9000}, field("max_tokens")),
    "`temperature`": Saying({"temperature": 0.5}, field("temperature")),
    "`top_p`": Saying({"top_p": 0.5}, field("top_p")),
    "`top_k`": Saying({"top_k": 5}, field("top_k")),
    "`presence_penalty`, `frequency_penalty`": Saying(
        {"presence_penalty": 0.5, "frequency_penalty": 0.5},
        lambda r, _: r.presence_penalty or r.frequency_penalty,
    ),
    "`seed`": Saying({"seed": 7}, field("seed")),
    "`stop`": Saying({"stop": ["END"]}, field("stop")),
    "`n`": Saying({"n": 2}, member("n")),
    "`logprobs`, `top_logprobs`, `logit_bias`": Saying({"logprobs": True}, member("logprobs")),
    "`response_format` with a schema": Saying(
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "a", "schema": SCHEMA},
            }
        },
        output("schema"),
    ),
    "`response_format` `json_object`": Saying(
        {"response_format": {"type": "json_object"}}, field("output_format")
    ),
    "`verbosity`": Saying({"verbosity": "low"}, field("verbosity")),
    "`reasoning_effort`": Saying({"reasoning_effort": "high"}, thinking("effort")),
    "`thinking`": Saying({"thinking": {"type": "disabled"}}, thinking("switch")),
    "`stream`": Saying({"stream": True}, field("stream")),
    "`store`": Saying({"store": True}, field("store")),
    "`metadata`": Saying({"metadata": {"team": "a"}}, member("metadata")),
    "`user`": Saying({"user": "ada"}, field("user")),
    "`service_tier`": Saying({"service_tier": "flex"}, member("service_tier")),
    "`prompt_cache_key`, `safety_identifier`": Saying(
        {"prompt_cache_key": "a"}, member("prompt_cache_key")
    ),
    "Other members (`prediction`, `web_search_options`, …)": Saying(
        {"prediction": {"type": "content", "content": "a"}}, member("prediction")
    ),
}


# -- Responses -------------------------------------------------------------------------------------


def given(*content: Json) -> Json:
    return {"input": [{"role": "user", "content": list(content)}]}


def items(*held: Json) -> Json:
    return {"input": [USER, *held, USER]}


REASONING: Json = {"type": "reasoning", "id": "rs_1", "summary": []}
CALL_ITEM = {"type": "function_call", "call_id": "call_1", "name": "Read", "arguments": '{"a":"b"}'}
SOME_FLAT = [{"type": "function", "name": name} for name in NAMES[:2]]
RESULT_ITEM: Json = {"type": "function_call_output", "call_id": "call_1", "output": "r"}

RESPONSES = {
    "`instructions`": Saying({"instructions": "be brief"}, roles),
    "System and developer messages further on": Saying(
        {"input": [USER, {"role": "developer", "content": "be brief"}]}, roles
    ),
    "Pictures, as a `data:` URL or on the web": Saying(
        given(*({"type": "input_image", "image_url": url} for url in (PNG, WEB))),
        parts("Image", "url"),
    ),
    "`detail` of a picture": Saying(
        given({"type": "input_image", "image_url": PNG, "detail": "low"}), parts("Image", "detail")
    ),
    "Uploaded pictures (`file_id`)": Saying(
        given({"type": "input_image", "file_id": "file_1"}), parts("Image", "file_id")
    ),
    "Files": Saying(
        given({"type": "input_file", "file_data": PDF, "filename": "a.pdf"}),
        parts("File", "url", "name"),
    ),
    "Tool calls and their results": Saying(
        items(CALL_ITEM, RESULT_ITEM), parts("ToolCall", "name", "arguments")
    ),
    "Pictures in results": Saying(
        items(CALL_ITEM, RESULT_ITEM | {"output": [{"type": "input_image", "image_url": PNG}]}),
        result_pictures,
    ),
    "A `refusal` in a message": Saying(
        items(
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "refusal", "refusal": "I decline"}],
            }
        ),
        declined,
    ),
    "`content` of a reasoning item": Saying(
        items(REASONING | {"content": [{"type": "reasoning_text", "text": "why"}]}),
        parts("Reasoning", "text"),
    ),
    "`summary` of a reasoning item": Saying(
        items(REASONING | {"summary": [{"type": "summary_text", "text": "why"}]}),
        parts("Reasoning", "text"),
    ),
    "`strict` of a tool": Saying(
        {"tools": [{"type": "function", **FUNCTION, "strict": True}]}, first_tool("strict")
    ),
    "Custom tools": Saying(
        {"tools": [{"type": "custom", "name": "Patch", "format": {"type": "grammar", **GRAMMAR}}]},
        lambda request, _: [(tool.name, tool.custom) for tool in request.tools],
    ),
    "`tool_choice`": Saying(
        {"tool_choice": {"type": "function", "name": "Read"}}, field("tool_choice")
    ),
    "`tool_choice` of several tools": Saying(
        {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": SOME_FLAT}}, offered
    ),
    "`parallel_tool_calls: false`": Saying(
        {"parallel_tool_calls": False}, lambda request, _: [request.parallel_tool_calls]
    ),
    "`max_output_tokens`": Saying({"max_output_tokens": 9000}, field("max_tokens")),
    "`temperature`": Saying({"temperature": 0.5}, field("temperature")),
    "`top_p`": Saying({"top_p": 0.5}, field("top_p")),
    "`text.format` with a schema": Saying(
        {"text": {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}}},
        output("schema"),
    ),
    "`text.format` `json_object`": Saying(
        {"text": {"format": {"type": "json_object"}}}, field("output_format")
    ),
    "`text.verbosity`": Saying({"text": {"verbosity": "low"}}, field("verbosity")),
    "`reasoning.effort`": Saying({"reasoning": {"effort": "high"}}, thinking("effort")),
    "`reasoning.summary`": Saying(
        {"reasoning": {"effort": "high", "summary": "detailed"}}, thinking("summary")
    ),
    "`include` of other things (`message.output_text.logprobs`, …)": Saying(
        {"include": ["message.output_text.logprobs"]},
        lambda request, _: [one for one in request.include if "reasoning" not in one],
    ),
    "`truncation`, `max_tool_calls`, `top_logprobs`": Saying(
        {"truncation": "auto"}, member("truncation")
    ),
    "`stream`": Saying({"stream": True}, field("stream")),
    "`metadata`": Saying({"metadata": {"team": "a"}}, member("metadata")),
    "`user`": Saying({"user": "ada"}, field("user")),
    "`service_tier`, `prompt_cache_key`, `safety_identifier`": Saying(
        {"service_tier": "flex"}, member("service_tier")
    ),
}


# -- Messages --------------------------------------------------------------------------------------


def blocks(*content: Json) -> Json:
    return {"messages": [{"role": "user", "content": list(content)}]}


def turn(*content: Json) -> Json:
    return {"messages": [USER, {"role": "assistant", "content": list(content)}, USER]}


def result(**members: Any) -> Json:
    use = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"a": "b"}}
    answer = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "r", **members}
    return {
        "messages": [
            USER,
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [answer]},
        ]
    }


def source(url: str) -> Json:
    media_type, _, encoded = url.removeprefix("data:").partition(";base64,")
    return {"type": "base64", "media_type": media_type, "data": encoded}


READ: Json = {"name": "Read", "input_schema": SCHEMA}
MARK = {"cache_control": {"type": "ephemeral"}}
TEXT: Json = {"type": "text", "text": "so"}

MESSAGES = {
    "`system`": Saying({"system": [{"type": "text", "text": "be brief"}]}, roles),
    "System messages further on": Saying(
        {"messages": [USER, {"role": "system", "content": "be brief"}]}, roles
    ),
    "Pictures": Saying(blocks({"type": "image", "source": source(PNG)}), parts("Image", "url")),
    "Documents": Saying(
        blocks({"type": "document", "title": "a.pdf", "source": source(PDF)}),
        parts("File", "url", "name"),
    ),
    "Documents of text": Saying(
        blocks(
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "words"},
            }
        ),
        parts("Text", "text"),
    ),
    "`search_result` blocks": Saying(
        blocks({"type": "search_result", "source": "a", "title": "b", "content": [TEXT]}),
        parts("Text", "text"),
    ),
    "`cache_control`": Saying(blocks(TEXT | MARK), marks),
    "Tool calls and their results": Saying(result(), parts("ToolCall", "name", "arguments")),
    "`is_error` of a result": Saying(result(is_error=True), results("failed")),
    "Pictures in results": Saying(
        result(content=[{"type": "image", "source": source(PNG)}]), result_pictures
    ),
    "`thinking` blocks, their text": Saying(
        turn({"type": "thinking", "thinking": "why", "signature": "s"}, TEXT),
        parts("Reasoning", "text"),
    ),
    "`thinking` blocks, their signature": Saying(
        turn({"type": "thinking", "thinking": "why", "signature": "s"}, TEXT),
        parts("Reasoning", "opaque"),
    ),
    "`redacted_thinking` blocks": Saying(
        turn({"type": "redacted_thinking", "data": "d"}, TEXT), parts("Reasoning", "opaque")
    ),
    "`strict` of a tool": Saying({"tools": [READ | {"strict": True}]}, first_tool("strict")),
    "Other members of a tool (`defer_loading`, `input_examples`, …)": Saying(
        {"tools": [READ | {"defer_loading": True}]}, first_tool("extra")
    ),
    "`tool_choice`": Saying(
        {"tool_choice": {"type": "tool", "name": "Read"}}, field("tool_choice")
    ),
    "`disable_parallel_tool_use`": Saying(
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        lambda request, _: [request.parallel_tool_calls],
    ),
    "`max_tokens`": Saying({}, field("max_tokens")),
    "`temperature`": Saying({"temperature": 0.5}, field("temperature")),
    "`top_p`": Saying({"top_p": 0.5}, field("top_p")),
    "`top_k`": Saying({"top_k": 5}, field("top_k")),
    "`stop_sequences`": Saying({"stop_sequences": ["END"]}, field("stop")),
    "`output_config.format`": Saying(
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}, output("schema")
    ),
    "`output_config.effort`": Saying({"output_config": {"effort": "high"}}, thinking("effort")),
    "`thinking` `enabled` with a budget": Saying(
        {"thinking": {"type": "enabled", "budget_tokens": 4096}},
        lambda request, _: request.thinking.budget or request.thinking.effort,
    ),
    "`thinking` `disabled`": Saying({"thinking": {"type": "disabled"}}, thinking("switch")),
    "`thinking.display`": Saying(
        {"thinking": {"type": "adaptive", "display": "summarized"}}, thinking("summary")
    ),
    "`stream`": Saying({"stream": True}, field("stream")),
    "`metadata.user_id` of up to 64 characters": Saying(
        {"metadata": {"user_id": "ada"}}, field("user")
    ),
    "`metadata.user_id` that is longer": Saying(
        {"metadata": {"user_id": "a" * 65}}, member("metadata")
    ),
    "`service_tier`": Saying({"service_tier": "auto"}, member("service_tier")),
    "Other members (`context_management`, `container`, …)": Saying(
        {"context_management": {"edits": []}}, member("context_management")
    ),
}

SAYINGS: dict[WireFormat, dict[str, Saying]] = {
    "chat": CHAT | CHAT_TOOLS,
    "responses": RESPONSES | RESPONSES_TOOLS,
    "messages": MESSAGES | MESSAGES_TOOLS,
}
