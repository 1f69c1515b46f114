"""Measures a generated city of tiles: time and memory to open its index, time and memory for a view.

usage: python tests/bench/bench_tiles.py [SIDE] [ANCHORS] [FOLDER]

The city has SIDE x SIDE blocks (100) of ANCHORS anchors each (200), in FOLDER (a temporary one).
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tile_scenes import SIDE, street_camera, write_city

from gspc import pipeline

VIEWS = 20


def peak() -> float:
    """Most memory of this process so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def measure(folder: Path, side: int, anchors: int) -> None:
    """Makes the city and prints a line for each figure."""
    started = time.perf_counter()
    paths = write_city(folder, side, side, count=anchors)
    print(f"{len(paths):,} streams written in {time.perf_counter() - started:.1f} s")
    started = time.perf_counter()
    made = pipeline.join_tiles(paths, folder)
    (folder / "city.pcgsx").write_bytes(made.data)
    print(f"joined in {time.perf_counter() - started:.1f} s: {len(made.data):,} bytes of index")
    del made
    started = time.perf_counter()
    scene = pipeline.tiled_scene(pipeline.load_source(folder / "city.pcgsx"))
    print(f"opened in {time.perf_counter() - started:.2f} s; peak of the process so far {peak():.0f} MB")
    renderer = scene.renderer()
    times = []
    for number in range(VIEWS):
        camera = street_camera(((0.5 + number) * SIDE * side / VIEWS, -SIDE / 4, SIDE * side / 2))
        started = time.perf_counter()
        renderer.render(camera.resized(640, 480))
        times.append(time.perf_counter() - started)
    times.sort()
    print(
        f"{VIEWS} views: {1000 * times[VIEWS // 2]:.0f} ms each (median), {1000 * times[-1]:.0f} ms at most, "
        f"{renderer.decoded / VIEWS:.0f} tiles decoded for one; peak {peak():.0f} MB"
    )


def main(arguments: list[str]) -> None:
    """Reads the command line."""
    side, anchors = (int(value) for value in (*arguments[:2], *("100", "200")[len(arguments[:2]) :]))
    if len(arguments) > 2:
        measure(Path(arguments[2]), side, anchors)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), side, anchors)


if __name__ == "__main__":
    main(sys.argv[1:])
