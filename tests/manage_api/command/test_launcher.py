"""The launcher as a real process, with both real programs."""

import fcntl
import http.client
import os
import re
import signal
import socket
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import jwt
import psutil
import pytest

from manage_api.command.launcher import LaunchError, prepare
from shared.store import open_engine
from shared.store.settings import change_settings
from tests.manage_api.command.running import THINKBACK, Command
from tests.support.gateway import free_port

MITM = (Path(__file__).parents[3] / "mitm.toml").read_text()


JWT_SECRET = "a canary of more than thirty-two characters"


class Launched:
    """A running `thinkback up`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.output = ""

    def read_until(self, text: str) -> str:
        """Everything it said up to this text."""
        assert self.process.stdout
        while text not in self.output:
            line = self.process.stdout.readline()
            assert line, f"it ended without saying {text!r}:\n{self.output}"
            self.output += line
        return self.output

    def rest(self) -> str:
        """What else it said, once it has ended."""
        assert self.process.stdout
        return self.process.stdout.read()

    def family(self) -> list[psutil.Process]:
        launcher = psutil.Process(self.process.pid)
        return [launcher, *launcher.children(recursive=True)]


@pytest.fixture
def thinkback(tmp_path: Path) -> Command:
    return Command(tmp_path)


@contextmanager
def up(thinkback: Command, *arguments: str, **environ: str) -> Iterator[Launched]:
    """A launcher in a process group of its own, as a terminal gives it; killed at the end
    if it still runs.
    """
    process = subprocess.Popen(
        ["/bin/sh", "-c", 'ulimit -Sn 256; exec "$0" "$@"', THINKBACK, "up", *arguments],
        cwd=thinkback.directory,
        env=thinkback.environ | environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )
    with process:
        try:
            yield Launched(process)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """A launcher that has said it is ready, for all tests that only look at it."""
    with up(
        Command(tmp_path_factory.mktemp("running")),
        ADMIN_PASSWORD="correct horse battery",
        JWT_SECRET=JWT_SECRET,
        UPSTREAM_BASE_URL="http://127.0.0.1:9",
        UPSTREAM_API_KEY="sk-canary-of-the-upstream",
    ) as launched:
        launched.read_until("Web pages")
        yield launched


def get(url: str) -> int:
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=10)
    connection.request("GET", "/" + path)
    status = connection.getresponse().status
    connection.close()
    return status


def test_what_a_terminal_sends_to_all_of_them_ends_them_quietly(thinkback: Command) -> None:
    with up(thinkback) as launched:
        launched.read_until("(docs/operating.md).")
        family = launched.family()
        os.killpg(launched.process.pid, signal.SIGINT)

        assert launched.process.wait(60) == 0
        stopping = r"[\d-]{10} [\d:]{8} Stopping the data plane and the sidecar\.\n"
        assert re.fullmatch(stopping, launched.rest())
        assert len(family) == 3
        assert not any(process.is_running() for process in family)


def test_it_ends_with_the_terminal_it_runs_in(thinkback: Command) -> None:
    master, slave = os.openpty()

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [THINKBACK, "up"],
        cwd=thinkback.directory,
        env=thinkback.environ,
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=take_terminal,
    )
    os.close(slave)
    with process:
        try:
            Launched(process).read_until("is running")
            os.close(master)
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_a_signal_to_the_launcher_alone_ends_both_programs(thinkback: Command) -> None:
    with up(thinkback) as launched:
        launched.read_until("is running")
        family = launched.family()
        launched.process.terminate()

        assert launched.process.wait(60) == 0
        assert not any(process.is_running() for process in family)


def test_both_programs_answer_when_it_says_so(running: Launched) -> None:
    page = re.findall(r"Web pages +(\S+)", running.output)[0]

    assert f"Base URL   {page}v1\n" in running.output
    assert (get(page), get(page + "healthz")) == (200, 200)


def test_the_programs_do_not_know_the_admin_password(running: Launched) -> None:
    assert "correct horse" not in running.output
    assert not any("ADMIN_PASSWORD" in child.environ() for child in running.family()[1:])


def test_the_programs_have_no_secret_in_their_environments_and_work_with_them(
    running: Launched,
) -> None:
    children = [str(child.environ()) for child in running.family()[1:]]
    assert len(children) == 2
    assert not any("canary" in environ for environ in children)

    page = re.findall(r"Web pages +(\S+)", running.output)[0]
    made = jwt.encode(claims(), JWT_SECRET, algorithm="HS256")
    assert asked(f"{page}api/me", made) == 200  # the sidecar's
    assert asked(f"{page}v1/models", made) == 200  # the data plane's
    assert asked(f"{page}v1/models", "sk-canary-of-the-upstream") == 200


def claims() -> dict[str, object]:
    """A session of the first account."""
    now = int(time.time())  # noqa: TID251 - the programs take the machine's clock
    return {"sub": "1", "epoch": 0, "iat": now, "exp": now + 60, "jti": "a"}


def asked(url: str, credential: str) -> int:
    """The status for a caller with this credential."""
    request = Request(url, headers={"Authorization": f"Bearer {credential}"})
    with urlopen(request, timeout=10) as answer:
        status: int = answer.status
        return status


def test_a_second_one_here_says_that_there_is_one(running: Launched) -> None:
    launcher = running.family()[0]
    done = subprocess.run(
        [THINKBACK, "up"],
        cwd=launcher.cwd(),
        env=launcher.environ(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    page = re.findall(r"Web pages +(\S+)", running.output)[0]
    said = f"Thinkback runs here already, pid {launcher.pid}: {page.rstrip('/')}\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_the_programs_may_open_as_many_files_as_the_machine_allows(running: Launched) -> None:
    limits = [child.rlimit(psutil.RLIMIT_NOFILE) for child in running.family()]

    assert all(soft == hard for soft, hard in limits)


def test_of_what_a_start_takes_nothing_stays_in_memory(running: Launched) -> None:
    files = [each.path for each in running.family()[0].memory_maps()]

    assert [each for each in files if "site-packages" in each or "libssl" in each] == []


def test_mitmproxy_s_folder_is_closed_to_others(running: Launched) -> None:
    folder = Path(running.family()[0].cwd()) / "data" / "mitmproxy"

    assert folder.stat().st_mode & 0o077 == 0


def test_the_first_account_is_shown_at_the_first_start_only(thinkback: Command) -> None:
    with up(thinkback) as launched:
        first = launched.read_until("is running")
    with up(thinkback) as launched:
        second = launched.read_until("is running")

    assert re.search(r"Password +[a-z0-9-]{19}\n +API key +sk-\w{43}", first)
    assert "Password" not in second


@pytest.mark.parametrize("name", ["LISTEN_ADDR", "ADMIN_LISTEN_ADDR"])
def test_an_address_in_use_is_said_and_nothing_is_made(
    thinkback: Command, tmp_path: Path, name: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"

        done = thinkback("up", **{name: address})

    assert done.returncode == 1
    assert done.stderr.startswith(f"Can't listen on {address} (Address already in use)")
    assert (name in done.stderr, len(done.stderr.splitlines())) == (True, 1)
    assert not list(tmp_path.iterdir())


def test_an_option_mitmproxy_refuses_ends_the_launcher_with_its_exit_code(
    thinkback: Command, tmp_path: Path
) -> None:
    (tmp_path / "mitm.toml").write_text(
        MITM.replace("[options]", '[options]\nbody_size_limit = "much"')
    )

    done = thinkback("up")

    assert done.returncode == 1
    assert "body_size_limit" in done.stderr
    assert "The data plane does not start (exit code 1)" in done.stdout


def test_mitmweb_opens_with_the_address_that_was_printed_and_not_without(
    thinkback: Command, tmp_path: Path
) -> None:
    (tmp_path / "mitm.toml").write_text(
        MITM.replace("web_port = 8081", f"web_port = {free_port()}")
    )

    with up(thinkback, "--web") as launched:
        url, token = re.findall(r"mitmweb +(\S+)(\?token=\S+)", launched.read_until("mitmweb"))[0]

        assert (get(url + token), get(url)) == (200, 403)
        assert token.removeprefix("?token=") not in str(
            [child.cmdline() for child in launched.family()]
        )


@pytest.mark.parametrize(
    "exposed", [{"PUBLIC_URL": "https://a.b"}, {"LISTEN_ADDR": f"0.0.0.0:{free_port()}"}]
)
def test_what_others_reach_does_not_start_while_an_admin_has_a_well_known_password(
    thinkback: Command, exposed: dict[str, str]
) -> None:
    thinkback("user", "list", ADMIN_PASSWORD="changeme")
    environ = (
        thinkback.environ
        | exposed
        | {"DATABASE_URL": f"sqlite:{thinkback.directory}/data/adapter.db"}
    )

    with pytest.raises(LaunchError, match="thinkback user passwd admin"):
        prepare(environ, web=False)
    assert thinkback("user", "passwd", "admin").returncode == 0
    assert prepare(environ, web=False).first_account is None


def test_a_well_known_first_password_does_not_start_what_others_reach(thinkback: Command) -> None:
    done = thinkback("up", ADMIN_PASSWORD="Password", PUBLIC_URL="https://a.b")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("environment: ADMIN_PASSWORD: is a well-known password")
    assert not list(thinkback.directory.iterdir())


def test_on_this_machine_alone_a_well_known_password_starts(thinkback: Command) -> None:
    environ = thinkback.environ | {"DATABASE_URL": f"sqlite:{thinkback.directory}/data/adapter.db"}

    assert prepare(environ | {"ADMIN_PASSWORD": "changeme"}, web=False).first_account


def test_what_is_stored_counts_from_the_start(thinkback: Command, tmp_path: Path) -> None:
    environ = thinkback.environ | {"DATABASE_URL": f"sqlite:{tmp_path}/data/adapter.db"}
    with closing(open_engine(environ["DATABASE_URL"])) as engine:
        change_settings(engine, {"server.public_url": "https://llm.example.com"}, 1)

    assert prepare(environ, web=False).snapshot.server.public_url == "https://llm.example.com"
