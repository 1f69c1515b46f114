"""Rendering from a stream: the first picture as a user waits for it, and frames per second, at 530x947.

    python tests/bench/bench_render.py [STREAM.pcgs] [--json FILE]

Without a stream, one of fox is made: fitted at half size for 400 iterations, which grows as many anchors as a
whole fit has (30,000 and more), and compressed. Where its photographs are not there, the demo scene's.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gspc import codec
from gspc.data.demo import write_demo_scene
from gspc.rendering.render import Renderer
from gspc.scene import DecodedScene

FOX = Path(__file__).resolve().parents[3] / "shared" / "data" / "fox"
ITERATIONS = 400
SIZE = (530, 947)
REPEATS = 5


def fitted(folder: Path) -> Path:
    """The stream of a short fit."""
    source, model, stream = FOX, folder / "model.pt", folder / "scene.pcgs"
    if not FOX.is_dir():
        source = folder / "scene"
        write_demo_scene(source, views=16)
    fit = ["fit", str(source), "-o", str(model), "--resolution", "2" if source == FOX else "1"]
    fit += ["--levels", "3", "--iterations", str(ITERATIONS), "--checkpoint-every", "0"]
    for command in (fit, ["compress", str(model), "-o", str(stream)]):
        subprocess.run([sys.executable, "-m", "gspc", *command], check=True, capture_output=True)
    return stream


def first_picture(stream: Path, folder: Path) -> list[tuple[float, float]]:
    """Wall and CPU seconds of `gspc render --view 0`, a process of its own each time."""
    found = []
    size = f"{SIZE[0]}x{SIZE[1]}"
    command = ["-m", "gspc", "render", str(stream), "--view", "0", "--size", size, "-f"]
    for _ in range(REPEATS):
        wall, cpu = time.perf_counter(), sum(os.times()[2:4])
        subprocess.run(
            [sys.executable, *command, "-o", str(folder / "a.png")], check=True, capture_output=True
        )
        found.append((time.perf_counter() - wall, sum(os.times()[2:4]) - cpu))
    return found


def frames(scene: DecodedScene, threads: int) -> tuple[float, float]:
    """Median wall and CPU seconds per frame over the suggested cameras."""
    from gspc import _kernels

    _kernels.set_threads(threads)
    renderer = Renderer(scene)
    walls, cpus = [], []
    for index in range(12):
        camera = scene.cameras[index % len(scene.cameras)].resized(*SIZE)
        wall, cpu = time.perf_counter(), time.process_time()
        renderer.render(camera)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return statistics.median(walls[2:]), statistics.median(cpus[2:])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stream", type=Path, nargs="?")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        stream = args.stream
        if stream is None:
            stream = fitted(Path(folder))
        scene = codec.decode(stream.read_bytes()).scene
        figures["bytes"], figures["anchors"] = stream.stat().st_size, len(scene.anchors)
        figures["gaussians"] = int(scene.gaussian_mask.sum())
        print(
            f"render stream of {stream.stat().st_size} bytes, {len(scene.anchors)} anchors with "
            f"{figures['gaussians']} Gaussians",
            flush=True,
        )
        walls, cpus = zip(*first_picture(stream, Path(folder)), strict=True)
        figures["first_picture_wall_s"], figures["first_picture_cpu_s"] = min(walls), min(cpus)
        label = f"render {SIZE[0]}x{SIZE[1]}"
        print(f"{label} first picture {min(walls):8.2f} s wall {min(cpus):8.2f} s cpu (best of {REPEATS})")
        for threads in (1, 2):
            wall, cpu = frames(scene, threads)
            figures[f"frame_wall_s_{threads}"], figures[f"frame_cpu_s_{threads}"] = wall, cpu
            print(f"{label} threads={threads} {1 / wall:8.1f} frames/s {1e3 * cpu:8.1f} ms cpu per frame")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
