"""Builds, loads and calls the project's own CUDA kernels (kernels/cuda), which training steps are made of.

No torch headers are involved: at first use on a GPU machine nvcc builds one shared library for the GPU at
hand into a cache, keyed by the sources and the architecture, and ctypes calls it with raw pointers and
torch's current stream. Nothing here is built, loaded or used unless torch.cuda.is_available(). Where nvcc is
missing, `why_not()` says so and callers stay with the plain torch versions, which these equal (the grid's
forward pass bit for bit). Sums are taken in an order that does not depend on timing, so that kernels repeat
bit for bit.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from gspc.errors import BackendError

NVCC_FLAGS = ("-O3", "-std=c++17", "-shared", "-cudart", "static", "-Xcompiler", "-fPIC")
BLOCK = 256  # threads, as in kernels/cuda/launch.cuh
BUILD_TIMEOUT = 600  # seconds; it takes some forty

POINTER, INT, COUNT, FLOAT = ctypes.c_void_p, ctypes.c_int32, ctypes.c_uint64, ctypes.c_float
_SIGNATURES: dict[str, tuple[list[Any], Any]] = {
    "gspc_photometric_tiles": ([INT, INT], ctypes.c_int64),
    # Those that take a structure, which says all of what they are about, and a stream.
    **{
        f"gspc_{name}": ([POINTER, POINTER], INT)
        for name in (
            "adam",
            "grid_forward",
            "grid_backward",
            "heads_view",
            "heads_forward",
            "heads_backward",
            "mlp_forward",
            "mlp_backward",
            "means",
            "presence",
            "photometric_forward",
            "photometric_backward",
            "rate_bits",
            "rate_loss",
            "rate_loss_backward",
            "rate_trits",
            "rate_chunk_inputs",
            "rate_chunk_inputs_backward",
            "rows_places",
            "rows_taken",
            "rows_gathered",
            "rows_masks",
            "rows_masks_gathered",
            "rows_visible",
            "rows_statistics",
            "rows_product",
            "rows_product_backward",
        )
    },
}


def sources() -> tuple[Path, ...]:
    """The CUDA sources: beside the package where it is installed, in kernels/cuda of a checkout."""
    package = Path(__file__).resolve().parents[1]
    for directory in (package / "cuda", package.parent / "kernels" / "cuda"):
        found = tuple(sorted((*directory.glob("*.cu"), *directory.glob("*.cuh"))))
        if found:
            return found
    return ()


def nvcc() -> str | None:
    """nvcc's path, from CUDA_HOME or PATH."""
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    place = shutil.which("nvcc", path=str(Path(home) / "bin")) if home else None
    return place or shutil.which("nvcc")


def build(architecture: str, directory: Path, compiler: str) -> Path:
    """The library for `architecture` ('90' for sm_90) in `directory`, compiled unless it is there.

    Raises BackendError with the compiler's first error. Two processes may build at once: the last one's file
    stays.
    """
    digest = hashlib.sha256(" ".join((compiler, *NVCC_FLAGS)).encode())
    for source in sources():
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    target = directory / f"gspc-sm{architecture}-{digest.hexdigest()[:16]}.so"
    if target.exists():
        return target
    units = [str(source) for source in sources() if source.suffix == ".cu"]
    if not units:
        raise BackendError("gspc's CUDA sources are missing; reinstall gspc")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            output = Path(scratch) / "kernels.so"
            # PTX beside the machine code: a library built for one GPU also loads on its successors.
            code = f"arch=compute_{architecture},code=[sm_{architecture},compute_{architecture}]"
            command = [compiler, *NVCC_FLAGS, "-gencode", code, "-o", str(output), *units]
            result = subprocess.run(
                command, capture_output=True, text=True, timeout=BUILD_TIMEOUT, check=False
            )
            if result.returncode != 0:
                lines = [
                    line for line in (result.stderr + result.stdout).splitlines() if "error" in line.lower()
                ]
                raise BackendError(f"nvcc cannot build gspc's kernels: {(lines or ['no message'])[0][:200]}")
            output.replace(target)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendError(f"gspc's CUDA kernels cannot be built in {directory}: {error}") from None
    return target


def load(path: Path) -> ctypes.CDLL:
    """The library's functions with their signatures. Raises OSError, AttributeError."""
    library = ctypes.CDLL(str(path))
    for name, (arguments, result) in _SIGNATURES.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, result
    return library


