"""The commands on real streams, and in fresh processes that have nothing but the stream."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic
from cli_tools import Cli, environment, run_fresh

from gspc import pipeline
from gspc.codec import encode, truncate_levels
from gspc.data import load_scene
from gspc.data.demo import write_demo_scene
from gspc.errors import BitstreamError, UsageError
from gspc.pipeline import evaluation
from gspc.pipeline.photographs import Wanted, as_trained
from gspc.rendering import Renderer, read_scene
from gspc.rendering.frames import to_uint8
from gspc.scene import SceneData, View

pytestmark = pytest.mark.usefixtures("empty_directory")

TINY = synthetic.tiny()


@pytest.fixture(scope="module")
def stream() -> bytes:
    return encode(TINY)


@pytest.fixture
def without_torch(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment where importing torch ends the process."""
    place = tmp_path_factory.mktemp("blocked")
    (place / "torch.py").write_text("raise SystemExit('torch was imported')\n")
    return {"PYTHONPATH": f"{place}{os.pathsep}{environment()['PYTHONPATH']}"}


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_every_prefix_decodes_in_an_empty_directory(
    stream: bytes, tmp_path: Path, without_torch: dict[str, str], levels: int
) -> None:
    end = pipeline.inspect(pipeline.load_source(stream)).prefix_bytes[levels - 1]
    ran = run_fresh("decompress", "--json", cwd=tmp_path, stdin=stream[:end], **without_torch)
    assert ran.code == 0, ran.err
    report = json.loads(ran.lines[-1])
    assert (report["level"], report["levels"], report["truncated"]) == (levels, 3, levels < 3)
    if levels < 3:
        used = f"level {levels} of 3 is the last whole one and was used"
        assert ran.lines[:-1] == [f"gspc: warning: stdin: the stream is truncated: {used}"]
    else:
        assert len(ran.lines) == 1
    scene = read_scene(ran.out)
    assert (scene.level, scene.levels) == (levels, 3)
    whole = pipeline.restore(pipeline.load_source(stream), upto=levels)
    assert report["symbol_hash"] == whole.symbol_hash
    assert np.array_equal(scene.features, whole.scene.features)
    assert list(tmp_path.iterdir()) == []


def test_the_pipe_of_the_readme(stream: bytes, tmp_path: Path, without_torch: dict[str, str]) -> None:
    """decompress | render, two processes without torch."""
    gspc = f"'{sys.executable}' -m gspc"
    (tmp_path / "scene.pcgs").write_bytes(stream)
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {gspc} decompress scene.pcgs --upto 2 | {gspc} render"],
        cwd=tmp_path,
        env=environment(**without_torch),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    pictures = done.stdout.split()
    assert len(pictures) == len(TINY.cameras)
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in pictures)


def test_upto_beyond_what_is_there(cli: Cli, stream: bytes) -> None:
    for args, data in ((["--upto", "4"], stream), (["--upto", "3"], stream[:-1])):
        ran = cli("decompress", *args, stdin=data)
        assert (ran.code, ran.out, len(ran.lines)) == (4, b"", 1)
        assert ran.err.startswith("gspc: error: stdin: ")
    ran = cli("decompress", "--upto", "2", stdin=stream[:-1])
    assert ran.code == 0


