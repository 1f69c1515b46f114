"""Operations over numpy arrays, for rendering and metrics: thin functions over `gspc._kernels`, without
torch.

They are apart from the folders of the operations because those import torch. All arrays are float32 and
C-contiguous unless said otherwise.
"""

from gspc.ops.arrays.grid import (
    GridShape,
    grid_context,
    grid_context_int,
    grid_shape_array,
    grid_sign_table,
)
from gspc.ops.arrays.harmonics import (
    correct_harmonics,
    fit_harmonics,
    harmonic_colors,
    harmonic_gradient,
)
from gspc.ops.arrays.heads import HEAD_WEIGHTS, neural_gaussians
from gspc.ops.arrays.loss import Photometric, photometric, ssim
from gspc.ops.arrays.raster import (
    OverBudget,
    Raster,
    RasterGradients,
    rasterize,
    rasterize_backward,
    rasterize_backward_colors,
    repaint,
)

__all__ = [
    "HEAD_WEIGHTS",
    "GridShape",
    "OverBudget",
    "Photometric",
    "Raster",
    "RasterGradients",
    "correct_harmonics",
    "fit_harmonics",
    "grid_context",
    "grid_context_int",
    "grid_shape_array",
    "grid_sign_table",
    "harmonic_colors",
    "harmonic_gradient",
    "neural_gaussians",
    "photometric",
    "rasterize",
    "rasterize_backward",
    "rasterize_backward_colors",
    "repaint",
    "ssim",
]
