"""One gateway process over a database file, which can be killed at any moment."""

from pathlib import Path
from random import Random

from msgspec.structs import replace

from addon.exchange.services import Services
from shared.config.schema import Upstream as Configured
from shared.store.sqlite import connect
from tests.addon.desk import Desk, upstream
from tests.properties.recall.upstreams import UPSTREAMS

__all__ = ("ACCOUNTS", "ELSEWHERE", "Gateway")

ACCOUNTS = ("sk-a-secret", "sk-b-secret")
ELSEWHERE = "elsewhere"
"""The model of another family."""


class Gateway(Desk):
    """The services of a node; `seed` decides all that it makes up."""

    def __init__(self, path: Path, seed: str, kind: str) -> None:
        self.kind = kind
        super().__init__(path)
        self._random = Random(seed)
        self._kills = 0
        self.open_to(ACCOUNTS)

    def services(self) -> Services:
        return replace(super().services(), random=self._random.randbytes)

    def open_to(self, accounts: tuple[str, ...]) -> None:
        """The upstream has these keys from now on."""
        self.upstreams = (_configured(self.kind, accounts), _other(self.kind))

    @property
    def accounts(self) -> tuple[str, ...]:
        return self.upstreams[0].api_keys

    def kill(self) -> None:
        """The process ends without a chance to write anything more, and starts again."""
        self._kills += 1
        left = self.memory.path.with_suffix(f".{self._kills}.db")
        source, target = connect(self.memory.path), connect(left)
        source.backup(target)
        source.close()
        target.close()
        self.memory.path = left
        self.restart()


def _configured(kind: str, accounts: tuple[str, ...]) -> Configured:
    found = UPSTREAMS[kind]
    settings = {"api": found.api, "profile": found.profile, "models": ("main",)}
    return upstream("main", api_keys=accounts, **settings)


def _other(kind: str) -> Configured:
    """An upstream of another family, in Chat Completions."""
    return upstream("other", profile="glm", models=(ELSEWHERE,))
