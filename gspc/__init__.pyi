"""The names of gspc, for type checkers; `__init__.py` imports each when it is first used."""

from gspc import errors as errors
from gspc.config import DataOptions as DataOptions
from gspc.config import FitOptions as FitOptions
from gspc.errors import GspcError
from gspc.pipeline.compressing import Compressed as Compressed
from gspc.pipeline.compressing import compress as compress
from gspc.pipeline.decompressing import Decompressed as Decompressed
from gspc.pipeline.decompressing import Restored as Restored
from gspc.pipeline.decompressing import decompress as decompress
from gspc.pipeline.evaluation import Evaluation as Evaluation
from gspc.pipeline.evaluation import evaluate as evaluate
from gspc.pipeline.exporting import Exported as Exported
from gspc.pipeline.exporting import ExportOptions as ExportOptions
from gspc.pipeline.exporting import export as export
from gspc.pipeline.inspection import Inspection as Inspection
from gspc.pipeline.inspection import inspect as inspect
from gspc.pipeline.opened import Scene as Scene
from gspc.pipeline.opened import open as open
from gspc.pipeline.opened import render as render
from gspc.pipeline.training import fit as fit
from gspc.scene import Camera as Camera
from gspc.scene import DecodedScene as DecodedScene
from gspc.scene import Gaussians as Gaussians
from gspc.splats.splats import Splats as Splats
from gspc.train.observer import FitProgress as FitProgress
from gspc.train.observer import FitResult as FitResult

Error = GspcError
__version__: str
