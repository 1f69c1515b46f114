from collections.abc import Sequence
from typing import Annotated

import numpy
from numpy.typing import NDArray

def active_isa() -> str:
    """The instruction set in use: base, v3 (AVX2) or v4 (AVX-512)."""

def supported_isa() -> str:
    """The best instruction set of this processor."""

def set_isa(name: str) -> None:
    """Uses at most this instruction set. Raises ValueError for other names."""

def max_threads() -> int:
    """Threads that the kernels use."""

def set_threads(threads: int) -> None:
    """Sets how many threads the kernels use."""

def flush_denormals(on: bool) -> bool:
    """
    Counts denormal numbers as zero, or not, on all threads. Returns what was set before.
    """

class RasterBudgetError(MemoryError):
    pass

class RasterState:
    @property
    def pairs(self) -> int:
        """(Gaussian, tile) pairs that were listed"""

    @property
    def contributions(self) -> int:
        """(Gaussian, block of pixels) pairs that contributed to the image"""

    @property
    def bytes(self) -> int:
        """of memory that it and its pictures take, at most"""

    @property
    def tiles(self) -> int: ...

class RasterTimings:
    """Collects the times of the calls that it is given to."""

    def __init__(self) -> None: ...
    @property
    def parts(self) -> list:
        """(part, wall seconds, CPU seconds) of the calls that were given this"""

def raster_forward(
    means: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    quats: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    scales: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    opacities: Annotated[
        NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)
    ],
    colors: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    world_to_camera: Sequence[float],
    intrinsics: Sequence[float],
    width: int,
    height: int,
    background: Sequence[float],
    timings: RasterTimings | None = None,
    budget: int = 18446744073709551615,
) -> tuple[NDArray[numpy.float32], NDArray[numpy.float32], NDArray[numpy.int32], RasterState]:
    """
    Image [H, W, 3], alpha [H, W], radii [M] and what the backward pass needs. means [M, 3], quats [M, 4] (wxyz), scales [M, 3], opacities [M], colors [M, 3]; world_to_camera [16] row by row; intrinsics fx, fy, cx, cy. Raises RasterBudgetError before more than budget bytes are taken, here and in the backward pass.
    """

def raster_backward(
    state: RasterState,
    means: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    quats: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    scales: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    opacities: Annotated[
        NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)
    ],
    colors: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    grad_image: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None, None), order="C", device="cpu", writable=False)
    ],
    grad_alpha: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ]
    | None,
    timings: RasterTimings | None = None,
) -> tuple[
    NDArray[numpy.float32],
    NDArray[numpy.float32],
    NDArray[numpy.float32],
    NDArray[numpy.float32],
    NDArray[numpy.float32],
    NDArray[numpy.float32],
]:
    """
    Gradients by means, quats, scales, opacities, colors and by means in pixels [M, 2], from grad_image [H, W, 3] and grad_alpha [H, W].
    """

def raster_repaint(
    state: RasterState,
    colors: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    timings: RasterTimings | None = None,
) -> tuple[NDArray[numpy.float32], NDArray[numpy.float32]]:
    """
    Image [H, W, 3] and alpha [H, W] of the same Gaussians and camera with other colors [M, 3]. Changes the state: gradients from here on are those of this image.
    """

def raster_backward_colors(
    state: RasterState,
    grad_image: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None, None), order="C", device="cpu", writable=False)
    ],
    timings: RasterTimings | None = None,
) -> NDArray[numpy.float32]:
    """Gradients by the colors alone [M, 3], from grad_image [H, W, 3]."""

def pool_kept_bytes() -> int:
    """Bytes of large blocks kept for the next calls."""

def pool_trim() -> None:
    """Gives the kept blocks back to the system."""

GRID_SIGN_PADDING: int = 16

def grid_pack_signs(
    embeddings: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    table: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu")],
) -> None:
    """
    table [E + kGridSignPadding] = the signs of embeddings [E, 4], four bits an entry.
    """

