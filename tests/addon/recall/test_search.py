"""All turns that may be meant are looked for; of a crowd nothing is known."""

from collections.abc import Collection, Iterable

from addon.formats.neutral.turn import Message, ToolCall
from addon.recall.evidence import Results
from addon.recall.identity import digest, new_token
from addon.recall.memory import MAX_CANDIDATES, Record
from addon.recall.search import Search
from addon.recall.turn_keys import Keys, Place, places_of
from shared.profiles import builtin_profiles
from tests.addon.recall.chat import FIELD, Chat, Memory, call, turn
from tests.addon.recall.test_resolve import LONG, elsewhere

KEYS = Keys(b"namespace")
FAMILY = builtin_profiles()["deepseek-v4"].family
CALLS = (ToolCall("x", "Read", "{}"), ToolCall("y", "Glob", "{}"))
MESSAGES = [
    Message("user", b'"hi"'),
    Message("assistant", b'""', calls=CALLS),
    Message("tool", b'"one"', result_of="x"),
    Message("tool", b'"two"', result_of="y"),
]


class Table:
    """A memory that counts what is asked of it."""

    def __init__(self, found: dict[bytes, list[str]]) -> None:
        self.found = found
        self.asked = 0
        self.read: list[str] = []

    def tokens(self, keys: Iterable[bytes]) -> dict[bytes, list[str]]:
        self.asked += 1
        return {key: list(self.found.get(key, [])) for key in keys}

    def turns(self, namespace: bytes, tokens: Iterable[str]) -> dict[str, Record]:
        tokens = list(tokens)
        self.read += tokens
        names = tuple(call.name for call in CALLS)
        return {
            token: Record(token=token, reasoning=token, names=names, words="other")
            for token in tokens
        }

    def sent(self, keys: Collection[bytes]) -> dict[bytes, tuple[str, int]]:
        return {}


def place() -> Place:
    return places_of(MESSAGES, b"key")[0][0]


def look(table: Table) -> dict[str, Results]:
    search = Search(b"namespace", MESSAGES, table)
    return {one.token: one.results for one in search.look({0: place()})[0].candidates}


def test_a_turn_must_be_found_by_each_call() -> None:
    first, second = KEYS.leads(place(), MESSAGES)
    table = Table({first.anywhere: ["both", "one"], second.anywhere: ["both", "two"]})
    assert look(table) == {"both": Results.UNKNOWN}
    assert table.asked == 1


def test_results_are_equal_others_or_not_known() -> None:
    first, second = KEYS.leads(place(), MESSAGES)
    table = Table(
        {
            first.words[0]: ["equal", "other", "unknown"],
            second.words[0]: ["equal", "other", "unknown"],
            first.result: ["equal"],
            second.result: ["equal"],
            first.anywhere: ["unknown"],
            second.anywhere: ["unknown"],
        }
    )
    assert look(table) == {
        "equal": Results.EQUAL,
        "other": Results.OTHER,
        "unknown": Results.UNKNOWN,
    }


def test_a_crowd_is_not_read() -> None:
    first, second = KEYS.leads(place(), MESSAGES)
    crowd = [str(number) for number in range(MAX_CANDIDATES)]
    table = Table({first.anywhere: crowd, first.words[0]: ["one"], second.words[0]: ["one"]})
    assert (look(table), table.read) == ({}, ["one"])


def test_a_text_that_many_turns_have_is_still_known_by_its_place(memory: Memory) -> None:
    for number in range(70):
        Chat(memory, f"Which kind is {number}?").answer(turn(f"thought {number}", "Good."))
    chat = Chat(memory, "Which kind is this?")
    chat.answer(turn("thought", "Good."))
    memory.engine.flush()
    memory.restart()
    assert chat.carried() == ["thought"]


def test_a_turn_that_just_came_back_is_not_taken_for_one_that_has_not(memory: Memory) -> None:
    ours, other = Chat(memory, "one"), Chat(memory, "two")
    with memory.locked():
        ours.answer(turn("thought", "", call()))
        ours.answer(turn("thought on", LONG))
        other.say_elsewhere(elsewhere("", call()))
        other.messages[1]["content"] = "one"
        assert other.carried() == [""]


def test_words_that_many_turns_follow_are_no_crowd_where_an_id_stands_before(
    memory: Memory,
) -> None:
    chats = [Chat(memory) for _ in range(70)]
    for number, chat in enumerate(chats):
        chat.answer(turn(f"thought {number}", "", call()))
        chat.ask("continue")
        chat.answer(turn(f"after {number}", "Done."))
    memory.engine.flush()
    memory.restart()
    assert [chat.carried() for chat in chats] == [
        [f"thought {number}", f"after {number}"] for number in range(70)
    ]


# -- turns that were remembered before their words were kept ---------------------------------------


def keep_old(memory: Memory, question: str, answer: str, parent: str | None = "") -> str:
    """Remember an answer as an earlier version did where no id stood before."""
    token, namespace = new_token(answer.encode() * 12), digest("user:1", FAMILY)
    anchor = digest(namespace, "after-words", "", digest(question), digest("text", answer))
    record = Record(token=token, reasoning=f"why {answer}", field=FIELD, text=answer, parent=parent)
    memory.recall.keep(namespace, record, [anchor, digest(namespace, "text", answer)], durable=True)
    return token


def test_turns_of_an_earlier_version_are_found(memory: Memory) -> None:
    first = keep_old(memory, "hi", "OK")
    second = keep_old(memory, "go on", "Done.", first)
    keep_old(memory, "and then?", LONG, second)
    memory.restart()
    chat = Chat(memory, "hi")
    for answer, question in (("OK", "go on"), ("Done.", "and then?"), (LONG, "")):
        chat.say_elsewhere(elsewhere(answer))
        chat.ask(question)
    assert chat.carried() == ["why OK", "why Done.", f"why {LONG}"]


def test_a_short_turn_of_an_earlier_version_is_not_taken_for_another_s(memory: Memory) -> None:
    keep_old(memory, "continue", "Done.", None)
    chat = Chat(memory)
    chat.say_elsewhere(elsewhere("Somebody else said so."))
    chat.ask("continue")
    chat.say_elsewhere(elsewhere("Done."))
    assert chat.carried() == ["", ""]
