"""The library leaves the process as it found it; only the command line changes what a process has but
once."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from process_state import maps_large_blocks

from gspc.errors import Stopped
from gspc.ops.kernels import kernels
from gspc.ops.process import threads
from gspc.train.process import ENDING, deferred_signals, seeded, settled_objects

TESTS = Path(__file__).resolve().parent


def fresh_python(*arguments: str) -> str:
    """What a new Python printed, that imports what this one imports; without variables that would decide."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}
    env["PYTHONPATH"] = os.pathsep.join([str(TESTS), *sys.path])
    run = subprocess.run(
        [sys.executable, *arguments], env=env, capture_output=True, text=True, check=False, timeout=500
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_use_cases_leave_the_process_as_they_found_it(tmp_path: Path) -> None:
    changed = json.loads(fresh_python(str(TESTS / "process_state.py"), str(tmp_path)).splitlines()[-1])
    assert set(changed) >= {"fit", "interrupted fit", "encode", "decode", "render", "export", "open"}
    assert {name: keys for name, keys in changed.items() if keys} == {}


def test_the_command_line_keeps_freed_memory() -> None:
    if maps_large_blocks() is None:
        pytest.skip("the C library is not glibc, or is too old to tell")
    code = (
        "from process_state import maps_large_blocks\n"
        "from gspc.cli.process import keep_freed_memory\n"
        "before = maps_large_blocks()\n"
        "keep_freed_memory()\n"
        "print(before, maps_large_blocks())\n"
    )
    assert fresh_python("-c", code).split() == ["True", "False"]


def test_threads_are_put_back() -> None:
    before = torch.get_num_threads(), kernels().max_threads()
    with threads(3):
        assert (torch.get_num_threads(), kernels().max_threads()) == (3, 3)
        with threads(None):
            assert torch.get_num_threads() == 3
        with pytest.raises(KeyError), threads(2):
            raise KeyError
        assert (torch.get_num_threads(), kernels().max_threads()) == (3, 3)
    assert (torch.get_num_threads(), kernels().max_threads()) == before


def test_seeds_are_the_same_inside_and_unseen_outside() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    drawn = []
    for _ in range(2):
        with seeded(7, "cpu"):
            drawn.append(torch.rand(4))
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)
    torch.manual_seed(7)
    assert torch.equal(drawn[0], drawn[1]) and torch.equal(drawn[0], torch.rand(4))


def test_objects_that_a_caller_froze_stay_frozen() -> None:
    with settled_objects():
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0
    gc.freeze()
    try:
        count = gc.get_freeze_count()
        with settled_objects():
            pass
        assert gc.get_freeze_count() == count
    finally:
        gc.unfreeze()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_handlers_of_signals_are_put_back(number: signal.Signals) -> None:
    ours = signal.signal(signal.SIGTERM, lambda *_: None), signal.signal(signal.SIGHUP, lambda *_: None)
    try:
        before = [signal.getsignal(one) for one in ENDING]
        with deferred_signals() as asked:
            signal.raise_signal(number)
            assert asked.signal == number
            with pytest.raises(Stopped) as stopped:
                signal.raise_signal(number)
            assert stopped.value.exit_code == 128 + number
        assert [signal.getsignal(one) for one in ENDING] == before
    finally:
        signal.signal(signal.SIGTERM, ours[0])
        signal.signal(signal.SIGHUP, ours[1])


def test_ignored_signals_stay_ignored() -> None:
    """As nohup asks for."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with deferred_signals() as asked:
            signal.raise_signal(signal.SIGHUP)
            assert asked.signal is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_leave_signals_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def elsewhere() -> None:
        with deferred_signals():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [before]
