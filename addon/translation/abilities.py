"""What an upstream takes of a request for a model, as configured and as is known of its host."""

from msgspec.structs import replace

from addon.formats.chat.fitting import fitted
from addon.formats.messages.claude import (
    is_claude,
    takes_budgets,
    takes_budgets_only,
    takes_sampling,
    takes_system_messages,
)
from addon.formats.neutral.adapt import Abilities
from addon.formats.neutral.member_rules import MemberRules
from addon.translation.member_fit import fitted_members
from addon.translation.pair import Encoded, Wanted
from shared.config.schema import Upstream

__all__ = ("abilities_of", "fit", "is_anthropic", "is_openai")

_ANTHROPIC, _OPENAI = "api.anthropic.com", "api.openai.com"
_LONGEST_NAME = {"chat": 64, "messages": 128, "responses": 64}
"""Characters that OpenAI's and Anthropic's APIs take in the name of a tool."""

_MOST_STOPS = {"chat": 4}
"""Stop sequences that OpenAI's API takes, and others refuse more of too
(https://platform.openai.com/docs/api-reference/chat/create).
"""


def abilities_of(upstream: Upstream, model: str) -> Abilities:
    """What the upstream takes."""
    claude = is_claude(model)
    return Abilities(
        api=upstream.api,
        hosted_tools=upstream.hosted_tools,
        custom_tools=upstream.api == "responses",
        longest_name=_LONGEST_NAME[upstream.api],
        unique_ids=upstream.api != "chat",
        most_stops=_MOST_STOPS.get(upstream.api),
        completion_tokens=is_openai(upstream),
        adaptive_thinking=claude and not takes_budgets_only(model),
        budgets=not claude or takes_budgets(model),
        efforts=not claude or not takes_budgets_only(model),
        unsigned_thinking=not claude,
        sampling=not claude or takes_sampling(model),
        caches=claude,
        system_messages=is_anthropic(upstream) and takes_system_messages(model),
        images=upstream.images,
        files=upstream.images,
    )


def is_anthropic(upstream: Upstream) -> bool:
    """Whether it is Anthropic's own API."""
    return upstream.host == _ANTHROPIC


def is_openai(upstream: Upstream) -> bool:
    """Whether it is OpenAI's own API, or Azure's."""
    return upstream.is_azure or upstream.host.endswith(_OPENAI)


def fit(encoded: Encoded, wanted: Wanted) -> Encoded:
    """The body without what its upstream has refused before, and notes on that."""
    if wanted.rules != MemberRules():
        body = fitted_members(encoded.body, wanted.upstream.api, wanted.rules)
        encoded = replace(encoded, body=body)
    pictures = wanted.pictures and wanted.upstream.images == "take"
    if wanted.upstream.api != "chat" or (pictures and wanted.allows_consecutive_user_messages):
        return encoded
    body, notes = fitted(
        encoded.body,
        pictures=pictures,
        allows_consecutive_user_messages=wanted.allows_consecutive_user_messages,
    )
    return replace(encoded, body=body, notes=(*encoded.notes, *notes))
