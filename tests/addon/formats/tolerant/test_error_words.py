"""The words of an upstream's error are found in whatever shape it comes."""

import json

import pytest

from addon.formats.neutral.problem import Problem, error_body
from addon.formats.tolerant.error_words import has_shape, message_of, no_answer

SHAPES: dict[str, tuple[bytes, str]] = {
    "OpenAI": (b'{"error":{"message":"no such key","type":"t","code":null}}', "no such key"),
    "Anthropic": (
        b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
        "Overloaded",
    ),
    "Gemini": (b'[{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}]', "bad"),
    "OpenRouter": (
        b'{"error":{"message":"Provider returned error","metadata":{"raw":"it is down"}}}',
        "Provider returned error: it is down",
    ),
    "Ollama": (b'{"error":"model not found"}', "model not found"),
    "xAI": (b'{"code":"invalid-argument","error":"too long"}', "too long"),
    "vLLM": (
        b'{"object":"error","message":"max context is 4096","code":400}',
        "max context is 4096",
    ),
    "DashScope": (
        b'{"code":"InvalidParameter","message":"Range of input","request_id":"r"}',
        "Range of input",
    ),
    "SiliconFlow": (b'{"code":20012,"message":"no model","data":null}', "no model"),
    "MiniMax": (b'{"base_resp":{"status_code":1008,"status_msg":"no money"}}', "no money"),
    "FastAPI": (b'{"detail":"overloaded"}', "overloaded"),
    "FastAPI's validation": (
        b'{"detail":[{"loc":["body","messages",0],"msg":"Field required","type":"missing"},'
        b'{"loc":["body","model"],"msg":"Field required"}]}',
        "body.messages.0: Field required; body.model: Field required",
    ),
    "FastAPI around OpenAI": (b'{"detail":{"error":{"message":"inner"}}}', "inner"),
    "Baidu": (b'{"error_code":17,"error_msg":"daily limit"}', "daily limit"),
    "OAuth": (b'{"error":"invalid_token","error_description":"x"}', "invalid_token"),
    "AWS": (b'{"message":"The security token is invalid"}', "The security token is invalid"),
    "Problem details": (b'{"type":"about:blank","title":"Not now","status":503}', "Not now"),
    "an error with a detail": (b'{"error":{"code":1,"detail":"odd"}}', "odd"),
    "a list of words": (b'{"detail":["one","two"]}', "one; two"),
    "Envoy": (b"upstream connect error or\ndisconnect", "upstream connect error or disconnect"),
    "nginx": (
        b"<html>\r\n<head><title>502 Bad Gateway</title></head><body>x</body></html>",
        "502 Bad Gateway",
    ),
    "Cloudflare": (
        b"<!DOCTYPE html>\n<html><head><title>a.example | 524: A timeout &amp; more</title>",
        "a.example | 524: A timeout & more",
    ),
    "S3": (b'<?xml version="1.0"?><Error><Code>Denied</Code></Error>', ""),
    "a JSON string": (b'"just words"', "just words"),
    "an event": (b'event: error\ndata: {"error":{"message":"in an event"}}\n\n', "in an event"),
    "events": (b': hello\n\ndata: {"detail":"first"}\n\ndata: [DONE]\n\n', "first"),
    "an unended event": (b'data: {"message":"cut"}', "cut"),
    "a byte order mark": (b'\xef\xbb\xbf{"message":"marked"}', "marked"),
    "no UTF-8": (b'{"message":"caf\xe9"}', "caf\N{REPLACEMENT CHARACTER}"),
    "binary": (b"\x1f\x8b\x08\x00garbage", ""),
    "nothing": (b"", ""),
    "no words": (b'{"error":{"code":1}}', ""),
    "a number": (b"7", ""),
    "an array": (b"[]", ""),
}


@pytest.mark.parametrize(("body", "message"), SHAPES.values(), ids=SHAPES)
def test_an_error_says_what_a_person_can_read(body: bytes, message: str) -> None:
    assert message_of(body) == message


def test_an_error_is_not_longer_than_a_person_reads() -> None:
    assert len(message_of(json.dumps({"message": "x" * 50_000}).encode())) == 2_000
    assert len(message_of(b"x" * 50_000)) == 2_000


@pytest.mark.parametrize("depth", [10, 2_000, 100_000])
def test_a_deep_error_is_read_without_recursion(depth: int) -> None:
    assert len(message_of(b'{"detail":' * depth + b'"m"' + b"}" * depth)) <= 2_000


@pytest.mark.parametrize("wire_format", ["chat", "responses", "messages"])
def test_what_the_gateway_says_itself_has_the_shape_of_the_format(wire_format: str) -> None:
    problem = Problem(status=400, message="no", code="bad")
    assert has_shape(wire_format, error_body(wire_format, problem))


@pytest.mark.parametrize("wire_format", ["chat", "responses", "messages"])
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"error":"x"}', b'{"error":{"code":1}}', b'{"detail":"x"}']
)
def test_what_a_library_cannot_read_has_no_shape(wire_format: str, body: bytes) -> None:
    assert not has_shape(wire_format, body)


def test_openais_shape_is_not_anthropics() -> None:
    assert not has_shape("messages", b'{"error":{"message":"m"}}')


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"detail":"Out of cheese."}', "Out of cheese."),
        (b"<html><title>Bad gateway</title>", "Bad gateway"),
        (b"{}", "The upstream sent something else than an answer."),
        (b"[1]", "The upstream sent something else than an answer."),
        (b'{"id":"1","ch', "The upstream ended its answer in the middle."),
    ],
)
def test_what_is_no_answer_is_an_error_in_its_words(body: bytes, words: str) -> None:
    assert no_answer(body).message == words
