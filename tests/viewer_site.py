"""A server for tests of the viewer: counts what is asked for, and is slow, broken or simple on demand."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus

from gspc.viewer.pages import site
from gspc.viewer.server import PageHandler, PageServer, wanted_range

SCENE = "scene.pcgs"


class TestServer(PageServer):
    """Serves a site, and remembers the requests for its scene as (first byte, end)."""

    __test__ = False

    def __init__(self, stream: bytes) -> None:
        super().__init__(site("scene.pcgs", stream), 0)
        self.RequestHandlerClass = _Handler
        self.asked: list[tuple[int, int]] = []
        self.sent = 0  # bytes of the scene
        self.ranges = True  # whether it knows range requests
        self.pause = 0.0  # seconds between pieces of 4 kB
        self.breaks_at: int | None = None  # a connection ends when it comes to this byte of the scene


class _Handler(PageHandler):
    server: TestServer

    def send_file(self, name: str, data: bytes, *, body: bool) -> None:
        if name != SCENE:
            super().send_file(name, data, body=body)
            return
        server = self.server
        try:
            found = wanted_range(self.headers.get("Range"), len(data)) if server.ranges else None
        except ValueError:
            self.refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            return
        first, end = found or (0, len(data))
        server.asked.append((first, end))
        self.send_response(HTTPStatus.PARTIAL_CONTENT if found else HTTPStatus.OK)
        if found:
            self.send_header("Content-Range", f"bytes {first}-{end - 1}/{len(data)}")
        self.finish_headers({"ETag": server.tags[name]}, end - first)
        with contextlib.suppress(OSError):
            self._trickle(data, first, end)

    def _trickle(self, data: bytes, first: int, end: int) -> None:
        for at in range(first, end, 4096):
            to = min(at + 4096, end)
            broken = self.server.breaks_at
            if broken is not None and to > broken:
                self.wfile.write(data[at : max(broken, at)])
                self.close_connection = True
                self.connection.close()
                return
            self.wfile.write(data[at:to])
            self.server.sent += to - at
            time.sleep(self.server.pause)


@contextlib.contextmanager
def serving(stream: bytes) -> Iterator[TestServer]:
    """A server for these bytes, which need not be a stream."""
    server = TestServer(stream)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
