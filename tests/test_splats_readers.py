"""Formats against independent readers and writers: shared files, plyfile, gaussforge, splat-transform."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import plyfile
import pytest
from splat_scenes import differences, matched, random_splats, shared, splat_transform

from gspc.splats import Splats, read_splats, to_frame, write_splats
from gspc.splats.splats import sigmoid

MINIMAL = "minimal/splat/minimal"


def test_biker_is_the_same_in_both_files() -> None:
    """The two came from one scene by different tools, in two frames."""
    one = to_frame(read_splats(shared("biker.spz")), "RDF")
    other = read_splats(shared("biker.compressed.ply"))
    assert one.count == other.count == 152_746
    from scipy.spatial import cKDTree

    distance, rows = cKDTree(other.means).query(one.means)
    assert distance.max() < 3e-4
    found = other.take(rows)
    assert np.median(np.abs(found.log_scales - one.log_scales)) < 0.05
    assert np.median(np.abs(found.opacities - one.opacities)) < 0.01
    assert np.median(np.abs(found.sh - one.sh)) < 0.05


@pytest.mark.parametrize("name", ["-raw.spz", "-v2.spz", "-v3.spz", "-v4.spz", ".ksplat", ".splat"])
def test_minimal_files(name: str) -> None:
    """Four Gaussians on a square of side 1, of scale 0.1 and opacity 0.9."""
    found = read_splats(shared(MINIMAL + name))
    assert found.count == 4
    assert found.degree == 0
    turned = name in ("-v3.spz", "-v4.spz")  # these hold z = 0 and 1, the others 0 and -1
    corners = {(x, 0.0, z) for x in (-1.0, 0.0) for z in ((0.0, 1.0) if turned else (0.0, -1.0))}
    assert {tuple(row) for row in found.means.tolist()} == corners
    np.testing.assert_allclose(found.scales, 0.1, rtol=0.02)
    np.testing.assert_allclose(found.opacities, 230 / 255, atol=1e-6)


def test_plyfile_reads_the_columns_of_3dgs() -> None:
    splats = random_splats(30)
    file = plyfile.PlyData.read(io.BytesIO(write_splats(splats, "ply")))
    (vertex,) = file.elements
    names = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"]
    names += [f"f_rest_{index}" for index in range(45)]
    names += ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    assert [entry.name for entry in vertex.properties] == names
    assert {entry.val_dtype for entry in vertex.properties} == {"f4"}
    np.testing.assert_array_equal(np.stack([vertex[f"rot_{i}"] for i in range(4)], 1), splats.quats)


def from_ply(data: bytes) -> Splats:
    """Another tool's .ply through plyfile alone, infinite opacities refused."""
    vertex = plyfile.PlyData.read(io.BytesIO(data))["vertex"].data
    rest = sum(name.startswith("f_rest") for name in vertex.dtype.names) // 3

    def columns(*names: str) -> np.ndarray:
        return np.stack([vertex[name] for name in names], axis=1).astype(np.float32)

    blocks = [columns("f_dc_0", "f_dc_1", "f_dc_2")[:, None]]
    for index in range(rest):
        blocks.append(columns(*(f"f_rest_{channel * rest + index}" for channel in range(3)))[:, None])
    assert np.isfinite(vertex["opacity"]).all()
    quats = columns("rot_0", "rot_1", "rot_2", "rot_3")
    return Splats(
        columns("x", "y", "z"),
        quats / np.linalg.norm(quats, axis=1, keepdims=True),
        columns("scale_0", "scale_1", "scale_2"),
        vertex["opacity"].astype(np.float32),
        np.concatenate(blocks, axis=1),
    )


def check_same(
    found: Splats, ours: Splats, rest: float = 1e-5, opacity: float = 0.002, rotation: float = 2e-3
) -> None:
    """What the other tool made of a file is what we make of it; bytes of 0 and 255 may mean either end."""
    measured = differences(matched(found, ours), ours)
    assert measured.pop("opacities") <= opacity
    assert measured.pop("rest") <= rest
    assert measured.pop("rotations") <= rotation
    assert max(measured.values()) <= 2e-3, measured


