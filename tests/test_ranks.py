"""Several processes that train one model together, on a CPU: replicas stay equal, a rank that ends ends
all of them, and the fit goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from cli_tools import environment, interruptible, run_fresh
from train_scenes import SMALL, noise_scene, trainer

from gspc.cli.process import without_gpus
from gspc.data.demo import write_demo_scene
from gspc.train import ranks as ranks_module
from gspc.train.ranks import Ranks, Together

FIT = ("--levels", "2", "--iterations", "60", "--device", "cpu", "--threads", "1", "--hold", "4")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scene") / "photos"
    write_demo_scene(path, views=10, width=48, height=36, points=300)
    return path


def test_replicas_stay_equal() -> None:
    """Through growth, pruning, rate and finish; with samples of their own."""
    program = Path(__file__).with_name("ranks_program.py")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    path = f"{program.parent}{os.pathsep}{environment()['PYTHONPATH']}"
    ran = subprocess.run(
        [*torchrun, str(program)],
        env=environment(PYTHONPATH=path),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    lines = [line.split() for line in ran.stdout.splitlines()]
    assert [line[:2] for line in lines[:-1]] == [[str(i), "equal"] for i in range(10, 101, 10)]
    assert len({line[2] for line in lines[:-1]}) > 1  # anchors came and went
    assert lines[-1] == ["own", "random", "numbers", "differ"]


def start(photos: Path, folder: Path, *more: str) -> subprocess.Popen[str]:
    command = ["fit", str(photos), "-o", "m.pt", "--log", "log.jsonl", "--gpus", "2", *FIT, *more]
    return subprocess.Popen(
        [sys.executable, "-m", "gspc", *command],
        cwd=folder,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interruptible,  # noqa: PLW1509  no threads here
    )


def process_of_rank(parent: int, rank: int) -> int:
    """The process that torchrun started as `rank`."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            mine = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1]) == parent
            if mine and f"\0RANK={rank}\0" in (path / "environ").read_text():
                return int(path.name)
        except OSError:
            continue
    raise AssertionError(f"no process is rank {rank}")


def wait_for_rows(process: subprocess.Popen[str], log: Path, rows: int) -> None:
    while process.poll() is None and not (log.exists() and log.read_text().count("\n") >= rows):
        time.sleep(0.02)
    if process.poll() is not None:
        raise AssertionError(f"the fit ended early: {process.communicate()[1]}")


@pytest.mark.parametrize(
    ("kind", "rank", "said"),
    [
        ("SIGKILL", 1, "another rank of this fit is gone"),
        ("SIGTERM", 1, "interrupted; `--resume` goes on from iteration"),
    ],
)
def test_a_rank_that_ends_ends_all(photos: Path, tmp_path: Path, kind: str, rank: int, said: str) -> None:
    process = start(photos, tmp_path)
    wait_for_rows(process, tmp_path / "log.jsonl", 2)
    os.kill(process_of_rank(process.pid, rank), getattr(signal, kind))
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0 and said in err, err
    assert "--resume` goes on from iteration" in err
    assert (tmp_path / "m.pt.checkpoint").exists() and not (tmp_path / "m.pt").exists()
    process = start(photos, tmp_path, "--resume", "--json", "fit.json")
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0 and err.count("resumed at iteration") == 1, err
    assert json.loads((tmp_path / "fit.json").read_text())["held_out_psnr"] > 10
    rows = [json.loads(line)["iteration"] for line in (tmp_path / "log.jsonl").open()]
    assert rows == list(range(10, 61, 10))


def test_a_fit_of_ranks_goes_on_with_as_many(photos: Path, tmp_path: Path) -> None:
    process = start(photos, tmp_path)
    wait_for_rows(process, tmp_path / "log.jsonl", 2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert (tmp_path / "m.pt.checkpoint").exists()
    ran = run_fresh("fit", photos, "-o", "m.pt", *FIT, "--resume", cwd=tmp_path)
    assert ran.code == 2 and "ranks = 2, now it is none" in ran.lines[-1]


def test_a_rank_alone_changes_nothing() -> None:
    alone = Ranks()
    made = trainer(noise_scene(), SMALL, at=5)
    assert made.ranks.count == 1 and made.ranks.rate_scale == 1 and made.ranks.shared is None
    parameter = torch.nn.Parameter(torch.ones(3))
    parameter.grad = torch.full((3,), 2.0)
    alone.asked = signal.SIGTERM
    alone.average([parameter])
    assert torch.equal(parameter.grad, torch.full((3,), 2.0)) and alone.agreed == signal.SIGTERM


def test_steps_of_many_views() -> None:
    """Learning rates times the views, betas to their power; figures forget as fast as views pass."""
    made = trainer(noise_scene(), SMALL, at=5)
    many = type(made)(
        made.scene, made.model, made.schedule, made.backend, SMALL, ranks=Together(rank=1, count=4)
    )
    for one, other in zip(made.optimizer.param_groups, many.optimizer.param_groups, strict=True):
        assert other["betas"] == pytest.approx([beta**4 for beta in one["betas"]])
    for iteration, loss in enumerate((1.0, 0.0)):
        many.gauges.add_picture(iteration, torch.tensor(loss), torch.tensor(loss))
    assert float(many.gauges.picture_loss) == pytest.approx(0.98**4)
    many.iteration = made.iteration
    for each in (made, many):
        each._set_learning_rates()
    groups = zip(made.optimizer.param_groups, many.optimizer.param_groups, strict=True)
    assert all(b["lr"] == pytest.approx(4 * a["lr"]) for a, b in groups)


def test_each_rank_has_views_of_its_own() -> None:
    made = trainer(noise_scene(), SMALL, at=5)
    ranks = [Together(rank, 3) for rank in range(3)]
    taken = []
    for one in ranks:
        one.start(7)
        made.ranks, made.order = one, []
        taken.append([made._next_view() for _ in range(4)])
    assert all(sorted(views) == [0, 1, 2] for views in zip(*taken, strict=True))


def test_settings_of_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert ranks_module.wanted() == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert ranks_module.wanted() == 2 and ranks_module.device_of_rank("cpu") == "cpu"
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(Exception, match="torchrun sets a whole number"):
        ranks_module.wanted()


def test_the_command_line_of_a_rank() -> None:
    words = ["fit", "--gpus", "2", "a", "--gpus=3", "-o", "m.pt"]
    assert without_gpus(words) == ["fit", "a", "-o", "m.pt"]
