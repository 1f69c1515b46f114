"""Variants of training on scenes and seeds with one command, each as a user would run it: fit, compress,
decompress, eval, inspect-bitstream; then one table.

    python tests/bench/ablation.py LIST [--scenes fox lego] [--seeds 0 1] [--work DIR] [--only VARIANT ...]
        [--jobs N --threads T] [--iterations N] [--report STEM] [--plan | --table] [--redo STEP]
        [--training-views]

LIST is a file of variants, or main or papers for those in tests/bench/lists, which show the format. A scene
is a folder, or a name below --data. Each stream of a variant is a run with a folder of its own in --work,
named after the scene and all that goes into it: a change of a preset makes new runs, variants that agree
share them, and a command that was killed goes on where it was, a fit from its checkpoint. Writes STEM.md and
STEM.json (by default WORK/LIST) after every run. Exit status 1 when a run failed; the others are in the
table.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ablation_report
from ablation_plan import Run, as_toml, plan, read_list
from run import machine

import gspc

HERE = Path(__file__).resolve().parent
ROOT = Path(gspc.__path__[0]).resolve().parent
STEPS = ("fit", "compress", "decompress", "eval", "inspect")
TRAINING_VIEWS = "training-views"  # a further step, if asked for
BEAT_SECONDS = 2.0


class Failed(Exception):
    """A command of a run that did not succeed."""


# ---- running ----

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_CHILDREN: set[subprocess.Popen[bytes]] = set()
_STOPPING = threading.Event()
_COUNTING = threading.RLock()  # a second signal may come while the first one holds it


def _dies_with_parent() -> None:
    """In a child: Ctrl-C ends it, also where the shell ignores that for us, and so does our own end."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if _LIBC is not None:
        _LIBC.prctl(1, signal.SIGINT)


