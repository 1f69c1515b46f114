"""What `pip install gspc` alone can do: without torch, matplotlib and the other packages of extras."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from cli_tools import Ran, environment, run_fresh
from data_scenes import write_scene

from gspc import metrics
from gspc.codec import decode
from gspc.ops.arrays import HEAD_WEIGHTS
from gspc.ops.heads import HeadTensors, neural_gaussians
from gspc.ops.raster import rasterize
from gspc.rendering import encode_png
from gspc.scene import Camera, DecodedScene

ROOT = Path(__file__).parent.parent
STREAM = ROOT / "tests/golden/three-levels.pcgs"
BLOCKED = ("torch", "torchac", "scipy", "matplotlib", "bjontegaard", "pycolmap", "safetensors", "gsplat")

Gspc = Callable[..., Ran]


@pytest.fixture
def small(tmp_path: Path) -> Gspc:
    """`gspc` in a fresh process that has none of the packages of extras."""
    block = tmp_path / "block"
    block.mkdir()
    (block / "sitecustomize.py").write_text(
        f"import sys\nfor name in {BLOCKED}:\n    sys.modules[name] = None\n"
    )
    paths = f"{block}:{environment()['PYTHONPATH']}"
    return lambda *args, **more: run_fresh(*args, cwd=tmp_path, PYTHONPATH=paths, **more)


def test_the_packages_are_blocked(small: Gspc) -> None:
    ran = small("--debug", "fit", "nowhere", "-o", "model.pt")
    assert (ran.code, ran.lines[-1]) == (
        5,
        "gspc: error: fit needs the Python package torch; pip install 'gspc[fit]'",
    )


def drawn_with_torch(scene: DecodedScene, camera: Camera) -> bytes:
    """The picture by the operations of training: torch's autograd over the kernels."""
    heads = {name: torch.from_numpy(getattr(scene.heads, name)) for name in HEAD_WEIGHTS}
    with torch.no_grad():
        shown = neural_gaussians(
            torch.from_numpy(scene.features),
            torch.from_numpy(scene.log_scales),
            torch.from_numpy(scene.offsets),
            torch.from_numpy(scene.gaussian_mask).float(),
            torch.from_numpy(scene.anchors),
            torch.from_numpy(camera.center).float(),
            HeadTensors(**heads, distance_scale=scene.heads.distance_scale),
        )
        image = rasterize(
            *shown.parts,
            camera.world_to_camera,
            (camera.fx, camera.fy, camera.cx, camera.cy),
            camera.width,
            camera.height,
            scene.background,
        ).image
    return encode_png(image.numpy())


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_pictures_are_the_same_bytes_with_and_without_torch(small: Gspc, tmp_path: Path, device: str) -> None:
    ran = small("render", STREAM, "-o", "out", "--device", device)
    assert ran.code == 0, ran.err
    scene = decode(STREAM.read_bytes()).scene
    pictures = sorted((tmp_path / "out").iterdir())
    assert len(pictures) == len(scene.cameras) == 2
    for path, camera in zip(pictures, scene.cameras, strict=True):
        assert path.read_bytes() == drawn_with_torch(scene, camera), path.name


def test_streams_are_decoded_inspected_and_exported(small: Gspc, tmp_path: Path) -> None:
    decoded = small("decompress", STREAM, "--upto", 2)
    assert decoded.code == 0, decoded.err
    assert decoded.out == run_fresh("decompress", STREAM, "--upto", 2, cwd=tmp_path).out
    assert small("render", "-o", "out", stdin=decoded.out).code == 0
    inspected = small("inspect-bitstream", STREAM, "--levels", "--rates", "--json")
    assert json.loads(inspected.out)["bytes"] == STREAM.stat().st_size
    for suffix in (".ply", ".spz", ".sog", ".compressed.ply", ".splat", ".glb"):
        ran = small("export", STREAM, "-o", f"scene{suffix}")
        assert ran.code == 0, ran.err
        assert (tmp_path / f"scene{suffix}").stat().st_size > 0
    ran = small("export", "scene.ply", "-o", "again.spz")
    assert ran.code == 0, ran.err


def test_models_and_plots_name_their_extra(small: Gspc, tmp_path: Path) -> None:
    torch.save({}, tmp_path / "model.pt")  # refused before it is read
    line = "gspc: error: model.pt: is a model, which needs the Python package torch; pip install 'gspc[fit]'"
    for command in (
        ("compress", "model.pt", "-o", "scene.pcgs"),
        ("render", "model.pt", "-o", "out"),
        ("export", "model.pt", "-o", "scene.ply"),
        ("inspect-bitstream", "model.pt"),
    ):
        ran = small(*command)
        assert (ran.code, ran.err) == (5, f"{line}\n"), command
    ran = small("inspect-bitstream", STREAM, "--map", "map.png")
    assert ran.code == 5
    assert "a map of bits needs the Python package matplotlib; pip install 'gspc[plots]'" in ran.err
    ran = small("render", STREAM, "-o", "out", "--device", "cuda")
    assert ran.code == 5
    assert "torch is not installed; pip install 'gspc[cuda]'" in ran.err


def test_quality_is_measured_without_lpips(small: Gspc, tmp_path: Path) -> None:
    write_scene(tmp_path / "photos")
    weights = tmp_path / "weights"
    weights.mkdir()
    for name in (metrics.VGG_FILE, metrics.LIN_FILE):  # there, but of no use without torch
        (weights / name).touch()
    ran = small("eval", STREAM, "--data", "photos", "--json", "report.json", GSPC_LPIPS_WEIGHTS=str(weights))
    assert ran.code == 0, ran.err
    report = json.loads((tmp_path / "report.json").read_text())
    assert [level["lpips"] for level in report["levels"]] == [None, None, None]
    assert report["lpips_status"] == "no LPIPS: torch is missing; pip install 'gspc[fit]'"


def test_curves_name_their_extra(small: Gspc, tmp_path: Path) -> None:
    levels = []
    for level in range(1, 6):
        scores: dict[str, object] = {"psnr": 25.0 + level, "ssim": 0.9, "lpips": None}
        view = {"view": "a.png", "size": [40, 30], **scores}
        levels.append({"level": level, "bytes": 1000 * 2**level, "views": [view], **scores})
    report = {"source": "s", "data": "d", "views": "test", "lpips_status": "", "levels": levels}
    (tmp_path / "a.json").write_text(json.dumps(report))
    ran = small("eval", "--compare", "one=a.json", "two=a.json")
    assert ran.code == 5, ran.err
    assert "a comparison of curves needs the Python package bjontegaard; pip install 'gspc[plots]'" in ran.err