def grid_forward(
    shape: Annotated[NDArray[numpy.int32], dict(shape=(None,), order="C", device="cpu", writable=False)],
    table: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
    positions: Annotated[
        NDArray[numpy.int32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    out: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
) -> None:
    """
    out [N, C] = context of positions [N, 3], in [-1, 1]. shape [6 + 3 P]: box low, box size, then dims, R and T of each plane.
    """

def grid_forward_int(
    shape: Annotated[NDArray[numpy.int32], dict(shape=(None,), order="C", device="cpu", writable=False)],
    table: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
    positions: Annotated[
        NDArray[numpy.int32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    out: Annotated[NDArray[numpy.int16], dict(shape=(None, None), order="C", device="cpu")],
) -> None:
    """The same as integers in [-512, 512]."""

def grid_backward(
    shape: Annotated[NDArray[numpy.int32], dict(shape=(None,), order="C", device="cpu", writable=False)],
    embeddings: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    positions: Annotated[
        NDArray[numpy.int32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    grad_out: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    grad_embeddings: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
) -> None:
    """Writes grad_embeddings [E, 4] from grad_out [N, C]."""

def photometric(
    image: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None, None), order="C", device="cpu", writable=False)
    ],
    target: Annotated[
        NDArray[numpy.uint8], dict(shape=(None, None, None), order="C", device="cpu", writable=False)
    ]
    | Annotated[
        NDArray[numpy.float32], dict(shape=(None, None, None), order="C", device="cpu", writable=False)
    ],
    l1_weight: float,
    squares_weight: float,
    ssim_weight: float,
    gradient: bool,
) -> tuple[float, float, NDArray[numpy.float32] | None]:
    """
    L1 and SSIM of image [H, W, 3] against target (float32, or bytes / 255), and the gradient [H, W, 3] of their weighted sum with the mean squared error if wanted.
    """

def squared_error(
    image: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None, None), order="C", device="cpu", writable=False)
    ],
    target: Annotated[
        NDArray[numpy.uint8], dict(shape=(None, None, None), order="C", device="cpu", writable=False)
    ]
    | Annotated[
        NDArray[numpy.float32], dict(shape=(None, None, None), order="C", device="cpu", writable=False)
    ],
) -> float:
    """Mean over H W 3 of (clamped image - target)^2."""

def heads_select(
    weights: Sequence[Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)]],
    distance_scale: float,
    inputs: Sequence[Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)]],
    center: Sequence[float],
    visible: Annotated[NDArray[numpy.uint8], dict(order="C", device="cpu", writable=False)] | None,
    alpha: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")],
    starts: Annotated[NDArray[numpy.int32], dict(order="C", device="cpu")],
    active: Annotated[NDArray[numpy.int32], dict(order="C", device="cpu")],
) -> tuple[int, int]:
    """
    Writes alpha [N, K], starts [N + 1] and active [N]; returns the number of Gaussians M and of active anchors. weights: W1 [3H, F + 4], b1, W [K, H] and b of opacity, [3K, H] of color, [7K, H] of cov; inputs: features [N, F - P], log_scales [N, 6 or 1], offsets [N, K, 3], mask [N, K], anchors [N, 3], and predicted [N, P] if P > 0.
    """

def heads_forward(
    weights: Sequence[Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)]],
    distance_scale: float,
    inputs: Sequence[Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)]],
    center: Sequence[float],
    alpha: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")],
    starts: Annotated[NDArray[numpy.int32], dict(order="C", device="cpu")],
    active: Annotated[NDArray[numpy.int32], dict(order="C", device="cpu")],
    n_active: int,
    index: Annotated[NDArray[numpy.int64], dict(order="C", device="cpu")],
    outputs: Sequence[Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")]],
) -> None:
    """
    Writes index [M] and outputs: means [M, 3], quats [M, 4], scales [M, 3], opacities [M], colors [M, 3], gates [M, 3], inverse_norms [M].
    """

def heads_backward(
    weights: Sequence[Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)]],
    distance_scale: float,
    inputs: Sequence[Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)]],
    center: Sequence[float],
    alpha: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")],
    starts: Annotated[NDArray[numpy.int32], dict(order="C", device="cpu")],
    active: Annotated[NDArray[numpy.int32], dict(order="C", device="cpu")],
    n_active: int,
    index: Annotated[NDArray[numpy.int64], dict(order="C", device="cpu")],
    outputs: Sequence[Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")]],
    grad_outputs: Sequence[
        Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)] | None
    ],
    gradients: Sequence[Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")]],
) -> None:
    """
    Writes gradients: of the first four inputs, of the weights, and of predicted if given. grad_outputs: of the first five outputs, each or None.
    """

