"""`gspc view` and pages without a browser: the server's answers, folders, single files, refusals."""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.client
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_tools import Cli, Ran, interruptible

from gspc.viewer import make_server, single_page, site
from gspc.viewer.server import PageServer, wanted_range

STREAM = (Path(__file__).parent / "golden/three-levels.pcgs").read_bytes()
STATIC = Path(__file__).parent.parent / "gspc/viewer/static"


@pytest.fixture(autouse=True)
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("scene.pcgs").write_bytes(STREAM)


@pytest.fixture
def server() -> Iterator[PageServer]:
    found = make_server(site("scene.pcgs", STREAM))
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()


def ask(
    server: PageServer, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


@pytest.mark.parametrize(
    ("header", "want"),
    [
        (None, None),
        ("bytes=0-9", (0, 10)),
        ("bytes=10-", (10, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-1000", (0, 100)),
        ("bytes=90-1000", (90, 100)),
        ("bytes=5-4", None),
        ("bytes=0-1,5-6", None),
        ("bytes=-", None),
        ("pages=0-9", None),
    ],
)
def test_ranges(header: str | None, want: tuple[int, int] | None) -> None:
    assert wanted_range(header, 100) == want


def test_server_answers_ranges(server: PageServer) -> None:
    status, headers, body = ask(server, "/scene.pcgs", Range="bytes=100-299")
    assert (status, body) == (206, STREAM[100:300])
    assert headers["Content-Range"] == f"bytes 100-299/{len(STREAM)}"
    assert ask(server, "/scene.pcgs")[2] == STREAM
    status, headers, body = ask(server, "/scene.pcgs", Range=f"bytes={len(STREAM)}-")
    assert (status, headers["Content-Range"], body) == (416, f"bytes */{len(STREAM)}", b"")
    status, headers, body = ask(server, "/scene.pcgs", "HEAD")
    assert (status, int(headers["Content-Length"]), body) == (200, len(STREAM), b"")


def test_server_says_what_files_are(server: PageServer) -> None:
    kinds = {name: ask(server, f"/{name}")[1]["Content-Type"] for name in server.pages}
    assert kinds["index.html"] == ask(server, "/?upto=2")[1]["Content-Type"] == "text/html; charset=utf-8"
    assert (kinds["viewer.js"], kinds["pcgs.wasm"]) == ("text/javascript; charset=utf-8", "application/wasm")
    headers = ask(server, "/")[1]
    assert "'unsafe-eval'" not in headers["Content-Security-Policy"]
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"


@pytest.mark.parametrize("path", ["/nothing", "/../../etc/passwd", "/static/viewer.js", "//scene.pcgs/x"])
def test_server_has_nothing_else(server: PageServer, path: str) -> None:
    assert ask(server, path)[0] == 404


def test_server_answers_this_machine_only(server: PageServer) -> None:
    assert ask(server, "/", Host="evil.example")[0] == 403
    assert ask(server, "/", Host="localhost:1")[0] == 200
    assert server.server_address[0] == "127.0.0.1"


def test_export_writes_what_is_served(cli: Cli) -> None:
    ran = cli("view", "scene.pcgs", "--export", "site", "--json")
    report = json.loads(ran.out)
    assert (ran.code, report["levels"]) == (0, 3)
    found = {path.name: path.read_bytes() for path in Path("site").iterdir()}
    assert {name: len(content) for name, content in found.items()} == report["files"]
    assert found == site("scene.pcgs", STREAM)
    assert Path("site").stat().st_mode & 0o777 == 0o777 & ~_umask()


def _umask() -> int:
    probe = Path("probe")
    probe.mkdir()
    return 0o777 & ~probe.stat().st_mode


def error(ran: Ran, code: int) -> str:
    assert ran.code == code, ran.err
    return ran.lines[-1].removeprefix("gspc: error: ")


def test_export_replaces_its_own_only(cli: Cli) -> None:
    assert cli("view", "scene.pcgs", "--export", "site").code == 0
    assert (
        error(cli("view", "scene.pcgs", "--export", "site"), 6)
        == "site: exists already; add -f to overwrite it"
    )
    assert cli("view", "scene.pcgs", "--export", "site", "--upto", "1", "-f").code == 0
    assert Path("site/scene.pcgs").stat().st_size < len(STREAM)
    Path("mine").mkdir()
    Path("mine/letter.txt").write_text("dear")
    assert "holds other files" in error(cli("view", "scene.pcgs", "--export", "mine", "-f"), 6)
    assert (
        error(cli("view", "scene.pcgs", "--export", "scene.pcgs"), 6)
        == "scene.pcgs: is a file; name a folder"
    )
    assert "does not exist" in error(cli("view", "scene.pcgs", "--export", "no/where"), 6)
    assert sorted(path.name for path in Path().iterdir()) == ["mine", "scene.pcgs", "site"]


def test_export_of_nothing_leaves_nothing(cli: Cli) -> None:
    Path("cut.pcgs").write_bytes(STREAM[:300])
    assert cli("view", "cut.pcgs", "--export", "site").code == 4
    assert not Path("site").exists()


def test_stdin_and_cut_streams(cli: Cli) -> None:
    ran = cli("view", "--export", "site", stdin=STREAM[:-10])
    assert ran.code == 0
    assert "2 of 3 levels are whole" in ran.err
    assert b'"name": "scene"' in Path("site/index.html").read_bytes()


def test_what_is_no_stream_says_what_to_do(cli: Cli) -> None:
    assert cli("decompress", "scene.pcgs", "-o", "decoded").code == 0
    assert "give the .pcgs stream" in error(cli("view", "decoded"), 3)
    assert cli("export", "scene.pcgs", "-o", "a.ply", "--no-check", "--sh", "0").code == 0
    assert "gspc fit" in error(cli("export", "a.ply", "-o", "page.html"), 3)
    assert "level" in error(cli("export", "scene.pcgs", "-o", "page.html", "--upto", "9"), 2)


def test_html_is_one_page(cli: Cli) -> None:
    ran = cli("export", "scene.pcgs", "--to", "html", "--json", "-o", "page")
    page = Path("page").read_bytes()
    assert json.loads(ran.out) == {
        "input": "scene.pcgs",
        "output": "page",
        "format": "html",
        "bytes": len(page),
        "levels": 3,
    }
    assert len(page) <= len(STREAM) * 4 / 3 + 1.5e6
    assert page == single_page("scene.pcgs", STREAM)
    found = dict(re.findall(rb'id="part-(\w+)">([^<]*)<', page))
    assert base64.b64decode(found[b"scene"]) == STREAM
    assert gzip.decompress(base64.b64decode(found[b"viewer"])) == (STATIC / "viewer.js").read_bytes()
    assert not re.search(rb'(src|href)="(?!data:)', page)


def test_names_cannot_leave_their_place() -> None:
    page = single_page("</script><script>alert(1)</script>", STREAM)
    assert b"alert(1)</script>" not in page
    assert b"\\u003c/script>" in page


def test_shipped_files_are_small_and_whole() -> None:
    shipped = {path.name: path.read_bytes() for path in STATIC.iterdir()}
    assert sum(len(gzip.compress(content, 9)) for content in shipped.values()) <= 1_000_000
    assert shipped["index.html"] == (STATIC.parent / "web/index.html").read_bytes()
    assert shipped["style.css"] == (STATIC.parent / "web/style.css").read_bytes()
    assert (
        b"MIT License" in shipped["LICENSE.playcanvas"]
        or b"Permission is hereby granted" in shipped["LICENSE.playcanvas"]
    )


def test_bundle_is_made_of_these_sources() -> None:
    root = STATIC.parents[2]
    lines = (STATIC / "sources.txt").read_text().splitlines()
    stale = [
        name
        for digest, name in (line.split() for line in lines)
        if hashlib.sha256((root / name).read_bytes()).hexdigest() != digest
    ]
    assert stale == [], "run make viewer"


def test_view_serves_until_interrupted() -> None:
    command = [sys.executable, "-m", "gspc", "view", "scene.pcgs", "--no-browser"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interruptible,  # noqa: PLW1509  no threads here
    ) as running:
        assert running.stdout is not None and running.stderr is not None
        address = running.stdout.readline().strip()
        port = int(address.removesuffix("/").rpartition(":")[2])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/scene.pcgs")
        assert connection.getresponse().read() == STREAM
        busy = subprocess.run(
            [*command, "--port", str(port)], capture_output=True, text=True, check=False, timeout=60
        )
        running.send_signal(signal.SIGINT)
        said = running.stderr.read()
        assert running.wait(20) == 0, said
    assert said.splitlines()[-1] == "gspc: done" and "Traceback" not in said
    assert busy.returncode == 2 and f"--port {port}: " in busy.stderr
