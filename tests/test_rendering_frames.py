"""PNGs, camera selection and output names."""

from __future__ import annotations

import dataclasses
import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from rendering_scenes import camera

from gspc.errors import InputError, OutputError, UsageError
from gspc.rendering.frames import encode_png, frame_names, parse_size, select_cameras, to_uint8, write_png


def decode(data: bytes) -> np.ndarray:
    image = pytest.importorskip("PIL.Image").open(io.BytesIO(data))
    image.load()
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (37, 53)])
def test_png_is_lossless(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    ramp = np.broadcast_to(np.arange(size[1], dtype=np.uint8)[None, :, None] * 3, (*size, 3))
    for image in (noise, ramp, ramp.transpose(1, 0, 2), noise[::-1], np.zeros((*size, 3), np.uint8)):
        assert np.array_equal(decode(encode_png(image)), image)


def test_photograph_like_pictures_are_small() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:240, 0:320].astype(np.float32)
    image = np.stack([x / 320, y / 240, 0.5 + 0.3 * np.sin(x / 40) * np.cos(y / 30)], -1).astype(np.float32)
    image += 0.02 * rng.standard_normal(image.shape, dtype=np.float32)
    buffer = io.BytesIO()
    pytest.importorskip("PIL.Image").fromarray(to_uint8(image)).save(buffer, "PNG")
    assert len(encode_png(image)) < 1.1 * len(buffer.getvalue())


def test_rounding_is_to_nearest_and_clamped() -> None:
    values = np.array(
        [0, 1, 0.5, 0.4 / 255, 0.6 / 255, -3, 7, np.nan, np.inf, -np.inf, 254.4 / 255, 254.6 / 255]
    )
    image = np.tile(values.astype(np.float32).reshape(1, -1, 1), (1, 1, 3))
    assert to_uint8(image)[0, :, 0].tolist() == [0, 255, 128, 0, 1, 0, 255, 0, 255, 0, 254, 255]
    byte = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_uint8(byte.astype(np.float32) / 255), byte)


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 5), (5, 5, 4)])
def test_other_arrays_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\[H, W, 3\]"):
        encode_png(np.zeros(shape, np.float32))


def test_png_chunks_are_in_order_with_checksums() -> None:
    data, tags = encode_png(np.zeros((3, 4, 3), np.uint8)), []
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    position = 8
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        chunk = data[position + 4 : position + 8 + length]
        checksum = int.from_bytes(data[position + 8 + length : position + 12 + length], "big")
        assert zlib.crc32(chunk) == checksum
        tags.append(chunk[:4])
        position += 12 + length
    assert tags == [b"IHDR", b"sRGB", b"IDAT", b"IEND"] and position == len(data)


def test_sizes() -> None:
    view = camera(width=400, height=300)
    assert parse_size("800x10", view) == (800, 10)
    assert parse_size("200", view) == (200, 150)
    assert parse_size("1", view) == (1, 1)
    for text in ("", "x", "0", "0x5", "-3", "12x", "1.5", "99999", "5x99999", "5 x 5", "1e3"):
        with pytest.raises(UsageError, match="--size"):
            parse_size(text, view)


def test_cameras_by_name_and_index() -> None:
    cameras = tuple(camera(name) for name in ("a.jpg", "b.jpg", "0.png", "b.png"))
    assert select_cameras(cameras) == cameras
    chosen = select_cameras(cameras, ["a", "b.jpg", "1", "-1"])
    assert chosen == (cameras[0], cameras[1], cameras[1], cameras[3])
    assert select_cameras(cameras, ["0"]) == (cameras[2],)  # a name wins over an index
    with pytest.raises(UsageError, match="'b' names 2 cameras"):
        select_cameras(cameras, ["b"])
    for view in ("4", "-5", "c.jpg", "", "99999999999999999999"):
        with pytest.raises(UsageError, match="is not there; the views are 0 to 3"):
            select_cameras(cameras, [view])
    with pytest.raises(InputError, match="suggests no cameras"):
        select_cameras(())


def test_size_moves_the_intrinsics() -> None:
    view = camera(width=400, height=300, focal=500.0)
    (resized,) = select_cameras([view], size="200")
    assert (resized.width, resized.height, resized.fx, resized.fy) == (200, 150, 250.0, 250.0)
    assert (resized.cx, resized.cy) == (100.0, 75.0)


def test_sizes_of_another_shape_show_more_and_squash_nothing() -> None:
    view = dataclasses.replace(camera(width=400, height=300, focal=500.0), cx=190.0)
    (tall,) = select_cameras([view], size="200x300")
    assert (tall.width, tall.height, tall.fx, tall.fy) == (200, 300, 250.0, 250.0)
    assert (tall.cx, tall.cy) == (95.0, 150.0)
    (wide,) = select_cameras([view], size="800x300")
    assert (wide.fx, wide.fy, wide.cx, wide.cy) == (500.0, 500.0, 390.0, 150.0)


def test_names_are_safe_and_unique() -> None:
    names = ("a.jpg", "a.png", "A.JPG", "../../etc/passwd", "/abs/b.jpeg", "c\0d\n.png", "", "..", ".png")
    names += ("é x.tif", "v1.5")
    result = frame_names([camera(name) for name in names])
    assert result[:3] == ("a.png", "a_2.png", "A_3.png")
    assert result[3:] == (
        "etc_passwd.png",
        "abs_b.png",
        "c_d.png",
        "view.png",
        "view_2.png",
        "png.png",
        "é_x.png",
        "v1.5.png",
    )
    long = frame_names([camera("n" * 300), camera("n" * 301)])
    assert len(set(long)) == 2 and max(map(len, long)) < 120
    letters = frame_names([camera("あ" * 340), camera("あ" * 341), camera("🌍" * 256)])
    assert len(set(letters)) == 3 and max(len(name.encode()) for name in letters) < 255


def test_writing_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    write_png(path, np.zeros((3, 4, 3), np.float32))
    assert decode(path.read_bytes()).shape == (3, 4, 3)
    before = path.read_bytes()

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full_disk)
        with pytest.raises(OutputError, match=r"a\.png: no space left on the device") as caught:
            write_png(path, np.ones((3, 4, 3), np.float32))
    assert caught.value.exit_code == 6
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    with pytest.raises(OutputError, match=r"missing/a\.png: the directory does not exist"):
        write_png(tmp_path / "missing" / "a.png", np.ones((3, 4, 3), np.float32))


def test_cameras_keep_their_pose() -> None:
    view = dataclasses.replace(camera(width=10, height=10), cx=2.5)
    (resized,) = select_cameras([view], size="20")
    assert resized.cx == 5.0 and np.array_equal(resized.world_to_camera, view.world_to_camera)
