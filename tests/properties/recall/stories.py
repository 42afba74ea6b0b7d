"""Stories: what clients do to their conversations, told from a seed and judged request by
request.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import msgspec

from addon.exchange.exchange import Exchange
from addon.exchange.verdict import Reply
from shared.model import Principal
from tests.properties.recall.alterations import CHANGES, HABITS, habits_of
from tests.properties.recall.clients import FORMATS, PATHS, body_of, heard, held_of
from tests.properties.recall.gateway import ACCOUNTS, ELSEWHERE, Gateway
from tests.properties.recall.judgement import Judge, Request, Violation
from tests.properties.recall.oracle import Likes, Oracle, digests_of, last_words, questions_of
from tests.properties.recall.scripts import prompt_of, result_of, turn_of
from tests.properties.recall.truth import MARK, Conversation, Held, Issued, Words
from tests.properties.recall.upstreams import UPSTREAMS, ChatUpstream, Upstream
from tests.support.carriers import Named
from tests.support.turns import Json

__all__ = ("ALTERATIONS", "CELLS", "Story", "cell_of")

CELLS = [(wire, kind) for kind in UPSTREAMS for wire in FORMATS]
"""Format of the clients, place of the upstream's reasoning."""

STEPS = 24
_STRIDE = 577
"""Spreads the first seeds over all pairs of cell and alteration: a prime that divides no number
of them.
"""

_BROKEN = "!!"
"""Begins the lines that tell of a violation."""

_GLM = ChatUpstream("glm", Named("reasoning_content"))


def cell_of(seed: int) -> tuple[str, str, str]:
    """The clients' format, the kind of upstream and the alteration that a seed tells of most."""
    alteration, cell = divmod(seed * _STRIDE % (len(CELLS) * len(ALTERATIONS)), len(CELLS))
    return (*CELLS[cell], ALTERATIONS[alteration])


class Asked(msgspec.Struct, eq=False):
    """A request that waits for its answer."""

    request: Request
    exchange: Exchange
    body: bytes


class Kept(msgspec.Struct, eq=False):
    """A request that was taken, to be sent again."""

    user: str
    body: bytes
    outgoing: bytes
    name: str
    accounts: tuple[str, ...]
    could_be: Likes
    """What a conversation that says the same has."""

    rules: list[str]


