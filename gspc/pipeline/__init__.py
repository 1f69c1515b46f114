"""The use cases as plain functions with typed results. Nothing here prints.

Heavy imports (torch, numpy, the compiled kernels) happen inside the functions: each command loads only what
it needs; `decompress`, `render` and `inspect` of a stream never import torch.
"""

from typing import TYPE_CHECKING

from gspc.pipeline.coding import MAX_MEMORY, Compressed, Decompressed, Restored, compress, decompress, restore
from gspc.pipeline.evaluation import Evaluation, LevelScore, ViewScore, evaluate
from gspc.pipeline.inspection import ChunkRow, Inspection, Part, inspect
from gspc.pipeline.pictures import choose_cameras, render_directory, render_png
from gspc.pipeline.source import Source, load_source, naming
from gspc.pipeline.training import fit, write_demo_scene

if TYPE_CHECKING:
    from gspc.train import FitProgress

__all__ = [
    "MAX_MEMORY",
    "ChunkRow",
    "Compressed",
    "Decompressed",
    "Evaluation",
    "FitProgress",
    "Inspection",
    "LevelScore",
    "Part",
    "Restored",
    "Source",
    "ViewScore",
    "choose_cameras",
    "compress",
    "decompress",
    "evaluate",
    "fit",
    "inspect",
    "load_source",
    "naming",
    "render_directory",
    "render_png",
    "restore",
    "write_demo_scene",
]
