"""The training log: equal runs write equal rows, interrupted or not, and no other file is taken for one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gspc.errors import InputError, OutputError
from gspc.train.log import rows_until, training_log


def lines(*iterations: int) -> str:
    return "".join(json.dumps({"iteration": iteration}) + "\n" for iteration in iterations)


def test_the_log_goes_on_after_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(lines(10, 20, 30))
    with training_log(path, 20) as log:
        log.write({"iteration": 25})
        log.sync()
    assert path.read_text() == lines(10, 20, 25)
    with training_log(path, 0) as log:
        log.write({"iteration": 1})
    assert path.read_text() == lines(1)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("moment", ["os.fsync", "pathlib.Path.replace"])
def test_a_log_is_not_lost_while_it_is_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Killed at any moment, a resuming run leaves the old rows or those it keeps."""
    path = tmp_path / "log"
    path.write_text(lines(10, 20, 30))

    def killed(*_: object) -> None:
        assert path.read_text() == lines(10, 20, 30)
        raise KeyboardInterrupt

    monkeypatch.setattr(moment, killed)
    with pytest.raises(KeyboardInterrupt), training_log(path, 20):
        raise AssertionError("it was not killed")
    assert path.read_text() == lines(10, 20, 30)


def test_logs_may_go_to_devices() -> None:
    with training_log(Path("/dev/null"), 20) as log:
        log.write({"iteration": 25})
        log.sync()
    with (
        pytest.raises(OutputError, match="/dev/full: no space left"),
        training_log(Path("/dev/full"), 20) as log,
    ):
        log.write({"iteration": 25})
    with training_log(None, 20) as log:
        log.write({"iteration": 25})


def test_only_a_log_of_ours_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text('{"iteration": 10}\n{"iteration": 20}\n{"iter')
    assert rows_until(path, 10) == ['{"iteration": 10}\n']
    assert len(rows_until(path, 30)) == 2
    for text in ("my diary\n", '{"epoch": 1}\n', "[1]\n", "[" * 100_000 + "\n"):
        path.write_text(text)
        with pytest.raises(InputError, match="log: is not the log of the run to resume"):
            rows_until(path, 10)
        assert path.read_text() == text
