"""Stored answers of the Responses API: kept as they end, gone on from, and told to the
caller who asked.

A conversation is an answer with those before it, each linked to the one it went on from.
Answers that the writer thread has yet to write are held in memory, so that the very next
request finds them; the end of an answer waits until it is written.
"""

import re
import zlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import takewhile
from typing import Any
from urllib.parse import parse_qs

import msgspec

from addon.admission import problems
from addon.formats.neutral.problem import RequestError
from addon.formats.neutral.request import Request, refused
from addon.formats.paths import Endpoint
from addon.formats.responses.listing import Query, listed, page, shown
from addon.formats.wire.lenient import as_str, decode_leniently, dicts_in
from addon.formats.wire.splice import scalar_text, value
from addon.recall.commits import Commit, Commits
from shared.clock import Clock
from shared.store.answers import StoredAnswer, add_answer, delete_answer
from shared.store.engine import Engine
from shared.store.lookup import AnswerWanted, Wanted, look_up

__all__ = ("LONGEST_CHAIN", "LONGEST_CONVERSATION", "Past", "StoredAnswers")

LONGEST_CHAIN = 1_000
"""Answers that a conversation may have."""

LONGEST_CONVERSATION = 64 * 1024 * 1024
"""Bytes of JSON that a request may go on from."""

MOST_ITEMS = 20_000
"""Items of a conversation that are listed."""

MOST_REFERENCES = 200
"""Answers whose items a request may refer to."""

_DAY_MS = 86_400_000
_WRITTEN_AT_ONCE = 256 * 1024
"""Bytes: what is larger is left to the writer thread, as the event loop would feel it."""

_COMPRESSED = 1024 * 1024
"""Bytes of JSON: what is larger, pictures mostly, is stored as it is, as the event loop
would feel its compression.
"""

_WAITING_BYTES = 16 * 1024 * 1024
"""Held of what is queued: the writer thread is a fraction of a second behind."""

_LEAST_WEIGHT = 16 * 1024
"""Bytes that each answer held counts for: 1,024 of them at most."""

_ITEM_ID = re.compile(r"[a-z]+_([0-9a-f]{24})(i?)[0-9]+", re.ASCII)
"""The ids that we give to items: their answer's, and an `i` when they belong to its input."""

type _Find = Callable[[str], StoredAnswer | None]
type _Follow = Callable[[str], Sequence[StoredAnswer]]
"""An answer and those before it, newest first, as far as they are known at once."""


class _Output(msgspec.Struct):
    """What of a response object a conversation goes on from."""

    output: Any = None


_OUTPUT = msgspec.json.Decoder(_Output)


