"""Stylesheet, scripts, fonts and images, held in memory and addressed by their content.

`/static/<hash>/css/app.css` never changes and may be kept for a year: the hash is of the whole folder, so that a
stylesheet's relative references stay right. The same file without the hash must be asked for again each time. Nothing
is looked up on disk for a request, so no path can lead anywhere else.
"""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from quntedge.edge.bare import BareRoute
from quntedge.edge.callers import Csrf, Stamp
from quntedge.edge.middleware import header

FOLDER = Path(__file__).parent / "static"
_STAMP = Stamp("anyone", Csrf.NONE)
_FOR_A_YEAR = b"public, max-age=31536000, immutable"
_ASK_AGAIN = b"no-cache"
_COMPRESSED = (".css", ".js", ".svg", ".txt", ".json")
# The system's own table differs between machines.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    compressed: bytes | None
    media_type: bytes
    etag: bytes


class StaticFiles:
    """The files of a folder as they were when the process started."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {
            path.relative_to(folder).as_posix(): _load(path) for path in sorted(folder.rglob("*")) if path.is_file()
        }
        digest = hashlib.sha256()
        for name, file in self._files.items():
            digest.update(name.encode() + b"\0" + file.etag)
        self.version = digest.hexdigest()[:16]

    def url(self, name: str) -> str:
        """The lasting address of a file. Raises `KeyError` for one that does not exist: a template's mistake."""
        if name not in self._files:
            raise KeyError(f"there is no static file {name!r}")
        return f"/static/{self.version}/{name}"

    def route(self) -> BareRoute:
        """The route to serve them."""
        return BareRoute("/static/{path:path}", frozenset({"GET"}), self, _STAMP)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one file. Raises a 404 `HTTPException`."""
        path: str = scope["path_params"]["path"]
        version, _, name = path.partition("/")
        is_lasting = version == self.version
        file = self._files.get(name if is_lasting else path)
        if file is None:
            raise HTTPException(404)
        headers = [
            (b"content-type", file.media_type),
            (b"etag", file.etag),
            (b"cache-control", _FOR_A_YEAR if is_lasting else _ASK_AGAIN),
            (b"vary", b"accept-encoding"),
        ]
        if header(scope, b"if-none-match") == file.etag:
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        body = file.content
        if file.compressed is not None and b"gzip" in (header(scope, b"accept-encoding") or b""):
            body = file.compressed
            headers.append((b"content-encoding", b"gzip"))
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _load(path: Path) -> _File:
    content = path.read_bytes()
    media_type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    compressed = gzip.compress(content, mtime=0) if path.suffix in _COMPRESSED else None
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return _File(content, compressed, media_type.encode(), etag.encode())