def rows_noisy(
    values: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    index: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    also: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    step: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)]
    | None,
    scale: float,
    seed: int,
    out: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
    out_also: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
) -> None:
    """
    out [v, W] = values [N, W] of the rows index [v] plus scale * step [v] * noise; out_also [a, W] = values of the rows also [a].
    """

def rows_noisy_backward(
    index: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    also: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    scale: float,
    seed: int,
    grad_out: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ]
    | None,
    grad_also: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ]
    | None,
    grad_values: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
    grad_step: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu")] | None,
) -> None:
    """
    Writes grad_values [N, W] and grad_step [v] from grad_out [v, W] and grad_also [a, W] (None: zero).
    """

def rows_rounded(
    values: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    index: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    also: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    center: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    step: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
    finest: int,
    coarser: int,
    out: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
    out_also: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
) -> None:
    """
    out [v, W] = rows index [v] of values [N, W] on their grids of step [N] / finest, `coarser` levels up, around center [N, W]; out_also [a, W] = the rows also [a].
    """

def rows_mask(
    masks: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None, None), order="C", device="cpu", writable=False)
    ],
    index: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    also: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    level: int,
    out: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
    out_also: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order="C", device="cpu")],
) -> int:
    """
    out [v, K] = 0 or 1 from masks [N, K, S] of the rows index [v] at a level; out_also [a, K, S] = the rows also [a]. Returns how many of N K are 1.
    """

def rows_mask_backward(
    masks: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None, None), order="C", device="cpu", writable=False)
    ],
    index: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    also: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    level: int,
    grad_out: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ]
    | None,
    grad_also: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None, None), order="C", device="cpu", writable=False)
    ]
    | None,
    grad_open: float,
    grad_masks: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order="C", device="cpu")],
) -> None:
    """
    Writes grad_masks [N, K, S] from grad_out [v, K], grad_also [a, K, S] (None: zero) and grad_open, by the number that are 1.
    """

def rows_count_positive(
    values: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
) -> int:
    """How many of values [n, m] are >= 0."""

def rows_within_one(
    values: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    amount: float,
    out: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
) -> None:
    """out [n, m] = amount where |values [n, m]| <= 1, else 0."""

def rows_visible(
    world: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    log_scales: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    offsets: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    pose: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    bounds: Sequence[float],
    index: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu")],
    where: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
) -> int:
    """
    Anchors of world [N, 3], log_scales [N, 1 or 6] and offsets [N, 3 K] whose Gaussians may touch the picture of a camera of pose [4, 4] (world to camera) and bounds (focal lengths, center and size of x and y, gain, blur, near, margin, slack): the first of index [N] and where [N, 3]. Returns how many.
    """

def rows_product(
    values: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
) -> float:
    """Sum over rows of values [n, 3] of their products."""

def rows_product_backward(
    values: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    amount: float,
    out: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
) -> None:
    """out [n, 3] = amount times the derivatives of rows_product."""

def rows_statistics(
    visible: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    index: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    radii: Annotated[NDArray[numpy.int32], dict(shape=(None,), order="C", device="cpu", writable=False)],
    means2d_grad: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    opacities: Annotated[
        NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)
    ],
    half_width: float,
    half_height: float,
    gradient: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu")],
    drawn: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu")],
    opacity: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu")],
    seen: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu")],
) -> None:
    """
    Adds what densification gathers, from the Gaussians index [M] of the anchors visible [v], to gradient and drawn [N K], opacity and seen [N].
    """

def rate_appearance(
    attribute: tuple[
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), device="cpu", writable=False)],
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), device="cpu", writable=False)],
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), device="cpu", writable=False)],
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), device="cpu", writable=False)],
        float,
        float,
    ],
    seed: int | None,
    weights: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    outputs: Sequence[
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), device="cpu", writable=False)]
    ],
    sums: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
    derivatives: Sequence[
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")]
    ]
    | None,
) -> float:
    """
    Weighted sum of the bits of values that appear; sums [n, G] those of each group. attribute: values, center and octaves [n, V], r [n, 1], base, refinement; outputs [n, 3 own] of each chunk; derivatives: by the attribute's four arrays and each output.
    """

def rate_chunk_inputs(
    attribute: tuple[
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), device="cpu", writable=False)],
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), device="cpu", writable=False)],
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), device="cpu", writable=False)],
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), device="cpu", writable=False)],
        float,
        float,
    ],
    ends: Sequence[int],
    inputs: Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")]],
) -> None:
    """
    Writes inputs [n, 2 own + first] of the chunk networks; ends: where the first chunk begins and where each ends.
    """

