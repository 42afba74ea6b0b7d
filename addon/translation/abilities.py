"""What an upstream takes of a request for a model, as configured and as is known of its host."""

from msgspec.structs import replace

from addon.formats.chat.fitting import fitted
from addon.formats.messages.claude import (
    is_claude,
    takes_budgets,
    takes_budgets_only,
    takes_prefills,
    takes_sampling,
    takes_system_messages,
)
from addon.formats.neutral.adapt import Abilities
from addon.formats.neutral.member_rules import MemberRules
from addon.formats.neutral.request import WireFormat
from addon.formats.responses.listing import question_of
from addon.formats.wire.pace import breathe_for
from addon.translation.arrangement import arranged
from addon.translation.ending import as_prefill, ended_by_user
from addon.translation.member_fit import fitted_members, shortened
from addon.translation.pair import ClientRequest, Encoded, Wanted
from shared.config.schema import Upstream

__all__ = ("abilities_of", "fit", "is_anthropic", "is_openai", "limit_name", "most_stops")

_ANTHROPIC, _OPENAI, _DEEPSEEK = "api.anthropic.com", "api.openai.com", "api.deepseek.com"
_LONGEST_NAME = {"chat": 64, "messages": 128, "responses": 64}
"""Characters that OpenAI's and Anthropic's APIs take in the name of a tool."""

_STOPS = 4
_ENDED = "the user asks to go on with the answer that was begun: the model takes none at the end"


def abilities_of(wanted: Wanted) -> Abilities:
    """What the upstream takes."""
    upstream, model = wanted.upstream, wanted.model
    claude = is_claude(model)
    return Abilities(
        api=upstream.api,
        hosted_tools=upstream.hosted_tools,
        dated_tools=claude or is_anthropic(upstream),
        custom_tools=upstream.api == "responses",
        longest_name=_LONGEST_NAME[upstream.api],
        unique_ids=upstream.api != "chat",
        most_stops=most_stops(wanted),
        completion_tokens=limit_name(wanted) == "max_completion_tokens",
        adaptive_thinking=claude and not takes_budgets_only(model),
        budgets=not claude or takes_budgets(model),
        efforts=not claude or not takes_budgets_only(model),
        efforts_beside_budgets=upstream.host.endswith(_DEEPSEEK),
        unsigned_thinking=not claude,
        sampling=not claude or takes_sampling(model),
        caches=claude,
        system_messages=is_anthropic(upstream) and takes_system_messages(model),
        flat_schemas=is_openai(upstream),
        plain_schemas=wanted.sure and wanted.profile.plain_schemas,
        images=upstream.images,
        files=upstream.images,
    )


def most_stops(wanted: Wanted) -> int | None:
    """The stop sequences that the upstream takes, by its profile, else those that OpenAI's API
    takes (https://platform.openai.com/docs/api-reference/chat/create); None: any number.
    """
    if wanted.upstream.api != "chat":
        return None
    if not wanted.sure:
        return _STOPS
    return wanted.profile.stops or None


def limit_name(wanted: Wanted) -> str:
    """The name of the limit of an answer's tokens that a chat upstream knows; empty: any."""
    if is_openai(wanted.upstream):
        return "max_completion_tokens"
    if wanted.sure:
        return wanted.profile.limit
    return ""


def is_anthropic(upstream: Upstream) -> bool:
    """Whether it is Anthropic's own API."""
    return upstream.host == _ANTHROPIC


def is_openai(upstream: Upstream) -> bool:
    """Whether it is OpenAI's own API, or Azure's."""
    return upstream.is_azure or upstream.host.endswith(_OPENAI)


def fit(encoded: Encoded, wanted: Wanted, request: ClientRequest) -> Encoded:
    """The body without what its upstream is known to refuse, and notes on that."""
    breathe_for(len(encoded.body))
    if wanted.longest is not None:
        encoded = _shortened(encoded, wanted, wanted.longest)
    rules = _rules_of(wanted)
    if rules != MemberRules():
        body = fitted_members(encoded.body, wanted.upstream.api, rules)
        encoded = replace(encoded, body=body)
    if rules.wants_results:
        encoded = replace(encoded, body=arranged(encoded.body, wanted.upstream.api))
    if wanted.counts and wanted.upstream.api == "responses":
        encoded = replace(encoded, body=question_of(encoded.body))
    if request.messages and request.messages[-1].role == "assistant":
        encoded = _with_end(encoded, wanted, request.wire_format)
    pictures = wanted.pictures and wanted.upstream.images == "take"
    refused = wanted.profile.refuses_in_messages if wanted.sure else ()
    takes_all = pictures and wanted.allows_consecutive_user_messages and not refused
    if wanted.upstream.api != "chat" or takes_all:
        return encoded
    body, notes = fitted(
        encoded.body,
        without=refused,
        pictures=pictures,
        allows_consecutive_user_messages=wanted.allows_consecutive_user_messages,
    )
    return replace(encoded, body=body, notes=(*encoded.notes, *notes))


def _shortened(encoded: Encoded, wanted: Wanted, longest: int) -> Encoded:
    """The body of a request whose answer is no longer than its caller's quota allows."""
    body = shortened(encoded.body, wanted.upstream.api, longest, limit_name(wanted))
    if body is encoded.body:
        return encoded
    note = f"an answer of more than {longest:,} tokens: the quota has no room for it"
    return replace(encoded, body=body, notes=(*encoded.notes, note))


def _rules_of(wanted: Wanted) -> MemberRules:
    """What the upstream has shown, and what its profile says."""
    if not (wanted.sure and wanted.profile.refuses):
        return wanted.rules
    return replace(wanted.rules, without=wanted.rules.without | {*wanted.profile.refuses})


def _with_end(encoded: Encoded, wanted: Wanted, client: WireFormat) -> Encoded:
    """The body of a conversation that ends with an answer that the client has begun, as the
    upstream goes on with it.
    """
    if wanted.counts:
        return encoded
    new_claude = is_claude(wanted.model) and not takes_prefills(wanted.model)
    if wanted.rules.ends_with_user or (new_claude and wanted.upstream.api == "messages"):
        body = ended_by_user(encoded.body, wanted.upstream.api)
        return replace(encoded, body=body, notes=(*encoded.notes, _ENDED))
    if client == "messages" and wanted.upstream.api == "chat" and wanted.sure:
        return replace(encoded, body=as_prefill(encoded.body, wanted.profile.prefill))
    return encoded
