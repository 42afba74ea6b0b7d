import os
import subprocess
import sys
import tempfile

from manage_api.command.child import Known
from manage_api.command.handover import KeptTunnel
from manage_api.command.resident import Host, Plan, Task, received, with_words

IMPORTED = """
import sys
before = set(sys.modules)
from manage_api.command import resident
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""


def test_what_stays_imports_nothing_but_the_standard_library_and_ours() -> None:
    printed = subprocess.run(
        [sys.executable, "-c", IMPORTED], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert set(printed.split()) - sys.stdlib_module_names == {"manage_api", "shared"}


def test_what_a_launcher_leaves_is_taken_over_and_no_later_program_inherits_it() -> None:
    reading, writing = os.pipe()
    sidecar = Task(name="sidecar", command=["a"], address="a:1", sockets=[writing], most_silent=3)
    plan = Plan(
        arguments=["up", "--web"],
        environ={"JWT_SECRET": "canary"},
        program_environ={"PATH": "/bin"},
        passed_file=reading,
        tasks=[sidecar],
        predecessors=[Known("sidecar", 1, reading, 30, True, 5)],
        database_url="sqlite:a",
        ready="It runs.",
        hosts=[Host("one", "a.example")],
        lock=writing,
        tunnel={"program": "ngrok"},
        kept=KeptTunnel(2, reading, "https://a.b", writing),
    )
    for fd in plan.descriptors():
        os.set_inheritable(fd, True)
    with tempfile.TemporaryFile() as file:
        file.write(plan.encoded())
        file.flush()
        assert received(os.dup(file.fileno())) == plan
    assert [os.get_inheritable(fd) for fd in (reading, writing)] == [False, False]
    os.close(reading)
    os.close(writing)


def test_options_that_come_with_a_restart_replace_those_of_before_and_leave_the_rest() -> None:
    before = ["up", "--background", "--workers=2", "--tunnel=ngrok"]

    assert with_words(before, []) == before
    assert with_words(before, ["--workers=auto"]) == [
        *("up", "--background", "--tunnel=ngrok", "--workers=auto")
    ]
