from manage_api.domains.doctor.findings import fault, ok, warning, worst


def test_the_gravest_verdict_counts() -> None:
    assert worst([ok("a", "."), fault("b", ".", "c"), warning("d", ".", "e")]) == "fault"
    assert worst([ok("a", "."), warning("d", ".", "e")]) == "warning"
    assert worst([]) == "ok"
