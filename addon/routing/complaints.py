"""What an upstream's error says of the request, by the words that providers use.

Every function takes the error's full text: nested JSON unescaped, backticks removed.
"""

import re
from collections.abc import Iterable
from typing import Literal

__all__ = (
    "Fault",
    "complains_of",
    "fault",
    "is_context_overflow",
    "most_tokens",
    "offered_efforts",
    "room_for_answer",
    "says_field_is_unknown",
    "unknown_member",
)

type Fault = Literal["missing", "refused", "pictures", "in a row", "ending", "forced", "results"]
"""What an upstream refuses that can be mended.

`missing`: a turn lacks its reasoning. `refused`: the request's reasoning is altered, stale
or not from there. `pictures`: it takes none. `in a row`: it does not take two messages of
the user without an answer between. `ending`: the last message must be the user's.
`forced`: no tool may be forced while the model thinks. `results`: a call lacks its result, or a
result its call.
"""

# Texts of the providers' errors, on the whole body with backticks removed: DeepSeek and
# MiMo (github.com/crewAIInc/crewAI/issues/5878), DeepSeek V3.2
# (github.com/anomalyco/opencode/issues/9397), DeepSeek's Messages
# (github.com/leookun/cursor-byok/issues/268), Kimi and its resellers
# (github.com/mastra-ai/mastra/issues/12592), Gemini
# (https://ai.google.dev/gemini-api/docs/thought-signatures), Anthropic
# (github.com/anthropics/claude-code/issues/10199), OpenAI
# (github.com/openai/codex/issues/8145).
_MISSING = re.compile(
    r"reasoning_content.{0,12}in the thinking mode must be passed back"
    r"|content\[\]\.thinking.{0,12}in the thinking mode must be passed back"
    r"|missing .?reasoning_content.? field in the assistant message"
    r"|reasoning_content is missing in assistant tool call message"
    r"|reasoning(_content|_text)?\b.{0,40} must be (passed|sent) back"
    r"|function call .{0,60}is missing a thought_signature"
    r"|expected .?thinking.? or .?redacted_thinking.?,? but found"
    r"|must start with a thinking block"
    r"|was provided without its required .?reasoning.? item"
    r"|reasoning details must be preserved",
    re.IGNORECASE,
)
# Anthropic (https://platform.claude.com/docs/en/build-with-claude/preserved-thinking,
# github.com/anthropics/claude-code/issues/56708), Gemini and OpenRouter
# (github.com/OpenRouterTeam/ai-sdk-provider), OpenAI and Azure
# (github.com/openai/codex/issues/8145), xAI (github.com/router-for-me/CLIProxyAPI).
_REFUSED = re.compile(
    r"invalid .?(signature|data).? in .?(redacted_)?thinking.? block"
    r"|block is bound to a different conversation"
    r"|thinking.{0,60}blocks? in the latest assistant message cannot be modified"
    r"|thinking(\.\w+)*.{0,2}: field required"
    r"|corrupted thought signature|thought signature is not valid"
    r"|invalid_encrypted_content|encrypted content .{0,200}could not be verified"
    r"|could not be decrypted or parsed"
    r"|could not decrypt the provided encrypted_content|could not decode the compaction blob"
    r"|item with id .?(rs|msg|fc|ws|cu)_\w+.? not found"
    r"|previous_response_not_found|previous response .{0,80}not found"
    r"|duplicate item found with id",
    re.IGNORECASE | re.DOTALL,
)
# OpenAI's Responses, of models that don't reason.
_ENCRYPTED = re.compile(r"encrypted content is not supported", re.IGNORECASE)
_NAMES = r"(reasoning_content|reasoning_details|reasoning_text|extra_content)"
_COMPLAINT = (
    r"(?:unrecognized request argument|extra inputs are not permitted"
    r"|unknown (?:field|parameter|name)|is unsupported"
    r"|additional properties are not allowed)"
)
_REJECTION = (
    rf"(?:{_COMPLAINT}|unsupported (?:parameter|value)|not supported|not permitted"
    r"|unexpected keyword|only allowed when|only \S{1,8} is allowed|is deprecated for)"
)
"""What is said besides of a member that a model or server does not take
(https://platform.openai.com/docs/guides/error-codes).
"""

