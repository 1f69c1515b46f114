"""Hostile bytes: every cut and every flipped bit is detected, or does no harm."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import synthetic
from stream_bytes import HEADER, chunk_bytes, index_of, payload_of, rebuilt, replaced

from gspc.codec import decode, decode_symbols, encode, truncate_levels
from gspc.errors import BackendError, BitstreamError
from gspc.format import check, describe


@pytest.fixture(scope="module")
def stream() -> bytes:
    return encode(synthetic.tiny(60, levels=3), slice_anchors=20)


@pytest.fixture(scope="module")
def hashes(stream: bytes) -> list[str]:
    return [decode(stream, upto=level).symbol_hash for level in (1, 2, 3)]


def test_rebuilding_unchanged_gives_the_same(stream: bytes) -> None:
    assert rebuilt(stream, {}) == stream


def test_truncation_at_every_byte(stream: bytes, hashes: list[str]) -> None:
    ends = [level.offset + level.length for level in describe(stream).levels]
    for size in range(len(stream)):
        whole = sum(size >= end for end in ends)
        if whole == 0:
            with pytest.raises(BitstreamError):
                decode(stream[:size])
            continue
        decoded = decode(stream[:size])
        assert (decoded.level, decoded.truncated, decoded.levels_in_file) == (whole, True, 3)
        assert decoded.symbol_hash == hashes[whole - 1]
        assert len(decoded.warnings) == 1 and "truncated" in decoded.warnings[0]
        with pytest.raises(BitstreamError, match=f"level {whole + 1} was asked for"):
            decode(stream[:size], upto=whole + 1)
    assert decode(stream).warnings == ()


def test_truncated_streams_can_still_be_cut_to_whole_levels(stream: bytes) -> None:
    part = stream[: describe(stream).levels[2].offset + 5]
    assert truncate_levels(part, 2) == truncate_levels(stream, 2)
    with pytest.raises(BitstreamError, match="not whole"):
        truncate_levels(part, 3)


def test_reader_follows_truncation(stream: bytes) -> None:
    for size in range(0, len(stream), 7):
        try:
            info = describe(stream[:size])
        except BitstreamError:
            assert size < describe(stream).levels[0].offset
            continue
        assert info.truncated
        with pytest.raises(BitstreamError):
            check(stream[:size])


def test_every_flipped_bit_is_noticed(stream: bytes, hashes: list[str]) -> None:
    """Header and index bit by bit, the rest one bit in each byte; only bytes no checksum covers may pass,
    and then nothing changes."""
    front = describe(stream).levels[0].offset
    for at in range(len(stream)):
        for bit in range(8) if at < front else ((at * 5) % 8,):
            bad = bytearray(stream)
            bad[at] ^= 1 << bit
            data = bytes(bad)
            try:
                decoded = decode(data, threads=1)
            except BitstreamError as error:
                assert "\n" not in str(error)
            else:
                assert at == 9, f"bit {bit} of byte {at} went unnoticed"  # the minor version may be newer
                assert decoded.symbol_hash == hashes[2]
            if at != 9:
                with pytest.raises(BitstreamError):
                    check(data)


def test_a_checksum_error_names_the_chunk(stream: bytes, hashes: list[str]) -> None:
    info = describe(stream)
    target = next(c for c in info.chunks if (c.tag, c.level, c.slice) == ("SLIC", 2, 1))
    bad = bytearray(stream)
    bad[target.offset + HEADER + 3] ^= 4
    data = bytes(bad)
    for read in (decode, check, decode_symbols):
        with pytest.raises(BitstreamError, match="chunk SLIC level 2 slice 1: checksum error"):
            read(data)
    assert [c.name for c in describe(data).damaged] == ["chunk SLIC level 2 slice 1"]
    assert decode(data, upto=1).symbol_hash == hashes[0]
    with pytest.raises(BitstreamError, match="SLIC level 2 slice 1"):
        truncate_levels(data, 2)


@pytest.mark.parametrize("name", synthetic.VARIANTS)
def test_damage_behind_right_checksums_never_crashes(name: str) -> None:
    """Random payloads whose checksums were fixed up: an error or some scene, no crash, no hang."""
    stream = encode(synthetic.tiny(60, levels=3, variant=synthetic.VARIANTS[name]), slice_anchors=20)
    rng = np.random.default_rng(1)
    chunks = describe(stream).chunks
    refused = 0
    for _ in range(120):
        i = int(rng.integers(1, len(chunks)))
        payload = bytearray(payload_of(stream, i))
        for _ in range(int(rng.integers(1, 4))):
            payload[int(rng.integers(len(payload)))] = int(rng.integers(256))
        data = replaced(stream, i, bytes(payload))
        try:
            decode(data, threads=1, max_memory=1 << 28)
        except BitstreamError as error:
            assert str(error)
            refused += 1
    assert refused > 60


def test_trits_without_bounds_that_leave_them() -> None:
    """A damaged stream of the third trit model decodes to something else than -1, 0, 1 somewhere."""
    variant = synthetic.VARIANTS["unbounded-trits"]
    stream = encode(synthetic.tiny(60, levels=2, variant=variant), slice_anchors=60)
    at = index_of(stream, "SLIC", 2, 0)
    payload = payload_of(stream, at)
    lanes = next(s.symbols for s in describe(stream).slices if s.level == 2)
    messages = set()
    for i in range(40):
        changed = bytearray(payload)
        changed[len(payload) - lanes + 20 + i] ^= 0x55  # states at the start of decoding: trits come first
        try:
            decode(replaced(stream, at, bytes(changed)), threads=1)
        except BitstreamError as error:
            messages.add(str(error))
    assert "chunk SLIC level 2 slice 0: a trit is beyond -1 to 1" in messages


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"", "empty"),
        (b"ply\nformat", "bad magic"),
        (b"PK\x03\x04" + bytes(40), "bad magic"),
        (b"\x89PCGS\n\x1a" + bytes(40), "text mode"),
        (b"\x89PCGS\r\r\n\x1a" + bytes(40), "text mode"),
        (b"\x89PCGS\r\n", "truncated"),
        (b"\x89PCGS\r\n\x1a\x03\x05\0\0", "version 3.5"),
        (b"\x89PCGS\r\n\x1a\x00\x01\0\0", "version 0.1"),
        (b"\x89PCGS\r\n\x1a\x01\x00\1\0", "reserved"),
        (b"\x89PCGS\r\n\x1a\x01\x00\0\0", "truncated inside the index"),
    ],
)
def test_first_bytes(start: bytes, message: str) -> None:
    for read in (decode, describe):
        with pytest.raises(BitstreamError, match=message):
            read(start)


def test_trailing_bytes(stream: bytes) -> None:
    for read in (decode, describe):
        with pytest.raises(BitstreamError, match="2 bytes follow"):
            read(stream + b"\0\0")


def test_minor_version_is_accepted(stream: bytes, hashes: list[str]) -> None:
    newer = stream[:9] + b"\x07" + stream[10:]
    assert decode(newer).symbol_hash == hashes[2]
    assert truncate_levels(newer, 2)[8:10] == b"\x01\x07"


def test_unknown_chunks(stream: bytes, hashes: list[str]) -> None:
    at = index_of(stream, "meta")
    skipped = rebuilt(stream, {at: (b"xtra", b"later")})
    assert decode(skipped).symbol_hash == hashes[2]
    assert decode(skipped).scene.metadata == {}
    assert describe(skipped).component_bytes[0, "other"] == 5
    needed = rebuilt(stream, {at: (b"XTRA", b"later")})
    with pytest.raises(BitstreamError, match="chunk XTRA: unknown and needed"):
        decode(needed)
    grid = index_of(stream, "GRID", 1)
    with pytest.raises(BitstreamError, match="missing"):
        decode(rebuilt(stream, {grid: (b"grid", payload_of(stream, grid))}))
    with pytest.raises(BitstreamError, match="twice"):
        decode(rebuilt(stream, {at: (b"cams", payload_of(stream, index_of(stream, "cams")))}))


def head_change(stream: bytes, at: int, value: bytes) -> bytes:
    payload = bytearray(payload_of(stream, 1))
    payload[at : at + len(value)] = value
    return replaced(stream, 1, bytes(payload))


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (0, b"recursive\0\0\0", "model family 'recursive' is not known"),
        (0, b"predictive\0\0", "do not belong together"),
        (0, b"pl\0in", "malformed model family"),
        (12, b"\x02", "unknown symbol coder 2"),
        (13, b"\x00", "position bits"),
        (13, b"\x16", "position bits"),
        (14, struct.pack("<H", 0), "features"),
        (14, struct.pack("<H", 257), "features"),
        (16, struct.pack("<H", 33), "offsets"),
        (18, struct.pack("<H", 513), "hidden layers"),
        (22, struct.pack("<H", 0), "trit networks is missing"),
        (22, struct.pack("<HH", 0, 0), "no trit networks"),
        (28, struct.pack("<H", 4), "not refined by one"),
        (28, struct.pack("<H", 600), "hidden layers"),
        (30, struct.pack("<H", 4), "hidden units of groups of features, but no groups"),
        (32, struct.pack("<H", 4), "do not belong together"),
        (32, struct.pack("<H", 257), "model family and pool features do not belong"),
        (34, struct.pack("<H", 4), "parts of a pool, but no pool"),
        (36, struct.pack("<H", 4), "parts of a pool, but no pool"),
        (38, b"\x0f", "trit networks is missing"),
        (38, b"\x0b", "chunk NETS level 1: does not end"),  # one log scale, networks for six
        (38, b"\x13", "no such last refined level"),
        (38, b"\x93", "no such last refined level"),
        (38, b"\x07", "trit networks is missing"),
        (38, b"\x01", "not refined by one"),
        (39, b"\x04", "unknown trit model"),
        (39, b"\x01", "not refined by one"),
        (40, b"\x03", "hidden layers"),
        (40, b"\x01", "groups of features must be"),
        (40, b"\x06", "groups of features must be"),
        (41, b"\x01", "parts of a pool, but no pool"),
        (42, struct.pack("<d", float("inf")), "steps must be"),
        (66, struct.pack("<d", float("nan")), "the origin must be"),
        (90, struct.pack("<d", -1.0), "voxel size"),
        (122, struct.pack("<i", 0), "grid box size"),
        (134, struct.pack("<H", 65), "too many grid planes"),
    ],
)
def test_header_fields(stream: bytes, at: int, value: bytes, message: str) -> None:
    data = head_change(stream, at, value)
    with pytest.raises(BitstreamError, match=message):
        decode(data)


@pytest.mark.parametrize("name", ["plain", "own-planes", "pool-only", "everything", "one-scale"])
def test_core_and_reader_refuse_the_same_headers(name: str) -> None:
    """Sizes and kinds at random: what the reader refuses, the core refuses; and the other way round, if it is
    the header that the core dislikes."""
    stream = encode(synthetic.tiny(12, levels=2, variant=synthetic.VARIANTS[name]))
    head = payload_of(stream, 1)
    rng = np.random.default_rng(4)
    small = (0, 1, 2, 3, 5, 8, 255)
    for _ in range(150):
        changed = bytearray(head)
        for _ in range(int(rng.integers(1, 3))):
            at = int(rng.integers(13, 42))
            changed[at] = small[int(rng.integers(len(small)))]
        data = replaced(stream, 1, bytes(changed))
        try:
            decode(data, threads=1, max_memory=1 << 28)
        except BitstreamError as error:
            core = str(error)
        else:
            core = ""
        try:
            describe(data)
        except BitstreamError:
            assert core, changed.hex()
        else:
            assert not core.startswith("chunk HEAD") or "no trit networks" in core, core


def test_pool_that_leaves_no_plane_to_contexts() -> None:
    stream = encode(synthetic.tiny(12, variant=synthetic.VARIANTS["own-planes"]))
    for planes in (b"\x05", b"\xff"):
        for read in (decode, describe):
            with pytest.raises(BitstreamError, match="pool"):
                read(head_change(stream, 41, planes))
    only = encode(synthetic.tiny(12, variant=synthetic.VARIANTS["pool-only"]))
    for at, value, message in (
        (36, b"\x04", "a residual decoder, but|parts of a pool"),
        (34, b"\0\0", "hidden layers|beyond the limits"),
    ):
        for read in (decode, describe):
            with pytest.raises(BitstreamError, match=message):
                read(head_change(only, at, value))


@pytest.mark.filterwarnings("error")
def test_damaged_heads() -> None:
    """One line, also where scales are finite but not their products with weights; and no warning of numpy."""
    stream = Path(__file__).with_name("golden").joinpath("escapes.pcgs").read_bytes()
    at = index_of(stream, "GHED", 1)
    payload, rng = payload_of(stream, at), np.random.default_rng(1)
    found = set()
    for _ in range(100):
        bad = bytearray(payload)
        bad[rng.integers(len(bad))] = rng.integers(256)
        try:
            decode(replaced(stream, at, bytes(bad)))
        except BitstreamError as error:
            found.add(str(error))
    for message in ("malformed float", "scales and biases must be within 2^20"):
        assert f"chunk GHED level 1: {message}" in found


def test_lanes_called_torchac(stream: bytes) -> None:
    """The core refuses; the Python side refuses the absence of the package, or what its calls do not fill."""
    with pytest.raises((BitstreamError, BackendError)):
        decode(head_change(stream, 12, b"\x01"))


def test_index_that_disagrees_with_chunks(stream: bytes) -> None:
    index = payload_of(stream, 0)
    slices = len(describe(stream).slice_keys)
    at = 8 + 3 * 20 + 8 * slices
    other = bytearray(index)
    other[at : at + 4] = struct.pack("<I", struct.unpack_from("<I", index, at)[0] + 1)
    for read in (decode, describe):
        with pytest.raises(BitstreamError, match="disagree"):
            read(replaced(stream, 0, bytes(other)))
    counts = bytearray(index)
    counts[8 + 16 : 8 + 20] = struct.pack("<I", 1)
    for read in (decode, describe):
        with pytest.raises(BitstreamError, match="anchors"):
            read(replaced(stream, 0, bytes(counts)))


def test_more_anchors_than_bytes_could_hold(stream: bytes) -> None:
    """A slice that claims four billion anchors is refused before memory is taken."""
    at = index_of(stream, "SLIC", 1, 0)
    claim = b"\xff\xff\xff\xff\x0f" + b"\0" * 5
    for read in (decode, describe):
        with pytest.raises(BitstreamError, match="more new anchors than 8 per byte"):
            read(rebuilt(stream, {at: (b"SLIC", claim)}))


def test_slice_parts(stream: bytes) -> None:
    at = index_of(stream, "SLIC", 1, 0)
    payload = payload_of(stream, at)
    cases = {
        "padding is not zero": payload + b"\1",
        "shorter than its contents": payload[:-1],
        "malformed number": b"\x80\x00" + payload[1:],
    }
    for message, changed in cases.items():
        for read in (decode, describe):
            with pytest.raises(BitstreamError, match=f"SLIC level 1 slice 0: {message}"):
                read(rebuilt(stream, {at: (b"SLIC", changed)}))


def test_a_last_level_of_some_slices_is_legal(stream: bytes, hashes: list[str]) -> None:
    """Slices that the last level lacks stay at the level before."""
    info = describe(stream)
    drop = [c for c in info.chunks if (c.tag, c.level) == ("SLIC", 3) and c.slice != 0]
    kept = stream
    for chunk in reversed(drop):
        kept = kept[: chunk.offset] + kept[chunk.offset + HEADER + chunk.length :]
    index = bytearray(payload_of(stream, 0))
    count = len(info.slice_keys)
    rows = 8 + 3 * 20 + 8 * count + 2 * 4 * count
    index[rows + 4 :] = bytes(4 * (count - 1))
    last = info.levels[2]
    removed = len(stream) - len(kept)
    anchors = next(s.anchors for s in info.slices if (s.level, s.slice) == (3, 0))
    index[8 + 40 : 8 + 60] = struct.pack("<QQI", last.offset, last.length - removed, anchors)
    new = chunk_bytes(b"INDX", bytes(index))
    data = kept[:12] + new + kept[12 + len(new) :]
    partial, two, three = decode_symbols(data), decode_symbols(stream, 2), decode_symbols(stream)
    assert check(data).levels[2].slices == 1
    first = sum(s.anchors for s in info.slices if s.slice == 0)
    np.testing.assert_array_equal(partial.features[:first], three.features[:first])
    older = sum(s.anchors for s in info.slices if s.slice == 0 and s.level < 3)
    np.testing.assert_array_equal(partial.features[first:], two.features[older:])
    assert decode(data).level == 3
    assert decode(data, upto=2).symbol_hash == hashes[1]
    whole, part = decode(stream, upto=2).scene, decode(data).scene
    np.testing.assert_array_equal(part.features[first:], whole.features[older:])
