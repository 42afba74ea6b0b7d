"""Bodies that cost more than they weigh: each is a shape that some pass over a request might
take quadratic time, much memory or deep recursion for.
"""

import json
from collections.abc import Callable

__all__ = ("SHAPES", "hostile")

type Shape = Callable[[int], bytes]
"""Makes a body of about so many bytes."""

HEAD = b'{"model":"m","max_tokens":16,"stream":false,'
USER = b'{"role":"user","content":"hi"}'


def _repeat(piece: bytes, size: int) -> bytes:
    return b",".join([piece] * max(1, size // (len(piece) + 1)))


def _numbered(make: Callable[[int], bytes], size: int) -> bytes:
    pieces: list[bytes] = []
    length = 0
    while length < size:
        pieces.append(make(len(pieces)))
        length += len(pieces[-1]) + 1
    return b",".join(pieces)


def _messages(elements: bytes, more: bytes = b"") -> bytes:
    return HEAD + b'"messages":[' + elements + b"]" + more + b"}"


def _input(elements: bytes, more: bytes = b"") -> bytes:
    return HEAD + b'"input":[' + elements + b"]" + more + b"}"


def _same(piece: bytes) -> Shape:
    return lambda size: _messages(_repeat(piece, size))


def _beside(member: bytes, before: bytes, filler: bytes, after: bytes) -> Shape:
    """One message, and a member full of `filler`."""

    def make(size: int) -> bytes:
        times = max(1, size // len(filler))
        return _messages(USER, b"," + member + b":" + before + filler * times + after)

    return make


def _within(before: bytes, filler: bytes, after: bytes) -> Shape:
    """One message whose content is full of `filler`."""

    def make(size: int) -> bytes:
        times = max(1, size // len(filler))
        content = before + filler * times + after
        return _messages(b'{"role":"user","content":' + content + b"}")

    return make


def _nested(opening: bytes, closing: bytes, core: bytes = b"1") -> bytes:
    return opening + core + closing


def _deep(member: bytes, opening: bytes, closing: bytes) -> Shape:
    def make(size: int) -> bytes:
        times = size // (len(opening) + len(closing))
        return _messages(USER, b"," + member + b":" + opening * times + b"1" + closing * times)

    return make


def _call(at: int, arguments: bytes = b"{}") -> bytes:
    return (
        b'{"role":"assistant","content":null,"tool_calls":[{"id":"call_%d","type":"function",'
        b'"function":{"name":"f","arguments":%b}}]},'
        b'{"role":"tool","tool_call_id":"call_%d","content":"x"}'
        % (at, json.dumps(arguments.decode()).encode(), at)
    )


def _tool_turn(at: int) -> bytes:
    return (
        b'{"role":"assistant","content":[{"type":"tool_use","id":"toolu_%d","name":"f","input":{}}]},'
        b'{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_%d","content":"x"}]}'
        % (at, at)
    )


def _same_calls(at: int) -> bytes:
    return _call(at).replace(b"call_%d" % at, b"call_same")


def _item(at: int) -> bytes:
    return (
        b'{"type":"function_call","call_id":"call_%d","name":"f","arguments":"{}"},'
        b'{"type":"function_call_output","call_id":"call_%d","output":"x"}' % (at, at)
    )


def _one_turn_many_calls(size: int) -> bytes:
    calls = _numbered(
        lambda at: (
            b'{"id":"call_%d","type":"function","function":{"name":"f","arguments":"{}"}}' % at
        ),
        size * 6 // 10,
    )
    results = _numbered(
        lambda at: b'{"role":"tool","tool_call_id":"call_%d","content":"x"}' % at, size * 4 // 10
    )
    return _messages(
        USER + b',{"role":"assistant","content":null,"tool_calls":[' + calls + b"]}," + results
    )


def _results_without_calls(at: int) -> bytes:
    return b'{"role":"tool","tool_call_id":"call_%d","content":"x"}' % at


def _tools(size: int) -> bytes:
    tool = _numbered(
        lambda at: (
            b'{"type":"function","name":"t%d","function":{"name":"t%d","parameters":{"type":"object"}},'
            b'"input_schema":{"type":"object"}}' % (at, at)
        ),
        size,
    )
    return _messages(USER, b',"tools":[' + tool + b"]")


def _wide_schema(size: int) -> bytes:
    members = _numbered(lambda at: b'"p%d":{"type":"string"}' % at, size)
    tool = (
        b'{"type":"function","name":"t","input_schema":{"type":"object","properties":{'
        + members
        + b'}},"function":{"name":"t","parameters":{"type":"object","properties":{'
        + members[:20].rpartition(b",")[0]
        + b"}}}}"
    )
    return _messages(USER, b',"tools":[' + tool + b"]")


def _keys(size: int) -> bytes:
    members = _numbered(lambda at: b'"k%d":1' % at, size)
    return HEAD + b'"messages":[' + USER + b"]," + members + b"}"


def _metadata_keys(size: int) -> bytes:
    members = _numbered(lambda at: b'"k%d":"v"' % at, size)
    return _messages(USER, b',"metadata":{' + members + b"}")


def _colliding(size: int) -> bytes:
    """Keys that are the same but for escapes: a scanner must not compare each with each."""
    members = _numbered(lambda at: b'"\\u006b%d":1,"k%d":1' % (at, at), size)
    return _messages(USER, b',"metadata":{' + members + b"}")


def _surrogates(size: int) -> bytes:
    return _within(b'"', b"\\ud800x", b'"')(size)


def _many_with_surrogates(size: int) -> bytes:
    return _messages(_repeat(b'{"role":"user","content":"\\ud800"}', size))


def _late_fault(size: int) -> bytes:
    return _messages(_repeat(USER, size))[:-1] + b"x"


def _duplicates(size: int) -> bytes:
    return _messages(USER, b"," + _repeat(b'"metadata":1', size))


def _parts(size: int) -> bytes:
    part = b'{"type":"text","text":"x"}'
    return _messages(b'{"role":"user","content":[' + _repeat(part, size) + b"]}")


def _spread_parts(size: int) -> bytes:
    part = b'{"type":"text","text":"x"}'
    message = b'{"role":"user","content":[' + b",".join([part] * 50) + b"]}"
    return _messages(_repeat(message, size))


def _pictures(size: int) -> bytes:
    part = b'{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}'
    return _messages(b'{"role":"user","content":[' + _repeat(part, size) + b"]}")


def _one_picture(size: int) -> bytes:
    part = (
        b'{"type":"image_url","image_url":{"url":"data:image/png;base64,' + b"A" * size + b'"}},'
        b'{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}'
    )
    return _messages(b'{"role":"user","content":[' + part + b"]}")


def _mirror_marks(size: int) -> bytes:
    return _messages(
        b'{"role":"assistant","content":"'
        + b"<think><details><summary>" * (size // 26)
        + b'"},'
        + USER
    )


def _blockquotes(size: int) -> bytes:
    return _messages(b'{"role":"assistant","content":"' + b"> \\n" * (size // 4) + b'"},' + USER)


def _arguments(size: int) -> bytes:
    nested = b'{"a":' * 400 + b"1" + b"}" * 400
    return _messages(_numbered(lambda at: _call(at, nested), size))


def _long_arguments(size: int) -> bytes:
    text = b'{\\"a\\":\\"' + b"x" * size + b'\\"}'
    return _messages(
        USER
        + b',{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":'
        + b'{"name":"f","arguments":"'
        + text
        + b'"}}]},{"role":"tool","tool_call_id":"c1","content":"x"}'
    )


def _many_arguments(size: int) -> bytes:
    text = b"{" + _numbered(lambda at: b'\\"k%d\\":1' % at, size) + b"}"
    return _messages(USER + b"," + _call(1).replace(b'"{}"', b'"' + text + b'"'))


def _long_id(size: int) -> bytes:
    return _messages(USER + b"," + _call(1).replace(b"call_1", b"x" * (size // 2)))


def _long_name(size: int) -> bytes:
    return _messages(USER + b"," + _call(1).replace(b'"f"', b'"' + b"x" * size + b'"'))


def _blank_reasoning(size: int) -> bytes:
    turn = b'{"role":"assistant","content":"x","reasoning_content":"%b"},' % (b"a " * (size // 2))
    return _messages(USER + b"," + turn + USER)


def _one_flaw(flaw: bytes) -> Shape:
    """One thing that a strict reader refuses, at the end of a long text of escapes."""
    return lambda size: _within(b'"', b"\\u00e4", flaw + b'"')(size)


def _reasoning(size: int) -> bytes:
    turn = b'{"role":"assistant","content":"same","reasoning_content":"thought"},' + USER
    return _messages(_repeat(turn, size))


def _same_texts(size: int) -> bytes:
    return _messages(_repeat(b'{"role":"assistant","content":"same"},' + USER, size))


def _growing_texts(size: int) -> bytes:
    """Each text begins like the one before: prefix search must not compare all with all."""
    pieces: list[bytes] = []
    length = 0
    while length < size:
        text = b"a" * len(pieces)
        pieces.append(b'{"role":"assistant","content":"%b"},%b' % (text, USER))
        length += len(pieces[-1])
    return _messages(b",".join(pieces))


def _encrypted(size: int) -> bytes:
    item = b'{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"%b"},' % (b"A" * 200)
    return _input(_repeat(item + b'{"role":"user","content":"hi"}', size))


def _signatures(size: int) -> bytes:
    turn = (
        b'{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"%b"},'
        b'{"type":"text","text":"x"}]},' % (b"A" * 200)
    ) + USER
    return _messages(_repeat(turn, size))


SHAPES: dict[str, Shape] = {
    "a million user messages": _same(USER),
    "empty messages": _same(b"{}"),
    "messages that are numbers": _same(b"1"),
    "messages that are arrays": _same(b"[]"),
    "messages of one role after the other": _same(b'{"role":"assistant","content":"x"},' + USER),
    "chat tool turns": lambda size: _messages(_numbered(_call, size)),
    "tool turns of one id": lambda size: _messages(_numbered(_same_calls, size)),
    "messages tool turns": lambda size: _messages(_numbered(_tool_turn, size)),
    "responses items": lambda size: _input(_numbered(_item, size)),
    "one turn of many calls": _one_turn_many_calls,
    "results without calls": lambda size: _messages(_numbered(_results_without_calls, size)),
    "a million parts": _parts,
    "parts of many messages": _spread_parts,
    "pictures": _pictures,
    "one picture": _one_picture,
    "one long text": _within(b'"', b"x", b'"'),
    "one text of escapes": _within(b'"', b"\\u00e4", b'"'),
    "one text of quotes": _within(b'"', b'\\"', b'"'),
    "one text of lone surrogates": _surrogates,
    "messages with lone surrogates": _many_with_surrogates,
    "a fault at the end": _late_fault,
    "many tools": _tools,
    "a wide schema": _wide_schema,
    "a million keys": _keys,
    "keys of metadata": _metadata_keys,
    "keys that differ by escapes": _colliding,
    "one key a million times": _duplicates,
    "deep arrays": _deep(b'"metadata"', b"[", b"]"),
    "deep objects": _deep(b'"metadata"', b'{"a":', b"}"),
    "deep tool schema": _deep(b'"tools"', b'[{"a":', b"}]"),
    "an array of numbers": _beside(b'"stop"', b"[1", b",1", b"]"),
    "an array of arrays": _beside(b'"stop"', b"[[]", b",[]", b"]"),
    "a huge number": _beside(b'"seed"', b"1", b"1", b""),
    "huge numbers": _beside(b'"seed"', b"[1", b",1" + b"1" * 5000, b"]"),
    "a fraction without end": _beside(b'"temperature"', b"0.", b"1", b""),
    "exponents": _beside(b'"logit_bias"', b"[1", b",1e999", b"]"),
    "blanks": _beside(b'"user"', b"", b" ", b'"x"'),
    "blanks between elements": _beside(b'"stop"', b"[1", b" ,\n\t1", b"]"),
    "marks of shown reasoning": _mirror_marks,
    "block quotes": _blockquotes,
    "nested arguments": _arguments,
    "one call with long arguments": _long_arguments,
    "one call with many arguments": _many_arguments,
    "one long id": _long_id,
    "one long name": _long_name,
    "one text of tags": _within(b'"', b"<a-b>x</a-b>", b'"'),
    "one text of lines": _within(b'"', b"a\\n", b'"'),
    "one text of accents": _within(b'"', "e\u0301".encode(), b'"'),
    "one text with a lone surrogate": _one_flaw(b"\\ud800"),
    "one text with a control character": _one_flaw(b"\n"),
    "one reasoning of blanks": _blank_reasoning,
    "turns with the same reasoning": _reasoning,
    "turns with the same text": _same_texts,
    "texts that begin alike": _growing_texts,
    "sealed copies that don't open": _encrypted,
    "signatures that don't open": _signatures,
}
"""What they are -> what makes one; many fit all three formats."""


def hostile(name: str, size: int) -> bytes:
    """The body of this shape."""
    return SHAPES[name](size)