class Story:
    """Told by `tell`; `violations` with what they broke, `lines` what happened."""

    def __init__(self, seed: int, path: Path) -> None:
        self.seed = seed
        self.wire, self.kind, self.lead = cell_of(seed)
        self._rng = Random(f"story {seed}")
        self._gateway = Gateway(path, f"gateway {seed}", self.kind)
        self._upstream = UPSTREAMS[self.kind]
        self.judge = Judge(Oracle(self._upstream, self.wire), self.wire)
        self._talks: list[Conversation] = []
        self._stock: list[Kept] = []
        self._ids = self._rng.choice(("unique", "repeating", "one"))
        self._away: dict[str, int] = {}
        """Conversations that another model answers, and for how long."""

        self.latest: Request | None = None
        """What was judged last."""

        self.lines: list[str] = []
        self.violations: list[Violation] = []

    def tell(self) -> None:
        """Let everything happen."""
        for user in ("ada", "ada", "eve"):
            self._begin(user, f"script {self.seed} {self._rng.randrange(2)}")
        for _ in range(STEPS):
            self._gateway.memory.engine.flush()
            self._happen()
            self._go_on(self._rng.choice(self._talks))
            if self._stock and self._rng.random() < 0.3:
                self._send_again(self._rng.choice(self._stock))
        for kept in self._stock[-8:]:
            self._send_again(kept)
        self._gateway.memory.engine.close()

    def account(self) -> str:
        """What broke first, and the conversation in which it did."""
        broken = [at for at, line in enumerate(self.lines) if line.startswith(_BROKEN)]
        head = f"seed {self.seed}: {self.wire} clients, {self.kind}, {self.lead}"
        if not broken:
            return head
        [first, *_] = broken
        name = _name_of(self.lines[first - 1])
        mine = [line for line in self.lines[:first] if line.startswith(name)]
        rest = [line for line in self.lines[:first] if " asks: " not in line and line not in mine]
        return "\n".join((head, *rest, *mine[-3:], *self.lines[first : first + 3]))

    # -- what happens ------------------------------------------------------------------------------

    def _happen(self) -> None:
        draw = self._rng.random()
        name = ""
        if draw < 0.35:
            name = self.lead
        elif draw < 0.6:
            name = self._rng.choice((*CHANGES, *_EVENTS))
        talk = self._rng.choice(self._talks)
        change = CHANGES.get(name)
        if change is not None and change(talk, self._rng):
            self._say(f"{talk.name}: {name}")
        if name in _EVENTS:
            self._say(f"{talk.name}: {name}")
            _EVENTS[name](self, talk)

    def _begin(self, user: str, script: str) -> Conversation:
        habits = habits_of(self._rng, self.lead)
        if self.wire != "chat" and habits.copies == "trimmed":
            habits.copies = "kept"
        name = f"{user} {len(self._talks)}"
        talk = Conversation(name=name, user=user, habits=habits, script=script)
        self._talks.append(talk)
        self._say(f"{name} begins: {script}, {habits}")
        return talk

    def begin_again(self, talk: Conversation) -> None:
        other = self._begin(talk.user, talk.script)
        if self._rng.random() < 0.7:
            other.habits = msgspec.structs.replace(talk.habits)
        for _ in range(min(talk.steps, 3)):
            self._go_on(other)

    def fork(self, talk: Conversation) -> None:
        self._copy(talk, talk.user)

    def pass_on(self, talk: Conversation) -> None:
        [other] = {"ada", "eve"} - {talk.user}
        self._go_on(self._copy(talk, other))

    def _copy(self, talk: Conversation, user: str) -> Conversation:
        made = self._begin(user, talk.script)
        made.habits, made.steps = msgspec.structs.replace(talk.habits), talk.steps
        made.history = list(talk.history)
        return made

    def retry(self, talk: Conversation, *, newer: bool) -> None:
        if not talk.history or not isinstance(talk.history[-1], Held):
            self._go_on(talk)
        if not isinstance(talk.history[-1], Held) or talk.history[-1].part:
            return
        older = talk.history.pop()
        script = talk.script
        if self._rng.random() < 0.5:
            talk.script += " otherwise"
        talk.steps -= 1
        self._go_on(talk)
        talk.script = script
        if not newer and isinstance(talk.history[-1], Held):
            talk.history[-1] = older

    def stop(self, talk: Conversation) -> None:
        self._go_on(talk, stopped=True)

    def switch_model(self, talk: Conversation) -> None:
        self._away[talk.name] = 2

    def change_accounts(self, talk: Conversation) -> None:
        accounts = self._rng.choice((ACCOUNTS[:1], ACCOUNTS[1:], ACCOUNTS, ACCOUNTS))
        self._gateway.open_to(accounts)

    def restart(self, talk: Conversation) -> None:
        self._gateway.restart()

    def kill(self, talk: Conversation) -> None:
        """Right after an answer: what the client has seen the end of is there, what only waited to
        be written need not be.
        """
        taken, replayed = len(self._stock), set(self.judge.oracle.replayed)
        self._go_on(talk)
        self._gateway.kill()
        del self._stock[taken:]
        self.judge.oracle.replayed = replayed

    def overlap(self, talk: Conversation) -> None:
        other = self._rng.choice(self._talks)
        asked = [self._ask(one) for one in dict.fromkeys((talk, other))]
        for one in reversed(asked):
            if one is not None:
                self._answer(one)

    # -- requests ----------------------------------------------------------------------------------

    def _go_on(self, talk: Conversation, *, stopped: bool = False) -> None:
        stopped = stopped and (self.wire, self._upstream.api) == ("chat", "chat")
        asked = self._ask(talk, streams=stopped)
        if asked is None:
            return
        if stopped:
            self._answer_in_part(asked)
        else:
            self._answer(asked)

    def _ask(self, talk: Conversation, *, streams: bool = False) -> Asked | None:
        """Open an exchange for the conversation as it is; None when it was refused."""
        self._gateway.memory.clock.ms += 1000
        if not talk.pending:
            talk.history.append(Words(prompt_of(talk.script, talk.steps)))
        model, upstream, family = self._model_for(talk)
        body = json.dumps(self._body(talk, model, streams=streams)).encode()
        self._say(f"{talk.name} asks: {body.decode()}")
        exchange = self._open(talk.user, body)
        if exchange is None:
            return None
        request = Request(
            talk=talk,
            family=family,
            upstream=upstream,
            account=exchange.candidate.key,
            accounts=self._gateway.accounts,
            outgoing=json.loads(exchange.outgoing.body),
        )
        self._judge(request, exchange)
        return Asked(request, exchange, body)

    def _model_for(self, talk: Conversation) -> tuple[str, Upstream, str]:
        """The model that answers now, where it is, and its family."""
        if not self._away.get(talk.name):
            return "main", self._upstream, self.kind
        self._away[talk.name] -= 1
        return ELSEWHERE, _GLM, _GLM.profile

    def _body(self, talk: Conversation, model: str, *, streams: bool) -> Json:
        body = body_of(self.wire, talk, model, self._rng)
        if streams:
            body["stream"] = True
        return body

    def _judge(self, request: Request, exchange: Exchange) -> None:
        self.latest = request
        found = self.judge.judge(request)
        self._note(found, exchange.outgoing.body)
        if found:
            self._say(f"   how each turn was found: {_rules_of(exchange)}")

    def _open(self, user: str, body: bytes) -> Exchange | None:
        caller = Principal(id=f"user:{user}", name=user, key_suffix="abcd")
        intake = self._gateway.intake(principal=caller, path=PATHS[self.wire])
        exchange = intake.open(body)
        intake.close()
        if isinstance(exchange, Reply):
            self._note([Violation("refused", "", exchange.body.decode()[:300])], body)
            return None
        assert isinstance(exchange, Exchange)
        return exchange

    def _answer(self, asked: Asked) -> None:
        """The model answers whole, and the client keeps what it gets."""
        self._gateway.memory.clock.ms += 1000
        issued, talk = self._issue(asked), asked.request.talk
        answer = asked.request.upstream.answer(issued.turn, issued.account)
        reply = asked.exchange.whole(200, {"content-type": "application/json"}, answer)
        if not isinstance(reply, Reply) or reply.status != 200:
            self._note([Violation("refused", "", str(reply)[:300])], b"")
            return
        self._accepted(asked)
        result = partial(result_of, talk.script, talk.steps)
        held = held_of(self.wire, json.loads(reply.body), issued, talk.habits, result)
        if talk.habits.copies == "some" and self._rng.random() < 0.5:
            held.copies = []
        self._hold(talk, held, issued)

    def _answer_in_part(self, asked: Asked) -> None:
        """The user stops the answer."""
        issued, talk = self._issue(asked), asked.request.talk
        answer = asked.exchange.stream({})
        events = asked.request.upstream.stream(issued.turn, issued.account, self._rng)
        upto = self._rng.randint(1, len(events))
        out = b"".join(map(answer.feed, events[:upto]))
        asked.exchange.accepted()
        issued.complete = answer.finished
        answer.stop()
        self._accepted(asked)
        result = partial(result_of, talk.script, talk.steps)
        held = held_of(self.wire, heard(out), issued, talk.habits, result)
        held.calls = [call for call in held.calls if _whole(call.arguments)]
        issued.turn = msgspec.structs.replace(
            issued.turn, text=held.text, calls=issued.turn.calls[: len(held.calls)]
        )
        held.copies = []
        if held.text or held.calls:
            self._hold(talk, held, issued)

    def _issue(self, asked: Asked) -> Issued:
        """The model's answer to a request."""
        request, number = asked.request, len(self.judge.oracle.issued)
        talk, upstream = request.talk, request.upstream
        turn = upstream.prepared(turn_of(talk.script, talk.steps, number, self._ids))
        said = upstream.said(turn, request.account)
        words, before = last_words(talk)
        issued = Issued(
            number=number,
            user=talk.user,
            family=request.family,
            account=request.account,
            turn=turn,
            pieces=tuple(upstream.pieces(said)),
            bound=upstream.bound(said),
            words=words,
            before=before,
            asked=digests_of(talk)[-1],
            question=questions_of(talk)[-1],
            after=self.judge.last_owner(talk),
        )
        self.judge.oracle.add(issued, MARK.findall(json.dumps(said)))
        return issued

    def _hold(self, talk: Conversation, held: Held, issued: Issued) -> None:
        for call in held.calls:
            self.judge.owner[call.minted] = issued
        talk.history.append(held)
        talk.steps += 1

    def _accepted(self, asked: Asked) -> None:
        self.judge.learn(asked.request)
        sent, accounts = asked.exchange.outgoing.body, self._gateway.accounts
        talk = asked.request.talk
        rules = _rules_of(asked.exchange)
        likes = self.judge.oracle.likes(talk, asked.request.family, asked.request.places)
        kept = Kept(talk.user, asked.body, sent, talk.name, accounts, likes, rules)
        if asked.request.family == self.kind:
            self._stock.append(kept)

    def _send_again(self, kept: Kept) -> None:
        """The same request goes out as it did, as long as the same accounts are there."""
        if kept.accounts != self._gateway.accounts or self.judge.oracle.has_twin(kept.could_be):
            return
        self._say(f"{kept.name}: an earlier request again")
        exchange = self._open(kept.user, kept.body)
        if exchange is not None and exchange.outgoing.body != kept.outgoing:
            told = _difference(kept.outgoing, exchange.outgoing.body)
            self._note([Violation("not identical", "", told)], kept.body)
            self._say(f"   how each turn was found: {kept.rules}, then {_rules_of(exchange)}")

    # -- what is told ------------------------------------------------------------------------------

    def _note(self, found: list[Violation], outgoing: bytes) -> None:
        for violation in found:
            self._say(f"{_BROKEN} {violation.kind} {violation.rule}: {violation.words}")
        if found and outgoing:
            self._say(f"   what went out: {outgoing.decode()}")
        self.violations += found

    def _say(self, line: str) -> None:
        self.lines.append(line)


