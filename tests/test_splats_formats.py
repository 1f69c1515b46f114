"""Formats through our own readers: what comes back is what went in, to each format's precision."""

from __future__ import annotations

import gzip
import io
import struct
from dataclasses import replace

import numpy as np
import plyfile
import pytest
from splat_scenes import differences, matched, random_splats

from gspc.errors import BackendError, InputError, UsageError
from gspc.splats import WRITABLE, Splats, read_splats, recognize, spz, to_frame, write_splats
from gspc.splats.formats import format_of
from gspc.splats.splats import MAX_LOG

# Largest difference that a format's own steps allow, by what a Gaussian is; None is not compared.
PRECISION = {
    "ply": {"means": 0, "rotations": 0, "log_scales": 0, "opacities": 0, "dc": 0, "rest": 0},
    "glb": {"means": 0, "rotations": 0, "log_scales": 1e-6, "opacities": 1.1e-3, "dc": 0, "rest": 0},
    "spz": {
        "means": 2**-13,
        "rotations": 5e-3,
        "log_scales": 1 / 32 + 1e-5,
        "opacities": 1.5 / 255,
        "dc": 0.5 / (0.15 * 255) + 1e-5,
        "rest": 1 / 32 + 1 / 128,
    },
    "compressed.ply": {
        "means": 0.02,  # 1/1023 of half the way between neighbors of a chunk
        "rotations": 5e-3,
        "log_scales": 0.01,
        "opacities": 1.5 / 255,
        "dc": 0.03,
        "rest": 8 / 256,
    },
    "sog": {"means": 5e-4, "rotations": 0.02, "log_scales": 0.2, "opacities": 1.5 / 255, "dc": 0.2},
    "splat": {"means": 0, "rotations": 0.03, "log_scales": 1e-6, "opacities": 1.5 / 255},
}


@pytest.mark.parametrize("kind", WRITABLE)
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_round_trips_keep_to_the_precision(kind: str, degree: int) -> None:
    splats = random_splats(degree=degree)
    data = write_splats(splats, kind)
    assert recognize(data) == kind
    found = read_splats(data)
    assert found.degree == (0 if kind == "splat" else degree)
    found = matched(to_frame(found, "RDF"), splats)
    measured = differences(found, splats)
    for name, most in PRECISION[kind].items():
        assert measured[name] <= most, f"{kind}: {name}"


@pytest.mark.parametrize("kind", WRITABLE)
def test_a_second_trip_loses_little_more(kind: str) -> None:
    """What was read can be written and read again: the steps are the same ones."""
    once = read_splats(write_splats(random_splats(), kind))
    twice = matched(read_splats(write_splats(once, kind, frame=once.frame)), once)
    bound = {"compressed.ply": 0.03, "sog": 0.12}.get(kind, 2e-3)
    found = differences(twice, once)
    assert max(found[name] for name in ("means", "log_scales", "dc")) <= bound


@pytest.mark.parametrize("kind", WRITABLE)
def test_writing_is_reproducible(kind: str) -> None:
    assert write_splats(random_splats(), kind) == write_splats(random_splats(), kind)


@pytest.mark.parametrize("kind", WRITABLE)
def test_one_gaussian_and_a_chunk_with_one_over(kind: str) -> None:
    for count in (1, 2, 256, 257):
        assert read_splats(write_splats(random_splats(count), kind)).count == count


@pytest.mark.parametrize("kind", ["spz", "sog", "splat", "compressed.ply", "glb"])
def test_opaque_gaussians_stay_below_one(kind: str) -> None:
    """Other tools take the logit of what they read: 255 of 255 would be infinite there."""
    splats = random_splats(300)
    opaque = replace(splats, logits=np.full(300, MAX_LOG, np.float32))
    found = read_splats(write_splats(opaque, kind))
    assert np.isfinite(found.logits).all()
    assert 0.995 < found.opacities.min() <= found.opacities.max() < 1


def test_infinite_logits_and_scales_are_read_as_the_largest() -> None:
    splats = random_splats(4, 0)
    data = bytearray(write_splats(splats, "ply"))
    body = data.index(b"end_header\n") + 11
    names = plyfile.PlyData.read(io.BytesIO(data))["vertex"].data.dtype.names
    struct.pack_into("<f", data, body + 4 * names.index("opacity"), np.inf)
    struct.pack_into("<f", data, body + 4 * names.index("scale_1"), -np.inf)
    found = read_splats(bytes(data))
    assert found.logits[0] == MAX_LOG
    assert found.log_scales[0, 1] == -MAX_LOG


def test_ply_columns_in_any_order_with_others_between() -> None:
    splats = random_splats(20, 1)
    vertex = plyfile.PlyData.read(io.BytesIO(write_splats(splats, "ply")))["vertex"].data
    names = [*reversed(vertex.dtype.names), "red", "segment"]
    kinds = {"red": "u1", "segment": "<i4"}
    mixed = np.zeros(20, [(name, kinds.get(name, "<f8")) for name in names if name not in ("nx", "ny", "nz")])
    for name in set(mixed.dtype.names) & set(vertex.dtype.names):
        mixed[name] = vertex[name]
    for text in (False, True):
        file = io.BytesIO()
        element = plyfile.PlyElement.describe(mixed, "vertex")
        plyfile.PlyData([element], text=text, comments=["SplatRenderMode: default", "ply"]).write(file)
        found = differences(read_splats(file.getvalue()), splats)
        assert max(found.values()) < 1e-6


