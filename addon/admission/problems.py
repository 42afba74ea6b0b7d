"""Every sentence that a client is told of a failure, but for what its own format refuses
in a request, which the formats say.
"""

from datetime import UTC, datetime

from addon.formats.neutral.problem import Problem
from shared.model import Limits, Period
from shared.periods import reset_ms
from shared.store.ledger import Balance

__all__ = (
    "account_disabled",
    "answer_not_found",
    "bad_head",
    "books_busy",
    "books_unwritable",
    "budget_exceeded",
    "crowded",
    "damaged",
    "dollars",
    "gateway_failed",
    "gateway_stopped",
    "key_expired",
    "key_for_management",
    "key_revoked",
    "keys_refused",
    "malformed",
    "method_not_allowed",
    "no_key",
    "no_room",
    "no_such_model",
    "no_upstream",
    "no_websocket",
    "not_allowed",
    "not_served",
    "nothing_here",
    "password_unchanged",
    "quota_exceeded",
    "reasoning_unknown",
    "sidecar_down",
    "status_for",
    "store_lost",
    "told_by_upstream",
    "too_dear",
    "too_large",
    "too_many",
    "too_much_at_once",
    "too_much_restored",
    "unknown_coding",
    "unknown_key",
    "unknown_model",
    "unpriced",
    "unreachable",
)

_MIB = 1024 * 1024

_LONGEST_NAME = 200
"""Characters of a client's own words that an error repeats."""

_LISTED_MODELS = 50
"""Names of models that an error lists: a screen of them."""

_FOR_A_PERSON: dict[int, frozenset[str]] = {
    401: frozenset({"upstream_error"}),
    429: frozenset({"insufficient_quota"}),
    500: frozenset({"gateway_error"}),
    502: frozenset({"upstream_auth_error"}),
    503: frozenset({"no_upstream", "usage_not_recorded"}),
}
"""Codes that no retry mends, by statuses with which Cursor copes by itself: it says that a
key of ours is wrong, and tries again after 429 and 5xx.
"""


def status_for(status: int, code: str, user_agent: str) -> int:
    """The HTTP status that a client gets for an error: Cursor shows its user the text of a
    400 only (forum.cursor.com/t/159758).
    """
    if not user_agent.startswith("Cursor/"):
        return status
    copes = status in (401, 429) or status >= 500
    if copes and code not in _FOR_A_PERSON.get(status, ()):
        return status
    return 400


# -- who calls -------------------------------------------------------------------------------------


def no_key() -> Problem:
    return _unauthorised(
        "No API key was sent: put a Thinkback key (sk-…) into 'Authorization: Bearer'."
    )


def unknown_key(masked: str) -> Problem:
    return _unauthorised(f"The API key {masked} is not known here: check it, or ask for a new one.")


def key_revoked(suffix: str) -> Problem:
    return _unauthorised(f"The API key …{suffix} was revoked: make a new one.")


def key_expired(suffix: str) -> Problem:
    return _unauthorised(f"The API key …{suffix} has expired: make a new one.")


def key_for_management(suffix: str) -> Problem:
    return _unauthorised(
        f"The API key …{suffix} is for the management API only: use an inference key."
    )


def account_disabled() -> Problem:
    return _unauthorised("This account is disabled: ask the administrator.")


def password_unchanged() -> Problem:
    return _unauthorised(
        "The account still has its well-known password: change it first (log in to the web page)."
    )


def _unauthorised(message: str) -> Problem:
    return Problem(status=401, message=message, code="invalid_api_key", type="authentication_error")


# -- what is asked ---------------------------------------------------------------------------------


def bad_head(fault: str) -> Problem:
    """The head of the request is one that others might read differently."""
    return Problem(status=400, message=f"The request is refused: {fault}.", code="bad_request")


def method_not_allowed(method: str, allowed: tuple[str, ...]) -> Problem:
    words = " or ".join(word for word in allowed if word != "HEAD")
    message = f"Use {words} here, not {method}."
    return Problem(status=405, message=message, code="method_not_allowed")


def no_websocket() -> Problem:
    """Clients that try a WebSocket first go on with HTTP after this status (RFC 9110 §15.5.22)."""
    message = "WebSockets are not served here: send the request with HTTP POST."
    return Problem(status=426, message=message, code="upgrade_required")


def not_served(method: str, path: str) -> Problem:
    """A path of the APIs that is none of ours."""
    message = (
        f"Nothing is served at {method} {path[:_LONGEST_NAME]}. There are /v1/chat/completions, "
        "/v1/responses, /v1/messages, /v1/messages/count_tokens, /v1/responses/input_tokens "
        "and /v1/models."
    )
    return Problem(status=404, message=message, code="not_found")


def unknown_coding(coding: str) -> Problem:
    """The body has a Content-Encoding that is not read."""
    message = (
        f"The Content-Encoding '{coding[:40]}' is not known here: send the body as it is, or "
        "compressed with gzip, deflate, br or zstd."
    )
    return Problem(status=415, message=message, code="unsupported_content_encoding")


