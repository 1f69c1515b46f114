"""fit: its options, its progress, what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import Cli

from gspc import pipeline

pytestmark = pytest.mark.usefixtures("empty_directory")


def test_fit_passes_its_options(cli: Cli) -> None:
    from gspc.pipeline import training

    seen: dict[str, Any] = {}

    def fit(scene: Path, output: Path, data: Any, options: Any, observer: Any) -> Any:
        seen.update(scene=scene, output=output, data=data, options=options)
        observer.message("backend cpu: asked for")
        for iteration in (1, 2, 10):
            observer.progress(Progress(iteration))
        return Result(output)

    cli.monkeypatch.setattr(pipeline, "fit", fit)
    args = "fit photos -o m.pt -n 10 --levels 2 --rate-weights 4e-3,1e-3 -r 2 --images im --hold 4 --seed 7"
    more = "--background white --voxel-size 0.5 --device cpu --threads 1 --checkpoint-every 5 --log l.jsonl"
    more += " --branch other.pt.checkpoint --pause-at 6"
    ran = cli(*args.split(), *more.split())
    assert (ran.code, ran.out) == (0, b"")
    assert seen["scene"] == Path("photos")
    data, options = seen["data"], seen["options"]
    assert (data.resolution, data.hold, data.background, data.images) == (2, 4, "white", Path("im"))
    assert (options.iterations, options.levels, options.rate_weights) == (10, 2, (4e-3, 1e-3))
    assert (options.seed, options.voxel_size, options.device, options.threads) == (7, 0.5, "cpu", 1)
    assert (options.checkpoint_every, options.resume, options.log) == (5, False, Path("l.jsonl"))
    assert (options.branch, options.pause_at) == (Path("other.pt.checkpoint"), 6)
    assert ran.lines == [
        "gspc: backend cpu: asked for",
        "gspc: 1/10 anchors  loss 0.1250  PSNR 20.00 dB  1,234 anchors  1.50 MB  1:05 left",
        "gspc: 10/10 anchors  loss 0.1250  PSNR 20.00 dB  1,234 anchors  1.50 MB  1:05 left",
        "gspc: m.pt: 1,234 anchors, training PSNR 20.00 dB, held-out 19.50 dB, 1:01:01",
    ]
    assert training is not None


class Progress:
    iterations, phase, loss, psnr, anchors = 10, "anchors", 0.125, 20.0, 1234
    estimated_bytes, seconds_left = 1_500_000, 65.0

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration


class Result:
    anchors, psnr, held_out, seconds, iterations, paused = 1234, 20.0, 19.5, 3661.0, 10, False

    def __init__(self, path: Path) -> None:
        self.path = path


def test_fit_on_a_terminal_draws_a_bar(cli: Cli) -> None:
    def fit(scene: Path, output: Path, data: Any, options: Any, observer: Any) -> Any:
        observer.message("hello [b]you[/b]")
        observer.progress(Progress(5))
        return Result(output)

    cli.monkeypatch.setattr(pipeline, "fit", fit)
    cli.monkeypatch.setenv("TERM", "xterm")
    cli.monkeypatch.setenv("COLUMNS", "140")
    ran = cli("fit", "photos", "-o", "m.pt", terminals=["stderr"])
    assert ran.code == 0
    assert "gspc: hello [b]you[/b]" in ran.err
    assert "5/10" in ran.err
    assert "PSNR 20.00 dB" in ran.err


def test_fit_refuses_an_existing_output_unless_it_resumes(cli: Cli) -> None:
    cli.monkeypatch.setattr(pipeline, "fit", lambda scene, output, *rest: Result(output))
    Path("m.pt").write_bytes(b"old")
    assert cli("fit", "photos", "-o", "m.pt").code == 6
    assert cli("fit", "photos", "-o", "m.pt", "-f").code == 0
    # Without a checkpoint there is nothing to go on from, and a finished model would be lost.
    assert cli("fit", "photos", "-o", "m.pt", "--resume").code == 6
    Path("m.pt.checkpoint").write_bytes(b"")
    assert cli("fit", "photos", "-o", "m.pt", "--resume").code == 0


def test_fit_refuses_an_existing_or_impossible_log(cli: Cli) -> None:
    cli.monkeypatch.setattr(pipeline, "fit", lambda scene, output, *rest: Result(output))
    Path("log").write_bytes(b"old")
    ran = cli("fit", "photos", "-o", "m.pt", "--log", "log")
    assert (ran.code, ran.err) == (6, "gspc: error: log: exists already; add -f to overwrite it\n")
    assert cli("fit", "photos", "-o", "m.pt", "--log", "log", "-f").code == 0
    assert cli("fit", "photos", "-o", "m.pt", "--log", "no/log").code == 6


def test_fit_interrupted_exits_130(cli: Cli) -> None:
    def fit(*args: Any) -> None:
        raise KeyboardInterrupt

    cli.monkeypatch.setattr(pipeline, "fit", fit)
    ran = cli("fit", "photos", "-o", "m.pt", terminals=["stderr"])
    assert ran.code == 130
    assert ran.lines[-1].endswith("gspc: interrupted")


def test_fit_notes_how_photographs_were_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fit writes into the model is what eval reads from the stream."""
    import gspc.data
    from gspc.config import DataOptions, FitOptions
    from gspc.pipeline.photographs import Wanted, as_trained
    from gspc.scene import SceneData

    train = pytest.importorskip("gspc.train")
    white = SceneData("x", (), (), np.zeros((0, 3)), np.zeros((0, 3), np.uint8), (1.0, 1.0, 1.0))
    monkeypatch.setattr(gspc.data, "load_scene", lambda path, options, **reading: white)
    seen: dict[str, Any] = {}

    def fit(scene: SceneData, output: Path, options: FitOptions, observer: Any) -> Result:
        seen.update(options.metadata)
        return Result(output)

    monkeypatch.setattr(train, "fit", fit)
    pipeline.fit(Path("x"), Path("m"), DataOptions(resolution=4, hold=5), FitOptions())
    made = dict(seen)
    assert made == {"resolution": "4", "hold": "5", "background": "white"}
    assert as_trained(made) == DataOptions(4, 5, "white")
    assert as_trained(made, Wanted(2, 0, "black")) == DataOptions(2, 0, "black")
    for text in ("3", "99999", "0", "9" * 5000, "-1", "٣"):
        assert as_trained({"resolution": text}).resolution is None
    nonsense = {"resolution": "x", "hold": "-1", "background": "auto"}
    assert as_trained(nonsense, Wanted(images=Path("i"))) == DataOptions(images=Path("i"))


