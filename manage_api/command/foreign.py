"""What is found in another gateway's configuration."""

from typing import Any

import msgspec
from msgspec.structs import replace

from shared.config.schema import ModelRewrite, Upstream
from shared.store.upstreams import upstream_faults

__all__ = ("Found", "Provider", "served", "words")


class Provider(msgspec.Struct, frozen=True):
    """How another gateway speaks to one kind of upstream."""

    base_url: str = ""
    """Where it is unless the configuration says; empty: that must say."""

    messages: bool = False
    """Whether it is asked in the format of Messages, else in that of Chat Completions."""

    path: str = ""
    """What the gateway appends to a base URL, before the format's path."""


class Found(msgspec.Struct):
    """The upstreams, and what is left out and why, in sentences."""

    upstreams: list[Upstream] = []
    left_out: list[str] = []

    def add(self, upstream: Upstream) -> None:
        """Add an upstream under a name of its own; one that can't be used is left out."""
        taken = {each.name.casefold() for each in self.upstreams}
        names = [upstream.name, *(f"{upstream.name}-{number + 2}" for number in range(len(taken)))]
        name = next(name for name in names if name.casefold() not in taken)
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(upstream))
        if faults := upstream_faults(plain):
            said = "; ".join(f"{key} {message}" for key, message in faults.items())
            self.left_out.append(f"{upstream.name}: {said}")
        else:
            self.upstreams.append(replace(upstream, name=name))


def served(upstream: Upstream, names: dict[str, ModelRewrite]) -> Upstream:
    """The upstream with these models, by the name that clients request; those that are called
    the same there are plain models.
    """
    return replace(
        upstream,
        # An upstream without models would serve every name.
        models=tuple(dict.fromkeys(rewrite.to for rewrite in names.values())),
        model_rewrites=tuple(
            rewrite for name, rewrite in names.items() if name != rewrite.to or rewrite.effort
        ),
    )


def words(text: object) -> list[str]:
    """The parts of a text that commas or lines separate."""
    return list(filter(None, map(str.strip, str(text or "").replace("\n", ",").split(","))))