_UNKNOWN = re.compile(
    rf"\b{_NAMES}\b.{{0,60}}{_COMPLAINT}|{_COMPLAINT}.{{0,60}}\b{_NAMES}\b"
    rf"|\bmessages\b.{{0,60}}\breasoning\b.{{0,20}}{_COMPLAINT}|{_COMPLAINT}.{{0,40}}\bmessages\b.{{0,20}}\breasoning\b",
    re.IGNORECASE | re.DOTALL,
)


# DeepSeek, Moonshot, OpenRouter and llama.cpp of pictures; the templates of Mistral and
# vLLM of messages in a row (github.com/cursor/cursor/issues/2605).
_PICTURES = re.compile(
    r"unknown variant .?image_url|image input is not (supported|enabled)|not a multimodal model"
    r"|does not support (vision|multimodal|images?( inputs?)?([.,;\"]|$))",
    re.IGNORECASE | re.MULTILINE,
)
_IN_A_ROW = re.compile(
    (
        r"roles must alternate|(successive|consecutive) "
        r"(user|assistant)|(user|assistant) messages? in a row"
    ),
    re.IGNORECASE,
)
# Anthropic (github.com/anthropics/claude-code/issues/52433), DeepSeek, Mistral of a conversation
# that ends with the assistant's words.
_ENDING = re.compile(
    r"does not support assistant (message|response) prefill|must end with a user message"
    r"|last message .{0,40}must be .{0,12}user|expected last role user"
    r"|prefill(ing)? .{0,60}(not supported|incompatible)",
    re.IGNORECASE,
)
# DeepSeek, Qwen, Kimi.
_FORCED = re.compile(
    r"(thinking|reasoner|reasoning)\b.{0,80}tool_choice|tool_choice\b.{0,120}(thinking|reasoning)",
    re.IGNORECASE,
)
# OpenAI and DeepSeek, in Responses, Anthropic, Mistral, Gemini, Kimi.
_RESULTS = re.compile(
    r"must be followed by tool messages|role .?tool.? must be a response to"
    r"|no tool (output|call) found for function call"
    r"|found without .?tool_result|unexpected .?tool_use_id"
    r"|not the same number of function calls and responses|function response parts is equal to"
    r"|tool_call_id .{0,40}not found",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
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


# OpenAI, Anthropic, DeepSeek and Qwen, Groq and others, Bedrock of the longest answer; Gemini
# names the first number that is too large.
_LIMIT = r"(?:max_(?:completion_|output_|new_)?tokens|maximum tokens)"
_MOST_TOKENS = tuple(
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        rf"{_LIMIT}\b.{{0,80}}?too large.{{0,80}}?at most (\d+)",
        rf"{_LIMIT}: \d+ > (\d+)",
        rf"{_LIMIT}\b.{{0,80}}?\[\s*\d+\s*,\s*(\d+)\s*\]",
        rf"{_LIMIT}\b.{{0,80}}?(?:less than or equal to|at most|<=|limit of|up to)\D{{0,8}}(\d+)",
    )
)
_MOST_BUT_ONE = re.compile(r"maxOutputTokens.{0,120}?to (\d+) \(exclusive\)", re.DOTALL)
# vLLM, OpenAI, Anthropic, Together of an answer that the conversation leaves no room for.
_ROOM = tuple(
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        (
            r"maximum context length is (?P<window>\d+) tokens.{0,40}?"
            r"your request has (?P<prompt>\d+) input tokens"
        ),
        (
            r"maximum context length is (?P<window>\d+) tokens.{0,80}?"
            r"\((?P<prompt>\d+) in the messages"
        ),
        r"exceed context limit: (?P<prompt>\d+) \+ \d+ > (?P<window>\d+)",
        r"must be <= (?P<window>\d+)\. Given: (?P<prompt>\d+) inputs? tokens",
    )
)
_LEAST_ROOM = 1_024
"""Tokens: a shorter answer would break off, and the client better hears that it is too long."""

