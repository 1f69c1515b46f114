"""gspc: progressive compression of 3D Gaussian Splatting scenes.

`import gspc` costs next to nothing: each name below is imported when it is first used. Type checkers read
them in `__init__.pyi`.
"""

import os
import sys
from importlib import import_module

# Run from a source checkout, `python -m gspc` imports this directory, which has no compiled kernels; the
# installed copy's directory is appended so that they are found there. pkgutil's extend_path does that too,
# but its imports take 20 ms.
_FOLDERS = (os.path.join(entry, __name__) for entry in sys.path if entry)  # noqa: PTH118
__path__ += [folder for folder in _FOLDERS if folder not in __path__ and os.path.isdir(folder)]  # noqa: PTH112
__version__ = "0.1.0"

_HOMES = {
    "gspc.config": ("DataOptions", "FitOptions"),
    "gspc.pipeline.compressing": ("Compressed", "compress"),
    "gspc.pipeline.decompressing": ("Decompressed", "Restored", "decompress"),
    "gspc.pipeline.evaluation": ("Evaluation", "evaluate"),
    "gspc.pipeline.exporting": ("ExportOptions", "Exported", "export"),
    "gspc.pipeline.inspection": ("Inspection", "inspect"),
    "gspc.pipeline.opened": ("Scene", "open", "render"),
    "gspc.pipeline.training": ("fit",),
    "gspc.scene": ("Camera", "DecodedScene", "Gaussians"),
    "gspc.splats.splats": ("Splats",),
    "gspc.train.observer": ("FitProgress", "FitResult"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
__all__ = ["Error", "errors", *sorted(_HOME_OF)]  # noqa: PLE0604


def __getattr__(name: str) -> object:
    if name == "errors":
        return import_module("gspc.errors")
    if name == "Error":
        value = import_module("gspc.errors").GspcError
    elif name in _HOME_OF:
        value = getattr(import_module(_HOME_OF[name]), name)
    else:
        raise AttributeError(f"module 'gspc' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
