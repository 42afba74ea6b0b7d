"""Builds the request body for each candidate and, if it is rejected, a repaired one."""

from collections.abc import Callable, Mapping
from functools import partial

import msgspec
from msgspec.structs import replace

from addon.admission.problems import reasoning_unknown, too_much_restored
from addon.formats.chat.carriers import Quirks
from addon.formats.neutral.problem import RequestError
from addon.formats.neutral.request import WireFormat, malformed
from addon.formats.neutral.turn import Reasoning
from addon.formats.wire.pace import breathe, lots_of
from addon.formats.wire.splice import MalformedJson
from addon.recall.conversation_steps import ConversationSteps
from addon.recall.identity import digest
from addon.recall.lessons import Change, Endpoint, Lessons, steps_down, taught
from addon.recall.memory import Recall
from addon.recall.replay import Replay
from addon.recall.restore import Policy, Restoration
from addon.recall.sealed import Copies
from addon.routing.candidates import Candidate
from addon.routing.complaints import (
    complains_of,
    fault,
    most_tokens,
    offered_efforts,
    room_for_answer,
    says_field_is_unknown,
    unknown_member,
)
from addon.translation.member_fit import effort_in, limit_in, optional_in
from addon.translation.pair import Encoded, Pair, Wanted
from shared.config.schema import Snapshot
from shared.profiles import Profile, Step
from shared.security import keys
from shared.store.lessons import Kind, Lesson

__all__ = ("UpstreamBodies", "UpstreamBody", "quirks_of")


_MIB = 1024 * 1024

_BETWEEN_LOOKS_MS = 60_000
"""How often a request is looked at for whether it could show that a lesson no longer holds:
that costs a second body.
"""

_LONGEST_TRIAL_MS = 600_000
"""After that long an attempt that was to show it has come to nothing, and another one may."""


class UpstreamBody(msgspec.Struct, frozen=True):
    """A candidate's request body and how it came about."""

    endpoint: Endpoint
    """What lessons are learnt for."""

    origin: str
    """The account that reads and makes opaque state: the upstream and its key."""

    encoded: Encoded
    profile: Profile
    policy: Policy
    restoration: Restoration
    repaired: bool = False
    """It is the second body, since the first was refused."""

    changes: tuple[Change, ...] = ()
    """What is learnt when the endpoint takes this body."""

    known: Policy | None = None
    """What the endpoint is known to take, where this body tries something milder."""

    longest: int | None = None
    """The most tokens that the answer may have, as in `Wanted`."""

    blamed: Mapping[int, Step] = {}
    """As `UpstreamBodies` finds them for a body that is repaired: what an upstream that takes
    it has refused the one before for.
    """


