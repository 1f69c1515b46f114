"""Fixtures that several test files share."""

from __future__ import annotations

import pytest
from cli_tools import Cli


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`gspc` as a function."""
    return Cli(monkeypatch)
