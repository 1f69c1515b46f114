"""The use cases as plain functions with typed results. Nothing here prints.

Heavy imports (torch, numpy, the compiled kernels) happen inside the functions: each command loads only what
it needs; `decompress`, `render` and `inspect` of a stream never import torch.
"""

from typing import TYPE_CHECKING

from gspc.pipeline.aggregation import Aggregation, SceneLevel, aggregate
from gspc.pipeline.breakdown import Breakdown, FeatureShare, LevelPart, LevelRow
from gspc.pipeline.charts import plot_curves
from gspc.pipeline.coding import (
    MAX_MEMORY,
    Compressed,
    Decompressed,
    Restored,
    as_stream,
    compress,
    decompress,
    restore,
)
from gspc.pipeline.comparison import Arm, ArmDifference, Comparison, Point, compare
from gspc.pipeline.evaluation import Evaluation, LevelScore, ViewScore, evaluate
from gspc.pipeline.exporting import (
    ExportCheck,
    Exported,
    ExportOptions,
    export,
    format_for,
    writable_formats,
)
from gspc.pipeline.inspection import ChunkRow, Inspection, Part, inspect
from gspc.pipeline.pictures import (
    coarse,
    draw_bit_map,
    render_directory,
    render_film,
    render_picture,
    render_png,
)
from gspc.pipeline.plain import PlainScene, plain_scene, read_plain, refuse_scene_options, write_unbundled
from gspc.pipeline.source import Source, load_source, naming
from gspc.pipeline.training import fit, reconstruct, understand, write_demo_scene
from gspc.pipeline.views import choose_cameras

if TYPE_CHECKING:
    from gspc.data import SceneReport, TeacherReport
    from gspc.scene import Note
    from gspc.train import FitProgress, FitResult

__all__ = [
    "MAX_MEMORY",
    "Aggregation",
    "Arm",
    "ArmDifference",
    "Breakdown",
    "ChunkRow",
    "Comparison",
    "Compressed",
    "Decompressed",
    "Evaluation",
    "ExportCheck",
    "ExportOptions",
    "Exported",
    "FeatureShare",
    "FitProgress",
    "FitResult",
    "Inspection",
    "LevelPart",
    "LevelRow",
    "LevelScore",
    "Note",
    "Part",
    "PlainScene",
    "Point",
    "Restored",
    "SceneLevel",
    "SceneReport",
    "Source",
    "TeacherReport",
    "ViewScore",
    "aggregate",
    "as_stream",
    "choose_cameras",
    "coarse",
    "compare",
    "compress",
    "decompress",
    "draw_bit_map",
    "evaluate",
    "export",
    "fit",
    "format_for",
    "inspect",
    "load_source",
    "naming",
    "plain_scene",
    "plot_curves",
    "read_plain",
    "reconstruct",
    "refuse_scene_options",
    "render_directory",
    "render_film",
    "render_picture",
    "render_png",
    "restore",
    "understand",
    "writable_formats",
    "write_demo_scene",
    "write_unbundled",
]
