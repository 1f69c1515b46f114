"""Levels by the order of use against the levels of training, of models that are there: bytes and PSNR.

    python tests/bench/bench_portions.py SCENE MODEL [MODEL ...] [-r 4] [--levels 8] [--views 25] [--keep DIR]

A model without gains gets them here, from the training views of SCENE; with --keep the measured models are
written to DIR, and found there the next time. PSNR is the mean over the held-out views, evenly spread ones of
them with --views.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from gspc.codec import decode, encode
from gspc.codec.export import export_gains, export_trained
from gspc.codec.portions import encode_ranked
from gspc.config import DataOptions
from gspc.data import load_scene
from gspc.data.start import prepared
from gspc.format import describe
from gspc.model.storage import TrainedModel, load_model, save_model
from gspc.ops.process import flushed_denormals
from gspc.presets import GSPC
from gspc.rendering import Renderer
from gspc.rendering.rasterizer import choose_backend
from gspc.scene import SceneData, View
from gspc.train.schedule import Schedule
from gspc.train.trainer import Trainer
from gspc.train.utility import measured

Curve = list[tuple[float, float]]  # bytes, PSNR


def with_gains(trained: TrainedModel, scene: SceneData) -> TrainedModel:
    """The model with what its parts are worth."""
    iterations = int(trained.metadata["iterations"])
    backend = choose_backend("cpu")
    trainer = Trainer(prepared(scene).scene, trained.model, Schedule(iterations), backend, GSPC)
    trainer.iteration = iterations
    started = time.process_time()
    with flushed_denormals():
        gains = measured(trainer, print, lambda: False)
    print(f"measured in {time.process_time() - started:.1f} s of CPU time", flush=True)
    return replace(trained, gains=gains)


def curve(data: bytes, views: list[View]) -> Curve:
    """Bytes and PSNR of every level of a stream."""
    found = []
    for number, level in enumerate(describe(data).levels, start=1):
        renderer = Renderer(decode(data, upto=number).scene, "cpu")
        errors = [
            np.square(np.clip(renderer.render(view.camera), 0, 1) - view.load() / 255).mean()
            for view in views
        ]
        found.append((float(level.offset + level.length), float(np.mean(-10 * np.log10(errors)))))
    return found


def show(name: str, found: Curve) -> None:
    """A line for each level, with what it adds per 10 % of bytes."""
    for number, (size, psnr) in enumerate(found, start=1):
        text = f"{name} {number}: {size / 1000:8.1f} kB {psnr:7.3f} dB"
        if number > 1:
            before, was = found[number - 2]
            text += f"  {(psnr - was) * np.log(1.1) / np.log(size / before):+.3f} dB per 10 %"
        print(text, flush=True)


def rising(found: Curve) -> Curve:
    """The levels that are better than all before them."""
    return [row for i, row in enumerate(found) if all(row[1] > other[1] for other in found[:i])]


def difference(before: Curve, after: Curve) -> float:
    """Mean of the relative difference in bytes over the PSNR that both reach, log bytes linear in PSNR
    between levels: as Bjontegaard's, but defined for two levels, too. NaN where they share nothing."""
    low = max(min(p for _, p in before), min(p for _, p in after))
    high = min(max(p for _, p in before), max(p for _, p in after))
    if low >= high:
        return float("nan")
    at = np.linspace(low, high, 1000)
    logs = [np.interp(at, [p for _, p in found], np.log([b for b, _ in found])) for found in (before, after)]
    return float(np.exp((logs[1] - logs[0]).mean()) - 1)


def compare(path: Path, scene: SceneData, arguments: argparse.Namespace) -> None:
    """One model, both ways."""
    kept = arguments.keep and arguments.keep / path.name
    trained = load_model(kept if kept and kept.exists() else path)
    if trained.gains is None:
        trained = with_gains(trained, scene)
    if kept:
        save_model(kept, trained)
    gains = export_gains(trained)
    assert gains is not None
    exported = export_trained(trained)
    count = len(scene.test)
    views = [scene.test[i * count // arguments.views] for i in range(arguments.views)]
    before = curve(encode(exported), views)
    after = curve(encode_ranked(exported, gains, levels=arguments.levels), views)
    print(path.name)
    show("levels of training", before)
    show("order of use      ", after)
    print(f"bytes at equal PSNR: {100 * difference(rising(before), rising(after)):+.1f} %", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("scene", type=Path)
    parser.add_argument("model", type=Path, nargs="+")
    parser.add_argument("-r", dest="resolution", type=int)
    parser.add_argument("--levels", type=int)
    parser.add_argument("--views", type=int)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    options = DataOptions() if arguments.resolution is None else DataOptions(resolution=arguments.resolution)
    scene = load_scene(arguments.scene, options)
    arguments.views = min(arguments.views or len(scene.test), len(scene.test))
    for path in arguments.model:
        compare(path, scene, arguments)


if __name__ == "__main__":
    main()
