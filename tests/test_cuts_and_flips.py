"""A sample of what tests/bench/cuts_and_flips.py does in whole: streams of every variant, cut and flipped."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import synthetic

sys.path.append(str(Path(__file__).parent / "bench"))

import cuts_and_flips as cuts


def test_all_variants_are_there() -> None:
    assert set(synthetic.VARIANTS) <= {file.name for file in cuts.STREAMS.iterdir()}


@pytest.mark.parametrize("name", sorted(file.name for file in cuts.STREAMS.iterdir()))
def test_what_is_cut_or_flipped_is_refused_or_equal(name: str) -> None:
    data = (cuts.STREAMS / name).read_bytes()
    found = cuts.outcome(data, every=41)
    assert found.wrong == 0 and found.refused + found.equal == found.tried > len(data) // 5
    assert found.longest < cuts.LONGEST


def test_a_stream_that_decodes_to_something_else_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([(1, 7), (1, 7), *[(1, 8)] * 10_000])
    monkeypatch.setattr(cuts, "decode", lambda data, upto=0: next(answers))
    found = cuts.outcome(b"stream")
    assert found.wrong == found.tried == 6 + 48