def rate_chunk_inputs_backward(
    attribute: tuple[
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), device="cpu", writable=False)],
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), device="cpu", writable=False)],
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), device="cpu", writable=False)],
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), device="cpu", writable=False)],
        float,
        float,
    ],
    ends: Sequence[int],
    by: Sequence[
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)]
    ],
    by_center: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
    by_octaves: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
    by_r: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
) -> None:
    """
    Writes by_center and by_octaves [n, V] and by_r [n, 1] from the derivatives by each chunk's inputs.
    """

def rate_trits(
    attribute: tuple[
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), device="cpu", writable=False)],
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), device="cpu", writable=False)],
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), device="cpu", writable=False)],
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), device="cpu", writable=False)],
        float,
        float,
    ],
    finest: int,
    coarser: int,
    so_far: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
    trits: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
) -> None:
    """
    Writes so_far and trits [n, V] of the level that is `coarser` above the finest grid, of step q1 / finest.
    """

def rate_three_way(
    outputs: Annotated[NDArray[numpy.float32], dict(shape=(None, None), device="cpu", writable=False)],
    trits: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    weights: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    sums: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
    by_outputs: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")] | None,
) -> float:
    """
    Weighted sum of the bits of trits [n, V] under network outputs [n, 2 V]; sums [n, G] those of each group.
    """

def rate_gaussian_trits(
    attribute: tuple[
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), device="cpu", writable=False)],
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), device="cpu", writable=False)],
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), device="cpu", writable=False)],
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), device="cpu", writable=False)],
        float,
        float,
    ],
    finest: int,
    coarser: int,
    weights: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    sums: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
    by_octaves: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")] | None,
    by_r: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")] | None,
) -> float:
    """
    Weighted sum of the bits of trits under the Gaussian of first appearances; sums [n, G] those of each group.
    """

def mlp_stride(hidden: int) -> int:
    """Floats in a row of the hidden activations kept."""

def mlp_forward(
    x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)],
    index: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)]
    | None,
    networks: Sequence[
        Sequence[Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)]]
    ],
    hidden: Sequence[Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")]],
    y: Sequence[Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")]],
) -> None:
    """
    y [n, O] and hidden [n, mlp_stride(H)] of each network (W1 [H, I], b1, W2 [O, H], b2) at the rows index [n] (None: all) of x [N, I].
    """

def mlp_backward(
    x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)],
    index: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)]
    | None,
    networks: Sequence[
        Sequence[Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)]]
    ],
    hidden: Sequence[Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)]],
    grad_y: Sequence[Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)]],
    gradients: Sequence[Sequence[Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")]]],
    grad_x: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")] | None,
) -> None:
    """
    Writes gradients, like networks, and grad_x [n, I] from grad_y [n, O] of each network.
    """

def adam(
    states: Sequence[Sequence[Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")]]],
    grads: Sequence[Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)]],
    settings: Sequence[Sequence[float]],
) -> None:
    """
    One step of Adam: updates states (value, moment, square of one size each) by grads; settings: step, root, beta1, beta2, epsilon each.
    """

def harmonics_colors(
    means: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    center: Sequence[float],
    sh: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None, None), order="C", device="cpu", writable=False)
    ],
    colors: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
) -> None:
    """
    colors [M, 3] = 0.5 + sh [M, C, 3] along the ways from center to means [M, 3].
    """

def harmonics_gradient(
    means: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    center: Sequence[float],
    colors: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    gradient: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order="C", device="cpu")],
) -> None:
    """
    gradient [M, C, 3] by sh of a loss whose gradient by the colors is colors [M, 3].
    """

def harmonics_correct(
    means: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    center: Sequence[float],
    error: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    pixels: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
    few: float,
    largest: float,
    sh: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order="C", device="cpu")],
) -> None:
    """
    Adds to sh [M, C, 3] the least that changes colors by error [M, 3] / (pixels [M] + few), each at most largest.
    """

def harmonics_fit(
    directions: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None, None), order="C", device="cpu", writable=False)
    ],
    weights: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    colors: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None, None), order="C", device="cpu", writable=False)
    ],
    ridge: Annotated[NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)],
    sh: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order="C", device="cpu")],
) -> None:
    """
    sh [M, C, 3] of the weighted least squares of colors [V, M, 3] - 0.5 along directions [V, M, 3].
    """