@dataclass
class Execution:
    """Runs the steps of one run that are still to do."""

    run: Run
    gspc: list[str]
    threads: int
    steps: tuple[str, ...] = STEPS

    @property
    def state_file(self) -> Path:
        """What has been done, with times."""
        return self.run.folder / "run.json"

    def state(self) -> dict[str, Any]:
        """Content of the state file."""
        return json.loads(self.state_file.read_text()) if self.state_file.exists() else {"steps": {}}

    def save(self, state: dict[str, Any]) -> None:
        """Replaces the state file at once."""
        temporary = self.state_file.with_suffix(".new")
        temporary.write_text(json.dumps(state, indent=1) + "\n")
        temporary.replace(self.state_file)

    def __call__(self) -> None:
        """All steps in order. Raises Failed."""
        folder = self.run.folder
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / "lock"):
            state = self.state()
            if not state["steps"]:
                (folder / "fit.toml").write_text(as_toml(self.run.settings))
                state |= {"commit": commit(), "threads": self.threads}
                self.save(state)
            for step in self.steps:
                if step not in state["steps"]:
                    state["steps"][step] = getattr(self, f"_{step.replace('-', '_')}")()
                    self.save(state)

    def _fit(self) -> dict[str, Any]:
        folder = self.run.folder
        elapsed = folder / "elapsed"
        resumed = (folder / "model.pt.checkpoint").exists()
        before = float(elapsed.read_text()) if resumed and elapsed.exists() else 0.0
        command = [
            "fit",
            str(self.run.source),
            "--config",
            "fit.toml",
            "-o",
            "model.pt",
            "--log",
            "log.jsonl",
            "--resume" if resumed else "-f",
        ]
        seconds = self._command("fit", *command, beat=elapsed, before=before)
        said = [line.removeprefix("gspc: ") for line in (folder / "fit.txt").read_text().splitlines()]
        log = (folder / "log.jsonl").read_text().splitlines() if (folder / "log.jsonl").exists() else []
        elapsed.unlink(missing_ok=True)
        return {
            "seconds": before + seconds,
            "resumed": resumed,
            "backend": next((line for line in said if line.startswith("backend ")), ""),
            "estimated_bytes": json.loads(log[-1])["estimated_bytes"] if log else None,
        }

    def _compress(self) -> dict[str, Any]:
        return {"seconds": self._command("compress", "compress", "model.pt", "-f", "-o", "scene.pcgs")}

    def _decompress(self) -> dict[str, Any]:
        found = []
        for level in range(1, self.run.settings["levels"] + 1):
            arguments = ["scene.pcgs", "--upto", str(level), "-f", "-o", "decoded.safetensors"]
            found.append(self._command("decompress", "decompress", *arguments))
        (self.run.folder / "decoded.safetensors").unlink(missing_ok=True)
        return {"seconds": found}

    def _eval(self) -> dict[str, Any]:
        arguments = ["scene.pcgs", "--data", str(self.run.source), "-f", "--json", "eval.json"]
        return {"seconds": self._command("eval", "eval", *arguments)}

    def _training_views(self) -> dict[str, Any]:
        """All views; the report takes those that are not held out. Blender scenes keep their split."""
        arguments = ["scene.pcgs", "--data", str(self.run.source), "--hold", "0", "-f", "--json", "all.json"]
        return {"seconds": self._command(TRAINING_VIEWS, "eval", *arguments)}

    def _inspect(self) -> dict[str, Any]:
        arguments = ["scene.pcgs", "--json", "--rates", "--levels"]
        return {"seconds": self._command("inspect", "inspect-bitstream", *arguments, out="inspect.json")}

    def _command(
        self,
        step: str,
        *arguments: str,
        beat: Path | None = None,
        before: float = 0.0,
        out: str | None = None,
    ) -> float:
        """Wall seconds of one command; what it says on stderr is in STEP.txt."""
        folder = self.run.folder
        command = [*self.gspc, *arguments] + (["--threads", str(self.threads)] if self.threads else [])
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        }
        if self.threads:
            environment["OMP_NUM_THREADS"] = str(self.threads)
        with (
            (folder / f"{step}.txt").open("wb") as err,
            (folder / (out or f"{step}.out")).open("wb") as target,
        ):
            if _STOPPING.is_set():
                raise KeyboardInterrupt
            started = time.monotonic()
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=target,
                stderr=err,
                preexec_fn=_dies_with_parent,  # noqa: PLW1509  a system call each
            )
            with _COUNTING:
                _CHILDREN.add(process)
                late = _STOPPING.is_set()  # stop() looked before this child was among them
            if late:
                process.send_signal(signal.SIGINT)
            try:
                while process.poll() is None:
                    try:
                        process.wait(BEAT_SECONDS)
                    except subprocess.TimeoutExpired:
                        if beat is not None:
                            beat.write_text(f"{before + time.monotonic() - started:.1f}")
            finally:
                _CHILDREN.discard(process)
            seconds = time.monotonic() - started
        if out is None:
            (folder / f"{step}.out").unlink()
        if process.returncode:
            if beat is not None:
                beat.write_text(f"{before + seconds:.1f}")
            if _STOPPING.is_set():
                raise KeyboardInterrupt
            last = ((folder / f"{step}.txt").read_text().splitlines() or ["said nothing"])[-1]
            raise Failed(f"{step} exited with {process.returncode}: {last}; see {folder / step}.txt")
        return seconds


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Failed("another process is at it") from None
        yield


def commit() -> str:
    """Which code trains: the repository's commit, with + when files differ from it."""
    try:
        git = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=10", "--dirty=+"]
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def stop(*_: object) -> None:
    """Ends all children; a fit saves a checkpoint first."""
    if _STOPPING.is_set():
        return
    with _COUNTING:
        _STOPPING.set()
        children = list(_CHILDREN)
    for process in children:
        process.send_signal(signal.SIGINT)


