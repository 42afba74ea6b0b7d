"""The CPU that restoring the reasoning of a long conversation costs the gateway."""

import json
from pathlib import Path
from random import Random

from tests.support.client import TOOLS, post
from tests.support.gateway import Gateway, upstream_environment
from tests.support.provider import StrictProvider
from tests.support.turns import FIELD, Call, Json, Turn, TurnMaker

__all__ = ("measure_restoring",)

MODEL = "deepseek-v4-pro"
TURNS = 650
"""Each is an assistant message with one call and a tool message: 1,300 messages."""

REPEATS = 20
ARGUMENT_CHARS = 1000
RESULT_CHARS = 1800
REASONING_CHARS = 1000


class BulkyMaker(TurnMaker):
    """Makes turns with one call, of the size that agents see."""

    def make(self, request: Json) -> Turn:
        self._made += 1
        arguments = json.dumps({"path": f"src/{self._made}.py", "text": "x" * ARGUMENT_CHARS})
        call = Call(f"call_{self._made}", "StrReplace", arguments)
        return Turn(reasoning=f"{self._made} " + "why " * (REASONING_CHARS // 4), calls=(call,))


def measure_restoring(directory: Path) -> dict[str, float]:
    """Milliseconds of CPU for the long request, for as many bytes without turns, and the
    difference; and the sizes.
    """
    with StrictProvider(scope="none") as provider:
        provider.maker = BulkyMaker(Random(1))
        with Gateway(directory, upstream_environment(provider.base_url)) as gateway:
            key = gateway.new_user("bench")
            long = _body(_history(gateway, key))
            empty = _body([{"role": "user", "content": "x" * len(long)}])
            with_turns, without = _cpu_ms(gateway, key, long), _cpu_ms(gateway, key, empty)
        # The last request with turns; the ones without followed it, one more than the repeats.
        messages = json.loads(provider.requests[-REPEATS - 2].body)["messages"]
    restored = sum(bool(message.get(FIELD)) for message in messages)
    return {
        "messages": len(messages),
        "MB": len(long) / 1e6,
        "restored": restored,
        "with turns": with_turns,
        "without": without,
        "restoring": with_turns - without,
    }


def _history(gateway: Gateway, key: str) -> list[Json]:
    """A conversation of turns that the gateway has seen, made one by one."""
    messages: list[Json] = [{"role": "user", "content": "<user_query>Rewrite it all.</user_query>"}]
    for _ in range(TURNS):
        answer = post(gateway.origin, "/v1/chat/completions", _body(messages[:1]), key=key)
        calls = answer.json["choices"][0]["message"]["tool_calls"]
        messages.append({"role": "assistant", "content": [], "tool_calls": calls})
        messages.append(
            {"role": "tool", "tool_call_id": calls[0]["id"], "content": "y" * RESULT_CHARS}
        )
    return messages


def _body(messages: list[Json]) -> bytes:
    return json.dumps(
        {"model": MODEL, "messages": messages, "tools": TOOLS}, separators=(",", ":")
    ).encode()


def _cpu_ms(gateway: Gateway, key: str, body: bytes) -> float:
    """The data plane's CPU for one request, as the mean over repeats after a first one."""
    process = gateway.data_plane()
    post(gateway.origin, "/v1/chat/completions", body, key=key)
    before = sum(process.cpu_times()[:2])
    for _ in range(REPEATS):
        assert post(gateway.origin, "/v1/chat/completions", body, key=key).status == 200
    return float(sum(process.cpu_times()[:2]) - before) / REPEATS * 1e3
