"""Comparisons of fits view by view: what they say of known scores, and how they ask for them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "bench"))

from bench_branches import as_options, compared
from bench_premium import refined, whole
from paired import Scores, with_error

RATES = (1000, 2000, 4000, 8000)
PSNR = tuple(tuple(20.0 + 2 * level + view for view in range(3)) for level in range(4))


def test_a_branch_that_is_better_everywhere() -> None:
    """0.5 dB more in every view is worth a factor of 2^(1/4) in bytes where 2 dB cost a factor of two."""
    other = Scores(RATES, tuple(tuple(value + 0.5 for value in views) for views in PSNR))
    saved = 100 * (2 ** (-1 / 4) - 1)
    assert compared(Scores(RATES, PSNR), other) == (
        f"last level +0.50 +- 0.00 dB, +0.0 % bytes; bytes at equal PSNR {saved:+.2f} +- 0.00 %"
    )
    same = tuple(2 * rate for rate in RATES)
    assert "bytes at equal PSNR +100.00 +- 0.00 %" in compared(Scores(RATES, PSNR), Scores(same, PSNR))
    far = Scores(RATES, tuple(tuple(value + 9 for value in views) for views in PSNR))
    assert compared(Scores(RATES, PSNR), far).endswith("bytes at equal PSNR no figure: too little overlap")


def test_errors_are_those_of_a_mean_over_views() -> None:
    """Of a plain mean the jackknife's error is the standard error of the mean."""
    values = (0.1, 0.4, -0.2, 0.3)
    deviation = (sum((value - 0.15) ** 2 for value in values) / 3) ** 0.5

    def mean(without: int | None) -> float:
        kept = [value for view, value in enumerate(values) if view != without]
        return sum(kept) / len(kept)

    assert with_error(mean, 4) == pytest.approx((0.15, deviation / 2))
    assert with_error(mean, 1) == (pytest.approx(0.15), None)


def test_changes_become_options_of_fit() -> None:
    assert as_options("ssim_weight=0.2 rate-weights=1,2") == [
        "--set",
        "ssim_weight=0.2",
        "--rate-weights",
        "1,2",
    ]
    with pytest.raises(SystemExit, match="--change loss: give NAME=VALUE"):
        as_options("loss")


def test_the_premium_of_a_stream_over_models() -> None:
    """A tenth more bytes at each quality, from models of one level whose curve is the stream's own."""
    models = [Scores((rate,), (psnr,)) for rate, psnr in zip(RATES[1:], PSNR[1:], strict=True)]
    dearer = Scores(tuple(round(1.1 * rate) for rate in RATES), PSNR)
    for figure in (whole(dearer, models), refined(dearer, models)):
        assert with_error(figure, 3) == (pytest.approx(10), pytest.approx(0, abs=1e-9))
    below = Scores(RATES, tuple(tuple(value - 9 for value in views) for views in PSNR))
    assert with_error(whole(below, models), 3) == (None, None)
    assert with_error(whole(dearer, models[:1]), 3) == (None, None)
