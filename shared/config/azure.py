"""AzureGptProxy's environment as an upstream, so that what was made for it works as it is
(github.com/InCerryGit/ClaudeAzureGptProxy, its README and `.env.sample`).
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ("AZURE_ENVIRONMENT", "TIER_EFFORT", "azure_upstream")

AZURE_ENVIRONMENT: Mapping[str, str] = {
    "AZURE_OPENAI_ENDPOINT": "base_url",
    "AZURE_OPENAI_API_KEY": "api_keys",
    "AZURE_API_VERSION": "api_version",
    "CURSOR_AZURE_DEPLOYMENT": "model_rewrites",
}
"""Environment variables and the keys of the upstream that they define."""

TIER_EFFORT = "medium"
"""What AzureGptProxy requests for `SMALL_MODEL` and `BIG_MODEL` when nobody says otherwise."""

_CURSOR_EFFORTS = ("high", "medium", "low", "minimal")
"""`gpt-high` … are the names that it has people add in Cursor."""

_DEPLOYMENTS = ("CURSOR_AZURE_DEPLOYMENT", "SMALL_MODEL", "BIG_MODEL")
_DATED = re.compile(r"(\d{4}-\d{2}-\d{2})(-preview)?")
_FIRST_WITH_RESPONSES = "2025-03-01"
"""Azure refuses the Responses API for earlier dates, its `.env.sample`'s among them; `/openai/v1`
takes no date (learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle).
"""


def azure_upstream(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the keys of the upstream `azure`; the values may be as unusable as the variables.

    Like AzureGptProxy it takes only the host of `AZURE_OPENAI_ENDPOINT`, and prefers
    `AZURE_API_VERSION` to the version there.
    """
    endpoint = environ["AZURE_OPENAI_ENDPOINT"].strip()
    upstream: dict[str, Any] = {"name": "azure", "api": "responses", "auth": "api-key"}
    if key := environ.get("AZURE_OPENAI_API_KEY", "").strip():
        upstream["api_keys"] = [key]
    upstream["models"] = _deployments(environ)
    version = environ.get("AZURE_API_VERSION", "").strip() or _version_in(endpoint)
    dated = _DATED.fullmatch(version)
    path = "/openai" if dated and dated[1] >= _FIRST_WITH_RESPONSES else "/openai/v1"
    upstream["base_url"] = _origin(endpoint) + path
    if path == "/openai" or not dated:
        upstream["api_version"] = version
    if deployment := environ.get("CURSOR_AZURE_DEPLOYMENT", "").strip():
        upstream["model_rewrites"] = [
            {"from": f"gpt-{effort}", "to": deployment, "effort": effort}
            for effort in _CURSOR_EFFORTS
        ]
    return upstream


def _deployments(environ: Mapping[str, str]) -> list[str]:
    names = [environ.get(name, "").strip() for name in _DEPLOYMENTS]
    return list(dict.fromkeys(filter(None, names)))


def _origin(endpoint: str) -> str:
    try:
        url = urlsplit(endpoint)
    except ValueError:
        return endpoint
    if not url.netloc:
        return endpoint
    return f"{url.scheme}://{url.netloc}"


def _version_in(endpoint: str) -> str:
    return parse_qs(endpoint.partition("?")[2]).get("api-version", [""])[0]
