"""Running the command line in tests: in this process, or in a fresh one."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from gspc.format.limits import MAGIC

ROOT = Path(__file__).resolve().parent.parent
STREAM = MAGIC + b"stand-in for a stream"


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[str]:
        return self.err.splitlines()


class Cli:
    """Runs `gspc` in this process with captured streams that are no terminals."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch

    def __call__(self, *args: object, stdin: bytes = b"", terminals: Sequence[str] = ()) -> Ran:
        from gspc.cli.app import main

        streams = {name: _Stream(name in terminals) for name in ("stdin", "stdout", "stderr")}
        streams["stdin"].raw_bytes.write(stdin)
        streams["stdin"].raw_bytes.seek(0)
        with self.monkeypatch.context() as patch:
            for name, stream in streams.items():
                patch.setattr(sys, name, stream)
            code = main([str(arg) for arg in args])
            for name in ("stdout", "stderr"):
                streams[name].flush()
        return Ran(
            code, streams["stdout"].raw_bytes.getvalue(), streams["stderr"].raw_bytes.getvalue().decode()
        )


class _Stream(io.TextIOWrapper):
    def __init__(self, terminal: bool) -> None:
        self.raw_bytes = io.BytesIO()
        self.terminal = terminal
        super().__init__(self.raw_bytes, encoding="utf-8", write_through=True)

    def isatty(self) -> bool:
        return self.terminal


def environment(**extra: str) -> dict[str, str]:
    """An environment in which a fresh interpreter finds this gspc from any directory."""
    found = os.environ.get("PYTHONPATH", "")
    return os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{found}", "COLUMNS": "100"} | extra


def interruptible() -> None:
    """For Popen's preexec_fn: lets SIGINT and SIGHUP end a child even where the tests ignore them.

    Shells and nohup start background jobs that way, and children inherit it.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def run_fresh(
    *args: object, cwd: Path | None = None, stdin: bytes = b"", timeout: float = 500, **extra: str
) -> Ran:
    """Runs `python -m gspc` in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-m", "gspc", *map(str, args)],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        env=environment(**extra),
        timeout=timeout,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr.decode())
