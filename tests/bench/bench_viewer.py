"""How fast, small and faithful the viewer in the browser is, in headless Chromium without a GPU.

usage: python tests/bench/bench_viewer.py scene.pcgs [...] [--json results.json]
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from browser import Browser, Page
from viewer_gaussians import drawn_by_us, level_ends, psnr, render
from viewer_site import serving

from gspc import pipeline
from gspc.codec import decode

STATIC = Path(__file__).resolve().parents[2] / "gspc/viewer/static"
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
# Decoded in the page's own thread, which the workers leave alone by then.
DECODING = """(async () => {
  const wait = (worker, type) => new Promise((resolve) => {
    worker.addEventListener('message', ({ data }) => { if (data.type === type) resolve(data); });
  });
  const module = await gspcViewer.tools.module;
  const bytes = await (await fetch('scene.pcgs')).arrayBuffer();
  const times = [];
  for (let run = 0; run < %d; run++) {
    const worker = gspcViewer.tools.makeWorker('stream');
    worker.postMessage({ type: 'open', module, workers: 1, bytes: bytes.slice(0) });
    const level = async (number) => {
      const came = wait(worker, 'level');
      const began = performance.now();
      worker.postMessage({ type: 'show', level: number });
      await came;
      return performance.now() - began;
    };
    await level(1);
    await level(%d);
    times.push([await level(1)]);
    worker.terminate();
  }
  return times.map(([one]) => one);
})()"""


def median(values: list[float]) -> float:
    return round(statistics.median(values), 4)


def native_seconds(stream: bytes, level: int) -> float:
    """Decoding on one thread, with the best instruction set here."""
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        decode(stream, upto=level, threads=1)
        times.append(time.perf_counter() - began)
    return median(times)


def latencies(page: Page, address: str, levels: int) -> dict[str, float]:
    """Seconds from the last byte of level 1 to its picture, and from there to all levels' picture."""
    first, rest = [], []
    for _ in range(RUNS):
        page.open("about:blank")
        page.open(address)
        page.wait(f"gspcViewer.player?.level === {levels}")
        times = page.js("gspcViewer.times")
        first.append((times["shown 1"] - times["arrived 1"]) / 1000)
        rest.append((times[f"shown {levels}"] - times["shown 1"]) / 1000)
    return {"first_picture_s": median(first), "all_levels_more_s": median(rest)}


def pictures(page: Page, stream: bytes, levels: int) -> list[dict[str, Any]]:
    """PSNR against `gspc render`, and against our rasterizer with the viewer's own Gaussians."""
    found = []
    for level in (1, levels):
        page.js(f"gspcViewer.wantLevel({level})")
        page.wait(f"gspcViewer.player.level === {level}")
        scene = decode(stream, upto=level).scene
        for number in (0, len(scene.cameras) // 2):
            page.js(f"gspcViewer.goTo({number})")
            seen, camera = page.picture(), scene.in_own_coordinates().cameras[number]
            found.append(
                {
                    "level": level,
                    "camera": camera.name,
                    "psnr_render": round(psnr(seen, render(scene, number)), 2),
                    "psnr_own_gaussians": round(psnr(seen, drawn_by_us(page, camera, scene.background)), 2),
                }
            )
    return found


def measured(browser: Browser, path: Path) -> dict[str, Any]:
    """All figures of a scene."""
    stream = path.read_bytes()
    ends = level_ends(stream)
    levels = len(ends)
    camera = decode(stream, upto=1).scene.cameras[0]
    with browser.page(camera.width, camera.height) as page, serving(stream) as server:
        found: dict[str, Any] = {
            "scene": path.name,
            "bytes": len(stream),
            "size": [camera.width, camera.height],
        }
        page.open(server.address)
        page.wait(f"gspcViewer.player?.level === {levels}")
        before = [asked for asked in server.asked if asked[0] < ends[0]]
        found |= {"requests_of_level_1": len(before), "bytes_of_level_1": sum(b - a for a, b in before)}
        found["level_1_ends_at"] = ends[0]
        found |= latencies(page, server.address, levels)
        found["frames_per_s_turning"] = page.js(TURNING)
        found["heads_ms"] = round(page.js("gspcViewer.player.looks.took"), 1)
        found["gaussians"] = page.js("gspcViewer.player.splats.count")
        found["wasm_decode_level_1_s"] = round(median(page.js(DECODING % (RUNS, levels))) / 1000, 4)
        found["native_decode_level_1_s"] = native_seconds(stream, 1)
        found["pictures"] = pictures(page, stream, levels)
    found["single_page_bytes"] = len(pipeline.page(path).data)
    found["single_page_bar"] = int(len(stream) * 4 / 3 + 1.5e6)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", nargs="+", type=Path)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    shipped = {path.name: len(gzip.compress(path.read_bytes(), 9)) for path in sorted(STATIC.iterdir())}
    browser = Browser()
    try:
        result = {
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
