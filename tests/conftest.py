"""Fixtures that several test files share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cli_tools import Cli

from gspc.ops.kernels import kernels


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`gspc` as a function."""
    return Cli(monkeypatch)


@pytest.fixture(params=["base", "v3", "v4"])
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """One after the other the instruction sets that the kernels are compiled for, as far as this processor
    has them."""
    kernels().set_isa(request.param)
    if kernels().active_isa() != request.param:
        pytest.skip(f"this processor has no {request.param}")
    yield request.param
    kernels().set_isa(kernels().supported_isa())
