"""Static files: our own, and those of others that `make vendor` fetched."""

import asyncio
import gzip
import hashlib
import mimetypes
from functools import cache
from pathlib import Path

from litestar import Controller, Response, get
from litestar.datastructures import CacheControlHeader
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from manage_api.access.authentication import PUBLIC
from manage_api.access.callers import AnyRequest

__all__ = ("SWAGGER_UI", "AssetsController", "asset")

SWAGGER_UI = "vendor/swagger-ui-dist-5.35.0"

_FOLDER = Path(__file__).with_name("static")
_FOREVER = CacheControlHeader(public=True, max_age=365 * 24 * 3600, immutable=True)


@cache
def asset(name: str) -> str:
    """Return the URL of a file below `static/`.

    It changes with the content, so browsers may cache the file forever.
    """
    return f"/static/{name}?{hashlib.sha256((_FOLDER / name).read_bytes()).hexdigest()[:12]}"


class AssetsController(Controller):
    """Static files, for everyone."""

    opt = PUBLIC
    include_in_schema = False

    @get("/static/{name:path}", cache_control=_FOREVER)
    async def show(self, name: FromPath[Path], request: AnyRequest) -> Response[bytes]:
        """Send a file, compressed if the browser accepts that."""
        file = _files().get(name.as_posix())
        if not file:
            raise NotFoundException("There is no such file.")
        headers = {"Vary": "Accept-Encoding"}
        if packed := "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
        content = await asyncio.to_thread(_content, file, packed=packed)
        return Response(content, media_type=mimetypes.guess_type(file.name)[0], headers=headers)


@cache
def _files() -> dict[str, Path]:
    """Return the files by their path after `/static`; no other path is ever opened."""
    return {
        f"/{file.relative_to(_FOLDER).as_posix()}": file
        for file in _FOLDER.rglob("*")
        if file.is_file()
    }


@cache
def _content(file: Path, *, packed: bool) -> bytes:
    content = file.read_bytes()
    if packed:
        content = gzip.compress(content)
    return content
