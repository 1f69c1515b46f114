"""A decoded scene seen from a camera. On the CPU nothing here imports torch."""

from __future__ import annotations

from gspc.errors import InputError
from gspc.rendering.culling import anchor_bounds, visible_anchors
from gspc.rendering.heads import gaussians_for_view
from gspc.rendering.rasterizer import Backend, choose_backend, rasterize
from gspc.scene import F32, Camera, DecodedScene

MAX_PIXELS = 1 << 27  # 128 megapixels: 1.5 GiB of float RGB, beyond any screen


class Renderer:
    """Draws views of one scene; what does not depend on the view is computed once."""

    def __init__(self, scene: DecodedScene, backend: str | Backend = "cpu") -> None:
        """`backend` is a device name for choose_backend or its result. Raises BackendError."""
        self.scene = scene
        self.backend = choose_backend(backend) if isinstance(backend, str) else backend
        self.bounds = anchor_bounds(scene)

    def render(self, camera: Camera) -> F32:  # [H, W, 3]
        """The picture as sRGB-encoded values, not clamped (blending stays in [0, 1] up to rounding).

        Raises InputError for a picture beyond MAX_PIXELS.
        """
        if not 0 < camera.width * camera.height <= MAX_PIXELS:
            raise InputError(
                f"camera '{camera.name}': {camera.width} x {camera.height} pixels is too large to draw"
            )
        gaussians = gaussians_for_view(self.scene, camera, visible_anchors(self.bounds, camera))
        fields = (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, gaussians.colors)
        if self.backend.name == "cpu":
            from gspc.ops import arrays

            intrinsics = (camera.fx, camera.fy, camera.cx, camera.cy)
            size = (camera.width, camera.height)
            pose = camera.world_to_camera
            return arrays.rasterize(*fields, pose, intrinsics, *size, self.scene.background).image
        import torch

        with torch.no_grad():
            means, quats, scales, opacities, colors = (
                torch.from_numpy(value).to(self.backend.device) for value in fields
            )
            output = rasterize(
                self.backend, means, quats, scales, opacities, colors, camera, self.scene.background
            )
        return output.image.cpu().numpy()


def render_view(scene: DecodedScene, camera: Camera, *, backend: str | Backend = "cpu") -> F32:  # [H, W, 3]
    """One picture of a scene; for several keep a Renderer. Raises BackendError, InputError."""
    return Renderer(scene, backend).render(camera)
