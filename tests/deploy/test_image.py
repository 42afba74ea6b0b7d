"""The image's steps give a gateway that needs nothing outside its folders, and the wheel does
without the checkout.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.dockerfile import ROOT, build, stages, within
from tests.harden.figure import at_scale
from tests.support.client import Conversation, sdk
from tests.support.gateway import Gateway, upstream_environment
from tests.support.provider import StrictProvider

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
BUILD, IMAGE = stages(DOCKERFILE)
HADOLINT = Path(sys.executable).with_name("hadolint")


def base(directory: Path) -> dict[str, str]:
    """The environment of an image that has a Python with pip and nothing else."""
    subprocess.run([sys.executable, "-m", "venv", directory / "python"], check=True, timeout=60)
    return outside(directory)


def outside(directory: Path) -> dict[str, str]:
    """An environment that knows nothing of the checkout's own; what this machine has fetched
    before is not fetched again.
    """
    registry = ("PIP_", "SSL_", "UV_")
    kept = {name: text for name, text in os.environ.items() if name.startswith(registry)}
    cache = {"UV_CACHE_DIR": str(Path.home() / ".cache/uv")}
    path = f"{directory}/python/bin:{sys.base_prefix}/bin:/usr/bin:/bin"
    return cache | kept | {"PATH": path, "HOME": str(directory)}


def installer() -> str:
    """The `uv` that the Makefile takes."""
    return shutil.which("uv") or str(ROOT / ".uv/bin/uv")


def new_user(gateway: Gateway) -> str:
    """The virtual key of an account that the installation's own command makes."""
    answer = gateway.thinkback("user", "add", "ada", "--json")
    return str(json.loads(answer.splitlines()[-1])["api_key"])


def test_the_steps_of_the_dockerfile_make_a_gateway_that_keeps_its_state_in_data(
    tmp_path: Path,
) -> None:
    build(BUILD, tmp_path, base(tmp_path))
    shutil.rmtree(tmp_path / "src")  # the image has what it copies from the first stage alone
    environment = {
        name: within(tmp_path, text)
        for name, text in IMAGE.environment().items()
        if name != "LISTEN_ADDR"
    }
    program = Path(within(tmp_path, "/opt/thinkback/bin/thinkback"))
    assert IMAGE.words("ENTRYPOINT") + IMAGE.words("CMD") == [program.name, "up"]
    with (
        StrictProvider() as provider,
        Gateway(
            tmp_path / "data",
            environment | upstream_environment(provider.base_url) | {"DATABASE_URL": ""},
            program=program,
        ) as gateway,
    ):
        assert f" {tmp_path}/data/config.toml\n" in gateway.thinkback("check", "--offline")
        check = IMAGE.all("HEALTHCHECK")[0].partition("CMD ")[2]
        assert check == '["thinkback", "status"]'
        gateway.thinkback("status")
        with sdk(gateway.base_url, new_user(gateway)) as client:
            conversation = Conversation(client, "deepseek-v4-pro")
            conversation.run(2)
            gateway.restart()
            conversation.run(2)
        assert not provider.rejections
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "opt", "python"]
    assert {"adapter.db", "secret.key"} <= {path.name for path in (tmp_path / "data").iterdir()}


@pytest.mark.parametrize(
    "tool", at_scale(suite=[["tool"]], full=[["tool"], ["tool", "run", "pipx"]])
)
def test_the_wheel_serves_from_anywhere_and_keeps_its_state_in_the_data_directory(
    tmp_path: Path, tool: list[str]
) -> None:
    uv, elsewhere = installer(), tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = outside(tmp_path)
    for command in (["build", "--wheel", "--out-dir", tmp_path, ROOT], [*tool, "install"]):
        wheel = [*tmp_path.glob("thinkback-*.whl")]
        install = [uv, *command, "--quiet", "--python", sys.executable, *wheel]
        subprocess.run(install, env=environment, check=True, timeout=120)
    with (
        StrictProvider() as provider,
        Gateway(
            elsewhere,
            {
                **upstream_environment(provider.base_url),
                "HOME": str(tmp_path),
                "DATABASE_URL": "",
            },
            program=tmp_path / ".local/bin/thinkback",
        ) as gateway,
    ):
        with sdk(gateway.base_url, new_user(gateway)) as client:
            conversation = Conversation(client, "deepseek-v4-pro")
            conversation.run(2)
            gateway.restart()
            conversation.run(2)
        assert not provider.rejections
    assert [path.name for path in elsewhere.iterdir()] == ["gateway.log"]
    assert {"adapter.db", "secret.key"} <= {
        path.name for path in (tmp_path / ".local/share/thinkback").iterdir()
    }


def test_the_readme_runs_the_image_and_installs_the_wheel_as_they_are() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    tag = re.search(r"^docker build --tag (\w+) \.$", readme, re.MULTILINE)
    assert tag
    words = readme.split("\ndocker run ")[1].split("\n```")[0].split()
    assert f":{IMAGE.all('EXPOSE')[0]}" in words[words.index("--publish") + 1]
    assert words[words.index("--volume") + 1].endswith(f":{IMAGE.all('VOLUME')[0]}")
    assert words[-1] == tag[1]
    assert (
        "\nuv build --wheel\nuv tool install --python 3.13 dist/thinkback-*.whl\nthinkback up"
        in readme
    )


def test_the_image_runs_without_root_and_its_state_is_a_volume() -> None:
    assert IMAGE.all("USER") == ["10001:10001"]
    assert IMAGE.all("VOLUME") == ["/data"]
    assert "--chown=10001:10001 /data /data" in " ".join(IMAGE.all("COPY"))


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    done = subprocess.run(
        [HADOLINT, ROOT / "Dockerfile"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_context_has_what_is_copied_and_nothing_else() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = {
        name
        for line in BUILD.all("COPY")
        for name in line.split()[:-1]
        if not name.startswith("--")
    }
    assert ignored[1] == "*"
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == copied


def _daemon() -> bool:
    docker = shutil.which("docker")
    if not docker:
        return False
    done = subprocess.run([docker, "info"], capture_output=True, check=False, timeout=30)
    return done.returncode == 0


@pytest.mark.skipif(not _daemon(), reason="no Docker daemon runs here")
def test_docker_builds_the_image() -> None:
    done = subprocess.run(
        ["docker", "build", "--quiet", ROOT],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
