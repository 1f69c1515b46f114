"""A decoded scene seen from a camera. On the CPU nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gspc.errors import InputError
from gspc.format import usable
from gspc.format.limits import MAX_MEMORY
from gspc.ops import arrays
from gspc.ops.conventions import MAX_SIDE
from gspc.rendering.budget import GAUSSIAN, WRITING, Budget, array_bytes, scene_bytes
from gspc.rendering.culling import anchor_bounds, visible_anchors
from gspc.rendering.heads import gaussians_for_view
from gspc.rendering.rasterizer import Backend, choose_backend, rasterize
from gspc.scene import F32, Camera, DecodedScene

if TYPE_CHECKING:
    import torch

    from gspc.ops.heads import HeadTensors

MAX_PIXELS = 1 << 27  # 128 megapixels: 1.5 GiB of red, green and blue in float32


class Renderer:
    """Draws views of one scene; what does not depend on the view is computed once."""

    def __init__(
        self, scene: DecodedScene, backend: str | Backend = "cpu", *, max_memory: int = MAX_MEMORY
    ) -> None:
        """`backend` is a device name for choose_backend or its result, `max_memory` bytes that the scene and
        drawing it on a CPU may take. Raises BackendError, InputError."""
        self.scene = scene
        budget = Budget(max_memory)
        budget.require(scene_bytes(scene), "the scene")
        self._budget = budget.holding(scene_bytes(scene))
        self.backend = choose_backend(backend) if isinstance(backend, str) else backend
        self.bounds = anchor_bounds(scene)
        self._tensors = None if self.backend.name == "cpu" else _to_device(scene, self.backend.device)

    def render(self, camera: Camera) -> F32:  # [H, W, 3]
        """The picture as sRGB-encoded values, not clamped (blending stays in [0, 1] up to rounding).

        Raises InputError for a camera that is not usable (`gspc.format.usable`), and for a picture with a
        side beyond MAX_SIDE, more than MAX_PIXELS, or one that takes more memory than `max_memory`.
        """
        camera = self.scene.frame.camera_to_canonical(camera)
        check_camera(camera)
        visible = visible_anchors(self.bounds, camera)
        if self._tensors is not None:
            return self._render_torch(self._tensors, camera, visible)
        budget = self._budget.holding(WRITING * camera.width * camera.height)
        possible = int(self.scene.gaussian_mask[visible].sum())
        budget.require(possible * GAUSSIAN, f"camera '{camera.name}'")
        seen = gaussians_for_view(self.scene, camera, visible)
        budget = budget.holding(array_bytes(*seen.parts))
        with budget.drawing(camera.name):
            return arrays.rasterize(
                *seen.parts,
                camera.world_to_camera,
                (camera.fx, camera.fy, camera.cx, camera.cy),
                camera.width,
                camera.height,
                self.scene.background,
                budget.room,
            ).image

    def _render_torch(self, tensors: _Tensors, camera: Camera, visible: NDArray[np.bool_]) -> F32:
        import torch

        from gspc.ops.heads import neural_gaussians

        with torch.no_grad():
            center = torch.as_tensor(camera.center, dtype=torch.float32, device=self.backend.device)
            rows = torch.from_numpy(visible).to(self.backend.device)
            features, log_scales, offsets, mask, anchors = tensors.attributes
            gaussians = neural_gaussians(
                features, log_scales, offsets, mask, anchors, center, tensors.heads, rows
            )
            output = rasterize(self.backend, *gaussians.parts, camera, self.scene.background)
        return output.image.cpu().numpy()


def check_camera(camera: Camera) -> None:
    """Raises InputError for a camera that is not usable, and for a picture that no screen could show."""
    if (problem := usable.camera_problem(camera)) is not None:
        raise InputError(f"camera '{camera.name}': {problem}")
    if max(camera.width, camera.height) > MAX_SIDE or camera.width * camera.height > MAX_PIXELS:
        size = f"{camera.width} x {camera.height}"
        raise InputError(f"camera '{camera.name}': {size} pixels are too many to draw; choose a --size")


@dataclass(frozen=True)
class _Tensors:
    """A scene on a torch device."""

    # features, log_scales, offsets, mask, anchors
    attributes: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
    heads: HeadTensors


def _to_device(scene: DecodedScene, device: str) -> _Tensors:
    import torch

    from gspc.ops.heads import HeadTensors

    def tensor(array: NDArray[Any]) -> torch.Tensor:
        return torch.tensor(array, dtype=torch.float32, device=device)

    fields: dict[str, Any] = {key: tensor(getattr(scene.heads, key)) for key in arrays.HEAD_WEIGHTS}
    return _Tensors(
        (
            tensor(scene.features),
            tensor(scene.log_scales),
            tensor(scene.offsets),
            tensor(scene.gaussian_mask),
            tensor(scene.anchors),
        ),
        HeadTensors(**fields, distance_scale=scene.heads.distance_scale),
    )


def render_view(  # [H, W, 3]
    scene: DecodedScene,
    camera: Camera,
    *,
    backend: str | Backend = "cpu",
    max_memory: int = MAX_MEMORY,
) -> F32:
    """One picture of a scene; for several keep a Renderer. Raises BackendError, InputError."""
    return Renderer(scene, backend, max_memory=max_memory).render(camera)
