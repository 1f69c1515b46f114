"""Plain Gaussians seen from a camera: harmonics to colors, then the rasterizer that draws everything else."""

from __future__ import annotations

import numpy as np

from gspc.format.limits import MAX_MEMORY
from gspc.ops import arrays
from gspc.rendering import Backend, choose_backend, rasterize
from gspc.rendering.budget import WRITING, Budget, array_bytes
from gspc.rendering.render import check_camera
from gspc.scene import F32, F64, Camera, Frame, Gaussians
from gspc.splats.splats import HOME, Splats
from gspc.splats.transform import to_frame


def colors(splats: Splats, center: F64) -> F32:  # [M, 3]
    """Colors towards a camera at `center` (in the Gaussians' frame), clamped at 0 as 3DGS does."""
    return np.maximum(arrays.harmonic_colors(splats.means, splats.sh, center), 0)


def gaussians_for_camera(splats: Splats, camera: Camera) -> Gaussians:
    """What the rasterizer draws: activated parameters and the colors towards this camera."""
    return Gaussians(
        splats.means, splats.quats, splats.scales, splats.opacities, colors(splats, camera.center)
    )


def unit_of(means: F32) -> float:
    """The length that is drawn as one: 1, or a power of two near the median distance of Gaussians [M, 3] from
    their middle, where that is far from 1. The rasterizer draws nothing nearer to a camera than a hundredth
    of one, and splats come in any units.
    """
    if not len(means):
        return 1.0
    around = means.astype(np.float64) - np.median(means, axis=0)
    size = float(np.median(np.linalg.norm(around, axis=1)))
    return 1.0 if size == 0 or 0.1 <= size <= 1000 else float(2.0 ** np.round(np.log2(size)))


class SplatRenderer:
    """Draws views of plain Gaussians; what does not depend on the view is computed once."""

    def __init__(
        self,
        splats: Splats,
        backend: str | Backend = "cpu",
        background: tuple[float, float, float] = (0.0, 0.0, 0.0),
        *,
        max_memory: int = MAX_MEMORY,
    ) -> None:
        """`backend` is a device name for choose_backend or its result, `max_memory` bytes that the splats and
        drawing them on a CPU may take. Raises BackendError."""
        self.splats = to_frame(splats, HOME)
        self.backend = choose_backend(backend) if isinstance(backend, str) else backend
        self.background = background
        self._frame = Frame(unit_of(self.splats.means))
        unit = np.float32(self._frame.scale)
        self._fixed = (
            np.ascontiguousarray(self.splats.means / unit),
            np.ascontiguousarray(self.splats.quats),
            self.splats.scales / unit,
            self.splats.opacities,
        )
        held = array_bytes(splats.means, splats.quats, splats.scales, splats.opacities, splats.sh)
        self._budget = Budget(max_memory).holding(held)

    def render(self, camera: Camera) -> F32:  # [H, W, 3]
        """The picture as sRGB-encoded values, not clamped from above. Raises InputError when too large."""
        return self.with_alpha(camera)[0]

    def with_alpha(self, camera: Camera) -> tuple[F32, F32]:  # [H, W, 3], [H, W]
        """The picture as `render` gives it, and how much of each pixel is covered. Raises InputError."""
        check_camera(camera)
        tints = colors(self.splats, camera.center)
        camera = self._frame.camera_to_canonical(camera)
        if self.backend.name != "cpu":
            return self._render_torch(camera, tints)
        budget = self._budget.holding(tints.nbytes + WRITING * camera.width * camera.height)
        with budget.drawing(camera.name):
            drawn = arrays.rasterize(
                *self._fixed,
                tints,
                camera.world_to_camera,
                (camera.fx, camera.fy, camera.cx, camera.cy),
                camera.width,
                camera.height,
                self.background,
                budget.room,
            )
        return drawn.image, drawn.alpha

    def _render_torch(self, camera: Camera, tints: F32) -> tuple[F32, F32]:
        import torch

        place = self.backend.device
        means, quats, scales, opacities, shown = (
            torch.as_tensor(array, device=place) for array in (*self._fixed, tints)
        )
        with torch.no_grad():
            output = rasterize(self.backend, means, quats, scales, opacities, shown, camera, self.background)
        return output.image.cpu().numpy(), output.alpha.cpu().numpy()
