"""Damaged and hostile files: one clear line, and memory in proportion to the file."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from splat_scenes import random_splats

from gspc.errors import InputError
from gspc.splats import FORMATS, WRITABLE, bundle, read_splats, write_splats
from gspc.splats.formats import recognize

COUNT = 300


def file_of(kind: str) -> bytes:
    if kind == "spz4":
        return write_splats(random_splats(COUNT), "spz", spz_version=4)
    if kind == "ksplat":
        return ksplat()
    return write_splats(random_splats(COUNT), kind)


def ksplat(count: int = COUNT, claimed: int | None = None) -> bytes:
    """Level 0, degree 0, one section."""
    head, section = bytearray(4096), bytearray(1024)
    head[1] = 1
    struct.pack_into("<4I", head, 4, 1, 1, claimed or count, claimed or count)
    struct.pack_into("<4I", section, 0, claimed or count, claimed or count, 0, 0)
    rows = np.zeros(count, [("m", "<f4", 3), ("s", "<f4", 3), ("q", "<f4", 4), ("c", "u1", 4)])
    rows["s"], rows["q"][:, 0], rows["c"] = 0.1, 1, 200
    return bytes(head + section) + rows.tobytes()


KINDS = [*WRITABLE, "spz4", "ksplat"]


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_end_early_are_refused(kind: str) -> None:
    """Cut anywhere: InputError, or the recognition already says no. Only .splat may end after any record."""
    data = file_of(kind)
    assert read_splats(data).count == COUNT
    for keep in np.linspace(0, len(data) - 1, 60).astype(int):
        part = data[:keep]
        if kind == "splat" and keep and keep % 32 == 0:
            continue
        with pytest.raises(InputError):
            read_splats(part)
        name = kind.removesuffix("4")
        if part and recognize(part) == name:
            with pytest.raises(InputError):
                FORMATS[name].read(part)


@pytest.mark.parametrize("kind", KINDS)
def test_flipped_bytes_never_crash(kind: str) -> None:
    """Whatever happens is a result of finite numbers or an InputError."""
    data = file_of(kind)
    random = np.random.default_rng(3)
    for _ in range(150):
        bad = bytearray(data)
        for _ in range(random.integers(1, 4)):
            bad[random.integers(min(len(bad), 3000))] = random.integers(256)
        try:
            found = read_splats(bytes(bad))
        except InputError as error:
            assert "\n" not in str(error)
            continue
        assert np.isfinite(found.means).all()
        assert np.isfinite(found.sh).all()


def huge_ply() -> bytes:
    return write_splats(random_splats(COUNT), "ply").replace(b"vertex 300", b"vertex 4000000000")


def huge_spz() -> bytes:
    return gzip.compress(struct.pack("<4sIIBBBB", b"NGSP", 3, 400_000_000, 3, 12, 0, 0) + bytes(1000))


def bomb_spz() -> bytes:
    """Ten million equal Gaussians: 200 MB in 200 kB."""
    return gzip.compress(
        struct.pack("<4sIIBBBB", b"NGSP", 3, 10_000_000, 0, 12, 0, 0) + bytes(200_000_000), 1
    )


def huge_spz4() -> bytes:
    data = bytearray(file_of("spz4"))
    struct.pack_into("<I", data, 8, 300_000_000)
    return bytes(data)


def huge_sog() -> bytes:
    def change(meta: dict) -> None:
        meta["count"] = 2_000_000_000

    return changed_sog(change)


def bomb_sog() -> bytes:
    """A picture of a hundred megapixels in a few kilobytes."""
    picture = io.BytesIO()
    Image.new("RGBA", (10_000, 10_000)).save(picture, "WEBP", lossless=True, method=0, quality=0)
    return changed_sog(lambda meta: None, {"scales.webp": picture.getvalue()})


def huge_glb() -> bytes:
    return file_of("glb").replace(b'"count":300', b'"count":3e9')


def huge_ksplat() -> bytes:
    return ksplat(claimed=4_000_000_000)


@pytest.mark.parametrize(
    "make", [huge_ply, huge_spz, bomb_spz, huge_spz4, huge_sog, bomb_sog, huge_glb, huge_ksplat]
)
def test_huge_claims_take_no_memory(make: Callable[[], bytes]) -> None:
    data = make()
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            read_splats(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * len(data) + (20 << 20)


def changed_sog(change: Callable[[dict], None], files: dict[str, bytes] | None = None) -> bytes:
    with zipfile.ZipFile(io.BytesIO(file_of("sog"))) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()} | (files or {})
    meta = json.loads(parts["meta.json"])
    change(meta)
    parts["meta.json"] = json.dumps(meta).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


SOG_FAULTS: dict[str, tuple[Callable[[dict], object], str]] = {
    "version": (lambda meta: meta.update(version=3), "SOG of version 3"),
    "means": (lambda meta: meta.pop("means"), "does not describe"),
    "mins": (lambda meta: meta["means"].update(mins=[1, 2]), "'mins' is not 3 numbers"),
    "codebook": (lambda meta: meta["sh0"].update(codebook=["a"] * 256), "codebook of 'sh0'"),
    "outside": (lambda meta: meta["scales"].update(files=["../secret"]), "outside of it"),
    "missing": (lambda meta: meta["scales"].update(files=["other.webp"]), "lacks other.webp"),
    "bands": (lambda meta: meta["shN"].update(bands=9), "'shN' makes no sense"),
    "labels": (lambda meta: meta["shN"].update(count=3), "too small|beyond its palette"),
}


@pytest.mark.parametrize("name", SOG_FAULTS)
def test_what_is_wrong_with_a_sog_is_said(name: str) -> None:
    change, message = SOG_FAULTS[name]
    with pytest.raises(InputError, match=message):
        read_splats(changed_sog(change))  # type: ignore[arg-type]


def test_sog_pictures_with_loss_are_refused() -> None:
    pixels = Image.new("RGBA", (20, 16), (10, 20, 30, 128))
    file = io.BytesIO()
    pixels.save(file, "WEBP", lossless=True, exact=True)
    with pytest.raises(InputError, match="compressed with loss"):
        read_splats(changed_sog(lambda meta: None, {"quats.webp": file.getvalue()}))


def test_folders_of_a_sog(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(file_of("sog"))) as archive:
        archive.extractall(tmp_path)
    assert read_splats(bundle(tmp_path)).count == COUNT
    (tmp_path / "scales.webp").unlink()
    with pytest.raises(InputError, match=r"scales\.webp cannot be read"):
        bundle(tmp_path)


GLB_FAULTS: dict[str, tuple[bytes, bytes, str]] = {
    "no extension": (b'{"KHR_gaussian_splatting":', b'{"KHR_gaussian_splattinx":', "only meshes"),
    "further extension": (b'"kernel":', b'"extensions":{},"kernel":', "uncompressed"),
    "no rotation": (b"splatting:ROTATION", b"splatting:ROTATIOX", "without KHR_gaussian_splatting:ROTATION"),
    "elsewhere": (b'"buffer":0', b'"buffer":1', "outside of the file"),
    "sparse": (b'"count":300,"type":"SCALAR"', b'"count":300,"type":"SCALAR","sparse":{}', "of a kind"),
    "short": (b'"count":300,"type":"SCALAR"', b'"count":200,"type":"SCALAR"', "different lengths"),
    "cycle": (b'"nodes":[{"mesh":0}]', b'"nodes":[{"children":[0]}]', "contain themselves"),
    "squeezed": (b'{"mesh":0}', b'{"mesh":0,"scale":[1,2,1]}', "scales axes differently"),
    "flat": (b'{"mesh":0}', b'{"mesh":0,"scale":[0,0,0]}', "scales axes differently"),
    "no mesh": (b'{"mesh":0}', b'{"mesh":7}', "refers to meshes 7"),
}


@pytest.mark.parametrize("name", GLB_FAULTS)
def test_what_is_wrong_with_a_glb_is_said(name: str) -> None:
    before, after, message = GLB_FAULTS[name]
    with pytest.raises(InputError, match=message):
        read_splats(changed_glb(before, after))


def changed_glb(before: bytes, after: bytes) -> bytes:
    data = file_of("glb")
    size = struct.unpack_from("<I", data, 12)[0]
    text = data[20 : 20 + size]
    assert before in text
    text = text.replace(before, after)
    text += b" " * (-len(text) % 4)
    return data[:12] + struct.pack("<I", len(text)) + data[16:20] + text + data[20 + size :]


def test_nodes_of_a_glb_move_and_turn() -> None:
    """A quarter turn about x and a shift, in glTF's axes."""
    node = b'{"mesh":0,"translation":[1,2,3],"rotation":[0.70710678,0,0,0.70710678],"scale":[2,2,2]}'
    found = read_splats(changed_glb(b'{"mesh":0}', node))
    plain = read_splats(file_of("glb"))
    wanted = 2 * plain.means[:, [0, 2, 1]] * [1, -1, 1] + [1, 2, 3]
    np.testing.assert_allclose(found.means, wanted, atol=1e-5)
    np.testing.assert_allclose(found.log_scales, plain.log_scales + np.log(2), atol=1e-5)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "no splat"),
        (b"\x1f\x8b" + bytes(30), "no splat"),
        (b"ply\nformat ascii 1.0\nelement vertex 0\nproperty float x\nend_header\n", "no splat"),
        (b"glTF" + bytes(40), "binary glTF"),
        (b"NGSP" + struct.pack("<IIBBBB", 9, 1, 0, 12, 0, 0) + bytes(40), "version 9"),
        (b"NGSP" + struct.pack("<IIBBBB", 3, 0, 0, 12, 0, 0) + bytes(40), "makes no sense"),
        (write_splats(random_splats(2), "ply").replace(b"f_rest_44", b"f_rexx_44"), "has 44 columns"),
        (write_splats(random_splats(2), "ply").replace(b"rot_3", b"rot_9"), "no column 'rot_3'"),
    ],
)
def test_other_files_are_named(data: bytes, what: str) -> None:
    with pytest.raises(InputError, match=what):
        read_splats(data)


@pytest.mark.parametrize("key", ["matrix", "rotation", "scale", "translation"])
def test_nodes_with_numbers_beyond_floats(key: str) -> None:
    """JSON holds integers of any size."""
    data = write_splats(random_splats(4), "glb")
    size = int.from_bytes(data[12:16], "little")
    document = json.loads(data[20 : 20 + size])
    document["nodes"][0][key] = [10**400] * {"matrix": 16, "rotation": 4}.get(key, 3)
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + size :]
    head = struct.pack("<4sIIII", b"glTF", 2, 20 + len(text) + len(rest), len(text), 0x4E4F534A)
    with pytest.raises(InputError, match="makes no sense"):
        read_splats(head + text + rest)
