"""The command line as a whole: help, exit codes, what it loads, man pages."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from cli_tools import Cli, environment, interruptible, run_fresh

from gspc import __version__, pipeline
from gspc.cli import app, man
from gspc.errors import (
    BackendError,
    BitstreamError,
    GspcError,
    InputError,
    OutputError,
    UsageError,
)

COMMANDS = list(app.COMMANDS)


def test_help_lists_the_commands_and_ends_with_an_example(cli: Cli) -> None:
    ran = cli("--help")
    text = ran.out.decode()
    assert ran.code == 0
    assert ran.err == ""
    assert all(name in text for name in COMMANDS)
    assert (
        "Example: gspc fit photos -o model.pt"
        in text.rstrip().splitlines()[-2] + text.rstrip().splitlines()[-1]
    )


@pytest.mark.parametrize("name", app.COMMANDS)
def test_the_help_of_every_command_ends_with_an_example(cli: Cli, name: str) -> None:
    ran = cli(name, "--help")
    assert ran.code == 0
    text = " ".join(ran.out.decode().split())
    start = text.rindex("Example: gspc ")
    assert text[start:].startswith(f"Example: gspc {name} ")
    assert "│" not in text[start:]
    assert "--debug" in text
    assert "--stats" in text


def test_version(cli: Cli) -> None:
    for option in ("--version", "-V"):
        lines = cli(option).out.decode().splitlines()
        assert lines[0] == f"gspc {__version__}"
        known = dict(line.split(maxsplit=1) for line in lines[1:4])
        assert known["format"] == ".pcgs 2.2"
        assert known["kernels"] in ("SSE2", "AVX2", "AVX-512")
        assert known["torch"] == metadata.version("torch")


def test_the_long_version_lists_libraries_and_licenses(cli: Cli) -> None:
    for args in (["--version", "-v"], ["-v", "--version"], ["-V", "--verbose"]):
        text = cli(*args).out.decode()
        assert text.startswith(f"gspc {__version__}\n")
        assert "Libraries" in text and "numpy" in text and "license" in text


def test_the_ways_to_help(cli: Cli) -> None:
    long = cli("render", "--help")
    for args in (["render", "-h"], ["help", "render"], ["help", "render", "x"]):
        ran = cli(*args)
        assert (ran.code, ran.out, ran.err) == (0, long.out, "")
    assert cli("-h").out == cli("--help").out == cli("help").out
    assert cli("help", "nosuch").code == 2


def test_help_says_what_it_means(cli: Cli) -> None:
    """Brackets are text, not markup, and types that say nothing are left out."""
    for name in COMMANDS:
        text = cli(name, "--help").out.decode()
        assert not re.search("<[a-z]", text.replace("<lanes|torchac>", ""))  # ranges say 0<=x
    assert "gspc[cuda]" in cli("render", "--help").out.decode()
    assert "gspc[torchac]" in " ".join(cli("compress", "--help").out.decode().split())


@pytest.mark.parametrize(("typed", "meant"), [("redner", "render"), ("decompres", "decompress")])
def test_mistyped_commands_get_a_suggestion(cli: Cli, typed: str, meant: str) -> None:
    ran = cli(typed, "x.pcgs")
    assert (ran.code, ran.out) == (2, b"")
    assert ran.err == f"gspc: error: no such command '{typed}'; did you mean {meant}?\n"


def test_no_arguments_show_the_help(cli: Cli) -> None:
    ran = cli()
    assert ran.code == 2
    assert b"inspect-bitstream" in ran.out


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["nosuch"], "gspc: error: No such command 'nosuch'; see gspc --help"),
        (["fit"], "gspc: error: Missing argument 'SCENE'; see gspc fit --help"),
        (["eval", "x.pcgs"], "gspc: error: --data is missing: name the directory with the photographs"),
        (["render", "x", "--upto", "0"], "gspc: error: Invalid value for '--upto'"),
        (["render", "x", "--nosuch"], "gspc: error: No such option: --nosuch"),
        (
            ["fit", "x", "-o", "m.pt", "--rate-weights", "1,x"],
            "gspc: error: --rate-weights 1,x: give numbers",
        ),
        (
            ["fit", "x", "-o", "m.pt", "--levels", "4", "--rate-weights", "1,2"],
            "gspc: error: --rate-weights: 2 weights for 4 levels",
        ),
        (["fit", "x", "-o", "m.pt", "--iterations", "0"], "gspc: error: --iterations 0: give at least 1"),
        (
            ["fit", "x", "-o", "m.pt", "--device", "tpu"],
            "gspc: error: --device tpu: give auto, cpu, cuda or cuda:N",
        ),
        (
            ["fit", "x", "-o", "m.pt", "--resolution", "3"],
            "gspc: error: --resolution 3: give 1, 2, 4, 8 or a width",
        ),
        (
            ["decompress", "x", "-o", "y", "--max-memory", "lots"],
            "gspc: error: --max-memory lots: give a size",
        ),
        (["eval", "x", "--data", "d", "--levels", "0,1"], "gspc: error: --levels 0,1: give whole numbers"),
        (
            ["eval", "x", "--data", "d", "--levels", "1", "--upto", "2"],
            "gspc: error: --levels and --upto say",
        ),
        (
            ["eval", "x", "--data", "d", "--json", "-", "--csv", "-"],
            "gspc: error: --json, --csv and --report cannot write to the same place",
        ),
    ],
)
def test_wrong_arguments_exit_2_with_one_line(cli: Cli, tmp_path: Path, args: list[str], line: str) -> None:
    cli.monkeypatch.chdir(tmp_path)
    ran = cli(*args)
    assert ran.code == 2
    assert ran.out == b""
    assert len(ran.lines) == 1
    assert ran.err.startswith(line)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (UsageError("f: u"), 2),
        (InputError("f: i"), 3),
        (BitstreamError("f: b"), 4),
        (BackendError("f: d"), 5),
        (OutputError("f: o"), 6),
        (GspcError("f: g"), 1),
    ],
)
def test_every_error_has_its_exit_code_and_line(cli: Cli, problem: GspcError, code: int) -> None:
    def fail(*args: object, **options: object) -> None:
        raise problem

    cli.monkeypatch.setattr(pipeline, "write_demo_scene", fail)
    ran = cli("demo-scene", "x")
    assert ran.code == code
    assert ran.err == f"gspc: error: {problem}\n"
    for args in (["--debug", "demo-scene", "x"], ["demo-scene", "x", "--debug"]):
        ran = cli(*args)
        assert ran.code == code
        assert ran.err.startswith("Traceback")
        assert ran.lines[-1] == f"gspc: error: {problem}"


def test_bugs_memory_and_interrupts(cli: Cli) -> None:
    def failing(problem: BaseException) -> tuple[int, str]:
        def fail(*args: object, **options: object) -> None:
            raise problem

        cli.monkeypatch.setattr(pipeline, "write_demo_scene", fail)
        ran = cli("demo-scene", "x")
        assert ran.out == b""
        assert len(ran.lines) == 1
        return ran.code, ran.err

    code, line = failing(IndexError("list index out of range"))
    assert code == 1
    assert line.startswith(
        "gspc: error: this is a bug in gspc: IndexError: list index out of range; run again"
    )
    missing = failing(ModuleNotFoundError("No module named 'torch'", name="torch"))
    assert missing == (
        5,
        "gspc: error: the Python package torch is missing; pip install 'gspc[fit]'\n",
    )
    assert failing(ModuleNotFoundError("No module named 'PIL'", name="PIL")) == (
        5,
        "gspc: error: the Python package PIL is missing; install gspc with all it depends on\n",
    )
    assert failing(ModuleNotFoundError("No module named 'gspc.x'", name="gspc.x"))[0] == 1
    assert failing(ImportError("cannot import name '_codec' from 'gspc'", name="gspc")) == (
        5,
        "gspc: error: gspc._codec: cannot be loaded (cannot import name '_codec' from 'gspc'); reinstall "
        "gspc with `pip install .`\n",
    )
    broken = "/x/gspc/_codec.so: undefined symbol: f"
    assert broken in failing(ImportError(broken, name="gspc._codec", path="/x/gspc/_codec.so"))[1]
    assert failing(ImportError("cannot import name 'x' from 'gspc'", name="gspc"))[0] == 1
    elsewhere = "cannot import name 'Image' from 'PIL' (/home/me/pcgs_codec/PIL/__init__.py)"
    assert failing(ImportError(elsewhere, name="PIL", path="/home/me/pcgs_codec"))[0] == 1
    assert failing(AssertionError())[1].startswith("gspc: error: this is a bug in gspc: AssertionError; run")
    assert failing(MemoryError()) == (
        5,
        "gspc: error: out of memory; try a smaller --resolution or a machine with more\n",
    )
    assert failing(KeyboardInterrupt()) == (130, "gspc: interrupted\n")
    assert failing(OSError(errno.ENOSPC, "No space left on device", "log"))[0] == 6


def test_control_characters_do_not_reach_the_terminal(cli: Cli) -> None:
    def fail(*args: object, **options: object) -> None:
        raise InputError("a\x1b[2Jb\nc: bad")

    cli.monkeypatch.setattr(pipeline, "write_demo_scene", fail)
    assert cli("demo-scene", "x").err == "gspc: error: a?[2Jb?c: bad\n"


@pytest.mark.parametrize(
    "args", [["--stats", "--version"], ["--stats", "demo-scene", "x"], ["demo-scene", "x", "--stats"]]
)
def test_stats(cli: Cli, args: list[str]) -> None:
    cli.monkeypatch.setattr(pipeline, "write_demo_scene", lambda directory, on_picture: None)
    ran = cli(*args)
    assert ran.code == 0
    if "--version" not in args:
        words = ran.lines[-1].split()
        assert words[:2] == ["gspc:", "stats:"]
        assert 0 <= float(words[2]) < 60
        assert 5 < float(words[6]) < 100_000


def test_a_closed_pipe_is_quiet() -> None:
    command = f"{sys.executable} -m gspc fit --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert done.stdout.strip() in ("0", "141")  # 0 when the pipe took it all before it closed
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "gspc", "--help"],
            env=environment(),
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "gspc", "--help"],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 6
    assert done.stderr == "gspc: error: stdout: no space left on the device; free some or write elsewhere\n"


def test_unbuffered_output_is_whole_or_an_error(tmp_path: Path) -> None:
    """An unbuffered stdout writes what fits and does not complain; what is lost must be noticed."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
        "from gspc.cli.app import main; sys.exit(main(['fit', '--help']))"
    )
    out = tmp_path / "out"
    with out.open("wb") as stdout:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment(PYTHONUNBUFFERED="1"),
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert out.stat().st_size == 1000
    assert (done.returncode, len(done.stderr.splitlines())) == (6, 1)
    assert done.stderr.startswith("gspc: error: stdout: the file is too large")


