"""Calls the library's use cases one after the other and prints, as JSON, what each of them left changed in
the process: {use case: [names of what changed]}. Run in a process of its own by `test_process_state.py`."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Third-party modules change state of their own when they are first imported, so that happens before.
import bjontegaard  # noqa: F401
import matplotlib.figure
import numpy as np
import torch
import torch._dynamo  # torch's optimizers import it at their first step

import gspc
from gspc import pipeline
from gspc.config import DataOptions, FitOptions
from gspc.data.demo import write_demo_scene
from gspc.ops.kernels import kernels

BLOCK = 64 << 20


class Memory(ctypes.Structure):
    """glibc's `struct mallinfo2`, as far as it is read here."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "a", "b", "c", "d", "e")
    ]


def maps_large_blocks() -> bool | None:
    """Whether malloc gives a large block its own mapping, as it does unless told otherwise; None elsewhere
    than on glibc."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        return None
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes, libc.mallinfo2.restype = [ctypes.c_void_p], Memory
    before = libc.mallinfo2().hblks
    block = libc.malloc(BLOCK)
    mapped = libc.mallinfo2().hblks > before
    libc.free(block)
    return bool(mapped)


def snapshot() -> dict[str, Any]:
    tiny = torch.full((400_000,), 1e-39)  # enough for every thread
    return {
        "torch threads": torch.get_num_threads(),
        "kernel threads": kernels().max_threads(),
        "denormals": bool((tiny * 0.5 > 0).all()),
        "torch random": torch.get_rng_state().tolist(),
        "numpy random": repr(np.random.get_state()),  # noqa: NPY002
        "python random": random.getstate(),
        "numpy errors": np.geterr(),
        "default dtype": str(torch.get_default_dtype()),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "grad mode": torch.is_grad_enabled(),
        "garbage collector": (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()),
        "environment": dict(os.environ),
        "directory": str(Path.cwd()),
        "warnings": [repr(entry) for entry in warnings.filters],
        "signals": [repr(signal.getsignal(number)) for number in signal.valid_signals()],
        "streams": [id(sys.stdout), id(sys.stderr)],
        "matplotlib": repr(sorted(matplotlib.rcParams.items(), key=str)),
        "instruction set": kernels().active_isa(),
        "malloc": maps_large_blocks(),
    }


class Observer:
    """Says nothing; raises at iteration `stop`, if that is given."""

    def __init__(self, stop: int | None = None) -> None:
        self.stop = stop

    def message(self, text: str) -> None:
        pass

    def progress(self, progress: Any) -> None:
        if progress.iteration == self.stop:
            raise KeyboardInterrupt


def use_cases(work: Path) -> dict[str, Callable[[], object]]:
    """In their order: each goes on with what those before it wrote."""
    photographs, model, stream = work / "photographs", work / "model.pt", work / "scene.pcgs"
    write_demo_scene(photographs, views=9, width=64, height=48, points=300)
    options = FitOptions(iterations=20, levels=2, threads=1)

    def interrupted_fit() -> None:
        try:
            pipeline.fit(photographs, work / "other.pt", DataOptions(), options, Observer(10))
        except KeyboardInterrupt:
            return
        raise AssertionError("the fit was not interrupted")

    def draw() -> None:
        scene = pipeline.restore(pipeline.load_source(stream)).scene
        pipeline.render_picture(scene, scene.cameras[0], "png")

    return {
        "fit": lambda: pipeline.fit(photographs, model, DataOptions(), options, Observer()),
        "interrupted fit": interrupted_fit,
        "encode": lambda: stream.write_bytes(pipeline.compress(pipeline.load_source(model), threads=1).data),
        "decode": lambda: pipeline.decompress(pipeline.load_source(stream), threads=1),
        "render": draw,
        "evaluate": lambda: pipeline.evaluate(pipeline.load_source(stream), photographs, threads=1),
        "inspect": lambda: pipeline.inspect(pipeline.load_source(stream), rates=True, levels=True, threads=1),
        "export": lambda: gspc.export(stream, "ply", threads=1),
        "open": lambda: gspc.open(stream).level(1).render(),
        "bit map": lambda: pipeline.draw_bit_map(pipeline.load_source(stream), threads=1),
    }


def main() -> None:
    torch.set_num_threads(3)  # another number than the fit's
    found = {}
    before = snapshot()
    for name, run in use_cases(Path(sys.argv[1])).items():
        run()
        after = snapshot()
        found[name] = [key for key, value in after.items() if value != before[key]]
        before = after
    print(json.dumps(found))


if __name__ == "__main__":
    main()
