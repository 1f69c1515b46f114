"""One scene fitted whole and in tiles: held-out PSNR and bytes of each level of both.

    python tests/bench/bench_tiles_fit.py SCENE [--grid 2x2] [--iterations 3000] [-r 4] [--folder DIR]

Every 8th photograph is held out of both. What tiles share is stored once. All fits take as many iterations.
What lies in DIR already is not made again, so that a run that was ended goes on. A fit of 3,000 iterations
takes minutes, and each tile has one.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from gspc import metrics, pipeline
from gspc.config import DataOptions, FitOptions
from gspc.data import load_scene
from gspc.pipeline.source import load_source
from gspc.pipeline.tiling import tiled_scene

HOLD = 8


def fitted(scene: Path, stream: Path, data: DataOptions, options: FitOptions) -> Path:
    """The stream of a fit of `scene`, made unless it is there."""
    if not stream.is_file():
        model = stream.with_suffix(".pt")
        result = pipeline.fit(scene, model, data, options)
        stream.write_bytes(pipeline.compress(model).data)
        print(f"{stream.name}: {result.anchors:,} anchors in {result.seconds:.0f} s", flush=True)
    return stream


def in_tiles(
    scene: Path,
    folder: Path,
    grid: tuple[int, int],
    resolution: int | None,
    options: FitOptions,
    coarse: Path | None,
) -> Path:
    """The index of a scene that was split, fitted tile by tile and joined, what tiles share stored once."""
    tiles = folder / "tiles"
    if not tiles.is_dir():
        report = pipeline.split_tiles(scene, tiles, grid=grid, data=DataOptions(hold=HOLD), coarse=coarse)
        for block in report.blocks:
            print(
                f"tile {block.tile.name}: {len(block.pictures)} photographs, {block.own} points", flush=True
            )
    data = DataOptions(hold=0, resolution=resolution)
    streams = [fitted(tile, folder / f"{tile.name}.pcgs", data, options) for tile in sorted(tiles.iterdir())]
    index = folder / "scene.pcgsx"
    index.write_bytes(pipeline.join_tiles(streams, folder, share=folder / "shared", force=True).data)
    return index


def scores(source: Path, scene: Path, resolution: int | None) -> list[tuple[int, float]]:
    """Bytes up to each level, the index aside, and mean PSNR of the held-out photographs."""
    views = load_scene(scene, DataOptions(hold=HOLD, resolution=resolution)).test
    loaded = load_source(source)
    found = []
    tiled = loaded.kind == "tiles"
    levels = tiled_scene(loaded).index.levels if tiled else pipeline.inspect(source).levels
    for level in range(1, levels + 1):
        if tiled:
            whole = tiled_scene(loaded, upto=level)
            size, draw = whole.index.total(level).size, whole.renderer().render
        else:
            from gspc.rendering import Renderer

            size = pipeline.inspect(source).prefix_bytes[level - 1]
            draw = Renderer(pipeline.restore(source, upto=level).scene).render
        shown = [metrics.psnr(draw(view.camera), view.load()) for view in views]
        found.append((size, sum(shown) / len(shown)))
    return found


def measure(args: argparse.Namespace, folder: Path) -> None:
    """Fits, joins, and prints a line for each level."""
    columns, rows = (int(side) for side in args.grid.split("x"))
    options = FitOptions(iterations=args.iterations, threads=args.threads)
    data = DataOptions(hold=HOLD, resolution=args.resolution)
    whole = fitted(args.scene, folder / "whole.pcgs", data, options)
    if args.tile_iterations:
        options = replace(options, iterations=args.tile_iterations)
    tiled = in_tiles(args.scene, folder, (columns, rows), args.resolution, options, args.coarse)
    found = {path: scores(path, args.scene, args.resolution) for path in (whole, tiled)}
    for path, rows in found.items():
        for level, (size, psnr) in enumerate(rows, start=1):
            print(f"{path.name} level {level}: {size:,} bytes {psnr:.2f} dB", flush=True)
    (size, psnr), (tiled_size, tiled_psnr) = (rows[-1] for rows in found.values())
    print(f"tiles: {tiled_size / size:.2f} times the bytes, {tiled_psnr - psnr:+.2f} dB")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scene", type=Path)
    parser.add_argument("--grid", default="2x2")
    parser.add_argument("--iterations", type=int, default=3000)
    parser.add_argument("--tile-iterations", type=int, help="of each tile, where they are others")
    parser.add_argument("--coarse", type=Path, help="model of the whole scene that tiles start from")
    parser.add_argument("--resolution", "-r", type=int)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    if args.folder is not None:
        args.folder.mkdir(parents=True, exist_ok=True)
        measure(args, args.folder)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(args, Path(folder))


if __name__ == "__main__":
    main()