# OpenAI, Groq, vLLM, Anthropic, GLM of an effort that they don't have.
_OFFERED = re.compile(
    r"(?:reasoning[_.]effort|output_config\.effort|\beffort\b).{0,160}?"
    r"(?:supported values are|must be one of|should be|expected one of|please use)(.{1,120})"
    r"|please use (low\W.{1,40})"
    r"|supported values are(.{1,120}?)reasoning[_.]effort",
    re.IGNORECASE | re.DOTALL,
)
_EFFORT = re.compile(r"\b(none|minimal|low|medium|high|xhigh|max)\b", re.IGNORECASE)


def fault(text: str) -> Fault | None:
    """What an upstream's error, its full text, says of what can be mended in the request;
    None: nothing.
    """
    if _REFUSED.search(text) or says_field_is_unknown(text):
        return "refused"
    if _MISSING.search(text):
        return "missing"
    if _PICTURES.search(text):
        return "pictures"
    if _ENDING.search(text):
        return "ending"
    if _FORCED.search(text):
        return "forced"
    if _RESULTS.search(text):
        return "results"
    return "in a row" if _IN_A_ROW.search(text) else None


def complains_of(text: str, names: Iterable[str]) -> bool:
    """Whether an upstream's error says that it knows no such top-level member of a request."""
    found = "|".join(map(re.escape, names))
    said = rf"\b({found})\b.{{0,60}}{_COMPLAINT}|{_COMPLAINT}.{{0,60}}\b({found})\b"
    return bool(found and re.search(said, text, re.IGNORECASE | re.DOTALL))


def unknown_member(text: str, names: Iterable[str]) -> str:
    """Which of the top-level members of a request an upstream's error says that it does not
    take; empty: none.
    """
    if _ENCRYPTED.search(text):
        return "reasoning.encrypted_content" if "reasoning.encrypted_content" in names else ""
    found = "|".join(map(re.escape, names))
    if not found:
        return ""
    said = rf"\b({found})\b.{{0,60}}?{_REJECTION}|{_REJECTION}.{{0,60}}?\b({found})\b"
    match = re.search(said, text, re.IGNORECASE | re.DOTALL)
    if match is None:
        return ""
    return match[1] or match[2]


def most_tokens(text: str, sent: int) -> int | None:
    """The most tokens that an answer of the model may have, as an upstream's error says of the
    limit that it was sent; None: it says nothing of that.
    """
    if room_for_answer(text, sent) is not None:
        return None
    for pattern in _MOST_TOKENS:
        match = pattern.search(text)
        if match and 0 < int(match[1]) < sent:
            return int(match[1])
    if match := _MOST_BUT_ONE.search(text):
        return int(match[1]) - 1
    return None


def room_for_answer(text: str, sent: int) -> int | None:
    """The tokens that a conversation leaves for the answer, as an upstream's error says that
    asked for more were sent; None: it says nothing of that, or there is hardly any room.
    """
    for pattern in _ROOM:
        if match := pattern.search(text):
            room = int(match["window"]) - int(match["prompt"])
            return room if _LEAST_ROOM <= room < sent else None
    return None


def offered_efforts(text: str) -> tuple[str, ...]:
    """The efforts that an upstream's error offers in the place of the one it was sent; empty:
    it says nothing of that.
    """
    match = _OFFERED.search(text)
    if match is None:
        return ()
    words = _EFFORT.findall(next(filter(None, match.groups())))
    return tuple(dict.fromkeys(word.lower() for word in words))


def says_field_is_unknown(text: str) -> bool:
    """Whether an upstream's error says that it knows no such member of a message as
    reasoning came under.
    """
    return bool(_UNKNOWN.search(text))


def is_context_overflow(text: str) -> bool:
    """Whether an upstream's error, as `full_text` gives it, says that the conversation is
    too long for the model.
    """
    return _TOO_LONG.search(text) is not None
