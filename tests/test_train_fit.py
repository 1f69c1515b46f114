"""A fit as a whole: it learns, logs, survives SIGKILL and Ctrl-C, and writes a model that loads safely."""

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch
from many_views import fit_peak_bytes, write_scene
from train_scenes import Quiet

from gspc.config import DataOptions, FitOptions, checkpoint_path
from gspc.data import load_scene
from gspc.data.demo import write_demo_scene
from gspc.errors import BackendError, InputError, OutputError, UsageError
from gspc.model import storage
from gspc.model.storage import load_model
from gspc.ops.process import flushed_denormals
from gspc.train import checkpoint, fit
from gspc.train.lock import only_fit_of

ITERATIONS = 100
EVERY = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("scene")
    write_demo_scene(path, views=5, width=40, height=30, points=150)
    return path


def options(log: Path | None = None, **changes):
    values = {"iterations": ITERATIONS, "levels": 2, "threads": 1, "checkpoint_every": EVERY, "log": log}
    return FitOptions(**{**values, **changes})


def run(folder: Path, output: Path, opts: FitOptions):
    observer = Quiet()
    return fit(load_scene(folder, DataOptions()), output, opts, observer), observer


@pytest.fixture(scope="module")
def straight(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("straight")
    result, observer = run(folder, out / "model.pt", options(out / "log.jsonl"))
    return out, result, observer


def test_it_learns_and_leaves_only_the_model(straight):
    out, result, observer = straight
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["iteration"] == ITERATIONS and rows[-1]["psnr"] > rows[0]["psnr"] + 2
    assert {row["phase"] for row in rows} == {"warmup", "noise", "rate", "finish"}
    assert sorted(p.name for p in out.iterdir()) == ["log.jsonl", "model.pt"]
    assert observer.rows[-1].iteration == ITERATIONS and observer.rows[-1].estimated_bytes > 1000
    assert result.anchors == load_model(out / "model.pt").model.anchors


def test_same_seed_same_log(folder, straight, tmp_path):
    run(folder, tmp_path / "model.pt", options(tmp_path / "log.jsonl"))
    assert (tmp_path / "log.jsonl").read_bytes() == (straight[0] / "log.jsonl").read_bytes()
    logs = []
    for seed in (0, 1):
        run(folder, tmp_path / "m.pt", options(tmp_path / f"{seed}.jsonl", seed=seed, iterations=EVERY))
        logs.append((tmp_path / f"{seed}.jsonl").read_bytes())
    assert logs[0] != logs[1]


def command(folder: Path, out: Path) -> list[str]:
    code = (
        "from pathlib import Path\n"
        "from gspc.config import DataOptions, FitOptions\n"
        "from gspc.data import load_scene\n"
        "from gspc.train import fit\n"
        "class Quiet:\n"
        "    def message(self, text): pass\n"
        "    def progress(self, progress): pass\n"
        f"options = FitOptions(iterations={ITERATIONS}, levels=2, threads=1, checkpoint_every={EVERY},"
        f" log=Path({str(out / 'log.jsonl')!r}))\n"
        f"scene = load_scene(Path({str(folder)!r}), DataOptions())\n"
        f"fit(scene, Path({str(out / 'model.pt')!r}), options, Quiet())\n"
    )
    return [sys.executable, "-c", code]


def interrupt(folder: Path, out: Path, number: int) -> int:
    """Starts a fit, sends a signal once a checkpoint is there and the log has gone on; returns its exit
    status."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command(folder, out), env=env, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        log = out / "log.jsonl"
        if checkpoint_path(out / "model.pt").exists() and log.exists() and log.read_text().count("\n") >= 3:
            break
        time.sleep(0.005)
    process.send_signal(number)
    return process.wait(60)


def test_stopped_in_the_last_iterations_and_resumed(folder, straight, tmp_path):
    """While attributes are rounded to a lattice that the checkpoint does not hold."""

    class Stopped(Exception):
        pass

    class Stop(Quiet):
        def progress(self, progress):
            if progress.iteration >= 100:
                raise Stopped

    opts = options(tmp_path / "log.jsonl", checkpoint_every=2)
    with pytest.raises(Stopped):
        fit(load_scene(folder, DataOptions()), tmp_path / "model.pt", opts, Stop())
    resumed = options(tmp_path / "log.jsonl", checkpoint_every=2, resume=True)
    _, observer = run(folder, tmp_path / "model.pt", resumed)
    assert any("resumed at iteration 98" in text for text in observer.messages)
    assert (tmp_path / "log.jsonl").read_bytes() == (straight[0] / "log.jsonl").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_and_resumed_gives_the_log_of_an_uninterrupted_run(folder, straight, tmp_path, number):
    status = interrupt(folder, tmp_path, number)
    assert status != 0, "the fit ended before the signal came"
    assert not (tmp_path / "model.pt").exists()
    _, observer = run(folder, tmp_path / "model.pt", options(tmp_path / "log.jsonl", resume=True))
    assert any("resumed at iteration" in text for text in observer.messages)
    assert (tmp_path / "log.jsonl").read_bytes() == (straight[0] / "log.jsonl").read_bytes()
    got, want = (load_model(p / "model.pt").model for p in (tmp_path, straight[0]))
    assert torch.equal(got.features, want.features)
    assert not checkpoint_path(tmp_path / "model.pt").exists()


def test_resuming_from_nothing_is_an_error(folder, tmp_path):
    with pytest.raises(InputError, match=r"model\.pt\.checkpoint: there is no checkpoint to go on from"):
        run(folder, tmp_path / "model.pt", options(iterations=4, resume=True))
    assert not list(tmp_path.iterdir())


def test_one_fit_an_output(folder, tmp_path):
    """A second one is refused while the first lives; what a killed one left behind is no obstacle."""
    code = f"import fcntl, sys, time; f = open({str(tmp_path / 'model.pt.lock')!r}, 'w'); " + (
        "fcntl.flock(f, fcntl.LOCK_EX); f.write('77\\n'); f.flush(); print(flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline()
        with pytest.raises(OutputError, match=r"model\.pt: another fit is writing it \(process 77\)"):
            run(folder, tmp_path / "model.pt", options(iterations=4))
    finally:
        holder.kill()
        holder.wait()
    run(folder, tmp_path / "model.pt", options(iterations=4))
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


def test_a_lock_that_the_disk_has_no_room_for_leaves_nothing(tmp_path, monkeypatch):
    def full():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "getpid", full)  # what is written is not there to be written
    with (
        pytest.raises(OutputError, match=r"model\.pt\.lock: no space left"),
        only_fit_of(tmp_path / "model.pt"),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_faults_of_a_fit_are_not_the_locks(folder, tmp_path, monkeypatch):
    """An error of the system that comes out of the fit itself is not told as one of the lock's file."""

    def fail(*_):
        raise OSError("from within")

    monkeypatch.setattr(checkpoint, "save", fail)
    with pytest.raises(OSError, match="from within"):
        run(folder, tmp_path / "model.pt", options(iterations=4, checkpoint_every=2))
    assert not list(tmp_path.glob("*.lock"))


def test_a_full_disk_at_a_checkpoint_is_no_end(folder, tmp_path, monkeypatch):
    real, tries = checkpoint.save, []

    def save(*arguments):
        tries.append(arguments)
        if len(tries) == 1:
            raise OutputError("m.checkpoint: no space left on the device")
        real(*arguments)

    monkeypatch.setattr(checkpoint, "save", save)
    _, observer = run(folder, tmp_path / "model.pt", options(iterations=9, checkpoint_every=3))
    assert len(tries) == 2
    said = [text for text in observer.messages if "no checkpoint this time" in text]
    assert said == ["warning: no checkpoint this time: m.checkpoint: no space left on the device"]


def test_a_full_disk_at_the_end_keeps_the_model_elsewhere(folder, tmp_path, monkeypatch):
    real, elsewhere = storage.save_model, tmp_path / "elsewhere"
    elsewhere.mkdir()

    def save(path, trained):
        if path.parent != elsewhere:
            raise OutputError(f"{path}: no space left on the device")
        real(path, trained)

    monkeypatch.setattr(storage, "save_model", save)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(elsewhere))
    with pytest.raises(OutputError, match="no space left on the device; the model is kept as") as raised:
        run(folder, tmp_path / "model.pt", options(iterations=4))
    (kept,) = elsewhere.iterdir()
    assert str(kept) in str(raised.value) and load_model(kept).model.anchors


