"""Photographs: every pixel format, alpha, area averaging, the cache, each error."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from data_scenes import picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gspc.data import images
from gspc.errors import InputError

WHITE, BLACK = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)


def read(path: Path, background: tuple[float, float, float] = BLACK) -> np.ndarray:
    pixels = images.decode(images.inspect_photo(path), background)
    assert pixels.dtype == np.uint8 and pixels.flags.c_contiguous and pixels.flags.writeable
    return pixels


def test_rgb(tmp_path: Path) -> None:
    iio.imwrite(tmp_path / "a.png", picture(3, 9, 5))
    photo = images.inspect_photo(tmp_path / "a.png")
    assert (photo.width, photo.height, photo.transparent) == (9, 5, False)
    np.testing.assert_array_equal(read(tmp_path / "a.png"), picture(3, 9, 5))


def test_alpha_on_white_and_black(tmp_path: Path) -> None:
    pixels = np.zeros((1, 4, 4), np.uint8)
    pixels[0, :, :3] = [200, 100, 0]
    pixels[0, :, 3] = [0, 255, 128, 1]
    iio.imwrite(tmp_path / "a.png", pixels)
    assert read(tmp_path / "a.png", BLACK)[0].tolist() == [[0, 0, 0], [200, 100, 0], [100, 50, 0], [1, 0, 0]]
    white = read(tmp_path / "a.png", WHITE)[0].tolist()
    assert white == [[255, 255, 255], [200, 100, 0], [227, 177, 127], [255, 254, 254]]


@settings(max_examples=60, deadline=None)
@given(value=st.integers(0, 255), alpha=st.integers(0, 255), behind=st.sampled_from([0.0, 1.0, 0.4]))
def test_composition_is_exact(value: int, alpha: int, behind: float) -> None:
    pixel = np.array([[[value, 0, 255, alpha]]], np.uint8)
    got = images.compose(pixel, (behind,) * 3)[0, 0].astype(float)
    exact = np.array([value, 0, 255]) * alpha / 255 + round(behind * 255) * (255 - alpha) / 255
    assert np.abs(got - exact).max() <= 0.5


def test_gray_and_sixteen_bits(tmp_path: Path) -> None:
    gray = np.array([[0, 100, 255]], np.uint8)
    iio.imwrite(tmp_path / "gray.png", gray)
    np.testing.assert_array_equal(read(tmp_path / "gray.png"), np.repeat(gray[:, :, None], 3, 2))
    deep = np.array([[0, 128, 129, 257 * 100, 65535]], np.uint16)
    iio.imwrite(tmp_path / "deep.png", deep)
    assert read(tmp_path / "deep.png")[0, :, 0].tolist() == [0, 0, 1, 100, 255]
    Image.fromarray(np.array([[-1.0, 0.25, 0.5, 2.0, np.nan]], np.float32)).save(tmp_path / "float.tif")
    assert read(tmp_path / "float.tif")[0, :, 1].tolist() == [0, 64, 128, 255, 0]
    Image.fromarray(np.array([[0, 65535]], np.int32)).save(tmp_path / "wide.tif")
    assert read(tmp_path / "wide.tif")[0, :, 1].tolist() == [0, 255]
    Image.fromarray(np.array([[0, 65536]], np.int32)).save(tmp_path / "wider.tif")
    with pytest.raises(InputError, match="pixels beyond 16 bits"):
        read(tmp_path / "wider.tif")


def test_sixteen_bit_color(tmp_path: Path) -> None:
    """A 16-bit RGB PNG made by hand: Pillow cannot write one."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    row = b"\0" + struct.pack(">6H", 0, 257 * 40, 65535, 257 * 7, 257 * 8, 257 * 9)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    png = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(png)
    assert read(tmp_path / "a.png")[0].tolist() == [[0, 40, 255], [7, 8, 9]]


