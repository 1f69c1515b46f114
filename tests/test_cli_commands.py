"""Each subcommand: what reaches the pipeline, what is printed where, what is written."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import Cli
from rendering_scenes import random_scene

import gspc.rendering
from gspc import pipeline
from gspc.errors import BitstreamError, InputError
from gspc.pipeline import ChunkRow, Evaluation, Inspection, LevelScore, Part, ViewScore
from gspc.rendering import read_scene, write_scene
from gspc.rendering.scene_file import PCGS_MAGIC

SCENE = random_scene(cameras=3)
STREAM = PCGS_MAGIC + b"stand-in for a stream"


def flat(scene: Any, camera: Any, *, backend: str = "cpu") -> Any:
    """A gray picture, in place of rendering."""
    return np.full((camera.height, camera.width, 3), 0.5, np.float32)


class FlatRenderer:
    def __init__(self, scene: Any, backend: str = "cpu") -> None:
        self.scene = scene

    def render(self, camera: Any) -> Any:
        return flat(self.scene, camera)


@pytest.fixture(autouse=True)
def no_kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Rendering stands in: these tests are about the commands."""
    monkeypatch.setattr(gspc.rendering, "render_view", flat)
    monkeypatch.setattr(gspc.rendering.frames, "Renderer", FlatRenderer)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Streams decode to SCENE; the calls are recorded."""
    calls: list[dict[str, Any]] = []

    def restore(source: Any, **options: Any) -> pipeline.Restored:
        calls.append(options | {"name": source.name, "kind": source.kind})
        return pipeline.Restored(SCENE, 2, 3, True, ("level 2 of 3 was used",), "0123456789abcdef")

    monkeypatch.setattr(pipeline.coding, "restore", restore)
    monkeypatch.setattr(pipeline, "restore", restore)
    return calls


# ---- decompress ----


def test_decompress_writes_a_scene_to_a_pipe(cli: Cli, restored: list[dict[str, Any]]) -> None:
    ran = cli("decompress", "--upto", "2", "--threads", "3", "--max-memory", "1.5GB", stdin=STREAM)
    assert ran.code == 0
    assert ran.out == write_scene(SCENE)
    assert ran.err == "gspc: warning: stdin: level 2 of 3 was used\n"
    assert restored == [
        {"upto": 2, "threads": 3, "max_memory": 1_500_000_000, "name": "stdin", "kind": "pcgs"}
    ]


def test_decompress_to_a_file_and_what_json_says(cli: Cli, restored: list[dict[str, Any]]) -> None:
    Path("a.pcgs").write_bytes(STREAM)
    ran = cli("decompress", "a.pcgs", "-o", "scene", "--json")
    assert ran.code == 0
    assert read_scene(Path("scene").read_bytes()).level == 2
    report = json.loads(ran.out)
    assert report == {
        "input": "a.pcgs",
        "level": 2,
        "levels": 3,
        "truncated": True,
        "anchors": 50,
        "gaussians": int(SCENE.gaussian_mask.sum()),
        "symbol_hash": "0123456789abcdef",
        "warnings": ["level 2 of 3 was used"],
    }
    ran = cli("decompress", "a.pcgs", "--json")
    assert ran.out == write_scene(SCENE)
    assert json.loads(ran.lines[-1]) == report


def test_binary_output_never_goes_to_a_terminal(cli: Cli, restored: list[dict[str, Any]]) -> None:
    Path("a.pcgs").write_bytes(STREAM)
    for args in (["decompress", "a.pcgs"], ["decompress", "a.pcgs", "-o", "-"], ["compress", "a.pcgs"]):
        ran = cli(*args, terminals=["stdout"])
        assert (ran.code, ran.out) == (6, b"")
        assert ran.err.startswith("gspc: error: stdout: a ")
        assert "is binary and stdout a terminal" in ran.err
    ran = cli("render", "a.pcgs", "--view", "0", "-o", "-", terminals=["stdout"])
    assert (ran.code, ran.out) == (6, b"")
    assert restored == []


def test_nothing_is_read_from_a_terminal(cli: Cli) -> None:
    for args in (["decompress", "-o", "x"], ["render"], ["inspect-bitstream", "-"], ["eval", "--data", "d"]):
        ran = cli(*args, terminals=["stdin"])
        assert ran.code == 2
        assert ran.err == "gspc: error: no input: name a file, or pipe one in\n"


def test_existing_outputs_need_force(cli: Cli, restored: list[dict[str, Any]]) -> None:
    Path("a.pcgs").write_bytes(STREAM)
    for name in ("scene", "view.png"):
        Path(name).write_bytes(b"old")
    for args in (
        ["decompress", "a.pcgs", "-o", "scene"],
        ["render", "a.pcgs", "--view", "0", "-o", "view.png"],
    ):
        ran = cli(*args)
        assert ran.code == 6
        assert ran.err == f"gspc: error: {args[-1]}: exists already; add -f to overwrite it\n"
        assert Path(args[-1]).read_bytes() == b"old"
        assert restored == []  # refused before any work
        assert cli(*args, "-f").code == 0
        assert Path(args[-1]).read_bytes() != b"old"
        restored.clear()


@pytest.mark.parametrize("command", ["decompress", "render", "inspect-bitstream", "compress"])
def test_missing_inputs(cli: Cli, command: str) -> None:
    assert cli(command, "nosuch").err == "gspc: error: nosuch: no such file; check the path\n"
    assert cli(command, ".").code == 3
    assert cli(command, "nosuch").code == 3


def test_decompress_takes_streams_only(cli: Cli) -> None:
    ran = cli("decompress", stdin=write_scene(SCENE))
    assert (ran.code, ran.out) == (3, b"")
    assert ran.err == "gspc: error: stdin: is a decoded scene already\n"
    ran = cli("decompress", stdin=b"PK\x03\x04 a zip")
    assert ran.err == "gspc: error: stdin: is a model; run gspc compress first\n"


# ---- render ----


def test_render_without_options_draws_the_suggested_cameras(cli: Cli) -> None:
    ran = cli("render", stdin=write_scene(SCENE))
    assert (ran.code, ran.err) == (0, "")
    names = ["renders/view_00.png", "renders/view_01.png", "renders/view_02.png"]
    assert ran.out.decode().split() == names
    assert all(Path(name).read_bytes().startswith(b"\x89PNG") for name in names)
    ran = cli("render", stdin=write_scene(SCENE))
    assert (ran.code, ran.out) == (6, b"")
    assert ran.err.startswith("gspc: error: renders/view_00.png: exists")
    assert cli("render", "-f", stdin=write_scene(SCENE)).code == 0


def test_render_one_view(cli: Cli) -> None:
    data = write_scene(SCENE)
    ran = cli("render", "--view", "1", "--size", "30", "-o", "-", stdin=data)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(b"\x89PNG")
    assert int.from_bytes(ran.out[16:20], "big") == 30
    ran = cli("render", "--view", "view_02.jpg", "-o", "one.png", stdin=data)
    assert ran.out == b"one.png\n"
    ran = cli("render", "-o", "all.png", stdin=data)
    assert ran.code == 2
    assert ran.err.startswith(
        "gspc: error: -o all.png takes one picture and there are 3 views; choose one with --view"
    )
    assert cli("render", "--view", "7", stdin=data).code == 2
    assert cli("render", "--size", "0x4", stdin=data).code == 2
    assert not Path("all.png").exists()


def test_render_a_level(cli: Cli, restored: list[dict[str, Any]]) -> None:
    ran = cli("render", "--upto", "1", stdin=STREAM)
    assert ran.code == 0
    assert restored[0]["upto"] == 1
    assert ran.err == "gspc: warning: stdin: level 2 of 3 was used\n"


def test_a_decoded_scene_has_one_level(cli: Cli) -> None:
    data = write_scene(SCENE)
    assert cli("render", "--upto", "2", stdin=data).code == 0
    ran = cli("render", "--upto", "1", "-f", stdin=data)
    assert ran.code == 2
    assert (
        ran.err
        == "gspc: error: stdin: is already decoded to level 2; run gspc decompress --upto 1 on its .pcgs\n"
    )


def test_unknown_content(cli: Cli) -> None:
    ran = cli("render", stdin=b"anything else")
    assert ran.code == 3
    assert ran.err.startswith("gspc: error: stdin: is neither")
    assert cli("render", stdin=b"").code == 3
    damaged = write_scene(SCENE)[:-5]
    ran = cli("render", stdin=damaged)
    assert ran.code == 3
    assert ran.err.startswith("gspc: error: stdin: is not a usable decoded scene")


# ---- compress ----


def test_compress_says_the_sizes(cli: Cli) -> None:
    calls = []

    def compress(source: Any, *, levels: int | None, threads: int, coder: str) -> pipeline.Compressed:
        calls.append((source.kind, levels, threads, coder))
        return pipeline.Compressed(b"\x89data", 2, (1234, 5678))

    cli.monkeypatch.setattr(pipeline, "compress", compress)
    Path("model.pt").write_bytes(b"PK\x03\x04")
    ran = cli("compress", "model.pt", "--levels", "2", "-o", "scene.pcgs")
    assert (ran.code, ran.out) == (0, b"")
    assert ran.err == "gspc: scene.pcgs: 5 bytes; up to level 1: 1,234, 2: 5,678\n"
    assert Path("scene.pcgs").read_bytes() == b"\x89data"
    assert cli("compress", stdin=STREAM).out == b"\x89data"
    assert cli("compress", "--coder", "torchac", stdin=STREAM).code == 0
    assert calls == [("model", 2, 0, "lanes"), ("pcgs", None, 0, "lanes"), ("pcgs", None, 0, "torchac")]


def test_compress_refuses_a_decoded_scene(cli: Cli) -> None:
    ran = cli("compress", "-o", "x", stdin=write_scene(SCENE))
    assert ran.code == 3
    assert ran.err.startswith("gspc: error: stdin: is a decoded scene; compress the model")
    assert not Path("x").exists()


# ---- eval ----


def evaluation(**changes: Any) -> Evaluation:
    def level(number: int, psnr: float) -> LevelScore:
        views = (ViewScore("a.png", psnr - 1, 0.9, None), ViewScore("b\x1b.png", psnr + 1, 0.8, None))
        return LevelScore(number, 1000 * number, psnr, 0.85, None, views)

    values: dict[str, Any] = {
        "source": "s.pcgs",
        "data": "photos",
        "held_out": True,
        "lpips_status": "no weights here",
        "warnings": (),
        "levels": (level(1, 25.0), level(2, 27.5)),
    }
    return Evaluation(**(values | changes))


@pytest.fixture
def evaluating(cli: Cli) -> Callable[[Evaluation], list[dict[str, Any]]]:
    def install(result: Evaluation) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []

        def evaluate(source: Any, directory: Path, **options: Any) -> Evaluation:
            options["report"]("level 1: view 1 of 2")
            calls.append(options | {"kind": source.kind, "directory": directory})
            return result

        cli.monkeypatch.setattr(pipeline, "evaluate", evaluate)
        return calls

    return install


def test_eval_shows_a_table(cli: Cli, evaluating: Any) -> None:
    calls = evaluating(evaluation())
    ran = cli("eval", "--data", "photos", "--upto", "2", stdin=STREAM)
    assert ran.code == 0
    text = ran.out.decode()
    assert "s.pcgs: 2 held-out views of photos" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["1", "25.00", "0.8500", "n/a", "1,000"] in rows
    assert ["2", "27.50", "0.8500", "n/a", "2,000"] in rows
    assert "a.png" not in text
    assert ran.err == "gspc: no weights here\n"  # said once
    assert calls[0]["levels"] == (1, 2)
    assert calls[0]["directory"] == Path("photos")
    assert calls[0]["resolution"] is None
    assert calls[0]["hold"] is None
    assert calls[0]["background"] is None


def test_eval_shows_views(cli: Cli, evaluating: Any) -> None:
    evaluating(evaluation(held_out=False, warnings=("cut",)))
    ran = cli("eval", "--data", "photos", "--views", stdin=STREAM)
    rows = [line.split() for line in ran.out.decode().splitlines()]
    assert ["2", "a.png", "26.50", "0.9000", "n/a"] in rows
    assert b"\x1b" not in ran.out
    assert "gspc: warning: s.pcgs: cut" in ran.lines
    assert "gspc: photos: views that were trained on are among these" in ran.lines


def test_eval_passes_the_options_of_reading(cli: Cli, evaluating: Any) -> None:
    calls = evaluating(evaluation())
    options = [
        "--resolution",
        "2",
        "--images",
        "im",
        "--hold",
        "4",
        "--background",
        "white",
        "--levels",
        "2,1,2",
    ]
    assert cli("eval", "--data", "photos", *options, stdin=STREAM).code == 0
    assert {key: calls[0][key] for key in ("resolution", "images", "hold", "background", "levels")} == {
        "resolution": 2,
        "images": Path("im"),
        "hold": 4,
        "background": "white",
        "levels": (1, 2),
    }


def test_eval_json_and_csv(cli: Cli, evaluating: Any) -> None:
    perfect = LevelScore(1, None, math.inf, 1.0, 0.0, (ViewScore("a", math.inf, 1.0, 0.0),))
    evaluating(evaluation(levels=(perfect,)))
    ran = cli("eval", "--data", "p", "--json", "-", "--csv", "scores.csv", stdin=STREAM)
    report = json.loads(ran.out)
    assert report["levels"] == [
        {
            "level": 1,
            "bytes": None,
            "psnr": None,
            "ssim": 1.0,
            "lpips": 0.0,
            "views": [{"view": "a", "psnr": None, "ssim": 1.0, "lpips": 0.0}],
        }
    ]
    assert report["views"] == "test"
    assert report["lpips_status"] == "no weights here"
    rows = list(csv.DictReader(io.StringIO(Path("scores.csv").read_text())))
    assert [row["view"] for row in rows] == ["", "a"]
    assert rows[0] == {"level": "1", "view": "", "psnr": "inf", "ssim": "1.0", "lpips": "0.0", "bytes": ""}
    ran = cli("eval", "--data", "p", "--csv", "-", stdin=STREAM)
    assert ran.out.startswith(b"level,view,psnr,ssim,lpips,bytes\n1,,inf,")


def test_eval_refuses_reports_before_it_works(cli: Cli, evaluating: Any) -> None:
    calls = evaluating(evaluation())
    Path("scores.json").write_text("old")
    ran = cli("eval", "--data", "p", "--json", "scores.json", stdin=STREAM)
    assert ran.code == 6
    assert calls == []
    assert cli("eval", "--data", "p", "--json", "scores.json", "-f", stdin=STREAM).code == 0
    assert json.loads(Path("scores.json").read_text())["source"] == "s.pcgs"


# ---- inspect ----


def inspection(**changes: Any) -> Inspection:
    values: dict[str, Any] = {
        "source": "s.pcgs",
        "kind": "pcgs",
        "size": 1000,
        "levels": 2,
        "whole_levels": 2,
        "facts": (("version", "1.0"), ("scene", "x\x1b]0;y")),
        "prefix_bytes": (600, 1000),
        "parts": (Part("networks", None, 100), Part("features", 1, 500), Part("features", 2, 400)),
        "chunks": tuple(ChunkRow("SLCE", 1, i, 100 * i, 100, "") for i in range(50)),
        "problems": (),
    }
    return Inspection(**(values | changes))


def test_inspect_shows_where_the_bytes_go(cli: Cli) -> None:
    cli.monkeypatch.setattr(pipeline, "inspect", lambda source, rates, levels, threads: inspection())
    ran = cli("inspect-bitstream", stdin=STREAM)
    assert (ran.code, ran.err) == (0, "")
    text = ran.out.decode()
    assert "s.pcgs: stream, 1,000 bytes, 2 levels" in text
    assert "\x1b" not in text
    rows = [line.split() for line in text.splitlines()]
    assert ["1", "features", "500", "50.0", "█" * 24] in rows
    assert ["2", "features", "400", "40.0"] in [row[:4] for row in rows]
    assert ["1", "file", "up", "to", "here", "600", "60.0"] in rows
    assert "and 10 more; --json lists all" in text


def test_inspect_json(cli: Cli) -> None:
    cli.monkeypatch.setattr(
        pipeline,
        "inspect",
        lambda source, rates, levels, threads: inspection(whole_levels=1, problems=("cut",)),
    )
    ran = cli("inspect-bitstream", "--json", stdin=STREAM)
    assert ran.code == 0
    report = json.loads(ran.out)
    assert report["bytes"] == 1000
    assert (report["levels"], report["whole_levels"], report["problems"]) == (2, 1, ["cut"])
    assert report["components"][1] == {"name": "features", "level": 1, "bytes": 500}
    assert len(report["chunks"]) == 50
    assert report["chunks"][3] == {
        "tag": "SLCE",
        "level": 1,
        "slice": 3,
        "offset": 300,
        "bytes": 100,
        "status": "",
    }
    assert ran.err == "gspc: warning: s.pcgs: cut\n"


def test_inspect_check(cli: Cli) -> None:
    cli.monkeypatch.setattr(pipeline, "inspect", lambda source, rates, levels, threads: inspection())
    ran = cli("inspect-bitstream", "--check", stdin=STREAM)
    assert (ran.code, ran.err) == (0, "gspc: s.pcgs: 50 chunks verified, no damage\n")
    cli.monkeypatch.setattr(
        pipeline, "inspect", lambda source, rates, levels, threads: inspection(problems=("a", "b"))
    )
    ran = cli("inspect-bitstream", "--check", stdin=STREAM)
    assert ran.code == 4
    assert ran.lines[-1].startswith("gspc: error: s.pcgs: is damaged; get the file again")


def test_inspect_a_decoded_scene(cli: Cli) -> None:
    data = write_scene(SCENE)
    ran = cli("inspect-bitstream", "--json", stdin=data)
    assert ran.code == 0
    report = json.loads(ran.out)
    assert report["kind"] == "scene"
    assert sum(part["bytes"] for part in report["components"]) == report["bytes"] == len(data)
    assert report["header"]["anchors"] == "50"
    assert cli("inspect-bitstream", stdin=data).code == 0


# ---- fit ----


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
    ran = cli(*args.split(), *more.split())
    assert (ran.code, ran.out) == (0, b"")
    assert seen["scene"] == Path("photos")
    data, options = seen["data"], seen["options"]
    assert (data.resolution, data.hold, data.background, data.images) == (2, 4, "white", Path("im"))
    assert (options.iterations, options.levels, options.rate_weights) == (10, 2, (4e-3, 1e-3))
    assert (options.seed, options.voxel_size, options.device, options.threads) == (7, 0.5, "cpu", 1)
    assert (options.checkpoint_every, options.resume, options.log) == (5, False, Path("l.jsonl"))
    assert ran.lines == [
        "gspc: backend cpu: asked for",
        "gspc: 1/10 anchors  loss 0.1250  PSNR 20.00 dB  1,234 anchors  1.50 MB  1:05 left",
        "gspc: 10/10 anchors  loss 0.1250  PSNR 20.00 dB  1,234 anchors  1.50 MB  1:05 left",
        "gspc: m.pt: 1,234 anchors, training PSNR 20.00 dB, 1:01:01",
    ]
    assert training is not None


class Progress:
    iterations, phase, loss, psnr, anchors = 10, "anchors", 0.125, 20.0, 1234
    estimated_bytes, seconds_left = 1_500_000, 65.0

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration


class Result:
    anchors, psnr, seconds, iterations = 1234, 20.0, 3661.0, 10

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
    from gspc.pipeline.evaluation import Wanted, _data_options
    from gspc.scene import SceneData

    train = pytest.importorskip("gspc.train")
    white = SceneData("x", (), (), np.zeros((0, 3)), np.zeros((0, 3), np.uint8), (1.0, 1.0, 1.0))
    monkeypatch.setattr(gspc.data, "load_scene", lambda path, options: white)
    monkeypatch.setattr(train, "fit", lambda scene, output, options, observer: options.metadata)
    made: Any = pipeline.fit(Path("x"), Path("m"), DataOptions(resolution=4, hold=5), FitOptions(), None)  # type: ignore[arg-type]
    assert made == {"resolution": "4", "hold": "5", "background": "white"}
    assert _data_options(made, Wanted()) == DataOptions(4, 5, "white")
    assert _data_options(made, Wanted(2, 0, "black")) == DataOptions(2, 0, "black")
    bad = {"resolution": "x", "hold": "-1"}
    assert _data_options(bad, Wanted(images=Path("i"))) == DataOptions(images=Path("i"))


def test_naming_says_the_file_once() -> None:
    with pytest.raises(BitstreamError, match=r"^a.pcgs: bad$"), pipeline.naming("a.pcgs"):
        raise BitstreamError("bad")
    with pytest.raises(InputError, match=r"^a: bad$"), pipeline.naming("a"):
        raise InputError("a: bad")
