"""Why an exchange can't go on, in words for whoever asked."""

from addon.formats.neutral.problem import Problem

__all__ = (
    "books_busy",
    "books_unwritable",
    "malformed",
    "no_upstream",
    "not_allowed",
    "reasoning_unknown",
    "told_by_upstream",
    "unknown_model",
)


def malformed(why: str) -> Problem:
    """The upstream sent what is no answer."""
    return Problem(
        status=502,
        message=f"{why[:1].upper()}{why[1:]}.",
        code="upstream_malformed",
        type="upstream_error",
    )


def no_upstream() -> Problem:
    """Nothing is configured that could answer."""
    message = (
        "No upstream is configured yet: add one on the gateway's page /setup, set "
        "UPSTREAM_BASE_URL and "
        "UPSTREAM_API_KEY, or write [[upstreams]] into config.toml."
    )
    return Problem(status=503, message=message, code="no_upstream", type="server_error")


def not_allowed(model: str) -> Problem:
    """The model exists, but not for this caller."""
    message = (
        f"The model '{model[:200]}' is not among those that your account or key may "
        "use: ask the administrator."
    )
    return Problem(
        status=403,
        message=message,
        code="model_not_allowed",
        type="permission_error",
        param="model",
    )


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


def unknown_model(model: str, known: list[str]) -> Problem:
    """No upstream serves the model; `known` are the names that are served."""
    there = ", ".join(known[:50]) or "none by name"
    message = f"The model '{model[:200]}' is not served here. Models there are: {there}."
    return Problem(status=400, message=message, code="model_not_found", param="model")


def reasoning_unknown(at: int, why: str) -> Problem:
    """The turn at that place has no reasoning, and the upstream's policy is to refuse then."""
    message = (
        f"The reasoning of message {at} is not known ({why}): start a new chat, or "
        "remove that message."
    )
    return Problem(status=400, message=message, code="reasoning_not_known", param=f"messages[{at}]")


def told_by_upstream(status: int, said: str) -> Problem:
    """An upstream of another format refused."""
    message = said or f"The upstream answered with an error ({status})."
    return Problem(status=status, message=message, code="upstream_error", type="upstream_error")