class StoredAnswers:
    """Keeps and finds answers, each for its caller alone; belongs to the event loop's thread."""

    def __init__(self, engine: Engine, clock: Clock, *, max_age_days: int) -> None:
        self._engine = engine
        self._clock = clock
        self._max_age_days = max_age_days
        self._commits = Commits(engine, clock)
        self._waiting: OrderedDict[str, StoredAnswer | None] = OrderedDict()
        """What is queued to be written, by id; None: to be deleted."""

    def bound(self, max_age_days: int) -> None:
        """Keep answers for so long from now on; 0: keep none."""
        self._max_age_days = max_age_days

    def past(self, principal_id: str, most_items: int = MOST_ITEMS) -> "Past | None":
        """What a request of the caller may go on from, so many items at most; None when
        nothing is stored.
        """
        if not self._max_age_days:
            return None
        return self._past(principal_id, most_items)

    def keep(
        self, principal_id: str, request: Request, answer_id: str, response: bytes
    ) -> Commit | None:
        """Store the answer to a request; what its end has to wait for when that is not done
        at once, as it is large or another write is under way.
        """
        answer = StoredAnswer(
            id=answer_id,
            principal=principal_id,
            created_at=self._clock.now_ms(),
            previous=request.previous_response_id,
            items=_packed(
                scalar_text(listed(request.own_items or [], answer_id.removeprefix("resp_")))
            ),
            response=_packed(response),
        )
        is_large = answer.size > _WRITTEN_AT_ONCE
        commit = self._commits.write([add_answer(answer)], on_thread=is_large)
        if commit is not None:
            self._wait(answer_id, answer)
        return commit

    def reply(self, principal_id: str, endpoint: Endpoint, method: str, target: str) -> bytes:
        """The body that answers a request about one answer; `target` is path and query.
        Raises RequestError.
        """
        if endpoint.kind == "cancel":
            message = (
                "Nothing runs in the background here: to stop an answer, close the "
                "connection it comes on."
            )
            raise refused("unsupported_endpoint", message)
        answer = self._find(principal_id, endpoint.id)
        if answer is None:
            raise RequestError(problems.answer_not_found(endpoint.id))
        query = parse_qs(target.partition("?")[2], keep_blank_values=True)
        if method == "DELETE":
            return self._deleted(answer)
        if endpoint.kind == "input_items":
            return scalar_text(page(self._past(principal_id).input_of(answer), query))
        return _told(answer, query)

    def _past(self, principal_id: str, most_items: int = MOST_ITEMS) -> "Past":
        find, follow = partial(self._find, principal_id), partial(self._follow, principal_id)
        return Past(find, follow, most_items)

    def _deleted(self, answer: StoredAnswer) -> bytes:
        statement = delete_answer(answer.principal, answer.id)
        if self._engine.try_write([statement]):
            self._waiting.pop(answer.id, None)
        else:
            self._wait(answer.id, None)
            self._engine.write_later([statement])
        return msgspec.json.encode({"id": answer.id, "object": "response", "deleted": True})

    def _find(self, principal_id: str, answer_id: str) -> StoredAnswer | None:
        return next(iter(self._follow(principal_id, answer_id, most=1)), None)

    def _follow(
        self, principal_id: str, answer_id: str, *, most: int = LONGEST_CHAIN + 1
    ) -> list[StoredAnswer]:
        since = self._clock.now_ms() - self._max_age_days * _DAY_MS
        held = self._waiting.get(answer_id)
        if not answer_id.isascii() or self._is_deleted(answer_id):
            return []
        wanted = AnswerWanted(
            principal=principal_id,
            id=answer_id,
            since_ms=since,
            most=most,
            most_bytes=LONGEST_CONVERSATION,
        )
        if found := list(look_up(self._engine, Wanted(answers=[wanted])).answers.values()):
            for answer in found:
                if not self._is_deleted(answer.id):
                    self._waiting.pop(answer.id, None)
            return list(takewhile(lambda answer: not self._is_deleted(answer.id), found))
        if held is None or held.principal != principal_id or held.created_at < since:
            return []
        return [held]

    def _is_deleted(self, answer_id: str) -> bool:
        """Whether it is about to be deleted."""
        return answer_id in self._waiting and self._waiting[answer_id] is None

    def _wait(self, answer_id: str, answer: StoredAnswer | None) -> None:
        """Hold what is queued; the oldest has long been written when there is too much."""
        self._waiting[answer_id] = answer
        self._waiting.move_to_end(answer_id)
        while len(self._waiting) > 1 and sum(map(_weight, self._waiting.values())) > _WAITING_BYTES:
            self._waiting.popitem(last=False)


