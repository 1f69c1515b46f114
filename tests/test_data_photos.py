"""Photographs that are missing, damaged, turned, or not their cameras' pictures."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from data_scenes import picture, tiny_model, write_scene, write_transforms
from PIL import Image

from gspc.config import DataOptions
from gspc.data import colmap, exif, images, load_scene, photos
from gspc.errors import InputError

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 87946\n"
ONE, OTHER = "part 1/003.png", "part 1/005.png"


def said(scene: object) -> str:
    return "\n".join(note.text for note in scene.notes)  # type: ignore[attr-defined]


def damage(path: Path, how: str) -> None:
    if how == "missing":
        path.unlink()
    elif how == "an empty file":
        path.write_bytes(b"")
    elif how == "a Git LFS pointer":
        path.write_text(POINTER)
    elif how == "damaged (no":
        path.write_bytes(b"broken")
    else:
        path.write_bytes(path.read_bytes()[:-30])


@pytest.mark.parametrize(
    "how", ["missing", "an empty file", "a Git LFS pointer", "damaged (no", "damaged (cannot be decoded"]
)
def test_one_in_ten_may_be_left_out(tmp_path: Path, how: str) -> None:
    write_scene(tmp_path)
    damage(tmp_path / "images" / ONE, how)
    scene = load_scene(tmp_path)
    assert [view.camera.name for view in scene.views].count(ONE) == 0 and len(scene.views) == 9
    assert f"1 of 10 photographs is {how}" in said(scene) and f"{ONE}; left out" in said(scene)
    assert [note.warning for note in scene.notes if "left out" in note.text] == [True]
    with pytest.raises(InputError, match=r"1 of 10 photographs is .*\(--strict\); add or replace them"):
        load_scene(tmp_path, DataOptions(strict=True))
    damage(tmp_path / "images" / OTHER, "missing")
    with pytest.raises(
        InputError, match=r"2 of 10 photographs (are missing|cannot be used): part 1/003\.png"
    ):
        load_scene(tmp_path)


def test_fewer_than_three_are_no_scene(tmp_path: Path) -> None:
    write_scene(tmp_path)
    model = tiny_model()
    colmap.write_model(tmp_path / "sparse" / "0", replace(model, images=model.images[:3]))
    assert len(load_scene(tmp_path).views) == 3
    damage(tmp_path / "images" / model.images[1].name, "missing")
    with pytest.raises(InputError, match=r"1 of 3 photographs is missing"):
        load_scene(tmp_path)


def test_all_are_pointers(tmp_path: Path) -> None:
    write_scene(tmp_path)
    for image in tiny_model().images:
        (tmp_path / "images" / image.name).write_text(POINTER)
    with pytest.raises(InputError, match=r"10 of 10 photographs are a Git LFS pointer.*git lfs pull"):
        load_scene(tmp_path)
    (tmp_path / "sparse" / "0" / "cameras.bin").write_text(POINTER)
    with pytest.raises(InputError, match=r"cameras\.bin: is a Git LFS pointer"):
        load_scene(tmp_path)
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "transforms.json").write_text(POINTER)
    with pytest.raises(InputError, match=r"transforms\.json: is a Git LFS pointer"):
        load_scene(tmp_path / "t")


def test_large_scenes_are_checked_by_their_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without decoding everything, a file that was cut is found all the same."""
    monkeypatch.setattr(photos, "CHECKED_PIXELS", 0)
    decoded = []
    monkeypatch.setattr(photos, "decode", lambda photo: decoded.append(photo.path) or images.decode(photo))
    write_scene(tmp_path)
    path = tmp_path / "images" / ONE
    path.write_bytes(path.read_bytes()[:-30])
    scene = load_scene(tmp_path, DataOptions(background="black"))
    assert len(scene.views) == 9 and decoded == [path]


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_intact(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    iio.imwrite(path, picture(3, 32, 24))
    whole = path.read_bytes()
    assert images.intact(path)
    path.write_bytes(whole + b"\0" * 1000)  # cameras append previews
    assert images.intact(path)
    path.write_bytes(whole[: len(whole) // 2])
    assert not images.intact(path)


def turned_scene(folder: Path, orientation: int, *, upright_cameras: bool = True) -> None:
    """Ten JPEG photographs that are stored turned, with a note in EXIF how to turn them back."""
    write_scene(folder)
    model = tiny_model()
    sideways = orientation >= 5
    for index, image in enumerate(model.images):
        path = folder / "images" / image.name
        stored = images.turn(picture(index, 32, 24), {6: 8, 8: 6}.get(orientation, orientation))
        path.unlink()
        tags = Image.Exif()
        tags[0x0112] = orientation
        Image.fromarray(np.ascontiguousarray(stored)).save(path.with_suffix(".jpg"), quality=98, exif=tags)
        assert Image.open(path.with_suffix(".jpg")).size == ((24, 32) if sideways else (32, 24))
    renamed = [replace(image, name=image.name.replace(".png", ".jpg")) for image in model.images]
    cameras = model.cameras
    if not upright_cameras:
        cameras = tuple(replace(camera, width=24, height=32) for camera in cameras)
    colmap.write_model(folder / "sparse" / "0", replace(model, cameras=cameras, images=tuple(renamed)))


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_the_size_decides_about_exif(tmp_path: Path, orientation: int) -> None:
    turned_scene(tmp_path / "upright", orientation)
    scene = load_scene(tmp_path / "upright")
    assert "10 photographs turned as the EXIF orientation says" in said(scene)
    for index, view in enumerate(sorted(scene.views, key=lambda v: v.path.name)):
        assert np.abs(view.load().astype(int) - picture(index, 32, 24)).mean() < 8
    with pytest.raises(InputError, match="24x32 pixels do not fit its camera of 32x24"):
        load_scene(tmp_path / "upright", DataOptions(exif="ignore"))
    turned_scene(tmp_path / "stored", orientation, upright_cameras=False)
    scene = load_scene(tmp_path / "stored")
    assert "EXIF" not in said(scene) and scene.views[0].load().shape == (32, 24, 3)


def test_sizes_that_cannot_tell_about_exif(tmp_path: Path) -> None:
    turned_scene(tmp_path, 3)
    scene = load_scene(tmp_path)
    assert "10 photographs with an EXIF orientation that the cameras' sizes cannot confirm" in said(scene)
    as_stored = scene.views[0].load()
    turned = load_scene(tmp_path, DataOptions(exif="apply"))
    np.testing.assert_array_equal(turned.views[0].load(), as_stored[::-1, ::-1])
    assert "EXIF" not in said(load_scene(tmp_path, DataOptions(exif="ignore")))


def test_turning_is_that_of_pillow(tmp_path: Path) -> None:
    from PIL import ImageOps

    pixels = picture(4, 9, 7)
    for orientation in range(1, 9):
        tags = Image.Exif()
        tags[0x0112] = orientation
        Image.fromarray(pixels).save(tmp_path / "a.png", exif=tags)
        expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.png")))
        photo = exif.upright(images.inspect_photo(tmp_path / "a.png"))
        np.testing.assert_array_equal(images.decode(photo), expected)
        assert (photo.height, photo.width) == expected.shape[:2]


def test_cropped_photographs_name_a_folder_that_fits(tmp_path: Path) -> None:
    write_scene(tmp_path)
    shutil.copytree(tmp_path / "images", tmp_path / "originals")
    for image in tiny_model().images:
        iio.imwrite(tmp_path / "images" / image.name, picture(0, 32, 12))
    with pytest.raises(
        InputError, match=r"32x12 pixels do not fit its camera of 32x24; those in .*originals fit"
    ):
        load_scene(tmp_path)
    assert len(load_scene(tmp_path, DataOptions(images=tmp_path / "originals")).views) == 10


def test_absent_test_pictures_make_no_scene_unusable(tmp_path: Path) -> None:
    write_transforms(tmp_path, "train", count=9)
    write_transforms(tmp_path, "test", count=4)
    (tmp_path / "test" / "r_0.png").unlink()
    scene = load_scene(tmp_path)
    assert (len(scene.train), len(scene.test)) == (9, 3)
    assert "1 of 13 photographs is missing: test/r_0.png; left out" in said(scene)
    shutil.rmtree(tmp_path / "test")
    scene = load_scene(tmp_path)
    assert (len(scene.train), len(scene.test)) == (7, 2)
    assert "no photograph of its held-out frames is there; holding out every 8th view" in said(scene)
