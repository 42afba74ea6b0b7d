"""Builds the request body for each candidate and, if it is rejected, a repaired one."""

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

__all__ = ("UpstreamBodies", "UpstreamBody", "quirks_of")


class UpstreamBody(msgspec.Struct, frozen=True):
    """A candidate's request body and how it came about."""

    endpoint: str
    """The upstream and its model: what lessons are learnt for."""

    origin: str
    """The account that reads and makes opaque state: the upstream and its key."""

    encoded: Encoded
    profile: Profile
    policy: Policy
    restoration: Restoration
    repaired: bool = False
    """It is the second body, since the first was refused."""

    lesson: Policy | None = None
    """What is learnt for the endpoint when it takes this body."""


class UpstreamBodies:
    """Builds the bodies of one request; `copies` are those that the client carries. It `counts`
    where upstreams are asked for the tokens of the request.
    """

    def __init__(
        self,
        pair: Pair,
        replay: Replay,
        *,
        snapshot: Snapshot,
        lessons: Lessons,
        recall: Recall,
        copies: Copies,
        counts: bool,
    ) -> None:
        self._snapshot = snapshot
        self._pair = pair
        self._replay = replay
        self._lessons = lessons
        self._recall = recall
        self._copies = copies
        self._counts = counts

    def ordered(self, candidates: list[Candidate]) -> list[Candidate]:
        """The candidates, those first whose account has the state of the latest turn that
        has any.
        """
        profile = self._profile_of(candidates[0])
        latest = self._replay.origin(profile, self._copies.origins)
        return sorted(candidates, key=lambda one: bool(latest) and self._origin_of(one) != latest)

    def make(self, candidate: Candidate, before: UpstreamBody | None) -> UpstreamBody:
        """The candidate's body; `before`, the last one, when that would be the same.
        Raises RequestError.
        """
        endpoint = f"{candidate.upstream.name} {candidate.model}"
        profile = self._profile_of(candidate)
        if before is not None and before.endpoint == endpoint:
            if before.origin == self._origin_of(candidate):
                return before
            # Another key: what the upstream has taught in this request holds.
            policy, repaired, lesson = before.policy, before.repaired, before.lesson
            return self._build(
                candidate, endpoint, profile, policy, repaired=repaired, lesson=lesson
            )
        return self._build(candidate, endpoint, profile, self._lessons.policy(endpoint, profile))

    def repaired(
        self, candidate: Candidate, refused: UpstreamBody, text: str
    ) -> UpstreamBody | None:
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
                return self._plainer(
                    candidate,
                    refused,
                    replace(refused.policy, allows_consecutive_user_messages=False),
                )
            case "refused" if says_field_is_unknown(text):
                if refused.repaired:
                    return None
                return self._bare(candidate, refused, always=True)
            case "refused":
                return self._with_less(candidate, refused)
        return None

    def _with_more(self, candidate: Candidate, refused: UpstreamBody) -> UpstreamBody | None:
        """The body for an upstream that lacks reasoning, the mildest step down that changes
        what is sent; or None.
        """
        for policy in steps_down(refused.profile, refused.policy):
            if policy.step == "reject":
                self._lessons.learn(refused.endpoint, refused.profile, policy)
                return None
            body = self._build(
                candidate, refused.endpoint, refused.profile, policy, repaired=True, lesson=policy
            )
            if _unless_same(body, refused):
                return body
        return None

    def _with_less(self, candidate: Candidate, refused: UpstreamBody) -> UpstreamBody | None:
        """The body without the state that an upstream refuses, then without any reasoning;
        what it takes is not sent there again. Or None.
        """
        if refused.policy.bare == "now" or (refused.repaired and refused.lesson is not None):
            return None
        return self._without_state(candidate, refused) or self._bare(candidate, refused)

    def _without_state(self, candidate: Candidate, refused: UpstreamBody) -> UpstreamBody | None:
        """The body without state that is bound to an account; the words stay. Or None."""
        policy = refused.policy
        if candidate.upstream.api == "chat":
            policy = replace(policy, bare="state")
        else:
            states = self._states(refused.restoration)
            refusals = {_refusal_key(refused.origin, state): "omit" for state in states}
            self._recall.keep_sent(refusals)
        body = self._build(candidate, refused.endpoint, refused.profile, policy, repaired=True)
        return _unless_same(body, refused)

    def _plainer(
        self, candidate: Candidate, refused: UpstreamBody, policy: Policy
    ) -> UpstreamBody | None:
        """The body without what a chat upstream does not take, from now on; or None."""
        if policy == refused.policy or candidate.upstream.api != "chat":
            return None
        body = self._build(
            candidate,
            refused.endpoint,
            refused.profile,
            policy,
            repaired=refused.repaired,
            lesson=policy,
        )
        return _unless_same(body, refused)

    def _bare(
        self, candidate: Candidate, refused: UpstreamBody, *, always: bool = False
    ) -> UpstreamBody | None:
        """The body without reasoning, for this conversation or `always`; or None."""
        policy, lesson = replace(refused.policy, repairing=True, bare="now"), None
        if always:
            policy = lesson = replace(policy, bare="always")
        body = self._build(
            candidate, refused.endpoint, refused.profile, policy, repaired=True, lesson=lesson
        )
        return _unless_same(body, refused)

    def accepted(self, body: UpstreamBody) -> None:
        """The upstream took the body: what it was sent binds."""
        self._replay.accepted(body.restoration)
        if body.lesson is not None:
            self._lessons.learn(body.endpoint, body.profile, body.lesson)

    def _build(
        self,
        candidate: Candidate,
        endpoint: str,
        profile: Profile,
        policy: Policy,
        *,
        repaired: bool = False,
        lesson: Policy | None = None,
    ) -> UpstreamBody:
        origin = self._origin_of(candidate)
        restoration = self._replay.restore(
            profile,
            policy,
            origin,
            # The other formats have no two turns of the assistant's in a row.
            joins=candidate.upstream.api != "chat",
            foreign=self._copies.of_others(profile.family),
            families=self._snapshot.known_profiles.families,
        )
        if restoration.rejected is not None:
            raise RequestError(reasoning_unknown(restoration.rejected.at, restoration.rejected.why))
        _, decided = self._snapshot.decided_profile(candidate.upstream, candidate.model)
        told = profile
        if not policy.keep:
            told = replace(profile, keep={})
        wanted = Wanted(
            upstream=candidate.upstream,
            model=candidate.model,
            profile=told,
            sure=decided in ("name", "host"),
            edits=restoration.edits,
            effort=candidate.effort,
            thinking_off=restoration.thinking_off,
            unusable=self._copies.foreign(origin) | self._refused_before(origin, restoration),
            pictures=policy.pictures,
            allows_consecutive_user_messages=policy.allows_consecutive_user_messages,
            counts=self._counts and candidate.upstream.api == "messages",
        )
        try:
            encoded = self._pair.body_for(wanted)
        except MalformedJson as error:  # within a message, which nobody has taken apart before
            raise malformed(error) from error
        self._copies.account, self._copies.family = origin, profile.family
        return UpstreamBody(
            endpoint, origin, encoded, profile, policy, restoration, repaired, lesson
        )

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

    def _refused_before(self, origin: str, restoration: Restoration) -> frozenset[str]:
        """The state that this account has refused before."""
        states = {_refusal_key(origin, state): state for state in self._states(restoration)}
        if not states:
            return frozenset()
        return frozenset(states[key] for key in self._recall.sent(states))


def _unless_same(body: UpstreamBody, refused: UpstreamBody) -> UpstreamBody | None:
    """The body, unless it is what was refused already."""
    if body.encoded.body == refused.encoded.body:
        return None
    return body


def quirks_of(profile: Profile) -> Quirks:
    """How chat answers of the profile's upstreams are to be read."""
    return Quirks(tags=profile.tags, repeats=profile.repeats)


def _refusal_key(origin: str, state: str) -> bytes:
    return digest("refused state", origin, state)
