"""The checkpoint beside an output: all that a run needs to go on as if it had not been interrupted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gspc.errors import UsageError
from gspc.model import storage
from gspc.model.anchors import AnchorModel, ModelShape
from gspc.model.loaded import Loaded
from gspc.train import chance
from gspc.train.densify import Statistics
from gspc.train.schedule import Phase, Schedule
from gspc.train.settings import first_difference, of_training
from gspc.train.trainer import Trainer

FORMAT = "gspc-checkpoint"
VERSION = 6
ADVICE = "start without --resume"
BRANCH_ADVICE = "name another checkpoint with --branch"
MOMENTS = ("exp_avg", "exp_avg_sq")  # of Adam


def save(path: Path, settings: dict[str, str], trainer: Trainer, estimated: int) -> None:
    """Writes the state of a run, whole or not at all. Raises OutputError."""
    shared = trainer.ranks.shared
    storage.save(
        path,
        {
            "format": FORMAT,
            "version": VERSION,
            "settings": settings,
            "model": storage.model_to_dict(trainer.model),
            "optimizer": trainer.optimizer.state_dict()["state"],
            "statistics": trainer.statistics.tensors(),
            "order": trainer.order,
            "iteration": trainer.iteration,
            "psnr": trainer.gauges.psnr,
            "picture_loss": float(trainer.gauges.picture_loss),
            "pruned": trainer.pruned,
            "steering": [trainer.steering.integral, trainer.steering.error],
            "estimated_bytes": estimated,
            "random": torch.get_rng_state(),
            **({} if shared is None else {"random_shared": shared.get_state()}),
            "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        },
    )


def load(path: Path, settings: dict[str, str], *, branch: bool = False) -> Loaded:
    """Reads a checkpoint of a run with `settings`, or of one with fewer iterations; for a branch, of one
    whose training had other settings, see `of_training`. Raises UsageError when they differ otherwise,
    InputError when it is no checkpoint."""
    advice = BRANCH_ADVICE if branch else ADVICE
    saved = storage.load(path, str(path), FORMAT, VERSION, advice)
    of_saved = saved["settings"]
    before = {name: of_saved[name].text() for name in of_saved.names()}
    if _may_go_on_longer(saved, before, settings):
        before["iterations"] = settings["iterations"]
    if branch:
        before |= {name: settings[name] for name in of_training()}
    if (difference := first_difference(before, settings)) is not None:
        keep = "a branch keeps that; give it" if branch else "give the same options and photographs"
        raise UsageError(f"{path}: was made with {difference}; {keep} or {advice}")
    return saved


def _may_go_on_longer(saved: Loaded, before: dict[str, str], settings: dict[str, str]) -> bool:
    """Whether a run can be given more iterations: until its last phase, in which networks are integers and do
    not learn as before any more."""
    then, now = before.get("iterations", ""), settings["iterations"]
    if not then.isdecimal() or int(then) >= int(now):
        return False
    return Schedule(int(then)).phase(saved["iteration"].whole(0)) is not Phase.FINISH


def model_of(saved: Loaded, shape: ModelShape, *, branch: bool = False) -> AnchorModel:
    """The model of a checkpoint, which must be of `shape`; a branch has rate weights of its own. Raises
    InputError."""
    model = storage.model_from(saved["model"])
    if branch:
        model.shape = replace(model.shape, rate_weights=shape.rate_weights)
    if model.shape != shape:
        raise saved["model"]["shape"].error("is not the one that its settings ask for")
    return model


def restore(saved: Loaded, trainer: Trainer) -> int:
    """Brings a trainer of the checkpoint's model to where the run was; the bytes that a stream was estimated
    to take. Raises InputError before it changes anything."""
    statistics = _statistics(saved["statistics"], trainer)
    optimizer = trainer.optimizer.state_dict() | {"state": _adam_state(saved["optimizer"], trainer)}
    views = len(trainer.scene.train)
    order = [view.whole(0, views - 1) for view in saved["order"].items()]
    iteration = saved["iteration"].whole(0, trainer.schedule.iterations)
    psnr, picture_loss = saved["psnr"].number(), saved["picture_loss"].number(0)
    pruned, estimated = saved["pruned"].whole(0), saved["estimated_bytes"].whole(0)
    integral, error = (value.number() for value in saved["steering"].items(2))
    _restore_random(saved, trainer)
    trainer.optimizer.load_state_dict(optimizer)
    trainer.statistics, trainer.order, trainer.iteration = statistics, order, iteration
    trainer.gauges.restore(psnr, picture_loss)
    trainer.pruned = pruned
    trainer.steering.integral, trainer.steering.error = integral, error
    return estimated


def _statistics(saved: Loaded, trainer: Trainer) -> Statistics:
    like = Statistics.empty(trainer.model).tensors()
    return Statistics(
        **{name: saved[name].tensor(t.shape, t.dtype).to(trainer.device) for name, t in like.items()}
    )


def _adam_state(saved: Loaded, trainer: Trainer) -> dict[int, dict[str, Tensor]]:
    """Adam's state by the number of the parameter; parameters that had no gradient yet have none."""
    parameters = [p for group in trainer.optimizer.param_groups for p in group["params"]]
    found: dict[int, dict[str, Tensor]] = {}
    for number, parameter in enumerate(parameters):
        if number in saved.table():
            state = saved[number]
            moments: dict[str, Any] = {
                name: state[name].tensor(parameter.shape, parameter.dtype) for name in MOMENTS
            }
            found[number] = {"step": state["step"].tensor((), torch.float32), **moments}
    return found


def _restore_random(saved: Loaded, trainer: Trainer) -> None:
    """Sets the random generators, those of as many CUDA devices as are here and were there. Of several ranks
    the first goes on with its own; the others start theirs anew from there."""
    state = saved["random"].tensor(torch.get_rng_state().shape, torch.uint8)
    on_devices = saved["random_cuda"].items()
    try:
        torch.set_rng_state(state)
        if trainer.ranks.shared is not None:
            trainer.ranks.shared.set_state(saved["random_shared"].tensor(state.shape, torch.uint8))
        if not trainer.ranks.first:
            torch.manual_seed(chance.seed() ^ trainer.ranks.rank)
            return
        for number, of_device in enumerate(on_devices[: torch.cuda.device_count()]):
            like = torch.cuda.get_rng_state(number)
            torch.cuda.set_rng_state(of_device.tensor(like.shape, like.dtype), number)
    except RuntimeError as error:
        raise saved["random"].error(f"is no state of a random generator ({error})") from error
