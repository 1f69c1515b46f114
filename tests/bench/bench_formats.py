"""One scene in every format: bytes, and PSNR in front of held-out photographs.

    python tests/bench/bench_formats.py scene.pcgs --data photos [-r 4] [--refine 100] [--json FILE]

One line per level of the stream and per exported format. The splats that other tools would read are read back
from the exported bytes and drawn by our rasterizer, so a format's own rounding counts. Takes a minute.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from gspc import metrics, pipeline
from gspc.config import DataOptions
from gspc.data import load_scene
from gspc.pipeline import ExportOptions, writable_formats
from gspc.scene import SceneData
from gspc.splats import SplatRenderer, read_splats


def psnr_of(data: bytes, scene: SceneData) -> float:
    """Mean over the held-out views, of an exported file."""
    renderer = SplatRenderer(read_splats(data), background=scene.background)
    found = [metrics.psnr(renderer.render(view.camera), view.load()) for view in scene.test]
    return sum(found) / len(found)


def line(row: dict[str, Any]) -> None:
    print(f"{row['what']:<28}{row['bytes']:>12,} bytes{row['psnr']:>9.2f} dB", flush=True)


def bench(stream: Path, data: Path, resolution: int | None, refine: int) -> list[dict[str, Any]]:
    scene = load_scene(data, DataOptions(resolution=resolution))
    scored = pipeline.evaluate(stream, data, resolution=resolution)
    rows = [
        {"what": f"pcgs, level {level.level}", "bytes": level.size, "psnr": level.psnr}
        for level in scored.levels
    ]
    for row in rows:
        line(row)
    for kind in [one for one in writable_formats() if one != "html"]:
        made = pipeline.export(stream, ExportOptions(kind, check=False)).data
        rows.append({"what": kind, "bytes": len(made), "psnr": psnr_of(made, scene)})
        line(rows[-1])
    if refine:
        made = pipeline.export(stream, ExportOptions("ply", refine=refine, check=False)).data
        rows.append({"what": f"ply, --refine {refine}", "bytes": len(made), "psnr": psnr_of(made, scene)})
        line(rows[-1])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stream", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--resolution", "-r", type=int)
    parser.add_argument("--refine", type=int, default=100)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = bench(args.stream, args.data, args.resolution, args.refine)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
