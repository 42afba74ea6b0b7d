"""Why an answer ended is said in the words of Chat Completions, whatever the upstream's are."""

import pytest

from addon.formats.tolerant.finish import finish_of, stop_sequence_of


@pytest.mark.parametrize(
    ("word", "calls", "finish"),
    [
        ("stop", False, "stop"),
        ("end_turn", False, "stop"),
        ("stop_sequence", False, "stop"),
        ("STOP", False, "stop"),
        ("COMPLETE", False, "stop"),
        ("eos_token", False, "stop"),
        ("length", False, "length"),
        ("max_tokens", True, "length"),
        ("MAX_TOKENS", False, "length"),
        ("FINISH_REASON_MAX_TOKENS", False, "length"),
        ("model_length", False, "length"),
        ("model_context_window_exceeded", False, "length"),
        ("tool_calls", True, "tool_calls"),
        ("tool_use", True, "tool_calls"),
        ("function_call", True, "tool_calls"),
        ("content_filter", False, "content_filter"),
        ("refusal", False, "content_filter"),
        ("SAFETY", False, "content_filter"),
        ("sensitive", False, "content_filter"),
        ("pause_turn", False, "pause_turn"),
        ("new_reason", False, "stop"),
        ("new_reason", True, "tool_calls"),
        (None, True, "tool_calls"),
        (None, False, "stop"),
        (7, False, "stop"),
    ],
)
def test_every_upstreams_word_has_one_of_the_known_reasons(
    word: object, calls: bool, finish: str
) -> None:
    assert finish_of(word, calls=calls) == finish


@pytest.mark.parametrize(
    ("stop_reason", "reason", "stop"),
    [
        ("\n\nHuman:", "stop", "\n\nHuman:"),
        ("END", "tool_calls", ""),
        (2, "stop", ""),
        (None, "stop", ""),
        ("end_turn", "stop", ""),
        ("STOP", "stop", ""),
    ],
)
def test_the_stop_sequence_is_one_where_a_server_names_it(
    stop_reason: object, reason: str, stop: str
) -> None:
    assert stop_sequence_of(stop_reason, reason) == stop