def run_all(runs: Sequence[Run], args: argparse.Namespace, report: Any) -> int:
    """Runs what is not done yet; returns how many failed."""
    unique = list({run.folder: run for run in runs}.values())
    for run in unique if args.redo else ():
        forget(Execution(run, [], 0), args.redo)
    failed, done, lock = 0, 0, threading.Lock()

    def one(run: Run) -> None:
        nonlocal failed, done
        label = f"{run.scene} {run.variant} seed {run.seed} stream {run.stream + 1}"
        execution = Execution(run, shlex.split(args.gspc), args.threads, args.steps)
        if _STOPPING.is_set():
            return
        finished = set(execution.state()["steps"]) >= set(args.steps)
        try:
            if not finished:
                print(f"{label}: {run.folder}", flush=True)
                execution()
        except Failed as error:
            failed += 1
            print(f"{label}: {error}", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            return
        with lock:
            done += 1
            if not finished:
                print(f"{done} of {len(unique)} runs", flush=True)
                report()

    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(one, unique))
    return failed


def forget(execution: Execution, step: str) -> None:
    """Marks a step and those after it as not done."""
    state = execution.state()
    for later in (*STEPS[STEPS.index(step) :], TRAINING_VIEWS):
        state["steps"].pop(later, None)
    if execution.run.folder.is_dir():
        execution.save(state)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("list")
    parser.add_argument("--scenes", nargs="+", default=["fox"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--data", type=Path, default=HERE.parents[2] / "shared" / "data")
    parser.add_argument("--work", type=Path, default=Path("build/ablation"))
    parser.add_argument("--only", nargs="+", metavar="VARIANT", help="these variants and their references")
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--resolution", type=int)
    parser.add_argument("--device")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="of each job")
    parser.add_argument("--report", type=Path, metavar="STEM")
    parser.add_argument("--plan", action="store_true", help="say what would run, and stop")
    parser.add_argument("--table", action="store_true", help="only write the table of what is done")
    parser.add_argument("--redo", choices=STEPS[1:], help="run this step and those after it again")
    parser.add_argument(f"--{TRAINING_VIEWS}", action="store_true", help="score these, too")
    parser.add_argument("--gspc", default=f"{sys.executable} -m gspc", help="the command to run")
    args = parser.parse_args()
    args.steps = (*STEPS, TRAINING_VIEWS) if args.training_views else STEPS
    args.data, args.work = args.data.resolve(), args.work.resolve()
    args.scenes = [str(Path(text).resolve()) if Path(text).is_dir() else text for text in args.scenes]
    return args


def stated(args: argparse.Namespace) -> str:
    """The command for the report: what decides about the figures, without the folders of this machine."""
    words = ["tests/bench/ablation.py", Path(args.list).name, "--scenes"]
    words += [Path(text).name for text in args.scenes]
    for name in ("seeds", "only", "iterations", "resolution", "device"):
        value = getattr(args, name)
        if value is not None:
            words += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    return " ".join(words)


def main() -> int:
    args = arguments()
    given = {key: getattr(args, key) for key in ("iterations", "resolution", "device")}
    title, variants = read_list(args.list, {key: value for key, value in given.items() if value is not None})
    if args.only:
        names = {variant.name for variant in variants}
        if set(args.only) - names:
            raise SystemExit(f"--only: no variant {', '.join(sorted(set(args.only) - names))}")
        chosen = set(args.only) | {v.against for v in variants if v.name in args.only}
        variants = [variant for variant in variants if variant.name in chosen]
    runs = plan(variants, args.scenes, args.seeds, args.data, args.work)
    if args.plan:
        for run in runs:
            done = Execution(run, [], 0).state()["steps"]
            print(
                f"{run.scene} {run.variant} seed {run.seed} stream {run.stream + 1}: {run.folder.name}", *done
            )
        print(f"{len({run.folder for run in runs})} runs")
        return 0
    stem = args.report or args.work / Path(args.list).stem
    stem.parent.mkdir(parents=True, exist_ok=True)
    command = stated(args)
    here = machine() | {"jobs": args.jobs, "threads": args.threads or "all"}
    lock = threading.Lock()

    def report() -> None:
        with lock:
            ablation_report.write(stem, title, command, here, variants, runs)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    failed = 0 if args.table else run_all(runs, args, report)
    report()
    print(f"{stem}.md and {stem}.json written")
    return 130 if _STOPPING.is_set() else min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
