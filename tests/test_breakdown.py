"""What levels and anchors cost, the map of bits, and pictures without residuals."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic
from cli_tools import Cli, environment, run_fresh
from PIL import Image
from rendering_scenes import random_scene

from gspc import pipeline
from gspc.codec import decode_symbols, encode, truncate_levels
from gspc.codec.costs import COMPONENTS, anchor_costs, plane_entropies
from gspc.errors import BitstreamError, UsageError
from gspc.format import describe
from gspc.pipeline.bit_map import Voxels, ball_radii, draw_balls, voxelize
from gspc.pipeline.breakdown import divide
from gspc.rendering import write_scene

pytestmark = pytest.mark.usefixtures("empty_directory")

SCENE = synthetic.tiny(300, seed=3)
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def stream() -> bytes:
    return encode(SCENE, slice_anchors=90)


# ---- levels ----


def test_levels_add_up_and_count_what_is_alive(stream: bytes) -> None:
    found = pipeline.inspect(pipeline.load_source(stream), levels=True)
    assert found.breakdown is not None
    ends = (0, *found.prefix_bytes)
    symbols = decode_symbols(stream)
    for row in found.breakdown.levels:
        assert row.size == ends[row.level] - ends[row.level - 1]
        masks = SCENE.gaussian_level
        alive = (masks > 0) & (masks <= row.level)
        assert row.gaussians == alive.sum()
        assert row.anchors == alive.any(axis=1).sum()
        assert row.anchor_share == row.anchors / 300
        assert row.gaussian_share == row.gaussians / (300 * 3)
        sizes = {(part.name, part.how): part.size for part in row.parts}
        coded = [
            part for part in found.parts if part.level == row.level and part.name in ("symbols", "escapes")
        ]
        assert sum(size for (_, how), size in sizes.items() if how) == sum(part.size for part in coded)
        assert any(how == "refined" for _, how in sizes) == (row.level > 1)
        bits = sum(symbols.ideal_bits[row.level, name] for name in COMPONENTS)
        total = sum(part.size for part in coded)
        want = total * symbols.ideal_bits[row.level, "features"] / bits
        assert abs(sizes["features", "new"] - want) < 1
    assert found.breakdown.levels[-1].anchor_share == 1.0
    assert not found.breakdown.residual


def test_features_against_everything_else(stream: bytes) -> None:
    found = pipeline.inspect(pipeline.load_source(stream), levels=True)
    assert found.breakdown is not None
    so_far = 0
    for row, share in zip(found.breakdown.levels, found.breakdown.features, strict=True):
        so_far += sum(part.size for part in row.parts if part.name == "features")
        assert share.symbols == share.features == so_far
        assert share.features + share.others == found.prefix_bytes[row.level - 1]
        assert (share.pool_grid, share.shared_grid) == (0, 0)


@pytest.mark.parametrize("name", ["shared-pool", "own-planes", "pool-only", "everything"])
def test_the_grid_of_a_pool_counts_as_features(name: str) -> None:
    """With planes of its own; a shared grid is only named."""
    data = (GOLDEN / f"{name}.pcgs").read_bytes()
    found = pipeline.inspect(pipeline.load_source(data), levels=True).breakdown
    assert found is not None and found.residual
    info = describe(data)
    grid, own = info.component("grid"), info.header.shape.own_planes
    bits = plane_entropies(data)
    assert sum(bits) / 8 == pytest.approx(grid, rel=0.15)  # so small a grid that learning its odds shows
    symbols = 0
    for row, share in zip(found.levels, found.features, strict=True):
        symbols += sum(part.size for part in row.parts if part.name == "features")
        assert share.shared_grid == (0 if own else grid)
        assert share.pool_grid == pytest.approx(grid * sum(bits[len(bits) - own :]) / sum(bits), abs=1)
        assert share.features == symbols + share.pool_grid
        assert share.symbols == symbols
    assert found.features[-1].features + found.features[-1].others == len(data)
    assert (symbols > 0) == (info.header.shape.features > 0)


def test_plane_entropies_are_close_to_the_grid_chunk() -> None:
    data = encode(synthetic.scene(20, features=4, offsets=2, grid=synthetic.grid_spec(3, 1, 11, 12)))
    info = describe(data)
    bits = plane_entropies(data)
    assert len(bits) == len(info.header.shape.grid.planes)
    assert sum(bits) / 8 == pytest.approx(info.component("grid"), rel=0.01)


def test_the_header_names_what_a_stream_has() -> None:
    def facts(name: str) -> dict[str, str]:
        return dict(pipeline.inspect(pipeline.load_source(GOLDEN / f"{name}.pcgs")).facts)

    plain = facts("three-levels")
    assert plain["per anchor"] == "5 features, 6 log scales, 3 offsets"
    assert plain["contexts"] == "no feature chunks, learned trits refine features, scaling"
    assert plain["hidden units"] == "steps 6, trunk 10, trits of features 12, trits of scaling 5, heads 4"
    assert "feature pool" not in plain
    own = facts("own-planes")
    assert own["per anchor"] == "5 residual features, 6 log scales, 3 offsets"
    assert own["feature pool"] == "6 features from 2 planes of its own"
    assert own["hidden units"].endswith("heads 4, residual decoder 5")
    assert facts("shared-pool")["feature pool"].endswith("from all planes, with the contexts")
    assert facts("one-scale")["per anchor"] == "5 features, 1 log scale, 3 offsets"
    assert facts("unrefined")["contexts"] == "features in 4 chunks, no trits"
    assert facts("gaussian-trits")["contexts"].endswith("Gaussian trits refine features, scaling, offsets")


def test_rates_of_every_kind_of_stream() -> None:
    """Counts follow from the header and the masks; symbols that are not coded are not listed."""
    for path in sorted(GOLDEN.glob("*.pcgs")):
        found = pipeline.inspect(pipeline.load_source(path), rates=True)
        ideal = decode_symbols(path.read_bytes()).ideal_bits
        listed = {(rate.level, rate.name): rate.bits for rate in found.rates}
        assert listed == pytest.approx({key: bits for key, bits in ideal.items() if bits}), path.name


def test_divide() -> None:
    assert divide(10, [1.0, 1.0, 1.0]) == [4, 3, 3]
    assert divide(7, [0.0, 2.0, 0.0]) == [0, 7, 0]
    assert divide(5, [0.0, 0.0]) == [5, 0]
    assert sum(divide(12345, [0.3, 17.0, 2.2, 1e-9])) == 12345


def test_inspect_levels(cli: Cli, stream: bytes) -> None:
    ran = cli("inspect-bitstream", "--levels", "--json", stdin=stream)
    report = json.loads(ran.out)
    assert [row["level"] for row in report["by_level"]] == [1, 2, 3]
    assert report["by_level"][1]["parts"][3]["how"] == "refined"
    assert report["features_against_others"][2]["other_bytes"] + report["features_against_others"][2][
        "feature_bytes"
    ] == len(stream)
    text = cli("inspect-bitstream", "--levels", stdin=stream).out.decode()
    rows = [line.split() for line in text.splitlines()]
    sizes = [f"{row['bytes']:,}" for row in report["by_level"]]
    assert ["all", *sizes] in rows
    assert any(row[:3] == ["features,", "refined", "(T)"] for row in rows)
    assert "Features against everything else" in text
    plain = json.loads(cli("inspect-bitstream", "--json", stdin=stream).out)
    assert "by_level" not in plain


def test_inspect_levels_of_other_inputs(cli: Cli, stream: bytes) -> None:
    cut = stream[: pipeline.inspect(pipeline.load_source(stream)).prefix_bytes[1] + 5]
    found = pipeline.inspect(pipeline.load_source(cut), levels=True)
    assert found.breakdown is not None
    assert [row.level for row in found.breakdown.levels] == [1, 2]
    assert found.breakdown.levels[-1].anchor_share < 1  # of all that the index promises
    ran = cli("inspect-bitstream", "--levels", stdin=write_scene(random_scene()))
    assert (ran.code, ran.out) == (2, b"")
    assert "decoded scene of one level" in ran.err
    broken = bytearray(stream)
    broken[-3] ^= 1
    assert cli("inspect-bitstream", "--levels", stdin=bytes(broken)).code == 4


# ---- anchors ----


@pytest.mark.parametrize("levels", [1, 3])
def test_bits_of_anchors_add_up_to_those_of_levels(levels: int) -> None:
    scene = synthetic.tiny(200, levels=levels, seed=levels)
    scene = replace(scene, features=scene.features * np.where(np.arange(200) % 9 == 0, 90, 1)[:, None])
    data = encode(scene, slice_anchors=60)  # with escaped symbols
    costs, symbols = anchor_costs(data), decode_symbols(data)
    assert costs.bits.shape == (levels, 200, 6)
    for level in range(1, levels + 1):
        for i, name in enumerate(COMPONENTS):
            total = costs.bits[level - 1, :, i].sum(dtype=np.float64)
            assert total == pytest.approx(symbols.ideal_bits[level, name], rel=1e-5)
        before = costs.first_level > level
        fresh, old = costs.first_level == level, costs.first_level < level
        assert (costs.bits[level - 1, before] == 0).all()
        assert (costs.bits[level - 1, fresh, :2] > 0).all()
        assert (costs.bits[level - 1, fresh, 3:] == 0).all()
        assert (costs.bits[level - 1, old, 3:5] > 0).all()
        appears = (symbols.gaussian_level == level).any(axis=1)
        np.testing.assert_array_equal(costs.bits[level - 1, :, 2] > 0, appears)
    np.testing.assert_array_equal(costs.positions, symbols.positions)
    np.testing.assert_allclose(costs.world[0], symbols.positions[0] * 0.001 - 2.0)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.pcgs")), ids=lambda path: path.stem)
def test_bits_of_anchors_of_every_kind_of_stream(path: Path) -> None:
    data = path.read_bytes()
    costs, symbols = anchor_costs(data), decode_symbols(data)
    assert len(costs.positions) == len(symbols.positions)
    for (level, name), bits in symbols.ideal_bits.items():
        total = costs.bits[level - 1, :, COMPONENTS.index(name)].sum(dtype=np.float64)
        assert total == pytest.approx(bits, rel=1e-5, abs=1e-6)


def test_bits_of_single_anchors_follow_their_symbols() -> None:
    """One anchor's features made improbable: its bits grow and no other's do."""
    scene = synthetic.tiny(40, levels=1, seed=5)
    usual = anchor_costs(encode(scene))
    wild = scene.features.copy()
    wild[7] = 40 * np.sign(wild[7] + 0.5)
    changed = anchor_costs(encode(replace(scene, features=wild)))
    grown = changed.bits[0, :, 0] - usual.bits[0, :, 0]
    (at,) = np.flatnonzero((usual.positions == scene.positions[7]).all(axis=1))
    assert grown[at] > 10
    np.testing.assert_array_equal(np.delete(grown, at), 0)


def test_costs_refuse_damage(stream: bytes) -> None:
    broken = bytearray(stream)
    broken[-3] ^= 1
    with pytest.raises(BitstreamError, match="checksum"):
        anchor_costs(bytes(broken))


# ---- the map ----


def test_voxels_hold_every_anchor_and_bit(stream: bytes) -> None:
    costs = anchor_costs(stream)
    voxels = voxelize(costs, 12)
    assert voxels.anchors[-1].sum() == 300
    np.testing.assert_array_equal(voxels.fresh.cumsum(axis=0), voxels.anchors)
    np.testing.assert_allclose(
        voxels.bits.sum(axis=1), costs.bits.sum(axis=(1, 2), dtype=np.float64), rtol=1e-6
    )
    world = costs.world
    distance = np.abs(world[:, None] - voxels.centers[None]).max(axis=2).min(axis=1)
    assert (distance <= 0.5 * voxels.edge * (1 + 1e-9)).all()
    radii = ball_radii(voxels, voxels.anchors[-1])
    assert radii.max() == pytest.approx(0.5 * voxels.edge)
    assert (np.diff(radii[np.argsort(voxels.anchors[-1], kind="stable")]) >= 0).all()


def test_balls_are_where_the_camera_sees_them() -> None:
    camera = synthetic.cameras(1)[0].resized(64, 48)
    camera = replace(camera, world_to_camera=np.eye(4), cx=32.0, cy=24.0, fx=50.0, fy=50.0)
    centers = np.array([[0, 0, 5.0], [0, 0, 10.0], [2.0, 0, 5.0], [0, 0, -5.0], [0.0, 0, 1.0]])
    colors = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0], [0, 0, 0]], dtype=np.float64)
    image = draw_balls(camera, centers, np.array([0.5, 0.9, 0.3, 1.0, 0.5]), colors, near=2.0)
    assert image.shape == (48, 64, 3)
    assert image[24, 32, 0] > 150 and image[24, 32, 1:].max() == 0  # the near ball hides the far one
    assert image[24, 52, 1] > 100  # x = 50 * 2 / 5 right of the middle
    assert (image[0, 0] == 255).all()
    red = (image[..., 0] > 60) & (image[..., 1] < 40) & (image[..., 2] < 40)
    assert red.sum() == pytest.approx(np.pi * 5**2, rel=0.25)  # radius 50 * 0.5 / 5 pixels
    blank = draw_balls(camera, centers[:0], np.zeros(0), colors[:0], near=2.0)
    assert (blank == 255).all()


def test_largest_ball_ignores_few_crowded_voxels() -> None:
    counts = np.array([[1] * 98 + [8, 1000]])
    voxels = Voxels(np.zeros((100, 3)), 2.0, counts, counts, counts.astype(float))
    radii = ball_radii(voxels, counts[0])
    assert radii[-1] == radii[-2] == 1.0


def test_inspect_map(cli: Cli, stream: bytes) -> None:
    Path("a.pcgs").write_bytes(stream)
    ran = cli("inspect-bitstream", "a.pcgs", "--map", "map.png")
    assert (ran.code, ran.err) == (0, "")
    assert b"Where the bytes go" in ran.out
    data = Path("map.png").read_bytes()
    picture = Image.open(io.BytesIO(data))
    assert picture.width > 3 * 400 and picture.height > 2 * 300
    assert cli("inspect-bitstream", "--map", "-", "--view", "0", stdin=stream).out == data
    other = cli("inspect-bitstream", "--map", "-", "--view", "view_001", stdin=stream)
    assert other.code == 0 and other.out != data
    one = cli("inspect-bitstream", "--map", "-", stdin=truncate_levels(stream, 1))
    assert Image.open(io.BytesIO(one.out)).width < picture.width


@pytest.mark.parametrize(
    ("args", "code", "line"),
    [
        (["--view", "0"], 2, "--view says what --map draws"),
        (["--map", "x.jpg"], 2, "--map x.jpg: the picture is a PNG"),
        (["--map", "-", "--json"], 2, "--map - and --json cannot both"),
        (["--map", "x.png", "--view", "9"], 2, "stdin: --view '9' is not there"),
        (["--map", "old.png"], 6, "old.png: exists already"),
    ],
)
def test_maps_that_cannot_be(cli: Cli, stream: bytes, args: list[str], code: int, line: str) -> None:
    Path("old.png").write_bytes(b"old")
    ran = cli("inspect-bitstream", *args, stdin=stream)
    assert (ran.code, ran.out) == (code, b"")
    assert ran.err.startswith(f"gspc: error: {line}")


def test_no_map_of_a_decoded_scene() -> None:
    source = pipeline.load_source(write_scene(random_scene()))
    with pytest.raises(UsageError, match="has no bits to map"):
        pipeline.draw_bit_map(source)


def test_no_map_without_a_camera(cli: Cli) -> None:
    ran = cli("inspect-bitstream", "--map", "-", stdin=encode(synthetic.tiny(5, views=0)))
    assert (ran.code, ran.out) == (3, b"")
    assert ran.err.startswith("gspc: error: stdin: suggests no camera to see it from")


def test_inspection_needs_no_torch(stream: bytes, tmp_path: Path) -> None:
    place = tmp_path / "blocked"
    place.mkdir()
    (place / "torch.py").write_text("raise SystemExit('torch was imported')\n")
    path = f"{place}:{environment()['PYTHONPATH']}"
    ran = run_fresh(
        "inspect-bitstream", "--levels", "--map", "m.png", cwd=tmp_path, stdin=stream, PYTHONPATH=path
    )
    assert ran.code == 0, ran.err
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")


# ---- without residuals ----


def test_coarse_leaves_out_residuals() -> None:
    scene = random_scene()
    count = scene.features.shape[1]
    found = pipeline.coarse(replace(scene, residuals=2))
    np.testing.assert_array_equal(found.features[:, : count - 2], scene.features[:, : count - 2])
    assert (found.features[:, count - 2 :] == 0).all()
    assert scene.features[:, count - 2 :].any()  # the scene itself is as it was
    assert (pipeline.coarse(replace(scene, residuals=count)).features == 0).all()


def test_render_coarse(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = random_scene()
    ran = cli("render", "--coarse", stdin=write_scene(scene))
    assert (ran.code, ran.out) == (2, b"")
    assert ran.err == (
        "gspc: error: stdin: has no residual features to leave out; "
        "--coarse is for models with a pool and residuals\n"
    )
    assert not Path("renders").exists()
    drawn = []

    def restore(source: object, **options: object) -> pipeline.Restored:
        return pipeline.Restored(replace(scene, residuals=1), 1, 1, False, (), None)

    def render_picture(scene: object, camera: object, kind: str, **options: object) -> bytes:
        drawn.append(scene)
        return b"\x89PNG"

    monkeypatch.setattr(pipeline, "restore", restore)
    monkeypatch.setattr(pipeline, "render_picture", render_picture)
    for args in (["--coarse"], []):
        ran = cli("render", *args, "--view", "0", "-o", "-", stdin=write_scene(scene))
        assert ran.code == 0
    assert (drawn[0].features[:, -1] == 0).all()
    assert (drawn[1].features[:, -1] != 0).any()


def test_render_coarse_of_a_stream(cli: Cli) -> None:
    data = encode(synthetic.tiny(50, variant=synthetic.Variant(pool=4, pool_planes=1)))
    scene = pipeline.restore(pipeline.load_source(data)).scene
    pool = scene.features.shape[1] - scene.residuals
    assert pool > 0 and scene.residuals > 0
    found = pipeline.coarse(scene)
    np.testing.assert_array_equal(found.features[:, :pool], scene.features[:, :pool])
    assert (found.features[:, pool:] == 0).all() and scene.features[:, pool:].any()
    ran = cli("render", "--coarse", "--view", "0", "-o", "-", stdin=data)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == pipeline.render_picture(found, found.cameras[0], "png")
    decoded = cli("decompress", stdin=data).out  # the scene file knows which features are residuals
    assert cli("render", "--coarse", "--view", "0", "-o", "-", stdin=decoded).out == ran.out
