"""Where a fit runs, said before it begins."""

from __future__ import annotations

from collections.abc import Callable

import torch

from gspc.config import FitOptions
from gspc.errors import BackendError, UsageError
from gspc.ops import cuda
from gspc.rendering.rasterizer import Backend


def introduce(backend: Backend, options: FitOptions, say: Callable[[str], None]) -> None:
    """Says where the fit runs. Raises BackendError where that cannot do what is asked for."""
    say(backend.reason)
    if backend.name == "cuda":
        say(cuda.summary())
    if options.heads_precision == "bf16":
        _check_bf16(backend)
    if options.heads_backend == "tinycudann":
        _check_tinycudann(backend, options)


def _check_tinycudann(backend: Backend, options: FitOptions) -> None:
    if backend.name != "cuda":
        raise BackendError("--heads-backend tinycudann needs a CUDA device; give gspc")
    if options.heads_precision == "bf16":
        raise UsageError("--heads-backend tinycudann computes in half precision; leave out --heads-precision")


def _check_bf16(backend: Backend) -> None:
    if backend.name != "cuda":
        raise BackendError(
            "--heads-precision bf16 needs a CUDA device: on a CPU the fused float32 heads are faster"
        )
    if not torch.cuda.is_bf16_supported(including_emulation=False):
        raise BackendError(f"--heads-precision bf16: {backend.device} has no bfloat16; give float32")