@pytest.mark.parametrize("mode", ["1", "P", "LA", "PA", "CMYK", "YCbCr"])
def test_other_modes(tmp_path: Path, mode: str) -> None:
    suffix = {"CMYK": "jpg", "YCbCr": "jpg", "PA": "png"}.get(mode, "png")
    image = Image.new("RGB", (16, 8), (255, 255, 255)).convert(
        "L" if mode == "PA" else mode.replace("PA", "P")
    )
    if mode in ("LA", "PA"):
        image = image.convert("LA")
        image.putalpha(Image.new("L", image.size, 0))
    path = tmp_path / f"a.{suffix}"
    image.save(path)
    expected = 0 if mode in ("LA", "PA") else 255
    assert np.abs(read(path).astype(int) - expected).max() <= 1
    assert read(path).shape == (8, 16, 3)


def test_transparent_color(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png", transparency=1)
    photo = images.inspect_photo(tmp_path / "a.png")
    assert photo.transparent
    assert read(tmp_path / "a.png", WHITE)[0].tolist() == [[10, 20, 30], [255, 255, 255]]


def test_exif_orientation_is_noted_and_not_applied(tmp_path: Path) -> None:
    image = Image.fromarray(np.repeat(np.arange(0, 256, 8, dtype=np.uint8)[None], 16, 0)).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    photo = images.inspect_photo(tmp_path / "a.jpg")
    assert (photo.width, photo.height, photo.orientation) == (32, 16, 6)
    assert read(tmp_path / "a.jpg").shape == (16, 32, 3)


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.png: no such image"):
        images.inspect_photo(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(InputError, match=r"text\.png: not an image that can be decoded"):
        images.inspect_photo(tmp_path / "text.png")
    (tmp_path / "empty.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="not an image that can be decoded"):
        images.inspect_photo(tmp_path / "empty.jpg")
    with pytest.raises(InputError, match="cannot be read as an image"):
        images.inspect_photo(tmp_path)
    iio.imwrite(tmp_path / "gone.png", picture(0, 8, 8))
    photo = images.inspect_photo(tmp_path / "gone.png")
    (tmp_path / "gone.png").unlink()
    with pytest.raises(InputError, match=r"gone\.png: no such image"):
        images.decode(photo)
    iio.imwrite(tmp_path / "gone.png", picture(0, 9, 8))
    with pytest.raises(InputError, match="changed while it was in use"):
        images.decode(photo)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_truncated_images(tmp_path: Path, suffix: str) -> None:
    """Cut anywhere, an image is refused by its header or when decoded, never half read."""
    path = tmp_path / f"a.{suffix}"
    generator = np.random.default_rng(0)
    iio.imwrite(path, generator.integers(0, 256, (24, 24, 3), dtype=np.uint8))
    whole = path.read_bytes()
    for length in range(0, int(len(whole) * 0.95), max(1, len(whole) // 40)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=rf"a\.{suffix}: ") as error:
            images.decode(images.inspect_photo(path))
        assert "\n" not in str(error.value)


def test_absurd_size_is_refused(tmp_path: Path) -> None:
    body = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + body + struct.pack(">I", zlib.crc32(b"IHDR" + body))
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT")
    with pytest.raises(InputError, match=r"bomb\.png"):
        images.inspect_photo(tmp_path / "bomb.png")


@pytest.mark.parametrize(
    ("size", "resolution", "expected"),
    [
        ((530, 947), None, (530, 947)),
        ((1600, 900), None, (1600, 900)),
        ((1601, 900), None, (1600, 899)),
        ((4946, 3286), None, (1600, 1063)),
        ((4946, 3286), 1, (4946, 3286)),
        ((4946, 3286), 2, (2473, 1643)),
        ((530, 947), 2, (265, 474)),
        ((979, 546), 8, (122, 68)),
        ((3, 2), 8, (1, 1)),
        ((4946, 3286), 640, (640, 425)),
        ((400, 400), 640, (400, 400)),  # never enlarged
        ((4000, 1), 9, (9, 1)),
    ],
)
def test_target_size(size: tuple[int, int], resolution: int | None, expected: tuple[int, int]) -> None:
    assert images.target_size(*size, resolution) == expected


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_reduction_is_the_exact_area_mean(data: st.DataObject) -> None:
    """Against the mean of an image blown up to a common multiple of both sizes."""
    height, width = data.draw(st.integers(1, 13)), data.draw(st.integers(1, 13))
    new_height, new_width = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    generator = np.random.default_rng(data.draw(st.integers(0, 99)))
    pixels = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    blown = pixels.repeat(new_height, 0).repeat(new_width, 1).astype(float)
    exact = blown.reshape(new_height, height, new_width, width, 3).mean((1, 3))
    reduced = images.reduce_image(pixels, new_width, new_height)
    assert reduced.shape == (new_height, new_width, 3) and reduced.flags.c_contiguous
    assert np.abs(reduced - exact).max() <= 0.5 + 1e-3


def test_reduction_keeps_flat_images_flat() -> None:
    for value in (0, 1, 254, 255):
        flat = np.full((97, 113, 3), value, np.uint8)
        assert (images.reduce_image(flat, 37, 41) == value).all()


def test_cache_is_bounded_and_safe() -> None:
    cache = images.PixelCache(limit_bytes=100)
    small, large = np.zeros(60, np.uint8), np.zeros(50, np.uint8)
    cache.put(("a",), small)
    cache.put(("b",), large)  # does not fit: what came first stays
    cache.put(("a",), small)
    assert cache.get(("a",)) is small and cache.get(("b",)) is None and cache.bytes == 60


def test_loader_shares_what_it_keeps(tmp_path: Path) -> None:
    iio.imwrite(tmp_path / "a.png", picture(1, 12, 8))
    cache = images.PixelCache()
    loader = images.PhotoLoader(images.inspect_photo(tmp_path / "a.png"), 6, 4, BLACK, cache)
    first = loader()
    (tmp_path / "a.png").unlink()
    assert loader() is first  # no copy, and the file is gone
    with pytest.raises(ValueError, match="read-only"):
        first[:] = 0
    assert cache.bytes == 6 * 4 * 3


def test_memory_is_flat_in_the_number_of_views(tmp_path: Path) -> None:
    pixels = picture(1, 320, 240)
    for index in range(80):
        iio.imwrite(tmp_path / f"{index}.png", pixels)

    def peak(views: int) -> int:
        cache = images.PixelCache(4 * pixels.nbytes)
        photos = [images.inspect_photo(tmp_path / f"{index}.png") for index in range(views)]
        loaders = [images.PhotoLoader(photo, 320, 240, BLACK, cache) for photo in photos]
        loaders[0]()  # imports
        tracemalloc.start()
        for loader in loaders * 2:
            loader()
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert cache.bytes == cache.limit_bytes
        return most

    assert peak(80) < 1.1 * peak(8)


def test_a_picture_of_too_many_pixels_is_refused_by_its_header(tmp_path: Path) -> None:
    """A file of half a megabyte would take gigabytes. Nothing of its pixels needs to be there to see that."""
    header = struct.pack(">IIBBBBB", 13_000, 13_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", len(header)) + b"IHDR" + header
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", zlib.crc32(chunk[4:])) + bytes(4) + b"IDAT"
    )
    with pytest.raises(InputError, match=r"bomb.png: 13000x13000 pixels; at most 134 million .* reduce it"):
        images.inspect_photo(path)


def test_large_images_are_reduced_and_composed_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (41, 29, 4), dtype=np.uint8)
    small, flat = images.reduce_image(pixels, 11, 17), images.compose(pixels, (0.2, 0.4, 1.0))
    monkeypatch.setattr(images, "_STRIP", 100)
    assert np.array_equal(images.reduce_image(pixels, 11, 17), small)
    assert np.array_equal(images.compose(pixels, (0.2, 0.4, 1.0)), flat)