def cache_directory() -> Path:
    """Where built kernels are kept: $GSPC_CACHE, else gspc in the user's cache directory."""
    cache = os.environ.get("GSPC_CACHE")
    if cache:
        return Path(cache).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "gspc"


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | str:
    """The library for the current GPU, or why there is none."""
    if not torch.cuda.is_available():
        return "torch sees no CUDA device"
    compiler = nvcc()
    if compiler is None:
        return "nvcc is not on PATH nor in CUDA_HOME"
    major, minor = torch.cuda.get_device_capability()
    try:
        return load(build(f"{major}{minor}", cache_directory(), compiler))
    except (BackendError, OSError, AttributeError) as error:
        return str(error)


def why_not() -> str | None:
    """None where the kernels can be used (they are built now if need be), else the reason in one line."""
    library = _library()
    return library if isinstance(library, str) else None


def enabled() -> bool:
    """Whether the operators take these kernels for CUDA tensors: they load, and GSPC_CUDA_KERNELS is not 0.

    On an H100 they take a quarter of torch's time for the loss at 960x540 and a twenty-eighth for the grid at
    100k points (tests/bench/results/cuda-h100.json).
    """
    return os.environ.get("GSPC_CUDA_KERNELS") != "0" and why_not() is None


def summary() -> str:
    """One line: who computes a training step on a GPU, and why."""
    if enabled():
        return "training steps by gspc's own CUDA kernels"
    return f"training steps by torch's operations: {why_not() or 'GSPC_CUDA_KERNELS=0 asks for them'}"


def require() -> ctypes.CDLL:
    """The loaded library. Raises BackendError with the reason where there is none."""
    library = _library()
    if isinstance(library, str):
        raise BackendError(f"gspc's CUDA kernels cannot be used: {library}")
    return library


def call(name: str, *arguments: Any) -> None:
    """Calls one of `_SIGNATURES`; raises BackendError for a CUDA error."""
    status = getattr(require(), name)(*arguments)
    if status != 0:
        raise BackendError(f"CUDA error {status} in {name}")


def stream(tensor: Tensor) -> int:  # of any shape, [...]
    """The current stream of the tensor's device, as the kernels take it."""
    return int(torch.cuda.current_stream(tensor.device).cuda_stream)


def run(name: str, about: ctypes.Structure, like: Tensor) -> None:  # of any shape, [...]
    """Calls one of `_SIGNATURES` that takes a structure, on the device of `like`."""
    with on_device(like):
        call(name, ctypes.byref(about), stream(like))


def pointer(tensor: Tensor | None) -> int | None:  # of any shape, [...]
    """Where a tensor lies; None where there is none."""
    return None if tensor is None else tensor.data_ptr()


@contextmanager
def gradients_in_place() -> Iterator[None]:
    """Inside, kernels write the gradients of parameters that have none yet where they stay for good, instead
    of handing them to autograd: that would make some hundred small tensors in every step.

    Whoever takes gradients this way finds them in `grad` only, until the next step writes over them.
    """
    global _in_place
    before, _in_place = _in_place, True
    try:
        yield
    finally:
        _in_place = before


_in_place = False
_kept: WeakIdKeyDictionary = WeakIdKeyDictionary()  # parameter -> where its gradient is written


def room_for_gradient(of: Tensor, like: Tensor) -> tuple[Tensor, bool]:  # of any shape, [...]
    """Where to write the gradient by `of`, which has the shape of `like`; and whether autograd takes it from
    there."""
    if not (_in_place and of is like and of.is_leaf and of.requires_grad and of.grad is None):
        return like.new_empty(like.shape), True
    if of not in _kept:
        _kept[of] = torch.empty_like(like)
    of.grad = _kept[of]
    return _kept[of], False


def written(of: Tensor) -> bool:  # of any shape, [...]
    """Whether the gradient by `of` was written in place in this pass, so that another can be added to it."""
    return _in_place and of.is_leaf and of.grad is not None and of.grad is _kept.get(of)


def blocks(count: int) -> int:
    """Blocks of a kernel with a thread for each of `count`."""
    return -(-count // BLOCK)


def in_rows(tensor: Tensor) -> Tensor:  # [n, w] -> [n, w]
    """With values of a row side by side; rows may be part of wider ones."""
    return tensor if tensor.stride(1) == 1 or tensor.shape[1] == 1 else tensor.contiguous()


def on_device(tensor: Tensor) -> Any:  # of any shape, [...]
    """The tensor's device as the current one: launches go to the device that is current."""
    return torch.cuda.device(tensor.device)
