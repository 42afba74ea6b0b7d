"""Events that say more of the same are known by their bytes, and nothing else passes for one."""

import pytest

from addon.formats.wire.run import PROBE, Run, Shape, patched, shape_of, written

PLAIN = b'data: {"id":"c","content":" word","x":[]}\n\n'
NUMBERED = b'data: {"sequence_number":9,"delta":" word","obfuscation":"a0"}\n\n'


def shape(raw: bytes = PLAIN) -> Shape:
    found = shape_of(raw, " word")
    assert found is not None
    return found


def saying(literal: bytes, raw: bytes = PLAIN) -> bytes:
    return raw.replace(b" word", literal)


@pytest.mark.parametrize(
    ("literals", "texts"),
    [
        pytest.param([b"a"], ["a"], id="one"),
        pytest.param([b"a", b" b ", b"c"], ["a", " b ", "c"], id="several"),
        pytest.param([b'\\"{\\n', b"\\u00e9\\\\"], ['"{\n', "é\\"], id="escapes"),
        pytest.param(["思考".encode(), b"\\ud83e\\udde0"], ["思考", "🧠"], id="beyond ASCII"),
        pytest.param([b""], None, id="nothing"),
        pytest.param([b"a", b"", b"c"], None, id="nothing among others"),
        pytest.param([b'a"'], None, id="a quote"),
        pytest.param([b'a","b'], None, id="two strings"),
        pytest.param([b'a\\","x', b"c"], None, id="an escaped quote and another string"),
        pytest.param([b"a\\", b',"x'], None, id="a string across two events"),
        pytest.param([b'a"\n,"b', b"c"], None, id="a string on a line of its own"),
        pytest.param([b"a\\"], None, id="half an escape"),
        pytest.param([b"a\tb"], None, id="a control character"),
        pytest.param([b"a\n\nb"], None, id="a blank line"),
        pytest.param([b"\xff"], None, id="no UTF-8"),
        pytest.param(["思".encode()[:2], "思".encode()[2:]], None, id="half a character"),
        pytest.param([b"\\ud83e"], None, id="half a surrogate pair"),
    ],
)
def test_more_of_the_same_is_any_other_string_in_the_place_of_the_text(
    literals: list[bytes], texts: list[str] | None
) -> None:
    assert shape().texts(b"".join(map(saying, literals))) == texts


@pytest.mark.parametrize(
    "raw",
    [
        PLAIN.replace(b'"c"', b'"d"'),
        PLAIN.replace(b"[]", b"[1]"),
        PLAIN.replace(b'" word"', b"null"),
        b" " + PLAIN,
        PLAIN + b"\n",
        PLAIN + b": x\n\n",
        PLAIN + PLAIN.replace(b'"c"', b'"d"') + PLAIN,
    ],
)
def test_whatever_else_differs_must_be_read(raw: bytes) -> None:
    assert shape().texts(raw) is None


def test_half_an_event_is_none() -> None:
    assert not any(shape().texts(PLAIN[:size]) for size in range(len(PLAIN)))
    assert not any(shape().texts(PLAIN + PLAIN[:size]) for size in range(1, len(PLAIN)))


def test_numbers_go_on_and_padding_is_of_any_length() -> None:
    numbered, said = shape(NUMBERED), b""
    for number, padding in ((10, b"x"), (11, b"0aZ0aZ")):
        said += saying(b"b", NUMBERED).replace(b"9", b"%d" % number).replace(b"a0", padding)
    assert numbered.texts(said) == ["b", "b"]
    assert numbered.number == 11
    assert numbered.texts(saying(b"c", NUMBERED).replace(b"9", b"12")) == ["c"]


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"9", b"9"), (b"9", b"11"), (b"9", b"010"), (b"9", b""), (b"9", b"10,1")]
    + [(b"a0", padding) for padding in (b"", b"a b", b'"', b'a","x":"', b"\\u0061", b"a\n")]
    + [(b"word", text) for text in (b'"', b"\\", b'x","obfuscation":"y')],
)
def test_other_gaps_hold_nothing_that_would_have_to_be_read(old: bytes, new: bytes) -> None:
    numbered = shape(NUMBERED)
    changed = NUMBERED.replace(old, new)
    if old != b"9":
        changed = changed.replace(b"9", b"10")
    assert numbered.texts(changed) is None
    assert numbered.number == 9


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        pytest.param(PLAIN, "else", id="nowhere"),
        pytest.param(PLAIN.replace(b"[]", b'" word"'), " word", id="twice"),
        pytest.param(PLAIN.replace(b"\n", b"\r"), " word", id="a CR that a LF may follow"),
        pytest.param(PLAIN.replace(b" word", PROBE.encode()), PROBE, id="the probe"),
        pytest.param(PLAIN.replace(b" word", b""), "", id="nothing"),
        pytest.param(
            NUMBERED.replace(b'"a0"', b'"a0","x":{"sequence_number":1}'), " word", id="two numbers"
        ),
        pytest.param(b'data: {"p":"word"}\n\n', "word", id="the padding itself"),
    ],
)
def test_an_event_whose_text_cannot_be_told_from_the_rest_has_no_shape(
    raw: bytes, text: str
) -> None:
    assert shape_of(raw, text) is None


def test_a_text_is_found_however_it_is_spelled() -> None:
    found = shape_of(b'data: {"x":"caf\\u00e9"}\n\n', "café")
    assert found is not None
    assert found.texts('data: {"x":"thé"}\n\n'.encode()) == ["thé"]


def test_a_probe_differs_in_every_gap() -> None:
    probe = b'data: {"sequence_number":19,"delta":"%b","obfuscation":"a00"}\n\n'
    assert shape(NUMBERED).probe == probe % PROBE.encode()


def took(run: Run | None, events: bytes) -> bytes | None:
    assert run is not None
    return run.take(events)


def test_what_is_changed_for_the_client_is_changed_in_each_event() -> None:
    for raw in (PLAIN, NUMBERED):
        events = b"".join(saying(text, raw) for text in (b"a", b"\\n"))
        if raw is NUMBERED:
            events = events.replace(b"9", b"10", 1).replace(b"9", b"11", 1)
        out = raw.replace(b"data: {", b'data: {"model":"m",').replace(b"\n\n", b"\r\n\r\n")
        expected = events.replace(b"data: {", b'data: {"model":"m",')
        run = patched(shape(raw), raw, out)
        assert took(run, events) == expected.replace(b"\n\n", b"\r\n\r\n")


def test_a_change_that_hides_the_text_makes_no_run() -> None:
    assert patched(shape(), PLAIN, PLAIN.replace(b" word", b"else")) is None
    assert patched(shape(), PLAIN, PLAIN.replace(b"c", b" word")) is None


def test_texts_are_written_into_the_last_event_and_added_to_the_sinks() -> None:
    sink = ["a"]
    out = b'begin: " word"\n\n{" word"}\n\n'
    run = written(shape(), " word", out, [sink])
    assert took(run, saying(b"\\u00e9") + saying(b"b")) == '{"é"}\n\n{"b"}\n\n'.encode()
    assert took(run, PLAIN.replace(b"[]", b"0")) is None
    assert sink == ["a", "é", "b"]
    assert took(written(shape(), " word", b"", [sink]), PLAIN) == b""
    assert written(shape(), " word", b"begin\n\n", [sink]) is None
    assert written(shape(), " word", b'{" word":" word"}\n\n', [sink]) is None