def test_ctrl_c_while_waiting_for_input(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "gspc", "decompress", "-", "-o", tmp_path / "scene"],
        env=environment(),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interruptible,  # noqa: PLW1509  no threads here
    )
    assert process.stdin is not None
    # Once the interpreter has opened the command's module it waits for stdin; interrupt it there.
    for _ in range(200):
        if "pipe" in _waits_in(process.pid):
            break
        signal.sigtimedwait([], 0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "gspc: interrupted\n"
    assert list(tmp_path.iterdir()) == []


def _waits_in(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/wchan").read_text() + Path(f"/proc/{pid}/syscall").read_text().split()[
            0
        ].replace("0", "pipe")
    except OSError:
        return ""


def loaded_modules(*args: object, stdin: bytes = b"") -> set[str]:
    """Top-level modules in memory after a command, in a fresh process."""
    code = (
        "import sys; from gspc.cli.app import main; main(sys.argv[1:]); "
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        env=environment(),
        input=stdin,
        capture_output=True,
        check=True,
    )
    return {name.partition(".")[0] for name in done.stderr.decode().splitlines()[-1].split()}


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["fit", "--help"], ["decompress", "--help"]])
def test_help_imports_nothing_heavy(args: list[str]) -> None:
    assert loaded_modules(*args) & {"torch", "numpy", "safetensors", "imageio", "PIL"} == set()


