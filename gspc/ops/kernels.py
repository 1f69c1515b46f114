"""The compiled kernels, loaded on first use."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

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
