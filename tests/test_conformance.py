"""The conformance set (tests/conformance), run against the core, the tiny C program and Python's reader."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from codec_programs import programs_for
from test_codec_golden import GOLDEN, HASHES

from gspc.codec import decode
from gspc.errors import BitstreamError

SCRIPT = Path(__file__).parent / "conformance/conformance.py"


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("conformance", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CASES = script().CASES


def test_every_golden_stream_is_in_it_as_it_was_committed() -> None:
    """Streams are decoded for ever by what their first decoder saw: neither bytes nor hashes may change."""
    assert {name: case["hashes"] for name, case in CASES["valid"].items()} == HASHES
    for name, case in CASES["valid"].items():
        data = (GOLDEN / f"{name}.pcgs").read_bytes()
        assert hashlib.sha256(data).hexdigest() == case["sha256"], name
        for level, expected in enumerate(case["hashes"], start=1):
            assert decode(data, upto=level, threads=1).symbol_hash == expected


def test_no_golden_stream_of_a_release_was_ever_taken_away() -> None:
    """Looks through history from the first release on; before it the format was in the making."""
    git = ["git", "-C", str(GOLDEN), "--no-pager"]
    tags = subprocess.run([*git, "tag", "--list", "v*"], capture_output=True, text=True, check=False)
    if tags.returncode != 0 or not tags.stdout.split():
        pytest.skip("no release in this checkout's history yet")
    for tag in tags.stdout.split():
        tree = [*git, "ls-tree", "--format=%(objectname) %(path)", "-r", tag, "."]
        for line in subprocess.run(tree, capture_output=True, text=True, check=True).stdout.splitlines():
            blob, name = line.split(maxsplit=1)
            if name.endswith(".pcgs"):
                now = subprocess.run([*git, "hash-object", name], capture_output=True, text=True, check=False)
                assert now.stdout.strip() == blob, (tag, name)


@pytest.mark.parametrize("name", CASES["invalid"])
def test_what_nobody_may_accept(name: str) -> None:
    case = CASES["invalid"][name]
    with pytest.raises(BitstreamError) as caught:
        decode(script().stream(case), upto=case["level"], threads=1)
    assert str(caught.value) == case["error"]


def test_the_tiny_program_passes() -> None:
    program = programs_for("native")["pcgs_info"]
    ran = subprocess.run(
        [sys.executable, str(SCRIPT), "run", *program], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout == f"{len(CASES['valid'])} valid, {len(CASES['invalid'])} invalid, 0 wrong\n"


def test_a_decoder_that_accepts_everything_fails(tmp_path: Path) -> None:
    yes = tmp_path / "yes.py"
    yes.write_text("print('0000000000000000')")
    ran = subprocess.run(
        [sys.executable, str(SCRIPT), "run", sys.executable, str(yes)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert all(f"invalid/{name}: refusal expected, exit 0" in ran.stdout for name in CASES["invalid"])
    assert "valid/default, level 1: " in ran.stdout