class Past:
    """What one request of a caller may go on from, as Responses' `decode` asks for it."""

    def __init__(self, find: _Find, follow: _Follow, most_items: int) -> None:
        self._find = find
        self._follow = follow
        self._room = LONGEST_CONVERSATION
        self._left = most_items
        self._items: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        """Items of answers that were referred to, by their id."""

    def conversation(self, answer_id: str) -> list[dict[str, Any]]:
        """The items that were asked and answered up to an answer, itself included. Raises
        RequestError.
        """
        answers = self._chain(answer_id)
        missing = answer_id
        if answers:
            missing = answers[-1].previous
        if missing:
            message = f"Previous response with id '{missing[:80]}' not found."
            raise refused("previous_response_not_found", message, "previous_response_id")
        return [
            item for answer in reversed(answers) for item in self._own(answer) + self._said(answer)
        ]

    def input_of(self, answer: StoredAnswer) -> list[dict[str, Any]]:
        """The items that an answer answers, as far back as they are still there. Raises
        RequestError.
        """
        before = reversed(self._chain(answer.previous))
        return [item for one in before for item in self._own(one) + self._said(one)] + self._own(
            answer
        )

    def item(self, item_id: str) -> dict[str, Any] | None:
        """The item that an `item_reference` names, or None. Raises RequestError."""
        match = _ITEM_ID.fullmatch(item_id)
        if match is None:
            return None
        found = self._named(f"resp_{match[1]}", match[2]).get(item_id)
        if found is not None:
            self._take(len(scalar_text(found)))
        return found

    def _named(self, answer_id: str, side: str) -> dict[str, dict[str, Any]]:
        """The items of an answer by their id: what was asked, or what was answered."""
        if (answer_id, side) not in self._items:
            if len(self._items) == MOST_REFERENCES:
                raise _too_long()
            items = self._items_of(answer_id, side)
            self._items[answer_id, side] = {as_str(item.get("id")): item for item in items}
        return self._items[answer_id, side]

    def _items_of(self, answer_id: str, side: str) -> list[dict[str, Any]]:
        answer = self._find(answer_id)
        if answer is None:
            return []
        if side == "i":
            return self._own(answer)
        return self._said(answer)

    def _chain(self, answer_id: str) -> list[StoredAnswer]:
        """The answer and those before it, newest first, up to one that is not there."""
        answers: list[StoredAnswer] = []
        held = 0
        while answer_id and (followed := self._follow(answer_id)):
            for answer in followed:
                held += answer.size
                if len(answers) == LONGEST_CHAIN or held > LONGEST_CONVERSATION:
                    raise _too_long()
                answers.append(answer)
            answer_id = answers[-1].previous
        return answers

    def _own(self, answer: StoredAnswer) -> list[dict[str, Any]]:
        """What was asked."""
        return self._counted(dicts_in(value(self._unpacked(answer.items))))

    def _said(self, answer: StoredAnswer) -> list[dict[str, Any]]:
        """What was answered."""
        found = decode_leniently(_OUTPUT, self._unpacked(answer.response))
        if found is None:
            return []
        return self._counted(dicts_in(found.output))

    def _unpacked(self, packed: bytes) -> bytes:
        json = zlib.decompress(packed)
        self._take(len(json))
        return json

    def _counted(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self._left -= len(items)
        if self._left < 0:
            raise _too_long()
        return items

    def _take(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            raise _too_long()


def _too_long() -> RequestError:
    message = "The conversation before this request is too long to go on from: begin a new one."
    return refused("conversation_too_long", message, "previous_response_id")


def _packed(json: bytes) -> bytes:
    level = 1
    if len(json) > _COMPRESSED:
        level = 0
    return zlib.compress(json, level)


def _told(answer: StoredAnswer, query: Query) -> bytes:
    """The response object."""
    if query.get("stream", ["false"])[-1] not in ("false", ""):
        message = "A stored answer is not streamed again here: leave 'stream' out to get it whole."
        raise refused("unsupported_parameter", message, "stream")
    response: dict[str, Any] = value(zlib.decompress(answer.response))
    return scalar_text(response | {"output": shown(dicts_in(response.get("output")), query)})


def _weight(answer: StoredAnswer | None) -> int:
    """Bytes, and never so few that thousands would be held."""
    if answer is None:
        return _LEAST_WEIGHT
    return max(answer.size, _LEAST_WEIGHT)
