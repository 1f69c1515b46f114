"""The rasterizer behind one interface: the project's own kernels on a CPU, gsplat 1.5.3 on CUDA.

gsplat imports without CUDA but cannot draw then, and on a machine with nvcc and a CPU torch its first call
fails late; so the choice hangs on torch.cuda.is_available() and on its compiled module loading, never on the
import, and where CUDA is not there gsplat is never imported. Torch itself is imported only when asked for
something other than the CPU.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gspc import extras
from gspc.errors import BackendError
from gspc.ops import conventions
from gspc.ops.kernels import kernels
from gspc.scene import Camera

if TYPE_CHECKING:
    import torch

    from gspc.ops.raster import RasterOutput

# What is asked of gsplat. 1.5.3 has it, the newest release on the package index; later ones may.
GSPLAT_OPTIONS = (
    "near_plane",
    "eps2d",
    "packed",
    "tile_size",
    "backgrounds",
    "render_mode",
    "rasterize_mode",
)


@dataclass(frozen=True)
class Backend:
    """A rasterizer and the torch device its tensors live on."""

    name: Literal["cpu", "cuda"]
    device: str  # for torch.device
    reason: str  # one line: what was taken and why


def choose_backend(device: str) -> Backend:
    """The backend for `device`: 'cpu', 'cuda', 'cuda:N', or 'auto' (CUDA where it works, else the CPU).

    Raises BackendError when CUDA is asked for and is not there, or for another device.
    """
    if device == "cpu":
        return Backend("cpu", "cpu", "backend cpu: asked for")
    index = device.removeprefix("cuda:")
    if device not in ("auto", "cuda") and not (index.isdecimal() and index != device):
        raise BackendError(f"device '{device}' is unknown; use auto, cpu or cuda")
    missing = _why_no_cuda(int(index) if index.isdecimal() else 0)
    if missing is None:
        import torch

        place = "cuda" if device == "auto" else device
        title = torch.cuda.get_device_name(torch.device(place))
        chosen = "found" if device == "auto" else "asked for"
        version = getattr(_import("gsplat"), "__version__", "of unknown version")
        return Backend("cuda", place, f"backend cuda: {title}, {chosen}; rasterizer gsplat {version}")
    if device == "auto":
        return Backend("cpu", "cpu", f"backend cpu: {missing}")
    raise BackendError(f"device '{device}' cannot be used: {missing}; use --device cpu")


def cpu_summary() -> tuple[str, int]:
    """Instruction set (base, v3, v4) and threads of the kernels. Raises BackendError where they do not
    load."""
    module = kernels()
    return module.active_isa(), module.max_threads()


def rasterize(
    backend: Backend,
    means: torch.Tensor,  # [M, 3]
    quats: torch.Tensor,  # [M, 4] wxyz, need not be normalized
    scales: torch.Tensor,  # [M, 3]
    opacities: torch.Tensor,  # [M]
    colors: torch.Tensor,  # [M, 3]
    camera: Camera,
    background: Sequence[float],  # 3
) -> RasterOutput:
    """Draws Gaussians, differentiably: image [H, W, 3], alpha [H, W], radii [M] (0 = not drawn), means2d_grad
    [M, 2].

    `means2d_grad` is filled by the backward pass, in pixels. Both backends share `gspc.ops.conventions`, and
    pixel centers lie at +0.5.
    """
    if backend.name == "cuda":
        return _rasterize_gsplat(means, quats, scales, opacities, colors, camera, background)
    from gspc.ops.raster import rasterize as rasterize_cpu

    return rasterize_cpu(
        means,
        quats,
        scales,
        opacities,
        colors,
        camera.world_to_camera,
        (camera.fx, camera.fy, camera.cx, camera.cy),
        camera.width,
        camera.height,
        background,
    )


def _rasterize_gsplat(
    means: torch.Tensor,
    quats: torch.Tensor,
    scales: torch.Tensor,
    opacities: torch.Tensor,
    colors: torch.Tensor,
    camera: Camera,
    background: Sequence[float],
) -> RasterOutput:
    import torch

    from gspc.ops.raster import RasterOutput

    device, count = means.device, means.shape[0]
    back = torch.tensor(list(background), dtype=torch.float32, device=device)
    grad = torch.zeros(count, 2, device=device)
    if count == 0:  # its kernels are not launched with empty grids
        image = back.expand(camera.height, camera.width, 3).clone() + colors.sum()
        alpha = torch.zeros(camera.height, camera.width, device=device)
        return RasterOutput(image, alpha, torch.zeros(0, dtype=torch.int32, device=device), grad)
    pose = torch.as_tensor(camera.world_to_camera, dtype=torch.float32, device=device)
    matrix = [[camera.fx, 0.0, camera.cx], [0.0, camera.fy, camera.cy], [0.0, 0.0, 1.0]]
    images, alphas, info = _import("gsplat").rasterization(
        means,
        quats,
        scales,
        opacities,
        colors,
        pose[None],
        torch.tensor([matrix], dtype=torch.float32, device=device),
        camera.width,
        camera.height,
        near_plane=conventions.NEAR,
        eps2d=conventions.BLUR,
        packed=False,
        tile_size=conventions.TILE,
        backgrounds=back[None],
        render_mode="RGB",
        rasterize_mode="classic",
    )
    means2d = info["means2d"]  # [1, M, 2] pixels

    def keep(value: torch.Tensor) -> None:
        grad.copy_(value[0])

    if means2d.requires_grad:
        means2d.register_hook(keep)
    radii = info["radii"][0]  # [M, 2]: half sizes along x and y; both are 0 for what is not drawn
    visible = (radii > 0).all(dim=-1)
    radius = torch.where(visible, radii.amax(dim=-1), 0).to(torch.int32)
    return RasterOutput(images[0], alphas[0, ..., 0], radius, grad)


def _why_no_cuda(index: int) -> str | None:
    """None when CUDA device `index` and gsplat's compiled module are there, else why not."""
    if not extras.installed("torch"):
        return f"torch is not installed; {extras.advice('gsplat')}"
    import torch

    if not torch.cuda.is_available():
        return "torch sees no CUDA device"
    if index >= torch.cuda.device_count():
        return f"torch sees {torch.cuda.device_count()} CUDA device(s)"
    try:
        gsplat, module = _import("gsplat"), _import("gsplat.cuda._backend")._C
    except ImportError as error:
        return f"gsplat does not import ({_first_line(error)}; pip install 'gspc[cuda]')"
    except (
        Exception
    ) as error:  # its build at first use fails in many ways: compiler, linker, loader, lock files
        return f"gsplat's kernels do not load ({_first_line(error)})"
    if module is None:
        return "gsplat's kernels are not built and no CUDA toolkit is there to build them"
    missing = set(GSPLAT_OPTIONS) - set(inspect.signature(gsplat.rasterization).parameters)
    if missing:
        version = getattr(gsplat, "__version__", "unknown")
        return f"gsplat {version} is installed, which has no {', '.join(sorted(missing))}; gspc needs 1.5.3"
    return None


def _import(name: str) -> Any:
    # While it builds, gsplat talks on stdout, which may be carrying our data.
    with contextlib.redirect_stdout(sys.stderr):
        return importlib.import_module(name)


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:160] if text else type(error).__name__
