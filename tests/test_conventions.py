"""One fact once: what Python and the kernels share has the same value on both sides."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gspc.ops import conventions

RASTER = (Path(__file__).parent.parent / "kernels/raster/raster.hpp").read_text()
FORWARD = (Path(__file__).parent.parent / "kernels/raster/raster.cpp").read_text()


@pytest.mark.parametrize(
    ("kernel", "value"),
    [
        ("kNear", conventions.NEAR),
        ("kFar", conventions.FAR),
        ("kBlur", conventions.BLUR),
        ("kMaxAlpha", conventions.MAX_ALPHA),
        ("kMinAlpha", conventions.MIN_ALPHA),
        ("kMinTransmittance", conventions.MIN_TRANSMITTANCE),
        ("kTile", conventions.TILE),
    ],
)
def test_how_gaussians_become_pixels(kernel: str, value: float) -> None:
    text = re.search(rf"\b{kernel} = ([^;]+);", RASTER)
    assert text is not None
    terms = [float(term.strip().removesuffix("f")) for term in text[1].split("/")]
    assert terms[0] / (terms[1] if len(terms) > 1 else 1) == value


def test_the_largest_picture() -> None:
    assert f"width and height must lie in 1..{conventions.MAX_SIDE}" in FORWARD
