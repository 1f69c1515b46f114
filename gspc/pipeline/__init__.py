"""The use cases as plain functions with typed results. Nothing here prints.

Each name is imported when it is first used, and heavy imports (torch, numpy, the compiled kernels) happen
inside the functions: each command loads only what it needs; `decompress`, `render` and `inspect` of a stream
never import torch. Type checkers read the names in `__init__.pyi`.
"""

from importlib import import_module

_HOMES = {
    "gspc.codec": ("Losses", "limit_work"),
    "gspc.data": ("SceneReport", "TeacherReport"),
    "gspc.pipeline.arriving": ("is_address",),
    "gspc.pipeline.aggregation": ("Aggregation", "SceneLevel", "aggregate"),
    "gspc.pipeline.breakdown": ("Breakdown", "FeatureShare", "LevelPart", "LevelRow"),
    "gspc.pipeline.charts": ("plot_curves",),
    "gspc.pipeline.comparison": ("Arm", "ArmDifference", "Comparison", "Point", "compare"),
    "gspc.pipeline.compressing": ("Compressed", "as_stream", "compress"),
    "gspc.pipeline.decompressing": (
        "MAX_MEMORY",
        "Decompressed",
        "Restored",
        "as_scene",
        "decompress",
        "decompress_pipe",
        "restore",
        "restore_part",
        "salvage",
    ),
    "gspc.pipeline.evaluation": ("Evaluation", "LevelScore", "ViewScore", "evaluate"),
    "gspc.pipeline.exporting": (
        "ExportCheck",
        "Exported",
        "ExportOptions",
        "export",
        "format_for",
        "writable_formats",
    ),
    "gspc.pipeline.inspection": ("ChunkRow", "Inspection", "Part", "inspect", "sound_levels"),
    "gspc.pipeline.pictures": (
        "coarse",
        "draw_bit_map",
        "render_directory",
        "render_film",
        "render_picture",
    ),
    "gspc.pipeline.plain": (
        "PlainScene",
        "plain_scene",
        "read_plain",
        "refuse_scene_options",
        "write_unbundled",
    ),
    "gspc.pipeline.report": ("Album", "report_page"),
    "gspc.pipeline.source": ("Source", "load_source", "naming"),
    "gspc.pipeline.tiling": (
        "JoinedTiles",
        "check_shared",
        "is_tiles",
        "join_tiles",
        "refuse_options",
        "restore_tiles",
        "split_tiles",
        "tiled_scene",
    ),
    "gspc.pipeline.training": ("fit", "reconstruct", "understand", "write_demo_scene"),
    "gspc.pipeline.viewing": ("Page", "Site", "check_folder", "page", "page_server", "site"),
    "gspc.pipeline.views": ("choose_cameras",),
    "gspc.scene": ("Note",),
    "gspc.tiles": ("SplitReport",),
    "gspc.train": ("FitProgress", "FitResult"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME_OF)  # noqa: PLE0605


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'gspc.pipeline' has no attribute '{name}'")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value