def test_a_log_that_cannot_be_written_is_named(folder, tmp_path):
    with pytest.raises(OutputError, match="/dev/full: no space left on the device"):
        run(folder, tmp_path / "model.pt", options(Path("/dev/full"), iterations=10))
    with pytest.raises(OutputError, match="no/log: the directory does not exist"):
        run(folder, tmp_path / "model.pt", options(tmp_path / "no/log", iterations=10))
    assert list(tmp_path.iterdir()) == []


def test_bf16_heads_are_for_cuda(folder, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="--heads-precision half"):
        options(heads_precision="half")
    with pytest.raises(BackendError, match="--heads-precision bf16 needs a CUDA device"):
        run(folder, tmp_path / "model.pt", options(heads_precision="bf16"))
    # The arithmetic itself runs on every device.
    monkeypatch.setattr("gspc.train.introduce._check_bf16", lambda backend: None)
    result, _ = run(folder, tmp_path / "model.pt", options(heads_precision="bf16", iterations=40))
    assert result.psnr > 10 and not load_model(result.path).model.heads.bf16


def test_memory_is_flat_in_the_number_of_views(tmp_path):
    """44 photographs of 1.6 MB decoded: kept, they would weigh a sixth of the process."""
    peaks = []
    for views in (44, 4):
        write_scene(tmp_path / str(views), views, 979, 546, 300)
        peaks.append(fit_peak_bytes(tmp_path / str(views), 44, image_cache=0.005))
    assert peaks[0] < 1.1 * peaks[1]


def test_denormal_numbers_count_as_zero_while_training():
    """In all of torch's threads, and only then."""
    torch.set_num_threads(2)
    tiny = torch.full((400_000,), 1e-39)  # enough for two threads
    with flushed_denormals():
        small = torch.full((400_000,), 1e-30)
        assert not (tiny * 0.5).any() and not (small * 1e-9).any() and (small * 1e-7 > 0).all()
        with flushed_denormals():
            assert not (tiny * 0.5).any()
        assert not (tiny * 0.5).any()
    assert (tiny * 0.5 > 0).all()
