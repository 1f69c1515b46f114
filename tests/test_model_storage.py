"""Files of training appear whole or not at all, and what torch's writer says of a full disk is passed on."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

import pytest
import torch

from gspc.errors import OutputError
from gspc.model import storage


def test_a_full_disk_leaves_the_file_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.pt"
    storage.save(path, {"x": torch.ones(3)})
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OutputError, match=r"model\.pt: no space left on the device"):
            storage.save(path, {"x": torch.zeros(3)})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    link = tmp_path / "full"
    link.symlink_to("/dev/full")
    with pytest.raises(OutputError, match="full: no space left on the device"):
        storage.save(link, {"x": torch.zeros(100_000)})
    assert link.is_symlink() and stat.S_ISCHR(link.stat().st_mode)
    assert list(tmp_path.iterdir()) == [link]
