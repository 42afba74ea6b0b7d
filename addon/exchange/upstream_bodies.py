"""The bodies of one exchange: made for each candidate, and once more, milder, for one that
refuses what it got.
"""

import msgspec
from msgspec.structs import replace

from addon.admission.problems import reasoning_unknown
from addon.formats.chat.carriers import Quirks
from addon.formats.neutral.problem import RequestError
from addon.formats.neutral.request import malformed
from addon.formats.neutral.turn import Reasoning
from addon.formats.wire.splice import MalformedJson
from addon.recall.identity import digest
from addon.recall.lessons import Lessons, steps_down
from addon.recall.memory import Recall
from addon.recall.replay import Replay
from addon.recall.restore import Policy, Restoration
from addon.recall.sealed import Copies
from addon.routing.candidates import Candidate
from addon.routing.complaints import complains_of, fault, says_field_is_unknown
from addon.translation.pair import Encoded, Pair, Wanted
from shared.config.schema import Snapshot
from shared.profiles import Profile
from shared.security import keys

__all__ = ("Made", "Making", "quirks_of")


class Made(msgspec.Struct, frozen=True):
    """A candidate's request body and how it came about."""

    endpoint: str
    """The upstream and its model: what lessons are learnt for."""

    origin: str
    encoded: Encoded
    profile: Profile
    policy: Policy
    restoration: Restoration
    repaired: bool = False
    """It is the second body, since the first was refused."""

    lesson: Policy | None = None
    """What is learnt for the endpoint when it takes this body."""


