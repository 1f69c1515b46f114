"""The compiled kernels, loaded on first use: loading takes time, and brings the OpenMP runtime, which must be
torch's where torch is used.

`native.rows_mask(...)` calls one. To type checkers `native` is the module itself, whose types are generated
(gspc/_kernels.pyi).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gspc.errors import BackendError


@cache
def kernels() -> Any:
    """The compiled module `gspc._kernels`, imported on first use.

    Raises:
        BackendError: it was not built or does not load on this machine.
    """
    try:
        return import_module("gspc._kernels")
    except ImportError as error:
        raise BackendError(
            f"gspc._kernels: cannot be loaded ({error}); reinstall gspc with `pip install .`"
        ) from error


if TYPE_CHECKING:
    from gspc import _kernels as native
else:

    class _Native:
        def __getattr__(self, name: str) -> Any:
            return getattr(kernels(), name)

    native = _Native()
