"""`--coder torchac`: streams recoded to the extra and back, with the package itself where it is installed."""

from __future__ import annotations

import importlib.util
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import fake_torchac
import numpy as np
import pytest
import synthetic
import torch
from cli_tools import Cli, environment
from stream_bytes import HEADER, index_of, payload_of, rebuilt, replaced, without_last_slice

from gspc import _codec
from gspc.codec import decode, decode_symbols, encode, recode, truncate_levels
from gspc.codec import torchac as extra
from gspc.codec.costs import anchor_costs
from gspc.codec.recode import CODER_AT, coder_of
from gspc.errors import BackendError, BitstreamError
from gspc.format import check, describe, limits
from gspc.reference.mixtures import mixture_table

GOLDEN = Path(__file__).parent / "golden"
HASHES: dict[str, list[str]] = json.loads((GOLDEN / "hashes.json").read_text())


def stream(name: str) -> bytes:
    return (GOLDEN / f"{name}.pcgs").read_bytes()


@pytest.fixture(params=["fake", "installed"])
def coder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """torchac as a fake with its interface, and the real one."""
    if request.param == "fake":
        monkeypatch.setattr(extra, "load", lambda: (fake_torchac, torch))
    elif importlib.util.find_spec("torchac") is None:
        pytest.skip("torchac is not installed; pip install 'gspc[torchac]'")
    return request.param


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No torchac, whatever is installed."""
    extra.load.cache_clear()
    monkeypatch.setitem(sys.modules, "torchac", None)
    yield
    extra.load.cache_clear()


@pytest.mark.parametrize("name", HASHES)
def test_there_and_back(name: str, coder: str) -> None:
    lanes = stream(name)
    coded = recode(lanes, "torchac")
    assert check(coded).header.coder == "torchac" and coder_of(coded) == "torchac"
    assert recode(coded, "torchac") == coded and recode(coded, "lanes") == lanes
    for level, expected in enumerate(HASHES[name], start=1):
        assert decode(coded, upto=level).symbol_hash == expected
        shorter = truncate_levels(coded, level)
        assert shorter == recode(truncate_levels(lanes, level), "torchac")
        assert decode(shorter).symbol_hash == expected
    ideal = decode_symbols(lanes).ideal_bits
    assert decode_symbols(coded).ideal_bits == pytest.approx(ideal)  # sums of threads, in any order


def test_size(coder: str) -> None:
    """The same tables, hence about the same size; what is added is a few bytes for each call."""
    scene = synthetic.tiny(3000, levels=2, seed=5)
    lanes = encode(scene)
    coded = encode(scene, coder="torchac")
    symbols = sum(decode_symbols(lanes).ideal_bits.values()) / 8
    assert describe(lanes).component("symbols") > symbols
    assert symbols < describe(coded).component("symbols") < 1.01 * symbols + 1000
    assert recode(coded, "lanes") == lanes


def test_tables_of_mixtures() -> None:
    """All symbols of a run at once here; pcgs(5) and the lanes make them one by one."""
    n, rng = 200, np.random.default_rng(3)
    scales = [rng.integers(0, 128, n).astype(np.uint8) for _ in range(2)]
    means = [rng.integers(-(1 << 14), (1 << 14) + 1, n) >> rng.integers(0, 14, n) for _ in range(2)]
    means = [mean.astype(np.int16) for mean in means]
    fields = (*scales, *means, rng.integers(0, 256, n).astype(np.uint8))
    low, high = _codec.mixture_bounds(*fields)
    slots = high.astype(np.int64) - low + 2
    assert sorted(np.concatenate(list(extra.batches(slots))).tolist()) == list(range(n))
    for batch in extra.batches(slots):
        for i, row in zip(batch.tolist(), extra._mixture_rows(fields)(batch), strict=True):
            pairs = [(int(a[i]), int(b[i])) for a, b in (scales, means)]
            table = mixture_table(*pairs, int(fields[4][i]))
            assert (low[i], high[i]) == (table.symbols[0], table.symbols[-1])
            assert row.view(np.uint16).tolist() == [4 * slot & 0xFFFF for slot in table.first]
    mixed = [values[:2] for values in fields]
    assert slots[0] != slots[1]
    with pytest.raises(ValueError, match="equally many slots"):
        _codec.mixture_slots(*mixed)


def test_core_refuses(coder: str) -> None:
    data = recode(stream("one-level"), "torchac")
    for call in (
        lambda: _codec.decode_stream(data, 0, 1, 1 << 30, False, False, False),
        lambda: _codec.decode_stream(data, 1, 1, 1 << 30, True, True, False),
    ):
        with pytest.raises(_codec.StreamError, match=r"^symbols were coded with torchac, which this core"):
            call()


def test_many_calls(coder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are cut where the tables of one call would take too much memory."""
    monkeypatch.setattr(extra, "MAX_ENTRIES", 1 << 11)
    slots = np.array([4, 900, 4, 6, 900, 900, 4])
    found = [batch.tolist() for batch in extra.batches(slots)]
    assert found == [[0, 2, 6], [3], [1, 4], [5]]
    lanes = stream("escapes")
    assert recode(recode(lanes, "torchac"), "lanes") == lanes


