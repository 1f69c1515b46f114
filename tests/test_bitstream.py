"""The independent container reader, and the format page, against the code."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import synthetic
from test_codec_damage import head_change

from gspc.codec import decode, decode_symbols, encode
from gspc.errors import BitstreamError
from gspc.format import COMPONENTS, check, describe, limits
from gspc.format.header import _HEAD

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "man/pcgs.5").read_text()
HEADERS = ("format/limits.hpp", "context/context_grid.hpp")
CORE = "".join((ROOT / "kernels/codec" / name).read_text() for name in HEADERS)


def core_value(name: str) -> int:
    """A constant of the C++ core."""
    text = re.search(rf"\b{name} = ([^;]+);", CORE)
    assert text is not None, name
    number = r"(?:size_t|int64_t)\{(\d+)\}|(\d+)u\b"
    expression = re.sub(number, lambda m: m[1] or m[2], text[1])
    assert re.fullmatch(r"[\d() <+*-]+", expression), expression
    return int(eval(expression))


def page_limit(name: str) -> int:
    """A value of the LIMITS table of pcgs(5)."""
    text = re.search(rf"^{name}@(\d+)@", PAGE, re.MULTILINE)
    assert text is not None, name
    return int(text[1])


@pytest.mark.parametrize(
    ("page", "python", "core"),
    [
        ("levels", limits.MAX_LEVELS, "kMaxLevels"),
        ("first bytes", limits.INDEX_WINDOW, "kIndexWindow"),
        ("slices", limits.MAX_SLICES, "kMaxSlices"),
        ("features, F", limits.MAX_FEATURES, "kMaxFeatures"),
        ("offsets, K", limits.MAX_OFFSETS, "kMaxOffsets"),
        ("hidden units", limits.MAX_HIDDEN, "kMaxHidden"),
        ("pool features, P", limits.MAX_POOL, "kMaxPool"),
        ("groups, G", limits.MAX_GROUPS, "kMaxGroups"),
        ("planes", limits.MAX_PLANES, "kGridMaxPlanes"),
        ("grid entries", 1 << 24, "kGridMaxEntries"),
        ("chunk bytes", limits.MAX_CHUNK_BYTES, "kMaxChunkBytes"),
        ("cameras", limits.MAX_CAMERAS, "kMaxCameras"),
        ("metadata bytes", limits.MAX_METADATA_BYTES, "kMaxMetadataBytes"),
        ("anchors per byte", limits.MAX_ANCHORS_PER_BYTE, "kMaxAnchorsPerByte"),
        ("symbol", (1 << 23) - 1, "kMaxSymbol"),
    ],
)
def test_limits_are_the_same_everywhere(page: str, python: int, core: str) -> None:
    assert page_limit(page) == python == core_value(core)


def test_page_states_the_container() -> None:
    assert core_value("kVersionMajor") == limits.VERSION_MAJOR
    assert core_value("kVersionMinor") == limits.VERSION_MINOR
    assert core_value("kSwellMinor") == limits.SWELL_MINOR
    assert f"format version {limits.VERSION_MAJOR}.{limits.SWELL_MINOR}" in PAGE
    assert limits.MAGIC.hex(" ").upper() in PAGE
    assert core_value("kChunkHeaderBytes") == limits.CHUNK_HEADER_BYTES
    assert f"chunk header, {limits.CHUNK_HEADER_BYTES} bytes" in PAGE
    for tag in ("INDX", "HEAD", "cams", "meta", "fram", "swel", "pari", "GRID", "GHED", "NETS", "SLIC"):
        assert f".SS {tag}\n" in PAGE


def test_page_states_head() -> None:
    """Offsets and types of the fields are those that the reader unpacks."""
    table = re.search(r"^\.SS HEAD\n.*?^\.SS cams", PAGE, re.MULTILINE | re.DOTALL)
    assert table is not None
    rows = re.findall(r"^(\d+)@(?:(\d+) )?(\w+)( each)?@T\{", table[0], re.MULTILINE)
    letters = {"u8": "B", "u16": "H", "i32": "i", "f32": "f", "f64": "d"}
    form = "<"
    for offset, count, kind, each in rows:
        assert struct.calcsize(form) == int(offset), offset
        form += "" if each else f"{count}s" if kind == "bytes" else int(count or 1) * letters[kind]
    values = struct.Struct(form).unpack(bytes(struct.calcsize(form)))
    assert struct.calcsize(form) == struct.calcsize(_HEAD)
    zeros = struct.unpack(_HEAD, bytes(struct.calcsize(_HEAD)))
    assert [type(v) for v in values] == [type(v) for v in zeros]


def test_page_renders() -> None:
    if shutil.which("groff") is None:
        pytest.skip("no groff here")
    command = ["groff", "-t", "-man", "-Tutf8", "-wmac", "-rLL=120n", str(ROOT / "man/pcgs.5")]
    run = subprocess.run(command, capture_output=True, check=True)
    assert run.stderr == b""
    assert len(run.stdout) > 20_000


def test_describe_a_stream() -> None:
    scene = synthetic.scene(500, levels=3, seed=1)
    data = encode(scene, slice_anchors=200)
    info = check(data)
    assert info.version == (1, 0)
    header = info.header
    assert (header.shape, header.coder, header.position_bits) == (scene.shape, "lanes", 12)
    assert header.voxel_size == scene.voxel_size
    assert header.origin == tuple(scene.origin) and header.background == scene.background

    symbols = decode_symbols(data)
    first = np.where(symbols.gaussian_level > 0, symbols.gaussian_level, 99).min(axis=1)
    for level in info.levels:
        assert level.whole and level.slices == 3
        assert level.anchors == np.count_nonzero(first == level.level)
        assert level.gaussians == np.count_nonzero(symbols.gaussian_level == level.level)
        own = [s for s in info.slices if s.level == level.level]
        assert sum(s.anchors for s in own) == level.anchors
        # What lies in a level's bytes is what the level's components count.
        total = sum(size for (at, _), size in info.component_bytes.items() if at == level.level)
        assert total == level.length
    assert info.size == info.file_bytes == len(data) == sum(info.component_bytes.values())
    assert {component for _, component in info.component_bytes} <= set(COMPONENTS)
    assert not info.truncated and info.damaged == ()
    assert [c.name for c in info.chunks[:3]] == ["chunk INDX", "chunk HEAD", "chunk cams"]
    assert info.chunks[-1].name == "chunk SLIC level 3 slice 2"
    assert info.component("grid") > 0 and info.component("nothing") == 0


@pytest.mark.parametrize(
    ("name", "at", "value"),
    [
        ("plain", 0, b"predictive\0\0"),
        ("shared-pool", 0, b"plain\0\0\0\0\0\0\0"),
        ("plain", 14, b"\0\0"),  # F
        ("plain", 22, b"\0\0"),  # one of two trit networks
        ("plain", 28, b"\7\0"),  # a trit network of offsets, which are not refined
        ("plain", 34, b"\7\0"),  # Hp without P
        ("plain", 36, b"\7\0"),  # Hr without P
        ("plain", 38, b"\x0f"),
        ("plain", 39, b"\4"),
        ("plain", 39, b"\3"),  # networks of scaling's trits, which a Gaussian models
        ("plain", 39, b"\1"),  # Gaussian three-way, with trit networks
        ("plain", 40, b"\2"),  # G without Hc
        ("plain", 41, b"\1"),  # own planes without P
        ("chunks", 40, b"\1"),
        ("chunks", 40, b"\x08"),  # more than F
        ("chunks", 30, b"\0\0"),
        ("chunks", 30, b"\1\2"),  # 513
        ("shared-pool", 32, b"\0\0"),
        ("shared-pool", 32, b"\1\1"),  # 257
        ("shared-pool", 34, b"\0\0"),
        ("shared-pool", 41, b"\5"),  # no plane left
        ("pool-only", 36, b"\7\0"),  # Hr without F
        ("pool-only", 22, b"\7\0"),  # a trit network of no features
    ],
)
def test_sizes_that_disagree(name: str, at: int, value: bytes) -> None:
    """The reader and the core refuse the same fields of HEAD."""
    data = encode(synthetic.tiny(10, levels=2, variant=synthetic.VARIANTS[name]))
    for read in (describe, decode):
        with pytest.raises(BitstreamError, match="HEAD: "):
            read(head_change(data, at, value))


def test_nothing_of_later_levels_before_the_first_picture() -> None:
    """Level 1 of a file with three levels is, byte for byte, level 1 of a file that has no others."""
    scene = synthetic.tiny(100, levels=3, seed=4)
    three, one = encode(scene), encode(scene, levels=1)
    a, b = describe(three).levels[0], describe(one).levels[0]
    assert three[a.offset : a.offset + a.length] == one[b.offset : b.offset + b.length]
    only_first = scene.gaussian_level.copy()
    only_first[only_first > 1] = 0
    keep = only_first.any(axis=1)
    assert describe(one).levels[0].anchors == keep.sum()


def test_container_overhead() -> None:
    """Index, chunk headers and slice headers stay below half a percent at 1 MB."""
    scene = synthetic.scene(22_000, levels=3)
    data = encode(scene)
    info = describe(data)
    overhead = sum(info.component(name) for name in ("index", "header", "framing"))
    assert len(data) > 900_000
    assert overhead <= 0.005 * len(data)


def test_import_is_quick_and_light() -> None:
    code = "import sys, gspc.format; print(sorted({'numpy', 'torch', 'gspc._codec'} & set(sys.modules)))"
    start = time.perf_counter()
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
    assert time.perf_counter() - start < 5