def damaged(coding: str) -> Problem:
    """The body is not what its Content-Encoding says."""
    message = f"The request body is not what its Content-Encoding '{coding[:40]}' says."
    return Problem(status=400, message=message, code="invalid_body")


def too_large(limit: int) -> Problem:
    """The body is beyond the limit (bytes)."""
    message = (
        f"The request body is larger than {limit // _MIB} MiB: start a new "
        "chat, or raise max_body_mib."
    )
    return Problem(status=413, message=message, code="request_too_large")


def too_much_restored(limit: int) -> Problem:
    """More remembered reasoning belongs to the messages than a request may get (bytes)."""
    message = (
        f"More than {limit // _MIB} MiB of reasoning belong to this conversation's messages: "
        "start a new chat, or raise max_restored_mib."
    )
    return Problem(status=413, message=message, code="request_too_large")


def answer_not_found(answer_id: str) -> Problem:
    message = f"Response with id '{answer_id[:80]}' not found."
    return Problem(status=404, message=message, code="not_found")


def nothing_here() -> Problem:
    """The web pages are not shown on this port."""
    return Problem(status=404, message="There is nothing here.", code="not_found")


def not_allowed(model: str) -> Problem:
    """The model exists, but not for this caller."""
    message = (
        f"The model '{model[:_LONGEST_NAME]}' is not among those that your account or key may "
        "use: ask the administrator."
    )
    return Problem(
        status=403,
        message=message,
        code="model_not_allowed",
        type="permission_error",
        param="model",
    )


def no_such_model(name: str) -> Problem:
    """For a question about a model that the caller can't use."""
    message = f"The model '{name[:80]}' does not exist here, or you may not use it."
    return Problem(status=404, message=message, code="model_not_found", param="model")


def unknown_model(model: str, known: list[str]) -> Problem:
    """No upstream serves the model; `known` are the names that are served."""
    there = ", ".join(known[:_LISTED_MODELS]) or "none by name"
    message = f"The model '{model[:_LONGEST_NAME]}' is not served here. Models there are: {there}."
    return Problem(status=400, message=message, code="model_not_found", param="model")


def reasoning_unknown(at: int, why: str) -> Problem:
    """The turn at that place has no reasoning, and the upstream's policy is to refuse then."""
    message = (
        f"The reasoning of message {at} is not known ({why}): start a new chat, or "
        "remove that message."
    )
    return Problem(status=400, message=message, code="reasoning_not_known", param=f"messages[{at}]")


# -- what is left ----------------------------------------------------------------------------------

_PERIOD_WORDS: dict[Period, str] = {"lifetime": "", "month": " this month", "day": " today"}


def quota_exceeded(
    called: str, limits: Limits, balance: Balance, needed: int, now_ms: int
) -> Problem:
    """The token quota of whom is `called` so leaves no room for the needed tokens."""
    return _exceeded(_quota_words(called, limits, balance, needed), limits, now_ms)


def budget_exceeded(called: str, limits: Limits, balance: Balance, now_ms: int) -> Problem:
    """The same of the budget."""
    return _exceeded(_budget_words(called, limits, balance), limits, now_ms)


def unpriced(called: str, model: str) -> Problem:
    """A model without a price can't be charged to a budget."""
    message = (
        f"The model '{model[:_LONGEST_NAME]}' has no price, so it can't be charged to the budget "
        f"of {called}: ask the administrator to set one."
    )
    return _insufficient(message)


def too_dear(model: str) -> Problem:
    """The budget has no room for an answer at the price of the model where it would be asked."""
    message = (
        f"What is left of the budget is too little for the model '{model[:_LONGEST_NAME]}' at the "
        "upstream that would answer: ask the administrator for more, or use another model."
    )
    return _insufficient(message)


def crowded() -> Problem:
    """A proxy forwards more requests of one address, or one network, than may be open at once."""
    return Problem(
        status=429,
        message="Too many requests of your address are open: try again in a moment.",
        code="rate_limit_exceeded",
        type="rate_limit_error",
        retry_after="2",
    )


def too_much_at_once() -> Problem:
    """One caller's requests that are still coming have all the room that it may take."""
    return Problem(
        status=429,
        message="Too many large requests of yours are being sent: try again when they are done.",
        code="rate_limit_exceeded",
        type="rate_limit_error",
        retry_after="2",
    )


def no_room() -> Problem:
    """The requests that are still coming have all the room there is; this is the largest."""
    return Problem(
        status=503,
        message="The gateway has no room for so large a request now: try again in a moment.",
        code="overloaded",
        type="server_error",
        retry_after="2",
    )


def too_many(what: str, called: str, seconds: int) -> Problem:
    """A limit per minute or at once is met, like `requests per minute (60)`."""
    return Problem(
        status=429,
        message=f"Too many {what} for {called}: try again in {seconds} s.",
        code="rate_limit_exceeded",
        type="rate_limit_error",
        retry_after=str(seconds),
    )


