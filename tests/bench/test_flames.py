from collections import Counter
from xml.etree import ElementTree as ET

from tests.bench.flames import WIDTH, Flames, svg

OUTER, INNER = "addon/edge/stream.py Stream.take", "mitmproxy/http.py Headers.__init__"
GRAPH = Flames("a delta", 40.0, Counter({(OUTER, INNER): 300, (OUTER,): 99, ("a.py <lambda>",): 1}))


def boxes() -> dict[str, float]:
    """What is drawn, with its width."""
    drawn = ET.fromstring(svg([GRAPH]))
    space = "{http://www.w3.org/2000/svg}"
    return {
        group.findtext(f"{space}title", ""): float(rect.get("width", ""))
        for group in drawn.iter(f"{space}g")
        for rect in group.iter(f"{space}rect")
    }


def test_a_function_is_as_wide_as_the_time_that_it_took() -> None:
    found = boxes()

    assert list(found) == [f"{OUTER}: 39.9 µs", f"{INNER}: 30.0 µs"]
    assert found[f"{INNER}: 30.0 µs"] == (WIDTH - 20) * 0.75


def test_what_is_too_narrow_to_be_read_is_left_out() -> None:
    assert not any("lambda" in name for name in boxes())