@pytest.mark.parametrize("kind", ["ply", "compressed.ply", "spz", "sog", "splat"])
def test_gaussforge_reads_what_we_write(kind: str) -> None:
    gaussforge = pytest.importorskip("gaussforge", reason="gaussforge is not installed")
    degree = 0 if kind == "splat" else 3
    data = write_splats(random_splats(degree=degree), kind)
    made = gaussforge.GaussForge().convert(data, kind, "ply")
    assert not made.get("error")
    check_same(from_ply(made["data"]), replace(read_splats(data), frame="RDF"), *ROUGH.get(kind, ()))


# Tools take bytes differently: harmonics of compressed.ply by half a step, rotations of .splat by 1/128.
ROUGH: dict[str, tuple[float, ...]] = {
    "compressed.ply": (0.02, 0.003),
    "sog": (1e-4, 0.003),
    "splat": (0, 0.002, 0.02),
}


def test_gaussforge_reads_spz_4() -> None:
    gaussforge = pytest.importorskip("gaussforge", reason="gaussforge is not installed")
    data = write_splats(random_splats(), "spz", spz_version=4)
    made = gaussforge.GaussForge().convert(data, "spz", "ply")
    assert not made.get("error")
    check_same(from_ply(made["data"]), replace(read_splats(data), frame="RDF"))


@pytest.mark.parametrize("name", ["a.ply", "a.compressed.ply", "a.spz", "a4.spz", "a.sog", "a.splat"])
def test_splat_transform_reads_what_we_write(tmp_path: Path, name: str) -> None:
    kind = name.partition(".")[2]
    degree = 0 if kind == "splat" else 3
    data = write_splats(random_splats(degree=degree), kind, spz_version=4 if name == "a4.spz" else 3)
    (tmp_path / name).write_bytes(data)
    splat_transform(tmp_path / name, tmp_path / "back.ply")
    ours = replace(read_splats(data), frame="RDF")
    check_same(from_ply((tmp_path / "back.ply").read_bytes()), ours, *ROUGH.get(kind, ()))


@pytest.mark.parametrize("name", ["b.compressed.ply", "b.spz", "b3.spz", "b.sog", "b.glb"])
def test_we_read_what_splat_transform_writes(tmp_path: Path, name: str) -> None:
    """It keeps the axes of a .ply in every format but .glb, whatever their pages say."""
    splats = random_splats()
    (tmp_path / "a.ply").write_bytes(write_splats(splats, "ply"))
    options = ["--spz-version", "3"] if name == "b3.spz" else []
    splat_transform(tmp_path / "a.ply", tmp_path / name, *options)
    kind = name.partition(".")[2]
    frame = "LUF" if kind == "glb" else "RDF"
    found = matched(to_frame(read_splats((tmp_path / name).read_bytes(), frame=frame), "RDF"), splats)
    measured = differences(found, splats)
    bounds: dict[str, Any] = {"spz": (2e-4, 0.04, 0.02), "sog": (5e-4, 0.02, 0.02), "glb": (1e-6, 1e-6, 1e-6)}
    means, scales, colors = bounds.get(kind, (0.02, 0.01, 0.03))
    assert measured["means"] <= means
    if kind == "sog":  # its codebooks miss what is rare by far, so the middle is compared
        assert np.median(np.abs(found.log_scales - splats.log_scales)) <= scales
        assert np.median(np.abs(found.sh[:, 0] - splats.sh[:, 0])) <= colors
    else:
        assert measured["log_scales"] <= scales
        assert measured["dc"] <= colors
    assert measured["opacities"] <= 0.005
    assert measured["rotations"] <= 0.03


def test_the_opacity_of_255_is_finite_elsewhere(tmp_path: Path) -> None:
    """What the clamp is for: splat-transform reads 255 as an infinite logit."""
    opaque = replace(random_splats(64, 0), logits=np.full(64, 12, np.float32))
    for kind in ("spz", "sog", "splat", "compressed.ply"):
        (tmp_path / f"o.{kind}").write_bytes(write_splats(opaque, kind))
        splat_transform(tmp_path / f"o.{kind}", tmp_path / "back.ply")
        found = from_ply((tmp_path / "back.ply").read_bytes())
        assert sigmoid(found.logits).min() > 0.99