def test_damage_exits_4_with_one_line(cli: Cli, stream: bytes) -> None:
    flipped = bytearray(stream)
    flipped[len(stream) // 2] ^= 1
    for data in (
        b"\x89PCG",
        stream[:40],
        stream[:200],
        bytes(flipped),
        stream + b"x",
    ):
        ran = cli("decompress", stdin=data)
        assert (ran.code, ran.out, len(ran.lines)) == (4, b"", 1)
        assert ran.err.startswith("gspc: error: stdin: ")
        Path("a.pcgs").write_bytes(data)
        ran = cli("decompress", "a.pcgs", "-o", "scene")
        assert ran.err.startswith("gspc: error: a.pcgs: ")
        assert not Path("scene").exists()


def test_memory_is_limited(cli: Cli, stream: bytes) -> None:
    ran = cli("decompress", "--max-memory", "1kB", stdin=stream)
    assert (ran.code, ran.out) == (4, b"")


def test_compress_drops_levels(cli: Cli, stream: bytes) -> None:
    ran = cli("compress", "--levels", "2", stdin=stream)
    assert ran.code == 0
    assert ran.out == truncate_levels(stream, 2) == encode(TINY, levels=2)
    one = pipeline.inspect(pipeline.load_source(ran.out)).prefix_bytes[0]
    assert ran.err == f"gspc: stdout: {len(ran.out):,} bytes; up to level 1: {one:,}, 2: {len(ran.out):,}\n"
    assert cli("compress", stdin=stream).out == stream
    ran = cli("compress", "--levels", "4", stdin=stream)
    assert (ran.code, ran.out) == (2, b"")
    assert ran.err == "gspc: error: stdin: has 3 levels; choose --levels from 1 to 3\n"


def test_compress_keeps_the_whole_levels_of_a_cut_stream(cli: Cli, stream: bytes) -> None:
    ran = cli("compress", stdin=stream[:-1])
    assert ran.code == 0
    assert ran.out == truncate_levels(stream, 2)
    assert (
        ran.lines[0] == "gspc: warning: stdin: the stream is truncated: 2 of 3 levels are whole and were kept"
    )
    ran = cli("compress", stdin=stream[:900])
    assert (ran.code, ran.out) == (4, b"")


def test_inspect_adds_up(cli: Cli, stream: bytes) -> None:
    ran = cli("inspect-bitstream", "--json", "--check", stdin=stream)
    assert ran.code == 0
    report = json.loads(ran.out)
    assert report["bytes"] == len(stream) == sum(part["bytes"] for part in report["components"])
    assert report["bytes_up_to_level"][-1] == len(stream)
    assert (report["header"]["anchors"], report["header"]["slices"]) == (len(TINY.positions), 1)
    assert {chunk["status"] for chunk in report["chunks"]} == {""}
    text = cli("inspect-bitstream", stdin=stream).out.decode()
    assert "3 levels" in text
    assert "positions" in text


def test_inspect_rates(cli: Cli) -> None:
    scene = synthetic.scene(3000)
    ran = cli("inspect-bitstream", "--rates", "--json", stdin=encode(scene))
    assert ran.code == 0
    report = json.loads(ran.out)
    counts = {(rate["level"], rate["name"]): rate["symbols"] for rate in report["rates"]}
    first = np.where(scene.gaussian_level == 0, 255, scene.gaussian_level).min(axis=1)
    assert counts[1, "features"] == (first == 1).sum() * scene.features.shape[1]
    assert counts[3, "refined_features"] == (first < 3).sum() * scene.features.shape[1]
    assert counts[3, "refined_scaling"] == (first < 3).sum() * 6
    assert counts[2, "offsets"] == 3 * (scene.gaussian_level == 2).sum()
    assert not any(level == 1 and name.startswith("refined") for level, name in counts)
    coded = sum(part["bytes"] for part in report["components"] if part["name"] in ("symbols", "escapes"))
    model = sum(rate["model_bits"] for rate in report["rates"]) / 8
    assert 1.0 <= coded / model < 1.02
    text = cli("inspect-bitstream", "--rates", stdin=encode(scene)).out.decode()
    assert "What symbols cost" in text
    assert f"{counts[1, 'features']:,}" in text


def test_inspect_checks(cli: Cli, stream: bytes) -> None:
    flipped = bytearray(stream)
    flipped[-3] ^= 1
    for data, problem in ((bytes(flipped), "checksum error"), (stream[:-1], "truncated")):
        ran = cli("inspect-bitstream", stdin=data)
        assert ran.code == 0
        assert problem in ran.err
        ran = cli("inspect-bitstream", "--check", stdin=data)
        assert ran.code == 4
        assert ran.lines[-1].startswith("gspc: error: stdin: is damaged; get the file again")


def test_inspect_imports_little(stream: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pcgs").write_bytes(stream)

    code = (
        "import sys; from gspc.cli.app import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "inspect-bitstream", "a.pcgs"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stderr.splitlines()[-1].split())
    unwanted = {"torch", "numpy", "urllib.request", "gspc._codec", "gspc._kernels"}
    parts = ("breakdown", "exporting", "plain", "tiling", "training")
    unwanted |= {"gspc.presets", "gspc.recipe"} | {f"gspc.pipeline.{name}" for name in parts}
    if tuple(map(int, metadata.version("typer").split(".")[:2])) < (0, 29):
        unwanted.add("pydantic")  # of later versions of typer, which pyproject.toml leaves out for that
    assert loaded & unwanted == set()


# ---- evaluate ----


@pytest.fixture
def photographs(stream: bytes, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Photographs that look exactly like the last level; how they were asked for is recorded."""
    import gspc.data

    scene = pipeline.restore(pipeline.load_source(stream)).scene
    renderer = Renderer(scene)

    def view(camera: Any) -> View:
        small = camera.resized(64, 48)
        return View(small, lambda: to_uint8(renderer.render(small)))

    seen: dict[str, Any] = {"views": tuple(view(camera) for camera in scene.cameras)}

    def load(path: Path, options: Any, *, to_train: bool) -> SceneData:
        assert not to_train
        seen.setdefault("path", path)  # of the first call; another asks what training held out
        seen.setdefault("options", options)
        test = () if options.hold == 0 else seen["views"]
        rest = seen["views"] if options.hold == 0 else ()
        behind = (1.0, 1.0, 1.0) if options.background == "white" else (0.0, 0.0, 0.0)
        return SceneData("x", rest, test, np.zeros((0, 3)), np.zeros((0, 3), np.uint8), behind)

    monkeypatch.setattr(gspc.data, "load_scene", load)
    return seen


def test_evaluate_every_level(stream: bytes, photographs: dict[str, Any]) -> None:
    said: list[str] = []
    result = pipeline.evaluate(pipeline.load_source(stream), Path("photos"), report=said.append)
    assert [row.level for row in result.levels] == [1, 2, 3]
    assert [row.size for row in result.levels] == [len(truncate_levels(stream, s)) for s in (1, 2, 3)]
    psnr = [row.psnr for row in result.levels]
    assert psnr[0] <= psnr[1] <= psnr[2]
    assert psnr[2] > 50  # rounding to 8 bits alone
    assert result.levels[2].ssim > 0.99
    for row in result.levels:
        assert [view.view for view in row.views] == [view.camera.name for view in photographs["views"]]
        assert row.psnr == pytest.approx(np.mean([view.psnr for view in row.views]))
    assert said == [f"level {s}: view {i} of 2" for s in (1, 2, 3) for i in (1, 2)]
    assert result.held_out


def test_evaluate_says_what_bytes_are_spent_on(cli: Cli, stream: bytes, photographs: dict[str, Any]) -> None:
    ran = cli("eval", "--data", "photos", "--json", "-", stdin=stream)
    for row in json.loads(ran.out)["levels"]:
        parts = row["components"]
        assert sum(parts.values()) == row["bytes"]
        inside = pipeline.inspect(pipeline.load_source(truncate_levels(stream, row["level"])))
        for name in ("grid", "networks", "positions", "symbols"):
            assert parts[name] == sum(part.size for part in inside.parts if part.name == name)
        assert set(row["attributes"]) == {"features", "scaling", "offsets"}
        assert sum(row["attributes"].values()) == parts["symbols"] + parts.get("escapes", 0)
        size = photographs["views"][0].camera
        assert row["views"][0]["size"] == [size.width, size.height]
    Path("a.json").write_bytes(ran.out)
    found = pipeline.compare(["a.json", "again=a.json"])
    assert found.differences[0].rate.why == "3 points, 4 needed"
    last = pipeline.evaluate(pipeline.load_source(stream), Path("p"), levels="last")
    assert [row.level for row in last.levels] == [3]


def test_evaluate_counts_a_pool_among_features(photographs: dict[str, Any]) -> None:
    variant = synthetic.Variant(pool=4, pool_planes=1, residual_hidden=3)
    data = encode(synthetic.tiny(variant=variant))
    (row,) = pipeline.evaluate(pipeline.load_source(data), Path("p"), levels="last").levels
    assert row.bytes is not None
    assert 0 < row.bytes.attributes["pool"] < row.bytes.components["grid"]


def test_evaluate_some_levels_and_a_decoded_scene(stream: bytes, photographs: dict[str, Any]) -> None:
    source = pipeline.load_source(stream)
    whole = pipeline.evaluate(source, Path("p"))
    second = pipeline.evaluate(source, Path("p"), levels=(2,))
    assert second.levels == (whole.levels[1],)
    decoded = pipeline.load_source(pipeline.decompress(source, upto=2).data)
    alone = pipeline.evaluate(decoded, Path("p"))
    assert alone.levels[0].psnr == whole.levels[1].psnr
    assert (alone.levels[0].level, alone.levels[0].size) == (2, None)
    with pytest.raises(UsageError, match="already decoded to level 2"):
        pipeline.evaluate(decoded, Path("p"), levels=(1,))
    with pytest.raises(BitstreamError, match="level 4 was asked for"):
        pipeline.evaluate(source, Path("p"), levels=(4,))


def test_evaluate_on_another_background_renders_on_it(
    stream: bytes, photographs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    class Spy(Renderer):
        def __init__(self, scene: Any, *rest: Any, **more: Any) -> None:
            seen.append(scene.background)
            super().__init__(scene, *rest, **more)

    monkeypatch.setattr("gspc.rendering.Renderer", Spy)
    source = pipeline.load_source(stream)
    own = pipeline.restore(source).scene.background
    pipeline.evaluate(source, Path("p"), levels=(3,))
    pipeline.evaluate(source, Path("p"), levels=(3,), background="white")
    pipeline.evaluate(source, Path("p"), levels=(3,), background="black")
    assert seen == [own, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)]


@pytest.mark.parametrize(
    ("trained", "asked", "held_out"),
    [("4", 4, True), ("4", 8, True), ("4", 2, False), ("4", 1, False), ("4", 0, False), ("0", 4, False)],
)
def test_views_that_were_trained_on_are_not_held_out(
    tmp_path: Path, trained: str, asked: int, held_out: bool
) -> None:
    write_demo_scene(tmp_path / "demo", views=9, width=32, height=24, points=100)
    metadata = {"hold": trained}
    options = as_trained(metadata, Wanted(hold=asked))
    data = load_scene(tmp_path / "demo", options, to_train=False)
    assert evaluation._held_out(tmp_path / "demo", data, options, metadata) == held_out


def test_evaluate_a_truncated_stream_and_training_views(stream: bytes, photographs: dict[str, Any]) -> None:
    result = pipeline.evaluate(pipeline.load_source(stream[:-1]), Path("p"), hold=0)
    assert [row.level for row in result.levels] == [1, 2]
    assert result.levels[1].size == len(truncate_levels(stream, 2))
    assert len(result.warnings) == 1
    assert not result.held_out


def test_eval_prints_what_evaluate_found(cli: Cli, stream: bytes, photographs: dict[str, Any]) -> None:
    ran = cli("eval", "--data", "photos", "--resolution", "4", "--hold", "3", "--views", stdin=stream)
    assert ran.code == 0
    assert b"2 held-out views of photos" in ran.out
    assert (photographs["options"].resolution, photographs["options"].hold) == (4, 3)
    assert len([line for line in ran.lines if "LPIPS" in line]) <= 1
