"""How fast, small and faithful the viewer in the browser is, in headless Chromium without a GPU.

usage: python tests/bench/bench_viewer.py scene.pcgs [...] [--note TEXT] [--json results.json]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from browser import Browser, Page
from viewer_gaussians import drawn_by_us, level_ends, psnr, render
from viewer_site import serving

from gspc import pipeline
from gspc.codec import decode

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "gspc/viewer/static"
RUNS = 3
TURNING = """(async () => {
  let frames = 0;
  const count = () => { frames += 1; };
  gspcViewer.engine.app.on('postrender', count);
  const end = performance.now() + 4000;
  while (performance.now() < end) {
    gspcViewer.rig.turn(0.01, 0);
    await new Promise(requestAnimationFrame);
  }
  gspcViewer.engine.app.off('postrender', count);
  return frames / 4;
})()"""
# Processor time of one thread, which other programs on the machine do not concern.
DECODING = """
import { readFileSync } from 'node:fs';
const { load } = await import(process.argv[1]);
const pcgs = await load(readFileSync(process.argv[2]));
const stream = readFileSync(process.argv[3]);
for (let run = 0; run < 7; run++) {
  const before = process.cpuUsage();
  pcgs.decode(stream, { upto: 1 });
  const { user, system } = process.cpuUsage(before);
  console.log((user + system) / 1e6);
}
"""
WAYS = ("wasm", "gpu", "baked")
STEPS = ("arrived", "decoded", "seen", "shown")


def median(values: list[float]) -> float:
    return round(statistics.median(values), 4)


def wasm_seconds(path: Path) -> float:
    """Decoding level 1 by pcgs.wasm under node; the first runs, before it is compiled well, do not count."""
    arguments = [ROOT / "kernels/wasm/pcgs.mjs", STATIC / "pcgs.wasm", path.resolve()]
    command = ["node", "--input-type=module", "-e", DECODING, *map(str, arguments)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return median([float(line) for line in out.split()][2:])


def native_seconds(stream: bytes, level: int) -> float:
    """Decoding on one thread, with the best instruction set here."""
    times = []
    for _ in range(RUNS + 2):
        began = time.process_time()
        decode(stream, upto=level, threads=1)
        times.append(time.process_time() - began)
    return median(times[2:])


def latencies(page: Page, address: str, levels: int) -> dict[str, Any]:
    """Seconds from the last byte of level 1 to its picture, and from there to the picture of all levels.

    The least of some runs: others' work on the machine only adds to them.
    """
    runs = []
    for _ in range(RUNS):
        page.open("about:blank")
        page.open(address)
        page.wait(f"gspcViewer.player?.level === {levels}")
        times = page.js("gspcViewer.times")
        steps = [times[f"{step} 1"] / 1000 for step in STEPS]
        rest = (times[f"shown {levels}"] - times["shown 1"]) / 1000
        runs.append(([round(b - a, 4) for a, b in pairwise(steps)], steps[-1] - steps[0], rest))
    best = min(runs, key=lambda run: run[1])
    return {
        "first_picture_s": round(best[1], 4),
        "decode_heads_draw_s": best[0],
        "all_levels_more_s": round(min(run[2] for run in runs), 4),
    }


def pictures(page: Page, stream: bytes, levels: int, *, own: bool) -> list[dict[str, Any]]:
    """PSNR against `gspc render`, and (`own`) against our rasterizer with the viewer's own Gaussians."""
    found = []
    for level in (1, levels):
        page.js(f"gspcViewer.wantLevel({level})")
        page.wait(f"gspcViewer.player.level === {level}")
        scene = decode(stream, upto=level).scene
        for number in (0, len(scene.cameras) // 2):
            page.js(f"gspcViewer.goTo({number})")
            seen, camera = page.picture(), scene.in_own_coordinates().cameras[number]
            entry = {"level": level, "camera": camera.name}
            entry["psnr_render"] = round(psnr(seen, render(scene, number)), 2)
            if own:
                ours = drawn_by_us(page, camera, scene.background)
                entry["psnr_own_gaussians"] = round(psnr(seen, ours), 2)
            found.append(entry)
    return found


def measured(browser: Browser, path: Path) -> dict[str, Any]:
    """All figures of a scene."""
    stream = path.read_bytes()
    ends = level_ends(stream)
    levels = len(ends)
    camera = decode(stream, upto=1).scene.cameras[0]
    found: dict[str, Any] = {"scene": path.name, "bytes": len(stream), "size": [camera.width, camera.height]}
    for way in WAYS:
        with browser.page(camera.width, camera.height) as page, serving(stream) as server:
            address = f"{server.address}?heads={way}"
            page.open(address)
            page.wait(f"gspcViewer.player?.level === {levels}")
            if way == "wasm":
                before = [asked for asked in server.asked if asked[0] < ends[0]]
                found |= {
                    "requests_of_level_1": len(before),
                    "bytes_of_level_1": sum(b - a for a, b in before),
                }
                found |= {"level_1_ends_at": ends[0], "gaussians": page.js("gspcViewer.player.splats.count")}
            print(f"{path.name}: {way}", file=sys.stderr)
            figures = latencies(page, address, levels) if way == "wasm" else {}
            figures["frames_per_s_turning"] = page.js(TURNING)
            figures["heads_ms"] = round(page.js("gspcViewer.player.looks.took"), 1)
            found[way] = {**figures, "pictures": pictures(page, stream, levels, own=way == "wasm")}
    wasm, native = wasm_seconds(path), native_seconds(stream, 1)
    found |= {
        "wasm_decode_level_1_s": wasm,
        "native_decode_level_1_s": native,
        "ratio": round(wasm / native, 2),
    }
    found["single_page_bytes"] = len(pipeline.page(path).data)
    found["single_page_bar"] = int(len(stream) * 4 / 3 + 1.5e6)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", nargs="+", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--note", default="", help="what else the machine did")
    asked = parser.parse_args()
    shipped = {path.name: len(gzip.compress(path.read_bytes(), 9)) for path in sorted(STATIC.iterdir())}
    browser = Browser()
    try:
        result = {
            "note": asked.note,
            "load": os.getloadavg(),
            "shipped_gzip_bytes": shipped,
            "shipped_gzip_total": sum(shipped.values()),
            "scenes": [measured(browser, path) for path in asked.scenes],
        }
    finally:
        browser.close()
    text = json.dumps(result, indent=2) + "\n"
    if asked.json:
        asked.json.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
