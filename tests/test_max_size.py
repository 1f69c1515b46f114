"""compress --max-size: levels, and slices of the last one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import synthetic
from cli_tools import Cli

import gspc
from gspc.codec import decode, encode, truncate_levels
from gspc.errors import UsageError
from gspc.format import check, describe
from gspc.reference.decode import decode_reference

STREAM = encode(synthetic.tiny(6000, levels=3), slice_anchors=60)
ENDS = [len(truncate_levels(STREAM, level)) for level in (1, 2, 3)]
SIZES = np.linspace(ENDS[0] + 1500, ENDS[2], 10).astype(int).tolist()


@pytest.mark.parametrize("size", SIZES)
def test_never_above_and_nearly_all_used(size: int) -> None:
    made = gspc.compress(STREAM, max_size=size)
    assert 0.95 * size <= len(made.data) <= size
    assert describe(made.data).whole_levels == made.levels
    check(made.data)
    whole, found = decode(STREAM, upto=made.levels).scene, decode(made.data).scene
    before = decode(STREAM, upto=max(made.levels - 1, 1)).scene
    assert len(before.anchors) <= len(found.anchors) <= len(whole.anchors)
    if made.slices is None:
        assert found.anchors.tobytes() == whole.anchors.tobytes()


def test_what_is_left_out_stays_at_the_level_before() -> None:
    size = (ENDS[1] + ENDS[2]) // 2
    made = gspc.compress(STREAM, max_size=size)
    assert made.slices is not None and 0 < made.slices[0] < made.slices[1]
    found = decode(made.data)
    assert found.symbol_hash != decode(STREAM).symbol_hash
    parts = {row.tobytes() for level in (2, 3) for row in decode(STREAM, upto=level).scene.features}
    assert all(row.tobytes() in parts for row in found.scene.features)
    assert truncate_levels(made.data, 2) == truncate_levels(STREAM, 2)
    assert gspc.compress(made.data, max_size=size).data == made.data


def test_a_second_decoder_agrees() -> None:
    small = encode(synthetic.tiny(60, levels=2), slice_anchors=20)
    made = gspc.compress(small, max_size=len(small) - 60)
    assert made.slices is not None
    assert decode_reference(made.data)[0].symbol_hash == decode(made.data).symbol_hash


def test_too_small() -> None:
    with pytest.raises(UsageError, match="its level 1 takes"):
        gspc.compress(STREAM, max_size=ENDS[0] - 1)


def test_command(cli: Cli, tmp_path: Path) -> None:
    path, out = tmp_path / "in.pcgs", tmp_path / "out.pcgs"
    path.write_bytes(STREAM)
    ran = cli("compress", path, "--max-size", SIZES[5], "-o", out, "--json", tmp_path / "r.json")
    assert ran.code == 0 and out.stat().st_size <= SIZES[5]
    kept, slices = json.loads((tmp_path / "r.json").read_text())["slices_of_last_level"]
    assert 0 < kept < slices