def test_ply_harmonics_are_channel_major() -> None:
    splats = random_splats(3, 3)
    vertex = plyfile.PlyData.read(io.BytesIO(write_splats(splats, "ply")))["vertex"].data
    for index, channel, coefficient in ((0, 0, 1), (14, 0, 15), (15, 1, 1), (29, 1, 15), (44, 2, 15)):
        np.testing.assert_array_equal(vertex[f"f_rest_{index}"], splats.sh[:, coefficient, channel])


def test_flat_gaussians_without_a_third_scale() -> None:
    splats = random_splats(5, 0)
    vertex = plyfile.PlyData.read(io.BytesIO(write_splats(splats, "ply")))["vertex"].data
    names = [name for name in vertex.dtype.names if name != "scale_2"]
    file = io.BytesIO()
    thin = np.zeros(5, [(name, "<f4") for name in names])
    for name in names:
        thin[name] = vertex[name]
    plyfile.PlyData([plyfile.PlyElement.describe(thin, "vertex")]).write(file)
    found = read_splats(file.getvalue())
    np.testing.assert_array_equal(found.log_scales[:, :2], splats.log_scales[:, :2])
    assert found.scales[:, 2].max() < 1e-8


def test_spz_header_and_versions() -> None:
    splats = random_splats(50, 2)
    three = gzip.decompress(write_splats(splats, "spz"))
    assert struct.unpack_from("<4sIIBBBB", three) == (b"NGSP", 3, 50, 2, 12, 0, 0)
    assert len(three) == 16 + 50 * (9 + 1 + 3 + 3 + 4 + 24)
    four = write_splats(splats, "spz", spz_version=4)
    assert struct.unpack_from("<4sIIBBBBI", four) == (b"NGSP", 4, 50, 2, 12, 0, 6, 32)
    one, other = read_splats(write_splats(splats, "spz")), read_splats(four)
    assert max(differences(one, other).values()) == 0
    assert one.frame == other.frame == "RUB"
    with pytest.raises(UsageError, match="choose 3 or 4"):
        write_splats(splats, "spz", spz_version=2)


def test_spz_takes_finer_or_wider_steps_where_a_scene_needs_them() -> None:
    splats = random_splats(50, 0)
    tiny = replace(splats, means=splats.means / 1000, log_scales=splats.log_scales - 7)
    found = read_splats(write_splats(tiny, "spz"))
    assert np.abs(to_frame(found, "RDF").means - tiny.means).max() < 1e-6
    wide = replace(splats, means=splats.means * 10_000)
    found = read_splats(write_splats(wide, "spz"))
    assert np.abs(to_frame(found, "RDF").means - wide.means).max() < 0.01
    with pytest.raises(InputError, match="reaches out"):
        write_splats(replace(splats, means=splats.means * 1e9), "spz")


def test_spz_4_without_zstd_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(spz.importlib, "import_module", missing)
    with pytest.raises(BackendError, match=r"gspc\[spz\]"):
        write_splats(random_splats(3), "spz", spz_version=4)


def test_antialiasing_survives_in_spz_and_sog() -> None:
    splats = replace(random_splats(300), metadata={"antialiased": "yes"})
    for kind in ("spz", "sog"):
        assert read_splats(write_splats(splats, kind)).metadata["antialiased"] == "yes"


def test_frames_of_files() -> None:
    """By habit, as asked, and as a reader is told."""
    splats = random_splats(300)
    habits = {"ply": "RDF", "compressed.ply": "RDF", "sog": "RDF", "splat": "RDF", "spz": "RUB", "glb": "LUF"}
    assert {kind: read_splats(write_splats(splats, kind)).frame for kind in WRITABLE} == habits
    turned = write_splats(splats, "ply", frame="rub")
    assert differences(to_frame(read_splats(turned, frame="RUB"), "RDF"), splats)["means"] < 1e-6
    assert differences(read_splats(turned), splats)["means"] > 0.1


def test_suffixes() -> None:
    assert format_of("a/b.compressed.PLY") == "compressed.ply"
    assert format_of("a.ply") == "ply"
    assert format_of("out/meta.json") == "sog"
    assert format_of("a.ksplat") is None
    with pytest.raises(UsageError, match="not written"):
        write_splats(random_splats(3), "ksplat")


def test_the_validator_names_what_is_wrong() -> None:
    splats = random_splats(10)
    for name, what in (("means", "positions"), ("sh", "colors"), ("quats", "rotations")):
        array = getattr(splats, name).copy()
        array[3] = np.nan
        with pytest.raises(InputError, match=rf"{what} of 1 of 10 Gaussians are not finite"):
            write_and_read(replace(splats, **{name: array}))
    with pytest.raises(InputError, match="rotations of 1 of 10 Gaussians are all zero"):
        quats = splats.quats.copy()
        quats[0] = 0
        write_and_read(replace(splats, quats=quats))


def write_and_read(splats: Splats) -> Splats:
    return read_splats(write_splats(splats, "ply"))
