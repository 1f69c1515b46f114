"""Headless Chromium for tests, driven through a pipe in its DevTools protocol: no other package is needed."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE = (320, 240)  # of the pages of tests: half of what the cameras of synthetic scenes are made for

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--no-first-run",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


def program() -> str | None:
    """Chromium here, or None."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class Browser:
    """One Chromium; pages share it."""

    def __init__(self) -> None:
        found = program()
        assert found is not None
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        down, self.write_end = os.pipe()
        self.read_end, up = os.pipe()

        # The browser reads commands from descriptor 3 and writes answers to 4.
        def place() -> None:
            os.dup2(down, 103)
            os.dup2(up, 104)
            os.dup2(103, 3)
            os.dup2(104, 4)

        self.process = subprocess.Popen(
            [found, *FLAGS, f"--user-data-dir={self.profile.name}", "about:blank"],
            preexec_fn=place,  # noqa: PLW1509
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(down)
        os.close(up)
        self.buffer = b""
        self.number = 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, *, session: str | None = None, timeout: float = 120, **params: Any) -> Any:
        """The answer to a command; what happens meanwhile is kept in `events`."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + timeout
        while True:
            answer = self._next(end - time.monotonic(), method)
            if answer.get("id") != self.number:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']['message']}")
            else:
                return answer["result"]

    def _next(self, seconds: float, what: str) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            if seconds <= 0 or not select.select([self.read_end], [], [], seconds)[0]:
                raise TimeoutError(f"no answer from Chromium to {what}")
            part = os.read(self.read_end, 1 << 20)
            if not part:
                raise RuntimeError("Chromium went away")
            self.buffer += part
        message, _, self.buffer = self.buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    @contextlib.contextmanager
    def page(self, width: int = 320, height: int = 240) -> Iterator[Page]:
        """A new page of that many pixels, closed at the end."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        for domain in ("Page", "Runtime", "Log"):
            page.call(f"{domain}.enable")
        page.resize(width, height)
        try:
            yield page
        finally:
            self.call("Target.closeTarget", targetId=target)

    def close(self) -> None:
        """Ends the browser."""
        with contextlib.suppress(RuntimeError, TimeoutError, OSError):
            self.call("Browser.close", timeout=5)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.write_end)
        os.close(self.read_end)
        self.profile.cleanup()


class Page:
    """A page of the browser."""

    def __init__(self, browser: Browser, session: str) -> None:
        self.browser = browser
        self.session = session

    def call(self, method: str, **params: Any) -> Any:
        """The answer to a command about this page."""
        return self.browser.call(method, session=self.session, **params)

    def resize(self, width: int, height: int, *, mobile: bool = False) -> None:
        """Gives the page so many pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )

    def open(self, url: str | Path) -> None:
        """Goes to an address or a file."""
        self.call("Page.navigate", url=url.resolve().as_uri() if isinstance(url, Path) else url)
        self.wait("document.readyState === 'complete'")

    def js(self, expression: str, timeout: float = 120) -> Any:
        """What a JavaScript expression gives; promises are awaited."""
        found = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, timeout=timeout
        )
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description") or details["text"])
        return found["result"].get("value")

    def wait(self, condition: str, seconds: float = 90) -> None:
        """Waits until a JavaScript expression holds."""
        end = time.monotonic() + seconds
        while not self.js(condition):
            if time.monotonic() > end:
                raise TimeoutError(f"never came: {condition}")
            time.sleep(0.02)

    def picture(self) -> np.ndarray:
        """What the viewer shows, without its controls: [H, W, 3] of uint8."""
        text = self.js(
            "gspcViewer.picture().then((blob) => new Promise((resolve) => { const reader = new FileReader();"
            " reader.onload = () => resolve(reader.result); reader.readAsDataURL(blob); }))"
        )
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2]))).convert("RGB"))

    def text(self, element: str) -> str:
        """The text of an element, "" for one that is hidden."""
        found: str = self.js(f"((e) => e.hidden ? '' : e.textContent)(document.getElementById('{element}'))")
        return found

    def complaints(self) -> list[str]:
        """Errors and warnings of this page since the last call: thrown, or told to the console."""
        self.js("0")  # what was said before has arrived
        found = []
        mine = [event for event in self.browser.events if event.get("sessionId") == self.session]
        self.browser.events.clear()
        for event in mine:
            params = event.get("params", {})
            if event["method"] == "Runtime.exceptionThrown":
                found.append(params["exceptionDetails"].get("exception", {}).get("description", "exception"))
            elif event["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
                found.append(" ".join(str(arg.get("value")) for arg in params["args"]))
            elif event["method"] == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                found.append(params["entry"]["text"])
        return found