class UpstreamBodies:
    """Builds the bodies of one request, which came `at` (epoch ms); `copies` are those that the
    client carries. It `counts` where upstreams are asked for the tokens of the request. `longest`
    is as in `Opened.longest`.
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
        at: int,
        counts: bool,
        longest: Callable[[Candidate], int | None],
    ) -> None:
        self._snapshot = snapshot
        self._pair = pair
        self._replay = replay
        self._lessons = lessons
        self._recall = recall
        self._copies = copies
        self._at = at
        self._counts = counts
        self._longest = longest
        self._steps = ConversationSteps(recall, replay, at)
        self._refused: set[tuple[Endpoint, bytes]] = set()
        """The bodies that were refused, by their digests."""

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
        endpoint = candidate.upstream.name, candidate.model
        profile = self._profile_of(candidate)
        if before is not None and before.endpoint == endpoint:
            same_account = before.origin == self._origin_of(candidate)
            if same_account and before.longest == self._longest(candidate):
                return before
            # Another key, or length: what the upstream has taught in this request holds.
            return self._build(
                candidate,
                endpoint,
                profile,
                before.policy,
                repaired=before.repaired,
                changes=before.changes,
                known=before.known,
            )
        body = self._build(candidate, endpoint, profile, self._lessons.policy(endpoint, profile))
        return self._trial(candidate, body) or body

    def _trial(self, candidate: Candidate, known: UpstreamBody) -> UpstreamBody | None:
        """A body that shows whether what was learnt still holds, where that is to be tried and
        makes a difference; or None.
        """
        if self._counts:
            return None
        for change in self._lessons.trials(known.endpoint, known.profile, self._at):
            policy = self._lessons.policy(known.endpoint, known.profile, change)
            if change.old is None or policy.step == "reject":
                continue
            self._lessons.put_off(change.old, self._at + _BETWEEN_LOOKS_MS)
            body = self._build(
                candidate,
                known.endpoint,
                known.profile,
                policy,
                changes=(change,),
                known=known.policy,
            )
            if body.encoded.body != known.encoded.body:
                self._lessons.put_off(change.old, self._at + _LONGEST_TRIAL_MS)
                return body
        return None

    def end_trial(
        self, candidate: Candidate, refused: UpstreamBody, words: str
    ) -> UpstreamBody | None:
        """The body that the upstream is known to take, when it refused a milder one in these
        words; or None.
        """
        if refused.known is None:
            return None
        changes = tuple(
            Change(one.old, replace(one.old, learned_at=self._at, words=words or one.old.words))
            for one in refused.changes
            if one.old is not None
        )
        return self._build(
            candidate, refused.endpoint, refused.profile, refused.known, changes=changes
        )

    def repaired(
        self, candidate: Candidate, refused: UpstreamBody, text: str, words: str
    ) -> UpstreamBody | None:
        """Another body for an upstream that says this (`full_text`) of the one it got, in
        short these `words`; None when there is none.

        What helped is learnt for the endpoint when the upstream takes it, not before: it
        may have quoted a client.
        """
        self._refused.add(_body_key(refused))
        is_unknown = complains_of(text, refused.profile.keep)
        shown = _shown_of_members(candidate.upstream.api, refused.encoded.body, text)
        if refused.known is not None and (is_unknown or shown or fault(text)):
            return self.end_trial(candidate, refused, words)
        if is_unknown:
            return self._plainer(candidate, refused, self._lesson(refused, "keep", words))
        match fault(text):
            case "missing":
                return self._with_more(candidate, refused, words)
            case "pictures":
                return self._plainer(candidate, refused, self._lesson(refused, "pictures", words))
            case "in a row":
                return self._plainer(candidate, refused, self._lesson(refused, "alternate", words))
            case "ending" | "forced" | "results" as kind:
                return self._plainer(candidate, refused, self._lesson(refused, kind, words))
            case "refused" if says_field_is_unknown(text):
                if refused.repaired:
                    return None
                return self._bare(candidate, refused, self._lesson(refused, "bare", words))
            case "refused":
                return self._with_less(candidate, refused)
        if shown is None:
            return None
        lesson = self._lesson(refused, shown.kind, words, shown.member)
        return self._plainer(candidate, refused, lesson, once=shown.once)

    def _with_more(
        self, candidate: Candidate, refused: UpstreamBody, words: str
    ) -> UpstreamBody | None:
        """The body for an upstream that lacks reasoning, the mildest step down that changes
        what is sent; or None.
        """
        profile = refused.profile
        for policy in steps_down(profile, refused.policy):
            if policy.step == "reject":
                given_up = self._replay.restore(profile, policy, refused.origin).given_up
                self._steps.keep(refused.endpoint, given_up)
                return None
            changes = tuple(one for one in refused.changes if not _is_about(one, "empty"))
            if policy.step == "empty" and (policy.step, policy.scope) != (profile.missing[0], ""):
                lesson = self._lesson(refused, "empty", words)
                changes += (Change(None, replace(lesson, scope=policy.scope)),)
            body = self._build(
                candidate, refused.endpoint, profile, policy, repaired=True, changes=changes
            )
            if self._unless_refused(body):
                return body
        return None

    def _with_less(self, candidate: Candidate, refused: UpstreamBody) -> UpstreamBody | None:
        """The body without the state that an upstream refuses, then without any reasoning;
        what it takes is not sent there again. Or None.
        """
        if refused.policy.bare in ("now", "always"):
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
        body = self._build(
            candidate,
            refused.endpoint,
            refused.profile,
            policy,
            repaired=True,
            changes=refused.changes,
        )
        return self._unless_refused(body)

    def _plainer(
        self, candidate: Candidate, refused: UpstreamBody, lesson: Lesson, *, once: bool = False
    ) -> UpstreamBody | None:
        """The body without what an upstream does not take, from now on or just this `once`; or
        None.
        """
        policy = taught(refused.policy, lesson)
        of_chat = lesson.kind in ("alternate", "forced", "keep", "pictures")
        if policy == refused.policy or (of_chat and candidate.upstream.api != "chat"):
            return None
        changes = refused.changes
        if not once:
            changes += (Change(None, lesson),)
        body = self._build(
            candidate,
            refused.endpoint,
            refused.profile,
            policy,
            repaired=refused.repaired,
            changes=changes,
        )
        return self._unless_refused(body)

    def _bare(
        self, candidate: Candidate, refused: UpstreamBody, lesson: Lesson | None = None
    ) -> UpstreamBody | None:
        """The body without reasoning, for this conversation or from now on; or None."""
        policy, changes = replace(refused.policy, repairing=True, bare="now"), refused.changes
        if lesson is not None:
            policy, changes = taught(policy, lesson), (*changes, Change(None, lesson))
        body = self._build(
            candidate, refused.endpoint, refused.profile, policy, repaired=True, changes=changes
        )
        return self._unless_refused(body)

    def accepted(self, body: UpstreamBody) -> None:
        """The upstream took the body: what it was sent binds."""
        if body.policy.repairing:
            self._steps.keep(body.endpoint, body.blamed)
        self._replay.accepted(body.restoration)
        for change in body.changes:
            self._lessons.change(change)

    def _blamed(self, given_up: dict[int, Step]) -> dict[int, Step]:
        """Those of the messages for which the request may have been refused: not those that an
        upstream took before, like the examples with which a client begins all conversations.
        """
        keys = self._replay.keys_of(given_up)
        taken = self._recall.sent(keys).keys()
        fresh = {at: given_up[at] for key, at in keys.items() if key not in taken}
        return fresh or given_up

    def _build(
        self,
        candidate: Candidate,
        endpoint: Endpoint,
        profile: Profile,
        policy: Policy,
        *,
        repaired: bool = False,
        changes: tuple[Change, ...] = (),
        known: Policy | None = None,
    ) -> UpstreamBody:
        longest, origin = self._longest(candidate), self._origin_of(candidate)
        most_bytes = self._snapshot.recall.max_restored_mib * _MIB
        restore = partial(
            self._replay.restore,
            profile,
            origin=origin,
            most_bytes=most_bytes,
            # The other formats have no two turns of the assistant's in a row.
            joins=candidate.upstream.api != "chat",
            foreign=self._copies.of_others(profile.family),
            families=self._snapshot.known_profiles.families,
        )
        restoration = restore(policy)
        steps = {} if policy.repairing else self._steps.of(endpoint, profile, restoration)
        if steps:
            policy = replace(policy, turns=steps)
            restoration = restore(policy)
        if restoration.restored_bytes > most_bytes:
            raise RequestError(too_much_restored(most_bytes))
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
            rules=policy.members,
            counts=self._counts and candidate.upstream.api != "chat",
            longest=longest,
        )
        try:
            encoded = self._pair.body_for(wanted)
        except MalformedJson as error:  # within a message, which nobody has taken apart before
            raise malformed(error) from error
        self._copies.account, self._copies.family = origin, profile.family
        breathe()
        # Found out here, as making a body may take its time and an answer may not.
        blamed = self._blamed(restoration.given_up) if policy.repairing else {}
        return UpstreamBody(
            *(endpoint, origin, encoded, profile, policy, restoration),
            repaired=repaired,
            changes=changes,
            known=known,
            longest=longest,
            blamed=blamed,
        )

    def _lesson(self, refused: UpstreamBody, kind: Kind, words: str, member: str = "") -> Lesson:
        """What the upstream teaches by these words about the body."""
        upstream, model = refused.endpoint
        return Lesson(
            upstream=upstream,
            model=model,
            kind=kind,
            member=member,
            profile=refused.profile.name,
            words=words,
            learned_at=self._at,
        )

    def _unless_refused(self, body: UpstreamBody) -> UpstreamBody | None:
        """The body, unless it was refused already."""
        if _body_key(body) in self._refused:
            return None
        return body

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
        parts = (
            part for at, one in enumerate(lots_of(messages)) for part in restored.get(at, one.parts)
        )
        return [part.opaque for part in parts if isinstance(part, Reasoning) and part.opaque]

    def _refused_before(self, origin: str, restoration: Restoration) -> frozenset[str]:
        """The state that this account has refused before."""
        states = {_refusal_key(origin, state): state for state in self._states(restoration)}
        if not states:
            return frozenset()
        return frozenset(states[key] for key in self._recall.sent(states))


class _Shown(msgspec.Struct, frozen=True):
    """What an upstream's error shows of a member of the request."""

    kind: Kind
    member: str
    once: bool = False
    """It is so for this conversation alone."""


def _shown_of_members(api: WireFormat, body: bytes, text: str) -> _Shown | None:
    """What the error shows; None too where a member can't be read: it was passed on as it came."""
    try:
        limit, effort, optional = limit_in(body, api), effort_in(body, api), optional_in(body, api)
    except MalformedJson:
        return None
    offered = offered_efforts(text)
    if limit is not None and (most := most_tokens(text, limit)) is not None:
        return _Shown("limit", str(most))
    if limit is not None and (room := room_for_answer(text, limit)) is not None:
        return _Shown("limit", str(room), once=True)
    if effort and offered and effort not in offered:
        return _Shown("efforts", " ".join(offered))
    if member := unknown_member(text, optional):
        return _Shown("without", member)
    return None


def quirks_of(profile: Profile) -> Quirks:
    """How chat answers of the profile's upstreams are to be read."""
    return Quirks(tags=profile.tags, repeats=profile.repeats)


def _body_key(body: UpstreamBody) -> tuple[Endpoint, bytes]:
    return body.endpoint, digest(body.encoded.body)


def _is_about(change: Change, kind: Kind) -> bool:
    return change.new is not None and change.new.kind == kind


def _refusal_key(origin: str, state: str) -> bytes:
    return digest("refused state", origin, state)