def test_errors_do_not_load_torch(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"no scene")
    for command in ("decompress", "render", "inspect-bitstream"):
        assert "torch" not in loaded_modules(command, tmp_path / "bad")


def test_python_m_gspc() -> None:
    ran = run_fresh("--version")
    assert (ran.code, ran.out.splitlines()[0]) == (0, f"gspc {__version__}".encode())


def test_the_man_pages_are_current() -> None:
    directory = Path(__file__).resolve().parent.parent / "man"
    pages = man.pages()
    assert set(pages) == {"gspc.1", *(f"gspc-{name}.1" for name in COMMANDS)}
    for name, text in pages.items():
        assert (directory / name).read_text() == text, f"{name} is not current: run make man"


@pytest.mark.parametrize("name", sorted(man.pages()))
def test_man_pages_are_complete(name: str) -> None:
    text = man.pages()[name]
    for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"):
        assert f"\n.SH {section}\n" in text
    assert all(len(line) < 1000 and not line.startswith("'") for line in text.splitlines())


def test_man_check_says_what_is_stale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert man.run([str(tmp_path)]) == 0
    assert man.run(["--check", str(tmp_path)]) == 0
    (tmp_path / "gspc.1").write_text("old")
    capsys.readouterr()
    assert man.run(["--check", str(tmp_path)]) == 1
    assert "gspc.1: is not current; run make man" in capsys.readouterr().err
    assert (tmp_path / "gspc.1").read_text() == "old"
