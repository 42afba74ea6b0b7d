"""Steps that one conversation has come to: an endpoint refused it with a turn that is not
known, until thinking was switched off or the conversation was shortened.

They belong to that turn: once it is found or has left the history, they are over. After a day
they are tried without.
"""

from collections.abc import Mapping

from addon.recall.identity import digest
from addon.recall.lessons import Endpoint
from addon.recall.memory import Recall
from addon.recall.replay import Replay
from addon.recall.restore import Restoration
from shared.profiles import Profile, Step

__all__ = ("ConversationSteps",)

_STEPS: tuple[Step, ...] = ("off", "trim", "reject")
_UNKNOWN = ("missing", "known-empty")
"""The rules of turns that an upstream may want reasoning for, which there is none of."""

_MOST_TURNS = 64
"""Turns that are looked up for a request: a conversation with more has been imported."""

_DAY_MS = 86_400_000


class ConversationSteps:
    """The steps of the conversation that one request goes on with; it came `at` (epoch ms)."""

    def __init__(self, recall: Recall, replay: Replay, at: int) -> None:
        self._recall = recall
        self._replay = replay
        self._at = at

    def of(self, endpoint: Endpoint, profile: Profile, restoration: Restoration) -> dict[int, Step]:
        """The steps for those of the restoration's messages that have one."""
        if not set(_STEPS) & set(profile.missing):
            return {}
        unknown = [one.at for one in restoration.diagnoses if one.rule in _UNKNOWN]
        keys = self._keys(endpoint, unknown[-_MOST_TURNS:])
        if not keys:
            return {}
        found = {keys[key]: kept for key, kept in self._recall.sent(keys).items()}
        return {
            at: step
            for at, (kept, since) in found.items()
            for step in _STEPS
            if step == kept and since > self._at - _DAY_MS
        }

    def keep(self, endpoint: Endpoint, steps: Mapping[int, Step]) -> None:
        """Let later requests of the conversation begin with these steps, by message."""
        if steps:
            keys = self._keys(endpoint, list(steps)[-_MOST_TURNS:])
            self._recall.keep_sent({key: steps[at] for key, at in keys.items()})

    def _keys(self, endpoint: Endpoint, messages: list[int]) -> dict[bytes, int]:
        keys = self._replay.keys_of(messages)
        return {digest("step", *endpoint, key): at for key, at in keys.items()}
