"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from gspc.errors import OutputError
from gspc.output import atomic_file, check_target, cut_to_bytes, output_error, write_atomically, writing


def listing(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_writes_bytes_and_what_a_function_writes(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"\x00\xff")
    write_atomically(tmp_path / "b", lambda stream: stream.write(b"xy"))
    assert (tmp_path / "a").read_bytes() == b"\x00\xff"
    assert (tmp_path / "b").read_bytes() == b"xy"
    assert listing(tmp_path) == ["a", "b"]


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a", b"1")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"old")
    for failure in (KeyboardInterrupt(), ValueError("x")):
        with pytest.raises(type(failure)), atomic_file(target) as stream:
            stream.write(b"new")
            raise failure
    assert target.read_bytes() == b"old"
    assert listing(tmp_path) == ["a"]


def test_a_full_disk_is_an_output_error_and_leaves_nothing(tmp_path: Path) -> None:
    def full(stream: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OutputError, match=r"a: no space left"):
        write_atomically(tmp_path / "a", full)
    assert listing(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_devices_are_written_to_and_not_replaced(tmp_path: Path) -> None:
    write_atomically(Path("/dev/null"), b"x")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with pytest.raises(OutputError, match="/dev/full: no space left"):
        write_atomically(Path("/dev/full"), b"x")
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_check_target(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(OutputError, match=r"a: exists already; add -f"):
        check_target(tmp_path / "a", force=False)
    check_target(tmp_path / "a", force=True)
    check_target(tmp_path / "b", force=False)
    check_target(Path("/dev/null"), force=False)
    with pytest.raises(OutputError, match="is a directory"):
        check_target(tmp_path, force=True)
    with pytest.raises(OutputError, match="does not exist; create it first"):
        check_target(tmp_path / "no" / "b", force=True)
    with pytest.raises(OutputError, match=r"not exist|not a directory"):
        check_target(tmp_path / "a" / "b", force=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_check_target_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="permission denied"):
        check_target(tmp_path / "a", force=False)
    tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "read-only"),
        (errno.EDQUOT, "quota"),
        (errno.ENOTDIR, "not a directory"),
        (errno.EIO, "cannot be written"),
    ],
)
def test_every_reason_is_said(number: int, text: str) -> None:
    line = str(output_error("f", OSError(number, os.strerror(number))))
    assert line.startswith("f: ")
    assert text in line
    assert "\n" not in line


def test_a_closed_pipe_is_not_an_output_error() -> None:
    with pytest.raises(BrokenPipeError), writing("stdout"):
        raise BrokenPipeError


def test_names_are_cut_by_bytes(tmp_path: Path) -> None:
    """File systems allow 255 bytes, which are 85 of these letters."""
    path = tmp_path / ("あ" * 84 + ".g")
    write_atomically(path, b"whole")
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]
    assert cut_to_bytes("aあい", 6) == "aあ"
    assert cut_to_bytes("a\udcff", 9) == "a"


def test_links_in_a_circle(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(OutputError, match=r"loop: cannot be written \(Too many levels of symbolic links\)"):
        check_target(loop, force=True)
