"""Exactly the LLM paths are ours; everything else is the sidecar's."""

import pytest

from addon.formats.paths import Endpoint, Kind, classify

ENDPOINTS: dict[str, Kind] = {
    "chat/completions": "chat",
    "responses": "responses",
    "messages": "messages",
    "messages/count_tokens": "count_tokens",
    "models": "models",
}
PREFIXES = ["", "/v1", "/cursor", "/cursor/v1", "/v1/cursor", "/v1/v1", "/cursor/cursor"]


@pytest.mark.parametrize("end", ["", "/", "?a=/b", "/?x"])
@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(("path", "kind"), ENDPOINTS.items(), ids=ENDPOINTS)
def test_llm_paths_are_ours_under_every_prefix(
    prefix: str, path: str, kind: Kind, end: str
) -> None:
    assert classify(f"{prefix}/{path}{end}") == Endpoint(kind)


@pytest.mark.parametrize("end", ["", "/", "?stream=true"])
@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(
    ("path", "kind"),
    [("", "response"), ("/input_items", "input_items"), ("/cancel", "cancel")],
    ids=str,
)
def test_a_path_names_a_stored_answer(prefix: str, path: str, kind: Kind, end: str) -> None:
    assert classify(f"{prefix}/responses/resp%5F1{path}{end}") == Endpoint(kind, id="resp_1")


@pytest.mark.parametrize("prefix", ["", "/cursor"])
def test_an_azure_path_names_the_model(prefix: str) -> None:
    target = f"{prefix}/openai/deployments/team%2Fgpt%205/chat/completions?api-version=2024-12-01-preview"
    assert classify(target) == Endpoint("chat", deployment="team/gpt 5")


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/healthz", "healthz"), ("/readyz/", "readyz"), ("/cursor/health", "healthz")],
)
def test_health_is_ours(path: str, kind: Kind) -> None:
    assert classify(path) == Endpoint(kind)


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("//v1/models", "models"),
        ("/v1/chat//completions?a=//b", "chat"),
        ("/v1///models//", "models"),
        ("//v1//messages", "messages"),
        ("/openai//deployments/a/chat/completions", "chat"),
    ],
)
def test_slashes_too_many_mean_one(target: str, kind: Kind) -> None:
    endpoint = classify(target)
    assert endpoint is not None
    assert endpoint.kind == kind


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("/v1", "unknown"),
        ("/v1/", "unknown"),
        ("/cursor/", "unknown"),
        ("/v1/chat", "unknown"),
        ("/v1/chat/completions/x", "unknown"),
        ("/v1/responses/resp_1/x", "unknown"),
        ("/v1/responses/compact", "unknown"),
        ("/v1/responses/input_tokens/", "input_tokens"),
        ("/v1/audio/speech", "unknown"),
        ("//v1/embeddings", "unknown"),
        ("/v1/v1/v1/models", "unknown"),
        ("/v1/chat%2Fcompletions", "unknown"),
        ("/v1/models;x", "unknown"),
        ("/cursor/../v1/models", "unknown"),
        ("/v1/messages/batches", "unknown_messages"),
        ("/cursor/v1/messages/batches/b_1/results", "unknown_messages"),
        ("/openai/deployments//chat/completions", "unknown"),
        ("/openai/deployments/a/b/chat/completions", "unknown"),
        ("/openai/deployments/a/embeddings", "unknown"),
    ],
)
def test_what_the_apis_have_and_nobody_serves_is_ours_to_refuse(target: str, kind: Kind) -> None:
    assert classify(target) == Endpoint(kind)


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/api/login",
        "/V1/models",
        "/v2/models",
        "/v10/models",
        "/cursors",
        "/openai",
        "/v1/models\n",
        "/x?/v1/models",
        "/healthz/x",
        "//evil.example/v1/models",
        "v1/models",
        "",
    ],
)
def test_any_other_path_is_the_sidecars(target: str) -> None:
    assert classify(target) is None


@pytest.mark.parametrize(
    ("kind", "wire_format", "methods"),
    [
        ("chat", "chat", ("POST",)),
        ("responses", "responses", ("POST",)),
        ("response", "responses", ("GET", "DELETE")),
        ("input_items", "responses", ("GET",)),
        ("cancel", "responses", ("POST",)),
        ("messages", "messages", ("POST",)),
        ("count_tokens", "messages", ("POST",)),
        ("models", "chat", ("GET", "HEAD")),
        ("healthz", "chat", ("GET", "HEAD")),
        ("readyz", "chat", ("GET", "HEAD")),
        ("unknown", "chat", ("POST",)),
        ("unknown_messages", "messages", ("POST",)),
    ],
)
def test_an_endpoint_knows_its_format_and_methods(
    kind: Kind, wire_format: str, methods: tuple[str, ...]
) -> None:
    assert (Endpoint(kind).wire_format, Endpoint(kind).methods) == (wire_format, methods)
