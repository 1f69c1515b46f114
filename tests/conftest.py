"""Fixtures that several test files share."""

from __future__ import annotations

import contextlib
import ctypes
import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from browser import SIZE, Browser, Page, program
from cli_tools import Cli
from shared_builds import once, settle

from gspc.ops.kernels import kernels

# Shells start background jobs with this ignored, and gspc leaves ignored what it finds so. Tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

ON_HOST = Path(__file__).with_name("cuda_on_host.hpp")


@pytest.fixture(scope="session", autouse=True)
def _shared(tmp_path_factory: pytest.TempPathFactory) -> None:
    settle(tmp_path_factory)


@pytest.fixture
def cli(empty_directory: None, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`gspc` as a function, in a directory of its own, so that nothing a test leaves is in the checkout."""
    return Cli(monkeypatch)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium, one for all tests of a file."""
    if program() is None:
        pytest.skip("no chromium here (Debian: apt-get install chromium)")
    found = Browser()
    yield found
    found.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A new page in it."""
    with browser.page(*SIZE) as found:
        yield found


@pytest.fixture(params=["base", "v3", "v4"])
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """One after the other the instruction sets that the kernels are compiled for, as far as this processor
    has them."""
    kernels().set_isa(request.param)
    if kernels().active_isa() != request.param:
        pytest.skip(f"this processor has no {request.param}")
    yield request.param
    kernels().set_isa(kernels().supported_isa())


@pytest.fixture
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def host_library() -> ctypes.CDLL:
    """The CUDA kernels, compiled for the host by the emulation of cuda_on_host.hpp."""
    from gspc.ops import cuda

    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not on this machine")
    units = [path for path in cuda.sources() if path.suffix == ".cu"]
    flags = ["-x", "c++", "-std=c++17", "-O1", "-Wno-unknown-pragmas", "-fPIC", "-include", str(ON_HOST)]

    def build(place: Path) -> None:
        def compiled(unit: Path) -> str:
            made = str(place / f"{unit.stem}.o")
            subprocess.run([compiler, *flags, "-c", str(unit), "-o", made], check=True, capture_output=True)
            return made

        with ThreadPoolExecutor(2) as workers:
            command = [compiler, "-shared", "-o", str(place / "kernels.so"), *workers.map(compiled, units)]
        subprocess.run(command, check=True, capture_output=True)

    return cuda.load(once("cuda", build) / "kernels.so")


@pytest.fixture
def on_host(host_library: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of CUDA kernels run on the host, on tensors of the CPU."""
    from gspc.ops import cuda

    monkeypatch.setattr(cuda, "_library", lambda: host_library)
    monkeypatch.setattr(cuda, "stream", lambda tensor: 0)
    monkeypatch.setattr(cuda, "on_device", lambda tensor: contextlib.nullcontext())
