"""Reads the upstreams of LiteLLM's `config.yaml`
(docs.litellm.ai/docs/proxy/configs, docs.litellm.ai/docs/providers).
"""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from manage_api.command.foreign import Found, Provider, served
from shared.config.schema import EFFORTS, ModelRewrite, Upstream

__all__ = ("read_litellm",)

_PROVIDERS = {
    "openai": Provider("https://api.openai.com/v1"),
    "deepseek": Provider("https://api.deepseek.com"),
    "anthropic": Provider("https://api.anthropic.com", messages=True),
    "azure": Provider(path="/openai/deployments/{model}"),
    "openrouter": Provider("https://openrouter.ai/api/v1"),
    "groq": Provider("https://api.groq.com/openai/v1"),
    "mistral": Provider("https://api.mistral.ai/v1"),
    "xai": Provider("https://api.x.ai/v1"),
    "together_ai": Provider("https://api.together.xyz/v1"),
    "fireworks_ai": Provider("https://api.fireworks.ai/inference/v1"),
    "cerebras": Provider("https://api.cerebras.ai/v1"),
    "gemini": Provider("https://generativelanguage.googleapis.com/v1beta/openai"),
    "moonshot": Provider("https://api.moonshot.ai/v1"),
    "ollama": Provider("http://localhost:11434", path="/v1"),
    "ollama_chat": Provider("http://localhost:11434", path="/v1"),
    "hosted_vllm": Provider(),
    "lm_studio": Provider(),
    "custom_openai": Provider(),
    "openai_like": Provider(),
    "litellm_proxy": Provider(),
}
"""By the part of `model` before the slash."""

_VARIABLE = "os.environ/"
_TALKS = (None, "chat", "completion", "responses")
"""`mode` of models that talk; others embed, draw, listen."""

_TAKEN = frozenset(
    ("api_base", "api_key", "api_version", "base_url", "extra_headers", "model", "reasoning_effort")
)


class _LeftOutError(Exception):
    """Why a model does not come over."""


class _Reading:
    def __init__(self, environ: Mapping[str, str], aliases: Mapping[str, str]) -> None:
        self.found = Found()
        self._environ = environ
        self._aliases = aliases
        self._names: dict[bytes, dict[str, ModelRewrite]] = {}
        """The models by the upstream that they are at, without them."""

    def take(self, entry: dict[str, Any]) -> None:
        """Take a member of `model_list`. Raises _LeftOutError."""
        name, params = str(entry.get("model_name") or ""), _table(entry.get("litellm_params"))
        if "*" in name:
            raise _LeftOutError("name the models instead of a pattern")
        mode = _table(entry.get("model_info")).get("mode")
        if mode not in _TALKS:
            raise _LeftOutError(f"Thinkback has no models of the mode {mode}")
        provider, model = _provider_of(params)
        upstream = self._upstream(provider, params, name)
        if mode == "responses":
            base = upstream.base_url.removesuffix("/deployments/{model}")
            upstream = replace(upstream, api="responses", path="", base_url=base)
        effort = str(params.get("reasoning_effort") or "")
        if effort not in EFFORTS:
            effort = ""
        names = self._names.setdefault(msgspec.json.encode(upstream), {})
        for each in [name, *(alias for alias, of in self._aliases.items() if of == name)]:
            names[each] = ModelRewrite(from_=each, to=model, effort=effort)
        if others := params.keys() - _TAKEN:
            self.found.left_out.append(f"{name}: {', '.join(sorted(others))}")

    def _upstream(self, name: str, params: dict[str, Any], model: str) -> Upstream:
        provider = _PROVIDERS[name]
        base = self._read(params.get("api_base") or params.get("base_url")) or provider.base_url
        if not base:
            raise _LeftOutError("its api_base is missing")
        key = self._read(params.get("api_key"))
        if not key:
            self.found.left_out.append(f"{model}: its key, {params.get('api_key') or 'not there'}")
        base, path = base.rstrip("/"), ""
        if not urlsplit(base).path and (provider.path or not provider.messages):
            base += provider.path
            path = "" if provider.path or name == "deepseek" else "/chat/completions"
        return Upstream(
            name=name,
            base_url=base,
            api="messages" if provider.messages else "chat",
            path=path,
            api_keys=(key,) if key else (),
            api_version=self._read(params.get("api_version")),
            headers={name: str(text) for name, text in _table(params.get("extra_headers")).items()},
        )

    def _read(self, value: object) -> str:
        """The value, or that of the environment variable that it names; empty without one."""
        text = str(value or "")
        if text.startswith(_VARIABLE):
            return self._environ.get(text.removeprefix(_VARIABLE), "")
        return text

    def gather(self) -> None:
        """Add the upstreams: the same models at the same place with several keys are one."""
        keys: dict[bytes, list[str]] = {}
        for encoded, names in self._names.items():
            upstream = served(msgspec.json.decode(encoded, type=Upstream), names)
            bare = msgspec.json.encode(replace(upstream, api_keys=()))
            keys.setdefault(bare, []).extend(upstream.api_keys)
        for bare, each in keys.items():
            upstream = msgspec.json.decode(bare, type=Upstream)
            self.found.add(replace(upstream, api_keys=tuple(dict.fromkeys(each))))


def read_litellm(tree: Any, environ: Mapping[str, str]) -> Found:
    """Read the configuration; `environ` has the variables that it names.

    Raises ValueError for what is no such configuration.
    """
    if not isinstance(tree, dict) or not isinstance(tree.get("model_list"), list):
        raise ValueError("it has no model_list")
    reading = _Reading(environ, _aliases(tree))
    for entry in map(_table, tree["model_list"]):
        try:
            reading.take(entry)
        except _LeftOutError as reason:
            reading.found.left_out.append(f"{entry.get('model_name')}: {reason}")
    reading.gather()
    reading.found.left_out += _other_settings(tree)
    return reading.found


def _provider_of(params: dict[str, Any]) -> tuple[str, str]:
    """The provider, and the model's name there: `azure/gpt-5`, or `gpt-5` at OpenAI."""
    name, slash, model = str(params.get("model") or "").partition("/")
    if not slash:
        name, model = "openai", name
    if name not in _PROVIDERS:
        raise _LeftOutError(f"Thinkback knows no provider {name}: add it as an upstream")
    if not model:
        raise _LeftOutError("its model is missing")
    return name, model


def _aliases(tree: dict[str, Any]) -> dict[str, str]:
    """`router_settings.model_group_alias`: a name, or a table with one."""
    aliases = _table(_table(tree.get("router_settings")).get("model_group_alias"))
    return {
        alias: str(of.get("model") if isinstance(of, dict) else of) for alias, of in aliases.items()
    }


def _other_settings(tree: dict[str, Any]) -> Iterable[str]:
    for section in ("litellm_settings", "general_settings", "router_settings"):
        names = _table(tree.get(section)).keys() - {"model_group_alias"}
        if names:
            yield f"{section}: {', '.join(sorted(map(str, names)))}"
    if "master_key" in _table(tree.get("general_settings")):
        yield "Its keys for clients: make new ones with `thinkback user add` and `key new`"


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
