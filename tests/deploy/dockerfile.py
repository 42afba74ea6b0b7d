"""A Dockerfile's instructions, carried out in a folder of this machine instead of an image."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec

__all__ = ("Stage", "build", "stages")

ROOT = Path(__file__).parents[2]


class Stage(msgspec.Struct, frozen=True):
    """The instructions between one FROM and the next: pairs of keyword and argument."""

    instructions: tuple[tuple[str, str], ...]

    def all(self, keyword: str) -> list[str]:
        """The arguments of every such instruction."""
        return [argument for name, argument in self.instructions if name == keyword]

    def words(self, keyword: str) -> list[str]:
        """The one command of that keyword in exec form, which takes no shell."""
        return [str(word) for word in json.loads(self.all(keyword)[0])]

    def environment(self) -> dict[str, str]:
        return dict(
            word.partition("=")[::2] for line in self.all("ENV") for word in shlex.split(line)
        )


def stages(text: str) -> list[Stage]:
    """The stages of a Dockerfile; what stands before the first FROM is left out."""
    found: list[list[tuple[str, str]]] = []
    plain = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    for line in filter(None, map(str.strip, plain.splitlines())):
        keyword, argument = line.split(maxsplit=1)
        if keyword == "FROM":
            found.append([])
        elif found:
            found[-1].append((keyword, argument))
    return [Stage(tuple(stage)) for stage in found]


def build(stage: Stage, root: Path, base: Mapping[str, str]) -> None:
    """Carry out a stage whose absolute paths are meant within `root`; `base` is the environment
    that its image has.
    """
    environment, directory = dict(base), root
    for keyword, argument in stage.instructions:
        words = [within(root, word) for word in shlex.split(argument)]
        match keyword:
            case "WORKDIR":
                directory = Path(words[0])
                directory.mkdir(parents=True)
            case "ENV":
                environment |= dict(word.partition("=")[::2] for word in words)
                environment.pop("UV_COMPILE_BYTECODE", None)  # takes long, and Python does it too
            case "COPY":
                _copy(words[:-1], directory / words[-1])
            case "RUN":
                _run(within(root, argument), directory, environment)


def within(root: Path, text: str) -> str:
    """The text with its paths of an image within the folder."""
    return re.sub(r"(?<![\w./])/(opt|src|data)\b", rf"{root}/\1", text)


def _copy(names: list[str], to: Path) -> None:
    for name in names:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, to)


def _run(command: str, directory: Path, environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
