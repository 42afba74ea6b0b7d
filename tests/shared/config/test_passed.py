import os
import subprocess
import sys

from shared.config.passed import passing, received

ENVIRON = {
    "JWT_SECRET": "s" * 40,
    "UPSTREAM_API_KEY": "ü, k",
    "AZURE_OPENAI_API_KEY": "k",
    "LISTEN_ADDR": "127.0.0.1:1",
}


def test_secrets_leave_the_environment_and_come_back() -> None:
    with passing(ENVIRON) as passed:
        found = [received(passed.environ) for _ in range(2)]

    assert passed.environ.keys() & ENVIRON == {"LISTEN_ADDR"}
    assert [{name: each[name] for name in ENVIRON} for each in found] == [ENVIRON] * 2


def test_an_environment_of_which_nothing_was_passed_is_as_it_is() -> None:
    assert received(ENVIRON) == ENVIRON


def test_every_program_that_inherits_the_file_gets_them() -> None:
    program = (
        "import os\nfrom shared.config.passed import received\n"
        "print(ascii(received(os.environ)['UPSTREAM_API_KEY']), 'JWT_SECRET' in os.environ)"
    )
    with passing(ENVIRON | {"PATH": os.environ["PATH"]}) as passed:
        said = [
            subprocess.run(
                [sys.executable, "-c", program],
                env=passed.environ,
                pass_fds=[passed.file],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for _ in range(2)
        ]

    assert said == ["'\\xfc, k' False\n"] * 2