def _quota_words(called: str, limits: Limits, balance: Balance, needed: int) -> str:
    quota, when = limits.quota_tokens or 0, _PERIOD_WORDS[limits.period]
    if quota == 0:
        return f"There is no token quota for {called} yet: ask the administrator for one."
    used = f"{min(balance.tokens, quota):,} of {quota:,} tokens are used{when}"
    if balance.reserved_tokens:
        used += f", {balance.reserved_tokens:,} more are held by running requests"
    if balance.tokens >= quota:
        return f"The token quota of {called} is used up: {used}."
    return (
        f"The token quota of {called} is too small for this request (about "
        f"{needed:,} tokens): {used}."
    )


def _budget_words(called: str, limits: Limits, balance: Balance) -> str:
    budget, when = limits.quota_cost_micros or 0, _PERIOD_WORDS[limits.period]
    if budget == 0:
        return f"There is no budget for {called} yet: ask the administrator for one."
    used = f"{dollars(min(balance.cost_micros, budget))} of {dollars(budget)} are spent{when}"
    if balance.reserved_cost_micros:
        used += f", {dollars(balance.reserved_cost_micros)} more are held by running requests"
    if balance.cost_micros >= budget:
        return f"The budget of {called} is used up: {used}."
    return f"The budget of {called} is too small for this request: {used}."


def dollars(micros: int) -> str:
    """An amount of millionths of a US dollar, to the cent or as exactly as it needs."""
    amount = micros / 1_000_000
    if micros % 10_000 == 0 or micros >= 10_000_000:
        return f"${amount:,.2f}"
    return f"${amount:.6f}"


def _exceeded(words: str, limits: Limits, now_ms: int) -> Problem:
    resets = reset_ms(limits.period, now_ms)
    if resets is None:
        if "ask the administrator" not in words:
            words += " Ask the administrator for more."
        return _insufficient(words)
    moment = datetime.fromtimestamp(resets // 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    seconds = max(1, (resets - now_ms) // 1000)
    return _insufficient(f"{words} It resets on {moment}.", retry_after=str(seconds))


def _insufficient(message: str, retry_after: str = "") -> Problem:
    return Problem(
        status=429,
        message=message,
        code="insufficient_quota",
        type="insufficient_quota",
        retry_after=retry_after,
    )


# -- the gateway itself ----------------------------------------------------------------------------


def no_upstream() -> Problem:
    """Nothing is configured that could answer."""
    message = (
        "No upstream is configured yet: add one on the gateway's page /setup, set "
        "UPSTREAM_BASE_URL and "
        "UPSTREAM_API_KEY, or write [[upstreams]] into config.toml."
    )
    return Problem(status=503, message=message, code="no_upstream", type="server_error")


def books_busy() -> Problem:
    """The database was locked for too long."""
    message = "The gateway can't check the quota just now: try again in a moment."
    return Problem(
        status=503, message=message, code="quota_unavailable", type="server_error", retry_after="2"
    )


def books_unwritable() -> Problem:
    """The database can't be written: its disk is full, say."""
    message = (
        "The gateway can't record usage, as its database can't be written: tell the administrator."
    )
    return Problem(
        status=503,
        message=message,
        code="usage_not_recorded",
        type="server_error",
        retry_after="10",
    )


def gateway_failed() -> Problem:
    """A fault of ours."""
    return Problem(
        status=500,
        message="The gateway failed on this request.",
        code="gateway_error",
        type="server_error",
    )


def store_lost() -> Problem:
    """The database can't be reached."""
    message = "The gateway can't reach its database just now: try again in a moment."
    return Problem(
        status=503, message=message, code="database_lost", type="server_error", retry_after="2"
    )


def gateway_stopped() -> Problem:
    """The gateway ends before the answer has."""
    return Problem(
        status=503,
        message="The gateway was stopped in the middle of this request. Try again.",
        code="gateway_stopped",
        type="server_error",
    )


def sidecar_down() -> Problem:
    """The program behind all paths but those of LLMs does not answer."""
    return Problem(
        status=502,
        message="The management service is not running.",
        code="sidecar_down",
        type="server_error",
    )


# -- the upstream ----------------------------------------------------------------------------------


def malformed(why: str) -> Problem:
    """The upstream sent what is no answer."""
    return Problem(
        status=502,
        message=f"{why[:1].upper()}{why[1:]}.",
        code="upstream_malformed",
        type="upstream_error",
    )


def unreachable(upstream: str, why: str) -> Problem:
    """No candidate is left, and the last one could not be reached."""
    message = (
        f"The upstream '{upstream}' could not be reached ({why}): try again, or check its base_url."
    )
    return Problem(status=502, message=message, code="upstream_unreachable", type="upstream_error")


def keys_refused(upstream: str, keys: str, status: int, message: str) -> Problem:
    """An upstream rejected all of our keys, with this message; `keys` are masked."""
    words = f"Upstream '{upstream}' rejected key {keys} ({status}): check its api_keys."
    if message:
        words += f" It says: {message}"
    return Problem(status=502, message=words, code="upstream_auth_error", type="upstream_error")


def told_by_upstream(status: int, said: str) -> Problem:
    """An upstream refused in a shape that the client does not read."""
    message = said or f"The upstream answered with an error ({status})."
    return Problem(status=status, message=message, code="upstream_error", type="upstream_error")
