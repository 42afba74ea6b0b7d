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
    "target",
    [
        "/",
        "/v1",
        "/v1/",
        "/api/login",
        "/v1/chat",
        "/v1/chat/completions/x",
        "/v1/responses/resp_1/x",
        "/v1/responses//input_items",
        "/v1/responses/resp_1//cancel",
        "/v1/chat//completions",
        "//v1/models",
        "/v1/models//",
        "/V1/models",
        "/v2/models",
        "/v1/v1/v1/models",
        "/v1/chat%2Fcompletions",
        "/v1/models;x",
        "/v1/models\n",
        "/cursor/../v1/models",
        "/x?/v1/models",
        "/healthz/x",
        "/openai/deployments//chat/completions",
        "/openai/deployments/a/b/chat/completions",
        "/openai/deployments/a/embeddings",
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
        ("models", "chat", ("GET",)),
        ("healthz", "chat", ("GET",)),
        ("readyz", "chat", ("GET",)),
    ],
)
def test_an_endpoint_knows_its_format_and_methods(
    kind: Kind, wire_format: str, methods: tuple[str, ...]
) -> None:
    assert (Endpoint(kind).wire_format, Endpoint(kind).methods) == (wire_format, methods)
