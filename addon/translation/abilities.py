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
from addon.translation.pair import Encoded, Wanted
from shared.config.schema import Upstream

__all__ = ("abilities_of", "fit_chat", "is_anthropic")

_ANTHROPIC = "api.anthropic.com"


def abilities_of(upstream: Upstream, model: str) -> Abilities:
    """What the upstream takes."""
    claude = is_claude(model)
    return Abilities(
        custom_tools=upstream.api == "responses",
        completion_tokens=upstream.is_azure or upstream.host == "api.openai.com",
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


def fit_chat(encoded: Encoded, wanted: Wanted) -> Encoded:
    """The body without what its chat upstream has refused before, and notes on that."""
    pictures = wanted.pictures and wanted.upstream.images == "take"
    if pictures and wanted.allows_consecutive_user_messages:
        return encoded
    body, notes = fitted(
        encoded.body,
        pictures=pictures,
        allows_consecutive_user_messages=wanted.allows_consecutive_user_messages,
    )
    return replace(encoded, body=body, notes=(*encoded.notes, *notes))
