"""What drawing takes of memory: counted and refused before it is taken."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rendering_scenes

from gspc.codec import encode
from gspc.errors import InputError
from gspc.ops import arrays
from gspc.rendering import Renderer, write_scene
from gspc.rendering.budget import Budget
from gspc.scene import DecodedScene
from gspc.splats import SplatRenderer, bake
from gspc.splats.drawing import draw

PYTHON = 110e6  # bytes of the interpreter and its libraries, with some room
# Of this process' memory alone: what getrusage calls the peak counts that of its parent, too, until it began.
PEAK = (
    "import re, sys; from gspc.cli.app import main; sys.argv[0] = 'gspc'; code = main();"
    "most = re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1];"
    "print(code, int(most) * 1024, file=sys.stderr)"
)


def crowd(count: int) -> DecodedScene:
    """Gaussians that each cover the picture: a few bytes each in a stream, thousands while they are drawn."""
    one = rendering_scenes.one_gaussian_scene(sigma=3.0, opacity=0.05)
    repeated = {
        name: np.repeat(getattr(one, name), count, axis=0)
        for name in ("anchors", "features", "log_scales", "offsets", "gaussian_mask")
    }
    return replace(one, **repeated)


def peak(*arguments: str) -> tuple[int, float, str]:
    """Exit code, most bytes in memory at once and stderr of a command."""
    ran = subprocess.run(
        [sys.executable, "-c", PEAK, *arguments], capture_output=True, text=True, check=False, env=os.environ
    )
    *said, last = ran.stderr.splitlines()
    code, most = last.split()
    return int(code), float(most), "\n".join(said)


def wide(scene: DecodedScene, side: int) -> DecodedScene:
    view = rendering_scenes.camera(width=side, height=side, focal=side)
    return replace(scene, cameras=(view,))


def test_drawing_stays_within_what_it_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "crowd.scene"
    path.write_bytes(write_scene(wide(crowd(2000), 700)))
    code, most, said = peak("render", str(path), "--max-memory", "120MB", "-o", str(tmp_path / "r"))
    assert (code, said) == (0, "")
    assert most < 120e6 + PYTHON


@pytest.mark.parametrize("command", ["render", "export"])
@pytest.mark.parametrize(("count", "side"), [(20_000, 1000), (1, 11_000)])
def test_what_takes_more_is_refused_before_it_is_taken(
    tmp_path: Path, command: str, count: int, side: int
) -> None:
    path = tmp_path / "crowd.scene"
    path.write_bytes(write_scene(wide(crowd(count), side)))
    target = tmp_path / ("out.ply" if command == "export" else "out")
    code, most, said = peak(command, str(path), "--max-memory", "100MB", "-o", str(target))
    assert code == 3
    assert said.startswith(f"gspc: error: {path}: ") and "\n" not in said
    assert "--max-memory allows 100 MB; allow more, or draw smaller pictures" in said
    assert most < 100e6 + PYTHON
    assert not target.is_file()


def test_every_step_of_a_drawing_is_counted() -> None:
    """With ever larger budgets it gets further: pictures, spans, pairs, and the slots of gradients."""
    scene, view = crowd(300), rendering_scenes.camera(width=160, height=160, focal=160)
    shown = Renderer(scene).scene
    found: list[int] = []
    budget = 1
    means = np.repeat(np.array([[0, 0, 2]], np.float32), 300, axis=0)
    quats = np.repeat(np.array([[1, 0, 0, 0]], np.float32), 300, axis=0)
    values = (means, quats, np.full((300, 3), 3, np.float32), np.full(300, 0.05, np.float32), means)
    lens = (view.fx, view.fy, view.cx, view.cy)
    while True:
        try:
            raster = arrays.rasterize(
                *values, view.world_to_camera, lens, view.width, view.height, shown.background, budget
            )
            gradients = arrays.rasterize_backward(raster, *values, np.ones_like(raster.image))
        except arrays.OverBudget as error:
            assert error.needed > budget
            budget = error.needed
            found.append(budget)
        else:
            break
    assert len(found) == 4 and found == sorted(found)
    pairs = raster.state.pairs
    assert pairs == 300 * 100
    assert found[1] - found[0] == 300 * 10 * 4  # ten rows of tiles each
    assert found[2] - found[1] == 12 * pairs
    assert found[3] > found[2] + 65 * pairs
    unlimited = arrays.rasterize(*values, view.world_to_camera, lens, view.width, view.height)
    assert gradients.means.shape == (300, 3)
    assert np.array_equal(unlimited.alpha, raster.alpha)


def test_each_renderer_keeps_to_its_budget() -> None:
    scene = wide(crowd(500), 400)
    view = scene.cameras[0]
    for draws in (
        lambda: Renderer(scene, max_memory=8_000_000).render(view),
        lambda: bake(scene, 0, max_memory=8_000_000),
        lambda: SplatRenderer(bake(scene, 0), max_memory=8_000_000).render(view),
    ):
        with pytest.raises(InputError, match="--max-memory allows 8 MB"):
            draws()
    with pytest.raises(InputError, match="the scene: drawing takes"):
        Renderer(scene, max_memory=1000)


def test_gradients_keep_to_the_budget() -> None:
    scene = wide(crowd(500), 200)
    shown = Renderer(scene)
    from gspc.rendering.heads import gaussians_for_view

    view = scene.cameras[0]
    gaussians = gaussians_for_view(shown.scene, view)
    drawn = draw(gaussians, view, scene.background, Budget(4_000_000))
    with pytest.raises(InputError, match=r"camera 'front.png': drawing takes"):
        drawn.gradients(np.ones_like(drawn.picture))


def test_decoding_for_scores_rates_and_maps_has_a_limit(tmp_path: Path) -> None:
    import synthetic

    path = tmp_path / "scene.pcgs"
    path.write_bytes(encode(synthetic.tiny(70, levels=3)))
    for arguments in (
        ["inspect-bitstream", str(path), "--rates"],
        ["inspect-bitstream", str(path), "--levels"],
        ["inspect-bitstream", str(path), "--map", str(tmp_path / "map.png")],
        ["eval", str(path), "--data", str(tmp_path)],
    ):
        code, _, said = peak(*arguments, "--max-memory", "20kB")
        assert code == 4, said
        assert said.count("\n") == 0 and "--max-memory" in said