class Making:
    """Makes the bodies of one request; `copies` are those that the client carries. It `counts`
    where upstreams are asked for the tokens of the request.
    """

    def __init__(
        self,
        pair: Pair,
        conversation: Replay,
        *,
        snapshot: Snapshot,
        lessons: Lessons,
        recall: Recall,
        copies: Copies,
        counts: bool = False,
    ) -> None:
        self._snapshot = snapshot
        self._pair = pair
        self._conversation = conversation
        self._lessons = lessons
        self._recall = recall
        self._copies = copies
        self._counts = counts

    def ordered(self, candidates: list[Candidate]) -> list[Candidate]:
        """The candidates, those first whose account has the state of the latest turn that
        has any.
        """
        latest = (
            self._conversation.origin(self._profile_of(candidates[0])) or self._copies.latest_origin
        )
        return sorted(candidates, key=lambda one: bool(latest) and self._origin_of(one) != latest)

    def make(self, candidate: Candidate, before: Made | None) -> Made:
        """The candidate's body; `before`, the last one made, when that would be the same.
        Raises RequestError.
        """
        endpoint = f"{candidate.upstream.name} {candidate.model}"
        profile = self._profile_of(candidate)
        if before is not None and before.endpoint == endpoint:
            if before.origin == self._origin_of(candidate):
                return before
            # Another key: what the upstream has taught in this request holds.
            policy, repaired, lesson = before.policy, before.repaired, before.lesson
            return self._made(
                candidate, endpoint, profile, policy, repaired=repaired, lesson=lesson
            )
        return self._made(candidate, endpoint, profile, self._lessons.policy(endpoint, profile))

    def mended(self, candidate: Candidate, refused: Made, text: str) -> Made | None:
        """Another body for an upstream that says this (`full_text`) of the one it got; None
        when there is none.

        What helped is learnt for the endpoint when the upstream takes it, not before: it
        may have quoted a client.
        """
        if complains_of(text, refused.profile.keep):
            return self._plainer(candidate, refused, replace(refused.policy, keep=False))
        match fault(text):
            case "missing":
                return self._with_more(candidate, refused)
            case "pictures":
                return self._plainer(candidate, refused, replace(refused.policy, pictures=False))
            case "in a row":
                return self._plainer(candidate, refused, replace(refused.policy, in_a_row=False))
            case "refused" if says_field_is_unknown(text):
                return self._bare(candidate, refused, always=True)
            case "refused":
                return self._with_less(candidate, refused)
        return None

    def _with_more(self, candidate: Candidate, refused: Made) -> Made | None:
        """The body for an upstream that lacks reasoning, the mildest step down that changes
        what is sent; or None.
        """
        for policy in steps_down(refused.profile, refused.policy):
            if policy.step == "reject":
                self._lessons.learn(refused.endpoint, refused.profile, policy)
                return None
            made = self._made(
                candidate, refused.endpoint, refused.profile, policy, repaired=True, lesson=policy
            )
            if made.encoded.body != refused.encoded.body:
                return made
        return None

    def _with_less(self, candidate: Candidate, refused: Made) -> Made | None:
        """The body without any state, for an upstream that refuses some; it is not sent
        there again. Or None.
        """
        if candidate.upstream.api == "chat":
            return self._bare(candidate, refused)
        states = self._states(refused.restoration)
        if refused.repaired or not states:
            return None
        self._recall.keep_sent({_refused(refused.origin, state): "omit" for state in states})
        made = self._made(
            candidate, refused.endpoint, refused.profile, refused.policy, repaired=True
        )
        return made if made.encoded.body != refused.encoded.body else None

    def _plainer(self, candidate: Candidate, refused: Made, policy: Policy) -> Made | None:
        """The body without what a chat upstream does not take, from now on; or None."""
        if policy == refused.policy or candidate.upstream.api != "chat":
            return None
        made = self._made(
            candidate,
            refused.endpoint,
            refused.profile,
            policy,
            repaired=refused.repaired,
            lesson=policy,
        )
        return made if made.encoded.body != refused.encoded.body else None

    def _bare(self, candidate: Candidate, refused: Made, *, always: bool = False) -> Made | None:
        policy = replace(refused.policy, repairing=True, bare="always" if always else "now")
        if refused.repaired:
            return None
        lesson = policy if always else None
        made = self._made(
            candidate, refused.endpoint, refused.profile, policy, repaired=True, lesson=lesson
        )
        return made if made.encoded.body != refused.encoded.body else None

    def accepted(self, made: Made) -> None:
        """The upstream took the body: what it was sent binds."""
        self._conversation.accepted(made.restoration)
        if made.lesson is not None:
            self._lessons.learn(made.endpoint, made.profile, made.lesson)

    def _made(
        self,
        candidate: Candidate,
        endpoint: str,
        profile: Profile,
        policy: Policy,
        *,
        repaired: bool = False,
        lesson: Policy | None = None,
    ) -> Made:
        origin = self._origin_of(candidate)
        restoration = self._conversation.restore(profile, policy, origin)
        if restoration.rejected is not None:
            raise RequestError(reasoning_unknown(restoration.rejected.at, restoration.rejected.why))
        wanted = Wanted(
            upstream=candidate.upstream,
            model=candidate.model,
            profile=profile if policy.keep else replace(profile, keep={}),
            sure=self._snapshot.decided_profile(candidate.upstream, candidate.model)[1]
            in ("name", "host"),
            edits=restoration.edits,
            effort=candidate.effort,
            thinking_off=restoration.thinking_off,
            unusable=self._copies.foreign(origin) | self._refused(origin, restoration),
            pictures=policy.pictures,
            in_a_row=policy.in_a_row,
            counts=self._counts and candidate.upstream.api == "messages",
        )
        try:
            encoded = self._pair.body_for(wanted)
        except MalformedJson as error:  # within a message, which nobody has taken apart before
            raise malformed(error) from error
        return Made(endpoint, origin, encoded, profile, policy, restoration, repaired, lesson)

    def _profile_of(self, candidate: Candidate) -> Profile:
        return self._snapshot.profile_of(candidate.upstream, candidate.model)

    def _origin_of(self, candidate: Candidate) -> str:
        """The account that state belongs to; reasoning that is text is not bound by it."""
        return f"{candidate.upstream.name} {keys.digest(candidate.key)[:16]}"

    def _states(self, restoration: Restoration) -> list[str]:
        """All opaque state that the messages hold after restoration."""
        edits = restoration.edits
        restored = {at: edit.parts for at, edit in edits.items() if edit.parts is not None}
        messages = self._pair.request.messages
        parts = (part for at, one in enumerate(messages) for part in restored.get(at, one.parts))
        return [part.opaque for part in parts if isinstance(part, Reasoning) and part.opaque]

    def _refused(self, origin: str, restoration: Restoration) -> frozenset[str]:
        """The state that this account has refused before."""
        states = {_refused(origin, state): state for state in self._states(restoration)}
        return (
            frozenset(states[key] for key in self._recall.sent(states)) if states else frozenset()
        )


def quirks_of(profile: Profile) -> Quirks:
    """How chat answers of the profile's upstreams are to be read."""
    return Quirks(tags=profile.tags, repeats=profile.repeats)


def _refused(origin: str, state: str) -> bytes:
    return digest("refused state", origin, state)
