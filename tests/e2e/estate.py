"""A gateway in front of many upstreams, each reached by its own models."""

from contextlib import ExitStack
from pathlib import Path

from tests.support.client import sdk
from tests.support.gateway import Gateway, free_port, upstream_table
from tests.support.provider import Refusal, StrictProvider
from tests.support.turns import Json

__all__ = ("Estate",)

SLOW = {"sk-slow": Refusal(429, "slow down", (("retry-after", "7"),))}
REWRITES = [
    {"from": "gpt-5.3-codex", "to": "deepseek-v4-pro"},
    {"from_pattern": "^team/(.+)$", "to_template": "deepseek-{1}"},
]


class Estate:
    """The gateway (its log at its most talkative), its user `lin`, and the providers by
    their upstream's name.
    """

    def __init__(self, stack: ExitStack, directory: Path) -> None:
        self.providers: dict[str, StrictProvider] = {}
        self._stack = stack
        self._tables: list[str] = []
        self._settle()
        config = "\n".join(self._tables)
        self.gateway = stack.enter_context(
            Gateway(directory, {"LOG_LEVEL": "debug"}, config=config)
        )
        self.key = self.gateway.new_user("lin")
        self.client = stack.enter_context(sdk(self.gateway.base_url, self.key))

    def _settle(self) -> None:
        add = self._add
        add(
            "keys",
            StrictProvider(),
            api_keys=["sk-bad-1", "sk-bad-2", "sk-good"],
            models=["many-keys"],
        )
        add("busy", StrictProvider(refused=SLOW), api_keys=["sk-slow"], models=["busy-model"])
        self._tables.append(
            upstream_table("dead", f"http://127.0.0.1:{free_port()}", models=["failover"])
        )
        add("alive", StrictProvider(), path="/v1", models=["failover"])
        rewriting: Json = {"models": ["deepseek-v4-pro"], "model_rewrites": REWRITES}
        add("rewriting", StrictProvider(), path="/compatible-mode/v1", **rewriting)
        add("stern", StrictProvider(foreign="reject"), models=["deepseek-v4-stern"])
        add("mimo", StrictProvider(dialect="mimo", scope="all"), models=["mimo-v2.5-pro"])
        kimi = StrictProvider(dialect="kimi", scope="tool_turns", ids="kimi", foreign="any")
        add("kimi", kimi, models=["kimi-k2.6"])
        siliconflow = StrictProvider(
            dialect="siliconflow", scope="tool_turns", ids="kimi", foreign="any"
        )
        add("siliconflow", siliconflow, models=["moonshotai/Kimi-K2-Thinking"], profile="kimi")
        add(
            "glm",
            StrictProvider(scope="all", foreign="any"),
            path="/api/paas/v4",
            models=["glm-4.7"],
        )
        vllm = StrictProvider(scope="all", foreign="any", field="reasoning")
        add("vllm", vllm, models=["local"], profile="vllm")
        add("plain", StrictProvider(scope="none"), models=["plain"], profile="none")

    def _add(
        self, name: str, provider: StrictProvider, *, path: str = "", **settings: object
    ) -> None:
        """One more upstream, of this provider."""
        self.providers[name] = self._stack.enter_context(provider)
        self._tables.append(upstream_table(name, provider.base_url + path, **settings))