def test_missing(missing: None) -> None:
    with pytest.raises(BackendError, match=r"pip install 'gspc\[torchac\]'"):
        encode(synthetic.tiny(10), coder="torchac")
    assert decode(stream("one-level")).symbol_hash == HASHES["one-level"][0]


def test_missing_is_said_before_any_work(missing: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(*_: object) -> None:
        raise AssertionError("something was done without the package")

    for name in ("transcode_stream", "encode_stream", "decode_stream", "stream_costs"):
        monkeypatch.setattr(_codec, name, work)
    data = bytearray(stream("one-level"))
    head = describe(bytes(data)).chunks[1]
    start = head.offset + HEADER
    data[start + CODER_AT] = 1
    struct.pack_into("<I", data, head.offset + 16, zlib.crc32(data[start : start + head.length]))
    for call in (decode, decode_symbols, anchor_costs, lambda data: recode(data, "lanes")):
        with pytest.raises(BackendError, match="not installed"):
            call(bytes(data))
    with pytest.raises(BackendError, match="not installed"):
        recode(stream("one-level"), "torchac")
    with pytest.raises(BackendError, match="not installed"):
        encode(synthetic.tiny(10), coder="torchac")


def test_missing_is_exit_5(missing: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = Cli(monkeypatch)
    path, out = tmp_path / "a.pcgs", tmp_path / "b.pcgs"
    path.write_bytes(stream("one-level"))
    ran = cli("compress", path, "--coder", "torchac", "-o", out)
    assert ran.code == 5 and not out.exists()
    assert len(ran.lines) == 1 and "pip install 'gspc[torchac]'" in ran.lines[0] and "a.pcgs" in ran.lines[0]
    with monkeypatch.context() as patch:
        patch.setattr(extra, "load", lambda: (fake_torchac, torch))
        path.write_bytes(recode(stream("one-level"), "torchac"))
    for command in (("decompress", path), ("compress", path), ("inspect-bitstream", path, "--rates")):
        ran = cli(*command)
        assert ran.code == 5 and ran.out == b"" and len(ran.lines) == 1
    assert cli("inspect-bitstream", path, "--check").code == 0  # needs no torchac


def test_commands(coder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = Cli(monkeypatch)
    lanes = stream("three-levels")
    coded = cli("compress", "--coder", "torchac", "--levels", 2, stdin=lanes)
    assert coded.code == 0 and coded.out == recode(truncate_levels(lanes, 2), "torchac")
    shown = cli("inspect-bitstream", stdin=coded.out)
    assert shown.code == 0 and b"torchac" in shown.out
    want, got = (cli("decompress", stdin=data) for data in (truncate_levels(lanes, 2), coded.out))
    assert want.code == got.code == 0 and want.out == got.out
    back = cli("compress", stdin=coded.out)
    assert back.code == 0 and back.out == truncate_levels(lanes, 2)
    assert cli("compress", "--coder", "zip", stdin=lanes).code == 2


def test_standard_output_stays_clean(tmp_path: Path) -> None:
    """torchac builds itself when imported and says so on file descriptor 1."""
    source = Path(fake_torchac.__file__).read_text()
    (tmp_path / "torchac.py").write_text(
        f"import os\nos.write(1, b'[1/2] c++')\nprint('loading')\n{source}".replace(
            "from __future__ import annotations\n", ""
        )
    )
    env = environment()
    env["PYTHONPATH"] = f"{tmp_path}:{env['PYTHONPATH']}"
    command = [sys.executable, "-m", "gspc", "compress", "--coder", "torchac"]
    ran = subprocess.run(command, input=stream("one-level"), capture_output=True, env=env, check=True)
    assert ran.stdout.startswith(limits.MAGIC) and coder_of(ran.stdout) == "torchac"
    assert b"[1/2] c++" in ran.stderr and b"loading" in ran.stderr


def test_truncated(coder: str) -> None:
    data = recode(stream("three-levels"), "torchac")
    second = describe(data).levels[1]
    for end in (second.offset, second.offset + 10, second.offset + second.length - 1):
        got = decode(data[:end])
        assert (got.level, got.levels_in_file, got.truncated) == (1, 3, True)
        assert "level 1 of 3" in got.warnings[0] and got.symbol_hash == HASHES["three-levels"][0]
        with pytest.raises(BitstreamError, match="truncated: level 2"):
            decode(data[:end], upto=2)
    with pytest.raises(BitstreamError, match="truncated"):
        decode(data[: second.offset - 1])
    with pytest.raises(BitstreamError, match="level 4 was asked for"):
        decode(data, upto=4)
    whole = decode(data, upto=1)
    assert (whole.level, whole.levels_in_file, whole.truncated, whole.warnings) == (1, 3, False, ())


def test_a_slice_less_in_the_last_level(coder: str) -> None:
    """As compress may leave slices out of the last level; made by hand here."""
    partial = without_last_slice(stream("three-levels"))
    coded = recode(partial, "torchac")
    assert recode(coded, "lanes") == partial
    assert decode(coded).symbol_hash == decode(partial).symbol_hash != HASHES["three-levels"][2]


# numpy must not say either that damaged numbers overflow.
no_warnings = pytest.mark.filterwarnings("error")


@no_warnings
def test_damage(coder: str) -> None:
    data = recode(stream("one-level"), "torchac")
    for at in range(0, len(data), 37):
        flipped = bytearray(data)
        flipped[at] ^= 16
        try:
            got = decode(bytes(flipped)).symbol_hash
        except BitstreamError:
            continue
        assert got == HASHES["one-level"][0]  # an ancillary chunk


@no_warnings
@pytest.mark.parametrize("name", ["escapes", "mixture-escapes", "unbounded-trits", "everything"])
def test_hostile_symbols(coder: str, name: str) -> None:
    """Bytes that the checksums vouch for: an error that names the chunk, or other symbols, nothing else."""
    data = recode(stream(name), "torchac")
    info = describe(data)
    rng = np.random.default_rng(1)
    errors = 0
    for chunk in [c for c in info.chunks if c.tag == "SLIC"][::3]:
        place = next(s for s in info.slices if (s.level, s.slice) == (chunk.level, chunk.slice))
        at = index_of(data, "SLIC", chunk.level, chunk.slice)
        payload = payload_of(data, at)
        for _ in range(8):
            bad = bytearray(payload)
            for byte in rng.integers(len(payload) - place.symbols, len(payload), 3):
                bad[byte] = rng.integers(256)
            try:
                decode(replaced(data, at, bytes(bad)))
            except BitstreamError as error:
                errors += 1
                assert "\n" not in str(error) and str(error).startswith("chunk SLIC level ")
    assert errors > 0


@no_warnings
def test_lengths_of_calls(coder: str) -> None:
    data = recode(stream("one-level"), "torchac")
    at = index_of(data, "SLIC", 1, 0)
    payload = payload_of(data, at)
    symbols = describe(data).slices[0].symbols
    before = payload[: len(payload) - symbols]
    for size, message in (
        (b"\xff" * 5, "malformed length"),
        (b"\xff\xff\x7f", "shorter than their contents"),
    ):
        with pytest.raises(BitstreamError, match=f"chunk SLIC level 1 slice 0: torchac symbols: {message}"):
            decode(replaced(data, at, before + size.ljust(symbols, b"\xff")))


@no_warnings
@pytest.mark.parametrize("name", ["one-level", "everything"])
def test_hostile_parameters(coder: str, name: str) -> None:
    """Networks, heads and grids of other sizes than HEAD says, or missing: one line."""
    data = recode(stream(name), "torchac")
    rng = np.random.default_rng(2)
    for at, chunk in enumerate(describe(data).chunks):
        if chunk.tag not in ("NETS", "GRID", "GHED"):
            continue
        payload = payload_of(data, at)
        changed = [payload[:-1], payload + b"\7", b""]
        for _ in range(10):
            bad = bytearray(payload)
            bad[rng.integers(len(bad))] ^= 1 << int(rng.integers(8))
            changed.append(bytes(bad))
        for bad_payload in changed:
            try:
                decode(rebuilt(data, {at: (chunk.tag.encode(), bad_payload)}))
            except BitstreamError as error:
                assert "\n" not in str(error)
    head = payload_of(data, 1)
    for byte in range(12, 42):
        bad = bytearray(head)
        bad[byte] ^= 1
        try:
            decode(replaced(data, 1, bytes(bad)))
        except BitstreamError as error:
            assert "\n" not in str(error)


def test_memory_limit(coder: str) -> None:
    data = recode(stream("one-level"), "torchac")
    with pytest.raises(BitstreamError, match=r"recoding .* the limit is 1 MiB; raise --max-memory"):
        decode(data, max_memory=1 << 20)


def test_memory_limit_counts_the_grid(coder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for lanes. HEAD alone makes the grid large; what would fill it is never read."""
    monkeypatch.setattr(extra, "MAX_ENTRIES", 1 << 10)
    lanes = stream("one-level")
    head = bytearray(payload_of(lanes, 1))
    head[-3] = 22  # log2 of the last plane's entries
    head[-2:] = (2047).to_bytes(2, "little")  # its resolution
    large = replaced(lanes, 1, bytes(head))
    head[CODER_AT] = 1
    for data in (large, replaced(lanes, 1, bytes(head))):
        with pytest.raises(BitstreamError, match=r"needs about \d+ MiB of memory, the limit is 2 MiB"):
            decode(data, max_memory=2 << 20)


def test_coders_must_keep_to_their_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A coder of the wrong shape is a bug, not damage: the core says so and reads nothing beyond the run."""
    lanes = stream("one-level")
    with monkeypatch.context() as patch:
        patch.setattr(extra, "load", lambda: (fake_torchac, torch))
        data = recode(lanes, "torchac")
        for symbols, escaped, message in (
            (lambda n: np.zeros(n + 1, np.int32), [], "more or fewer symbols"),
            (lambda n: np.zeros(n, np.int32), [1 << 40], "beyond the run"),
            (lambda n: np.zeros(n, np.int32), [-1], "beyond the run"),
        ):
            given = np.array(escaped, dtype=np.int64)
            patch.setattr(
                extra.Decoder, "gaussian", lambda _, tables, s=symbols, e=given: (s(len(tables)), e)
            )
            with pytest.raises(ValueError, match=message):
                recode(data, "lanes")