def _rules_of(exchange: Exchange) -> list[str]:
    restoration = exchange.outcome().restoration
    assert restoration is not None
    return [f"{one.rule} {one.why}".strip() for one in restoration.diagnoses]


def _name_of(line: str) -> str:
    """The conversation that a line tells of."""
    return " ".join(line.split(" ")[:2]).rstrip(":")


def _whole(arguments: str) -> bool:
    try:
        json.loads(arguments)
    except ValueError:
        return False
    return True


def _difference(first: bytes, then: bytes) -> str:
    """Where two bodies part."""
    one, other = json.loads(first), json.loads(then)
    name = next((name for name in one if one[name] != other.get(name)), "")
    if not isinstance(one.get(name), list):
        return f"{name or 'blanks'}: {first[:200]!r} then {then[:200]!r}"
    pairs = zip(one[name], other[name], strict=False)
    at, pair = next((at, pair) for at, pair in enumerate(pairs) if pair[0] != pair[1])
    return f"{name}.{at}: {json.dumps(pair[0])} then {json.dumps(pair[1])}"


_EVENTS: dict[str, Callable[[Story, Conversation], None]] = {
    "retried, the older kept": partial(Story.retry, newer=False),
    "retried, the newer kept": partial(Story.retry, newer=True),
    "forked": Story.fork,
    "stopped": Story.stop,
    "model switched for a while": Story.switch_model,
    "another account in between": Story.change_accounts,
    "restarted": Story.restart,
    "killed": Story.kill,
    "the same conversation once more": Story.begin_again,
    "another user goes on": Story.pass_on,
    "requests that overlap": Story.overlap,
}
"""What only the whole story can let happen."""

ALTERATIONS = (*HABITS, *CHANGES, *_EVENTS)
"""All that clients do, by name."""
