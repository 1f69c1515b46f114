"""The project's own CUDA kernels (kernels/cuda): fused L1 and SSIM, and the binary context grid.

No torch headers are involved: at first use on a GPU machine nvcc builds one shared library for the GPU at
hand into a cache, keyed by the sources and the architecture, and ctypes calls it with raw pointers and
torch's current stream. Nothing here is built, loaded or used unless torch.cuda.is_available(). Where nvcc is
missing, `why_not()` says so and callers stay with the plain torch versions, which these equal (the grid's
forward pass bit for bit).
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.errors import BackendError
from gspc.ops.arrays import GridShape, grid_shape_array

NVCC_FLAGS = ("-O3", "-std=c++17", "-shared", "-cudart", "static", "-Xcompiler", "-fPIC")
BUILD_TIMEOUT = 600  # seconds; it takes about three

_POINTER, _INT, _COUNT = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64
_SIGNATURES: dict[str, tuple[list[Any], Any]] = {
    "gspc_photometric_partials": ([_INT, _INT], ctypes.c_int64),
    "gspc_photometric_forward": ([_POINTER, _POINTER, _INT, _INT, _INT, *[_POINTER] * 4], _INT),
    "gspc_photometric_backward": ([_POINTER, _POINTER, _INT, _INT, _INT, *[_POINTER] * 4], _INT),
    "gspc_grid_pack_signs": ([_POINTER, _COUNT, _POINTER, _POINTER], _INT),
    "gspc_grid_forward": ([_POINTER, _INT, _POINTER, _POINTER, _COUNT, _POINTER, _POINTER], _INT),
    "gspc_grid_backward": ([_POINTER, _INT, *[_POINTER] * 3, _COUNT, *[_POINTER] * 4], _INT),
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
    """One line: whose kernels compute loss and grid on a GPU, and why."""
    if enabled():
        return "loss and grid by gspc's own CUDA kernels"
    return f"loss and grid by torch's operations: {why_not() or 'GSPC_CUDA_KERNELS=0 asks for them'}"


def _require() -> ctypes.CDLL:
    library = _library()
    if isinstance(library, str):
        raise BackendError(f"gspc's CUDA kernels cannot be used: {library}")
    return library


def _call(name: str, *arguments: Any) -> None:
    status = getattr(_require(), name)(*arguments)
    if status != 0:
        raise BackendError(f"CUDA error {status} in {name}")


def _stream(tensor: Tensor) -> int:
    return int(torch.cuda.current_stream(tensor.device).cuda_stream)


def photometric(image: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference and mean SSIM: float32 [2], differentiable by `image`.

    image: float32 [H, W, 3]; target: float32, or uint8 standing for value / 255, of the same shape. Both on
    one CUDA device. Raises ValueError for other tensors, BackendError where the kernels cannot be used.
    """
    if image.dtype != torch.float32 or target.dtype not in (torch.float32, torch.uint8):
        raise ValueError(
            f"image is {image.dtype}, target {target.dtype}; expected float32, and float32 or uint8"
        )
    if image.ndim != 3 or image.shape[2] != 3 or image.numel() == 0 or image.shape != target.shape:
        raise ValueError(
            f"pictures are {tuple(image.shape)} and {tuple(target.shape)}, expected one [H, W, 3]"
        )
    if image.device != target.device:
        raise ValueError(f"image is on {image.device}, target on {target.device}")
    _require()
    result: Tensor = _Photometric.apply(image.contiguous(), target.contiguous())
    return result


class _Photometric(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, target: Tensor) -> Tensor:
        height, width = image.shape[:2]
        needs_grad = ctx.needs_input_grad[0]
        maps = image.new_empty((3, height, width, 3) if needs_grad else (0,))
        out = image.new_empty(2)
        tiles = ((height + 15) // 16) * ((width + 15) // 16)  # as gspc_photometric_partials counts them
        partial = image.new_empty(2 * tiles)
        with _on(image):
            _call(
                "gspc_photometric_forward",
                image.data_ptr(),
                target.data_ptr(),
                target.element_size(),
                height,
                width,
                maps.data_ptr() if needs_grad else None,
                partial.data_ptr(),
                out.data_ptr(),
                _stream(image),
            )
        ctx.save_for_backward(image, target, maps)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor, None]:
        image, target, maps = ctx.saved_tensors
        grad = torch.empty_like(image)
        grad_out = grad_out.contiguous()
        with _on(image):
            _call(
                "gspc_photometric_backward",
                image.data_ptr(),
                target.data_ptr(),
                target.element_size(),
                *image.shape[:2],
                maps.data_ptr(),
                grad_out.data_ptr(),
                grad.data_ptr(),
                _stream(image),
            )
        return grad, None


def grid_context(positions: Tensor, table: Tensor, spec: GridShape) -> Tensor:
    """gspc.ops.grid.grid_context on CUDA: positions int32 [N, 3], table float32 [E, 4] -> float32 [N, C].

    The gradient's sums are exact to some 40 bits and do not depend on timing. Raises ValueError,
    BackendError.
    """
    if table.dtype != torch.float32 or table.shape != (spec.total_entries, 4):
        raise ValueError(
            f"the table is {table.dtype} {tuple(table.shape)}, not float32 {(spec.total_entries, 4)}"
        )
    if positions.dtype != torch.int32 or positions.ndim != 2 or positions.shape[1] != 3:
        raise ValueError(f"positions are {positions.dtype} {tuple(positions.shape)}, expected int32 [N, 3]")
    if positions.device != table.device:
        raise ValueError(f"positions are on {positions.device}, the table on {table.device}")
    _require()
    result: Tensor = _GridContext.apply(positions.contiguous(), _aligned(table), spec)
    return result


class _GridContext(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, positions: Tensor, table: Tensor, spec: GridShape) -> Tensor:
        shape = grid_shape_array(spec)
        signs = torch.empty(len(table), dtype=torch.uint8, device=table.device)
        out = table.new_empty(len(positions), spec.context_size)
        with _on(table):
            stream = _stream(table)
            _call("gspc_grid_pack_signs", table.data_ptr(), len(table), signs.data_ptr(), stream)
            _call(
                "gspc_grid_forward",
                shape.ctypes.data,
                len(spec.planes),
                signs.data_ptr(),
                positions.data_ptr(),
                len(positions),
                out.data_ptr(),
                stream,
            )
        ctx.save_for_backward(positions, table)
        ctx.shape = shape
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[None, Tensor, None]:
        positions, table = ctx.saved_tensors
        grad = torch.empty_like(table)
        grad_out = _aligned(grad_out)
        sums = torch.zeros(table.shape, dtype=torch.int64, device=table.device)
        largest = torch.zeros(1, dtype=torch.int32, device=table.device)
        with _on(table):
            _call(
                "gspc_grid_backward",
                ctx.shape.ctypes.data,
                (len(ctx.shape) - 6) // 3,
                table.data_ptr(),
                positions.data_ptr(),
                grad_out.data_ptr(),
                len(positions),
                sums.data_ptr(),
                largest.data_ptr(),
                grad.data_ptr(),
                _stream(table),
            )
        return None, grad, None


def _aligned(tensor: Tensor) -> Tensor:
    """Contiguous and on a 16-byte boundary, as the grid kernels load vectors; a view may be neither."""
    tensor = tensor.contiguous()
    return tensor if tensor.data_ptr() % 16 == 0 else tensor.clone()


def _on(tensor: Tensor) -> Any:
    """The tensor's device as the current one: launches go to the device that is current."""
    return torch.cuda.device(tensor.device)
