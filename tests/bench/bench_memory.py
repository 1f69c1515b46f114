"""Memory of a fit against its number of views: as many as truck has, and a tenth of them; a line per figure.

    python tests/bench/bench_memory.py [--views 251] [--size 979x546] [--iterations N] [--image-cache GB]
    [--json FILE]

A generated scene whose photographs would fill 400 MB decoded; few of them are kept. Every view is used once
in the larger fit, and both take the same number of steps. The bar: within 10 %.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from many_views import fit_peak_bytes, write_scene

POINTS = 2000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--views", type=int, default=251)
    parser.add_argument("--size", default="979x546")
    parser.add_argument("--iterations", type=int, help="as many as views unless told otherwise")
    parser.add_argument("--image-cache", type=float, default=0.02)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    width, height = (int(side) for side in args.size.split("x"))
    peaks = {}
    for views in (args.views, args.views // 10):
        with tempfile.TemporaryDirectory() as folder:
            write_scene(Path(folder), views, width, height, POINTS)
            peaks[views] = fit_peak_bytes(Path(folder), args.iterations or args.views, args.image_cache)
        decoded = views * width * height * 3 / 1e6
        print(
            f"memory fit {args.size} views={views} (decoded {decoded:.0f} MB, kept "
            f"{1e3 * args.image_cache:.0f} MB) peak {peaks[views] / 1e6:8.1f} MB",
            flush=True,
        )
    ratio = peaks[args.views] / peaks[args.views // 10]
    print(f"memory fit {args.size} all views against a tenth {ratio:.3f} x (bar 1.10 x)")
    if args.json:
        args.json.write_text(json.dumps({"peak_bytes": peaks, "ratio": ratio}, indent=1) + "\n")


if __name__ == "__main__":
    main()
