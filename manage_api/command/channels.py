"""Reads the upstreams of new-api's channels, as its API and its database give them in JSON
(github.com/QuantumNous/new-api, model/channel.go and constant/channel.go; one-api's are alike).
"""

import json
from typing import Any

from manage_api.command.foreign import Found, Provider, served, words
from shared.config.schema import ModelRewrite, Upstream

__all__ = ("read_channels",)

_KINDS = {
    1: Provider("https://api.openai.com", path="/v1"),
    3: Provider(path="/openai/deployments/{model}"),
    4: Provider("http://localhost:11434", path="/v1"),
    14: Provider("https://api.anthropic.com", messages=True),
    17: Provider("https://dashscope.aliyuncs.com", path="/compatible-mode/v1"),
    20: Provider("https://openrouter.ai/api", path="/v1"),
    24: Provider("https://generativelanguage.googleapis.com", path="/v1beta/openai"),
    25: Provider("https://api.moonshot.cn", path="/v1"),
    26: Provider("https://open.bigmodel.cn", path="/api/paas/v4"),
    35: Provider("https://api.minimax.chat", path="/v1"),
    40: Provider("https://api.siliconflow.cn", path="/v1"),
    42: Provider("https://api.mistral.ai", path="/v1"),
    43: Provider("https://api.deepseek.com", path="/v1"),
    45: Provider("https://ark.cn-beijing.volces.com", path="/api/v3"),
    48: Provider("https://api.x.ai", path="/v1"),
}
"""By a channel's `type`."""

_CUSTOM = 8
"""The type whose `base_url` is the whole URL."""

_CHAT = "/chat/completions"
_ENABLED = 1
_UNTAKEN = ("param_override", "status_code_mapping", "openai_organization", "tag")


def read_channels(tree: Any) -> Found:
    """Read the channels, those that new-api prefers first.

    Raises ValueError for what is no such list.
    """
    found = Found()
    channels = [each for each in _channels(tree) if isinstance(each, dict)]
    channels.sort(key=lambda channel: -int(channel.get("priority") or 0))
    for channel in channels:
        name = str(channel.get("name") or f"channel {channel.get('id')}")
        if reason := _why_left_out(channel):
            found.left_out.append(f"{name}: {reason}")
            continue
        found.add(_upstream(name, channel))
        if not words(channel.get("key")):
            found.left_out.append(f"{name}: its key, which the file doesn't have")
        if others := [each for each in _UNTAKEN if channel.get(each) not in (None, "", "{}")]:
            found.left_out.append(f"{name}: {', '.join(others)}")
    return found


def _channels(tree: Any) -> list[Any]:
    """The list itself, or as the API wraps it: `data`, with pages `data.items`."""
    for key in ("data", "items", "channels"):
        if isinstance(tree, dict) and key in tree:
            tree = tree[key]
    if not isinstance(tree, list):
        raise ValueError("it has no list of channels")
    return tree


def _why_left_out(channel: dict[str, Any]) -> str:
    kind = channel.get("type")
    if channel.get("status", _ENABLED) != _ENABLED:
        return "it is switched off"
    if not words(channel.get("models")):
        return "it has no models"
    if kind == _CUSTOM:
        is_chat = str(channel.get("base_url")).endswith(_CHAT)
        return "" if is_chat else f"its URL does not end in {_CHAT}"
    if kind not in _KINDS:
        return f"Thinkback knows no channels of type {kind}: add it as an upstream"
    if not (channel.get("base_url") or _KINDS[kind].base_url):
        return "its base_url is missing"
    return ""


def _upstream(name: str, channel: dict[str, Any]) -> Upstream:
    kind = _KINDS.get(channel["type"], Provider())
    base = str(channel.get("base_url") or kind.base_url).rstrip("/").removesuffix(_CHAT)
    mapping = _object(channel.get("model_mapping"))
    names = {model: str(mapping.get(model, model)) for model in words(channel.get("models"))}
    upstream = Upstream(
        name=name,
        base_url=base + kind.path,
        api="messages" if kind.messages else "chat",
        api_keys=tuple(words(channel.get("key"))),
        api_version=str(channel.get("other") or "") if channel["type"] == 3 else "",
        headers={key: str(text) for key, text in _object(channel.get("header_override")).items()},
    )
    return served(
        upstream, {model: ModelRewrite(from_=model, to=to) for model, to in names.items()}
    )


def _object(value: Any) -> dict[str, Any]:
    """An object, which a channel has as the text of one; empty for anything else."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}