def test_the_live_line_leaves_out_the_loss_first() -> None:
    from gspc.cli.progress import describe, describe_within

    state: Any = Progress(5)
    whole = describe(state)
    assert whole == "loss 0.1250  PSNR 20.00 dB  1,234 anchors  1.50 MB"
    assert describe_within(state, len(whole)) == whole
    assert describe_within(state, len(whole) - 1) == "PSNR 20.00 dB  1,234 anchors  1.50 MB"
    assert describe_within(state, 25) == "PSNR 20.00 dB  1.50 MB"
    assert describe_within(state, 0) == "PSNR 20.00 dB"


def test_the_bar_keeps_its_width_in_80_columns(cli: Cli) -> None:
    def fit(scene: Path, output: Path, data: Any, options: Any, observer: Any) -> Any:
        observer.progress(Progress(10))
        return Result(output)

    cli.monkeypatch.setattr(pipeline, "fit", fit)
    cli.monkeypatch.setenv("TERM", "xterm")
    cli.monkeypatch.setenv("COLUMNS", "80")
    ran = cli("fit", "photos", "-o", "m.pt", terminals=["stderr"])
    bars = [line for line in ran.err.replace("\r", "\n").splitlines() if "10/10" in line]
    assert bars[-1].count("━") == 20
    assert "PSNR 20.00 dB" in bars[-1] and "1:05 left" in bars[-1] and "loss" not in bars[-1]


def test_sizes_and_previews_are_options(cli: Cli) -> None:
    seen: list[Any] = []

    def fit(scene: Path, output: Path, data: Any, options: Any, observer: Any) -> Any:
        seen.append(options)
        return Result(output)

    cli.monkeypatch.setattr(pipeline, "fit", fit)
    assert cli("fit", "photos", "-o", "m.pt", "--target-size", "1.5MB", "--preview", "100").code == 0
    assert (seen[0].target_size, seen[0].preview) == (1_500_000, 100)
    Path("c.toml").write_text("target_size = 20000\npreview = 7\n")
    assert cli("fit", "photos", "-o", "n.pt", "--config", "c.toml").code == 0
    assert (seen[1].target_size, seen[1].preview) == (20_000, 7)
    for option, problem in (
        ("--target-size=9k", "--target-size 9000: give at least"),
        ("--preview=-1", "--preview"),
    ):
        ran = cli("fit", "photos", "-o", "m.pt", option)
        assert (ran.code, problem in ran.err) == (2, True)
