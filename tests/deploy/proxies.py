"""The reverse proxies of deploy/, run by their own programs before a gateway on this machine."""

import os
import shutil
import ssl
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import httpx
import msgspec

from tests.support.gateway import eventually, free_port
from tests.support.tls import PUBLIC_NAME, make_certificate

__all__ = ("PROXIES", "Proxy", "Recipe", "installed")

DEPLOY = Path(__file__).parents[2] / "deploy"
SBIN = f"{os.environ['PATH']}:/usr/sbin:/sbin"
"""Debian has servers where only root's PATH looks."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How one of the files is run with other ports, names and certificates than it has."""

    file: str
    check: tuple[str, ...]
    """The command that says whether the file is right; `FILE` stands for it."""

    run: tuple[str, ...]
    before: str = ""
    after: str = ""
    changes: tuple[tuple[str, str], ...] = ()
    """Texts of the file, each of which is in it, and what replaces them: `PORT`, `GATEWAY`,
    `DIRECTORY` and `PEM` are filled in.
    """

    authority: str = "authority.pem"
    """Whose certificates clients trust, within the directory."""


PROXIES = {
    "nginx": Recipe(
        file="nginx.conf",
        check=("nginx", "-t", "-q", "-e", "stderr", "-p", "DIRECTORY", "-c", "FILE"),
        run=("nginx", "-e", "stderr", "-p", "DIRECTORY", "-c", "FILE"),
        before="daemon off; pid nginx.pid; error_log stderr; events {} http { access_log off;\n"
        "client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n"
        "uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n",
        after="}",
        changes=(
            ("listen 443 ssl", "listen 127.0.0.1:PORT ssl"),
            ("/etc/ssl/thinkback/fullchain.pem", "PEM"),
            ("/etc/ssl/thinkback/privkey.pem", "PEM"),
            ("127.0.0.1:8787", "GATEWAY"),
        ),
    ),
    "haproxy": Recipe(
        file="haproxy.cfg",
        check=("haproxy", "-c", "-q", "-f", "FILE"),
        run=("haproxy", "-db", "-f", "FILE"),
        changes=(
            ("bind :443", "bind 127.0.0.1:PORT"),
            ("/etc/ssl/thinkback/think.example.com.pem", "PEM"),
            ("127.0.0.1:8787", "GATEWAY"),
        ),
    ),
    "caddy": Recipe(
        file="Caddyfile",
        check=("caddy", "validate", "--adapter", "caddyfile", "--config", "FILE"),
        run=("caddy", "run", "--adapter", "caddyfile", "--config", "FILE"),
        before="{\nadmin off\nskip_install_trust\nauto_https disable_redirects\nlocal_certs\n}\n",
        authority="caddy/pki/authorities/local/root.crt",
    ),
}
"""By the program's name."""


def installed(name: str) -> bool:
    """Whether this machine has the proxy's program."""
    return shutil.which(name, path=SBIN) is not None


class Proxy:
    """One of the proxies before a gateway; use as a context manager."""

    def __init__(self, name: str, directory: Path, gateway_port: int) -> None:
        self.port = free_port()
        self._recipe = PROXIES[name]
        self._directory = directory
        self._pem = make_certificate(directory, directory / "authority.pem")
        self._gateway = f"127.0.0.1:{gateway_port}"
        self._file = directory / self._recipe.file
        self._file.write_text(self._text())
        self._log: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def origin(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def public_url(self) -> str:
        return f"https://{PUBLIC_NAME}:{self.port}"

    @property
    def authority(self) -> Path:
        """The certificate that clients must trust."""
        return self._directory / self._recipe.authority

    def check(self) -> None:
        """Raise CalledProcessError, with what the program says, when it refuses the file."""
        done = subprocess.run(
            self._command(self._recipe.check),
            env=self._environment(),
            capture_output=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr.decode()

    def client(self, address: str = "127.0.0.1") -> httpx.Client:
        """A client on this machine's address that trusts the proxy's certificate."""
        context = ssl.create_default_context(cafile=self.authority)
        transport = httpx.HTTPTransport(verify=context, local_address=address)
        return httpx.Client(transport=transport, timeout=30)

    def __enter__(self) -> Self:
        self._log = (self._directory / "proxy.log").open("wb")
        self._process = subprocess.Popen(
            self._command(self._recipe.run),
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        if not eventually(self._serves, 20):
            self._end()
            raise RuntimeError((self._directory / "proxy.log").read_text())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        assert self._process
        assert self._log
        self._process.terminate()
        self._process.wait(20)
        self._log.close()

    def _serves(self) -> bool:
        if not self.authority.exists():
            return False
        try:
            with self.client() as client:
                return client.get(f"{self.origin}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def _text(self) -> str:
        text = (DEPLOY / self._recipe.file).read_text()
        for old, new in self._recipe.changes:
            assert old in text, f"{self._recipe.file} has no {old!r}"
            text = text.replace(old, self._fill(new))
        return self._recipe.before + text + self._recipe.after

    def _fill(self, text: str) -> str:
        places = {"PORT": str(self.port), "GATEWAY": self._gateway, "PEM": str(self._pem)}
        for name, value in places.items():
            text = text.replace(name, value)
        return text

    def _command(self, words: tuple[str, ...]) -> list[str]:
        places = {"FILE": str(self._file), "DIRECTORY": str(self._directory)}
        return [places.get(word, word) for word in words]

    def _environment(self) -> Mapping[str, str]:
        return {
            "PATH": SBIN,
            "HOME": str(self._directory),
            "XDG_DATA_HOME": str(self._directory),
            "THINKBACK_HOST": f"{self.origin}, {self.public_url}",
            "THINKBACK_ADDR": self._gateway,
        }
