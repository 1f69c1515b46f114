"""Standard streams that are closed, full or named as files, in fresh processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import synthetic
from cli_tools import environment, run_fresh

from gspc import pipeline
from gspc.codec import encode

STREAM = encode(synthetic.tiny(20))


@pytest.fixture(autouse=True)
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.pcgs").write_bytes(STREAM)


def shell(line: str) -> subprocess.CompletedProcess[bytes]:
    """A line of bash in which `gspc` is this gspc."""
    start = f'gspc() {{ "{sys.executable}" -m gspc "$@"; }}; '
    return subprocess.run(["bash", "-c", start + line], env=environment(), capture_output=True, check=False)


@pytest.mark.parametrize("redirect", ["2>&-", "2>/dev/null", "2>/dev/full", "0<&- 2>&-"])
def test_messages_never_reach_the_data(redirect: str) -> None:
    if "full" in redirect and not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    done = shell(f"gspc compress s.pcgs -v {redirect}")
    assert (done.returncode, done.stdout) == (0, STREAM)
    assert shell(f"gspc compress s.pcgs -v -o a.pcgs -f {redirect}").returncode == 0
    assert Path("a.pcgs").read_bytes() == STREAM


@pytest.mark.parametrize(
    "args", ["inspect-bitstream s.pcgs", "compress s.pcgs", "render s.pcgs --view 0 -o -"]
)
def test_a_closed_stdout_is_one_line(args: str) -> None:
    done = shell(f"gspc {args} >&-")
    assert done.returncode == 6
    assert done.stderr == b"gspc: error: stdout: is closed; redirect it or name a file\n"


def test_a_closed_stdout_that_is_not_needed() -> None:
    assert shell("gspc compress s.pcgs -o a.pcgs >&- 2>&-").returncode == 0
    assert Path("a.pcgs").read_bytes() == STREAM


@pytest.mark.parametrize(
    "line",
    [
        "gspc compress s.pcgs -o /dev/stdout",
        "gspc compress s.pcgs -o /dev/fd/1",
        "gspc compress s.pcgs -o /dev/fd/7 7>&1",
        "gspc compress s.pcgs -o /proc/self/fd/7 7>&1",
        "gspc compress s.pcgs -o >(cat) | cat",
        "gspc compress s.pcgs -o /dev/stdout > b.pcgs; cat b.pcgs",  # a file that exists: it is being written
    ],
)
def test_descriptors_are_written_to(line: str) -> None:
    done = shell(line)
    assert done.stdout == STREAM, done.stderr
    assert [path.name for path in Path().iterdir() if path.suffix == ".part"] == []


def test_a_descriptor_that_is_not_open() -> None:
    done = shell("gspc compress s.pcgs -o /dev/fd/77")
    assert (done.returncode, done.stdout) == (6, b"")
    assert done.stderr == b"gspc: error: /dev/fd/77: is closed; redirect it or name a file\n"


def test_printed_sizes_are_where_to_cut() -> None:
    """The bytes up to a level, as compress and inspect print them, are that level and not one byte more."""
    said = run_fresh("compress", "s.pcgs", "-o", "a.pcgs").err.partition("up to level ")[2]
    sizes = [int(part.partition(": ")[2].replace(",", "")) for part in said.strip().split(", ")]
    assert sizes == list(pipeline.inspect(pipeline.load_source(STREAM)).prefix_bytes)
    for level, size in enumerate(sizes, start=1):
        for cut, expected in ((size, level), (size - 1, level - 1)):
            done = shell(f"head -c {cut} a.pcgs | gspc decompress --upto {level} -o {cut}.scene")
            assert done.returncode == (0 if expected == level else 4), done.stderr


def test_completion_for_bash() -> None:
    """What the shell's function gets; the function itself is typer's."""

    def completed(*words: str) -> list[str]:
        found = subprocess.run(
            [sys.executable, "-m", "gspc"],
            env=environment(
                _GSPC_COMPLETE="complete_bash", COMP_WORDS=" ".join(words), COMP_CWORD=str(len(words) - 1)
            ),
            capture_output=True,
            text=True,
            check=True,
        )
        return found.stdout.split()

    assert completed("gspc", "ren") == ["render"]
    assert "--max-size" in completed("gspc", "compress", "--")
    assert completed("gspc", "compress", "--coder", "") == ["lanes", "torchac"]


def test_installing_completion(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    ran = run_fresh(
        "--install-completion", "bash", HOME=str(home), _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"
    )
    assert ran.code == 0, ran.err
    script = home / ".bash_completions" / "gspc.sh"
    assert "complete -o default -F _gspc_completion gspc" in script.read_text()
    assert str(script) in (home / ".bashrc").read_text()
