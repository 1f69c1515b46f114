"""Masks: found in every layout, kept out of the loss and of scores."""

from __future__ import annotations

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from data_scenes import tiny_model, write_scene, write_transforms

from gspc.config import DataOptions
from gspc.data import load_scene
from gspc.errors import InputError
from gspc.ops.ssim import picture_loss
from gspc.train.masking import only_counting


def half(width: int = 32, height: int = 24, white: int = 255) -> np.ndarray:
    """A mask whose left half does not count."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, width // 2 :] = white
    return mask


def write_masks(folder: Path, name: str = "{stem}.png", **mask: int) -> None:
    for image in tiny_model().images:
        path = folder / name.format(stem=image.name.removesuffix(".png"), name=image.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        iio.imwrite(path, half(**mask))


@pytest.mark.parametrize("name", ["{stem}.png", "{name}.png", "{stem}.PNG"])
@pytest.mark.parametrize("white", [255, 1])
def test_masks_beside_the_photographs(tmp_path: Path, name: str, white: int) -> None:
    write_masks(write_scene(tmp_path) / "masks", name, white=white)
    scene = load_scene(tmp_path)
    assert "10 masks for 10 photographs: black pixels do not count" in [note.text for note in scene.notes]
    for view in scene.views:
        assert view.mask is not None
        np.testing.assert_array_equal(view.mask(), half() > 0)
    assert all(view.mask is None for view in load_scene(tmp_path, DataOptions(masks=Path("none"))).views)


def test_a_folder_of_masks_by_name(tmp_path: Path) -> None:
    write_masks(write_scene(tmp_path) / "elsewhere")
    assert load_scene(tmp_path).views[0].mask is None
    view = load_scene(tmp_path, DataOptions(masks=tmp_path / "elsewhere")).views[0]
    assert view.mask is not None and view.mask().mean() == 0.5
    with pytest.raises(InputError, match="no such folder of masks"):
        load_scene(tmp_path, DataOptions(masks=tmp_path / "gone"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no mask of any photograph"):
        load_scene(tmp_path, DataOptions(masks=tmp_path / "empty"))


def test_masks_of_some_views_of_other_sizes_and_damaged(tmp_path: Path) -> None:
    write_scene(tmp_path)
    names = [image.name for image in tiny_model().images]
    (tmp_path / "masks" / "part 0").mkdir(parents=True)
    (tmp_path / "masks" / "part 1").mkdir()
    iio.imwrite(tmp_path / "masks" / names[0], half(64, 48))
    iio.imwrite(tmp_path / "masks" / names[1], half(16, 12))
    iio.imwrite(tmp_path / "masks" / names[2], half(32, 12))
    (tmp_path / "masks" / names[3]).write_bytes(b"broken")
    scene = load_scene(tmp_path)
    views = {view.camera.name: view for view in scene.views}
    for name in names[:2]:
        mask = views[name].mask
        assert mask is not None
        np.testing.assert_array_equal(mask(), half() > 0)
    assert all(views[name].mask is None for name in names[2:])
    assert any("2 masks left out, damaged or of another shape" in note.text for note in scene.notes)
    reduced = load_scene(tmp_path, DataOptions(resolution=8)).views
    mask = next(view.mask for view in reduced if view.camera.name == names[0])
    assert mask is not None
    np.testing.assert_array_equal(mask(), half(4, 3) > 0)


def test_masks_of_frames(tmp_path: Path) -> None:
    """nerfstudio's mask_path, and one that is absent."""
    path = write_transforms(tmp_path)
    content = json.loads(path.read_text())
    (tmp_path / "cut").mkdir()
    for index, frame in enumerate(content["frames"]):
        frame["mask_path"] = f"cut/{index}.png"
        if index:
            iio.imwrite(tmp_path / "cut" / f"{index}.png", half(16, 16))
    path.write_text(json.dumps(content))
    scene = load_scene(tmp_path)
    assert [view.mask is None for view in scene.views] == [True, False, False, False]
    assert any("1 mask of the frames' mask_path not there: cut/0.png" in note.text for note in scene.notes)


@pytest.mark.parametrize("root", [False, True])
def test_masked_pixels_have_no_part_in_the_loss(root: bool) -> None:
    """Neither in its value nor in its gradient; and without a mask nothing changes."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand((24, 32, 3), generator=generator).requires_grad_()
    target = (255 * torch.rand((24, 32, 3), generator=generator)).byte()
    mask = torch.from_numpy(half() > 0)

    def loss_and_gradient(seen: torch.Tensor, wanted: torch.Tensor) -> tuple[float, torch.Tensor, float]:
        shown, goal, weight = only_counting(seen, wanted, mask)
        loss, squared = picture_loss(shown, goal, 0.2, weight, root=root)
        (gradient,) = torch.autograd.grad(loss, seen)
        return float(loss.detach()), gradient, float(squared)

    loss, gradient, squared = loss_and_gradient(image, target)
    assert (gradient[:, :16] == 0).all() and (gradient[:, 16:] != 0).any(-1).all()
    other = torch.where(mask[:, :, None], target, 255 - target)
    again = loss_and_gradient(image, other)
    assert (loss, squared) == (again[0], again[2]) and torch.equal(gradient, again[1])
    right = image.detach()[:, 16:].clamp(0, 1) - target[:, 16:].float() / 255
    assert squared == pytest.approx(float(right.square().mean()), rel=1e-5)
    alone = picture_loss(image[:, 16:].contiguous(), target[:, 16:].contiguous(), 0.0, root=root)[0]
    shown, goal, weight = only_counting(image, target, mask)
    whole = picture_loss(shown, goal, 0.0, weight, root=root)[0]
    assert float(whole.detach()) == pytest.approx(float(alone.detach()), rel=1e-5)
    assert only_counting(image, target, None) == (image, target, 1.0)
    nothing = only_counting(image, target, torch.zeros_like(mask))
    assert nothing[2] == 0
    assert float(picture_loss(*nothing[:2], 0.2, root=root)[0].detach()) == pytest.approx(0, abs=2e-6)
