"""Shape, dtype and layout of numpy arrays that kernels are about to read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def check_array(
    name: str, array: NDArray[Any], shape: tuple[int | None, ...], dtype: Any = np.float32
) -> None:  # [...]
    """Raises ValueError unless `array` has this dtype and shape (None: any size) and is C-contiguous."""
    fits = array.ndim == len(shape) and all(
        want is None or have == want for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits or array.dtype != dtype or not array.flags.c_contiguous:
        sizes = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(
            f"{name}: contiguous {np.dtype(dtype).name} [{sizes}] expected, "
            f"got {array.dtype} {list(array.shape)}"
        )
