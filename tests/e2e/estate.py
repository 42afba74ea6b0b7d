"""A gateway in front of many upstreams, each reached by its own models."""

from contextlib import ExitStack
from pathlib import Path

from tests.support.client import sdk
from tests.support.gateway import Gateway, free_port
from tests.support.provider import Refusal, StrictProvider

__all__ = ("Estate",)

CONFIG = """
[[upstreams]]
name = "keys"
base_url = "{keys}"
api_keys = ["sk-bad-1", "sk-bad-2", "sk-good"]
models = ["many-keys"]

[[upstreams]]
name = "busy"
base_url = "{busy}"
api_keys = ["sk-slow"]
models = ["busy-model"]

[[upstreams]]
name = "dead"
base_url = "http://127.0.0.1:{dead_port}"
api_keys = ["sk-good"]
models = ["failover"]

[[upstreams]]
name = "alive"
base_url = "{alive}/v1"
api_keys = ["sk-good"]
models = ["failover"]

[[upstreams]]
name = "rewriting"
base_url = "{rewriting}/compatible-mode/v1"
api_keys = ["sk-good"]
models = ["deepseek-v4-pro"]

[[upstreams.model_rewrites]]
from = "gpt-5.3-codex"
to = "deepseek-v4-pro"

[[upstreams.model_rewrites]]
from_pattern = "^team/(.+)$"
to_template = "deepseek-{{1}}"

[[upstreams]]
name = "stern"
base_url = "{stern}"
api_keys = ["sk-good"]
models = ["deepseek-v4-stern"]

[[upstreams]]
name = "mimo"
base_url = "{mimo}"
api_keys = ["sk-good"]
models = ["mimo-v2.5-pro"]

[[upstreams]]
name = "kimi"
base_url = "{kimi}"
api_keys = ["sk-good"]
models = ["kimi-k2.6"]

[[upstreams]]
name = "siliconflow"
base_url = "{siliconflow}"
api_keys = ["sk-good"]
models = ["moonshotai/Kimi-K2-Thinking"]
profile = "kimi"

[[upstreams]]
name = "glm"
base_url = "{glm}/api/paas/v4"
api_keys = ["sk-good"]
models = ["glm-4.7"]

[[upstreams]]
name = "vllm"
base_url = "{vllm}"
api_keys = ["sk-good"]
models = ["local"]
profile = "vllm"

[[upstreams]]
name = "plain"
base_url = "{plain}"
api_keys = ["sk-good"]
models = ["plain"]
profile = "none"
"""


class Estate:
    """The gateway (its log at its most talkative), its user `lin`, and the providers by
    their upstream's name.
    """

    def __init__(self, stack: ExitStack, directory: Path) -> None:
        slow = {"sk-slow": Refusal(429, "slow down", (("retry-after", "7"),))}
        self.providers = {
            "keys": StrictProvider(),
            "busy": StrictProvider(refused=slow),
            "alive": StrictProvider(),
            "rewriting": StrictProvider(),
            "stern": StrictProvider(foreign="reject"),
            "mimo": StrictProvider(dialect="mimo", scope="all"),
            "kimi": StrictProvider(dialect="kimi", scope="tool_turns", ids="kimi", foreign="any"),
            "siliconflow": StrictProvider(
                dialect="siliconflow", scope="tool_turns", ids="kimi", foreign="any"
            ),
            "glm": StrictProvider(scope="all", foreign="any"),
            "vllm": StrictProvider(scope="all", foreign="any", field="reasoning"),
            "plain": StrictProvider(scope="none"),
        }
        for provider in self.providers.values():
            stack.enter_context(provider)
        urls = {name: provider.base_url for name, provider in self.providers.items()}
        self.gateway = stack.enter_context(
            Gateway(
                directory,
                {"LOG_LEVEL": "debug"},
                config=CONFIG.format(dead_port=free_port(), **urls),
            )
        )
        self.key = self.gateway.new_user("lin")
        self.client = stack.enter_context(sdk(self.gateway.base_url, self.key))
