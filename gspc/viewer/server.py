"""A server for one page on this machine: files from memory, by ranges where a browser asks for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from gspc.errors import UsageError
from gspc.viewer.pages import POLICY

HOST = "127.0.0.1"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".wasm": "application/wasm",
    ".pcgs": "application/octet-stream",
    ".part": "application/octet-stream",  # of a tile
    ".pcgsx": "application/json",
}
# The isolation headers keep the page in a process of its own.
HEADERS = {
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
    "Accept-Ranges": "bytes",
}
RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class PageServer(ThreadingHTTPServer):
    """Serves `pages`, file names to contents; "/" is index.html."""

    daemon_threads = True

    def __init__(self, pages: Mapping[str, bytes], port: int) -> None:
        self.pages = pages
        self.tags = {name: f'"{sha256(data).hexdigest()[:32]}"' for name, data in pages.items()}
        super().__init__((HOST, port), PageHandler)

    @property
    def address(self) -> str:
        """Where a browser finds the page."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that hangs up is no news."""


def make_server(pages: Mapping[str, bytes], port: int = 0) -> PageServer:
    """A server that listens already; port 0 takes any that is free. Raises UsageError for a taken one."""
    try:
        return PageServer(pages, port)
    except OSError as error:
        raise UsageError(f"--port {port}: {error.strerror or error}; choose another") from error


def wanted_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and end of the one range that a header asks for; None for all of the file.

    What is no such header, or names several ranges, is answered with the whole file, as RFC 9110 (14.2)
    allows. Raises ValueError for a range beyond the end.
    """
    match = RANGE.fullmatch((header or "").strip())
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":  # the last so many bytes
        first, end = max(size - int(match[2]), 0), size
    else:
        first, end = int(match[1]), size if match[2] == "" else min(int(match[2]) + 1, size)
    if match[1] and match[2] and int(match[2]) < int(match[1]):
        return None
    if first >= end:
        raise ValueError("beyond the end")
    return first, end


class PageHandler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for the files of a PageServer."""

    server: PageServer
    protocol_version = "HTTP/1.1"
    server_version = "gspc"
    sys_version = ""

    def do_GET(self) -> None:
        """Sends a file or a range of it."""
        self.answer(body=True)

    def do_HEAD(self) -> None:
        """Sends a file's headers."""
        self.answer(body=False)

    def answer(self, *, body: bool) -> None:
        """Sends the file that the path names, or says that there is none."""
        name = urlsplit(self.path).path.removeprefix("/") or "index.html"
        data = self.server.pages.get(name)
        if not self.asked_for_this_machine():
            self.refuse(HTTPStatus.FORBIDDEN)
        elif data is None:
            self.refuse(HTTPStatus.NOT_FOUND)
        else:
            self.send_file(name, data, body=body)

    def asked_for_this_machine(self) -> bool:
        """Whether the browser knows this server by a name of this machine, and no other site's name leads
        here (DNS rebinding)."""
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        return host in (HOST, "localhost", "::1")

    def send_file(self, name: str, data: bytes, *, body: bool) -> None:
        """Sends all of it, or what a Range header asks for."""
        try:
            wanted = wanted_range(self.headers.get("Range"), len(data))
        except ValueError:
            self.refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, {"Content-Range": f"bytes */{len(data)}"})
            return
        first, end = wanted or (0, len(data))
        self.send_response(HTTPStatus.OK if wanted is None else HTTPStatus.PARTIAL_CONTENT)
        if wanted is not None:
            self.send_header("Content-Range", f"bytes {first}-{end - 1}/{len(data)}")
        kind = TYPES.get(PurePosixPath(name).suffix, "text/plain; charset=utf-8")
        self.finish_headers({"Content-Type": kind, "ETag": self.server.tags[name]}, end - first)
        if body:
            self.wfile.write(memoryview(data)[first:end])

    def refuse(self, status: HTTPStatus, headers: Mapping[str, str] | None = None) -> None:
        """Sends an answer without content."""
        self.send_response(status)
        self.finish_headers(headers or {}, 0)

    def finish_headers(self, more: Mapping[str, str], length: int) -> None:
        """Sends all headers but the first line."""
        for key, value in [*HEADERS.items(), *more.items(), ("Content-Length", str(length))]:
            self.send_header(key, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the terminal belongs to the command."""
