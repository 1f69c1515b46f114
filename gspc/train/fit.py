"""The run around the trainer: seeds, progress, log, checkpoints, interruption and the finished file."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import torch

from gspc.config import FitOptions, checkpoint_path
from gspc.data import suggested_cameras
from gspc.errors import BackendError, InputError, UsageError
from gspc.model import storage
from gspc.model.anchors import ModelShape
from gspc.ops import cuda
from gspc.ops.process import flushed_denormals, threads
from gspc.output import writing
from gspc.rendering.rasterizer import Backend, choose_backend
from gspc.scene import SceneData
from gspc.train.densify import Statistics
from gspc.train.initialize import initial_model
from gspc.train.optimizer import make_optimizer
from gspc.train.process import deferred_interrupt, seeded, settled_objects
from gspc.train.schedule import Schedule
from gspc.train.trainer import StepReport, Trainer

CHECKPOINT_FORMAT = "gspc-checkpoint"
REPORT_EVERY = 10
ESTIMATE_EVERY = 100


@dataclass(frozen=True)
class FitProgress:
    """Where a fit stands."""

    iteration: int
    iterations: int
    phase: str
    loss: float
    psnr: float  # of training views, smoothed
    anchors: int
    estimated_bytes: int
    seconds_left: float


@dataclass(frozen=True)
class FitResult:
    """What a fit came to."""

    path: Path
    iterations: int
    anchors: int
    psnr: float
    seconds: float


class FitObserver(Protocol):
    """Told of what happens; prints it or not."""

    def message(self, text: str) -> None:
        """One line worth knowing."""

    def progress(self, progress: FitProgress) -> None:
        """Every few iterations."""


def fit(scene: SceneData, output: Path, options: FitOptions, observer: FitObserver) -> FitResult:
    """Trains a model of `scene` and writes it to `output`.

    A checkpoint beside the output is written every `options.checkpoint_every` iterations and on Ctrl-C, which
    then raises KeyboardInterrupt; `options.resume` goes on from it. Same seed, device and thread count: same
    log.

    Threads, torch's random numbers, denormal mode, signal handlers and the garbage collector are as before
    when it returns or raises. A fit allocates and frees hundreds of megabytes a step; `gspc fit` therefore
    tells the C library to keep freed memory, which a program of your own may do as `gspc.cli.process` does.

    Raises UsageError when a checkpoint was made with other options, InputError, OutputError, BackendError.
    """
    started = time.monotonic()
    backend = choose_backend(options.device)
    with threads(options.threads), seeded(options.seed, backend.device):
        run = _Run(scene, output, options, observer, backend)
        run.train()
    trained = storage.TrainedModel(
        model=run.trainer.model.cpu(),
        cameras=suggested_cameras(scene.views),
        background=scene.background,
        metadata={"scene": scene.name, "iterations": str(run.iterations), **dict(options.metadata)},
    )
    storage.save_model(output, trained)
    checkpoint_path(output).unlink(missing_ok=True)
    seconds = time.monotonic() - started
    return FitResult(output, run.iterations, trained.model.anchors, run.trainer.psnr, seconds)


class _Run:
    def __init__(
        self, scene: SceneData, output: Path, options: FitOptions, observer: FitObserver, backend: Backend
    ) -> None:
        self.options, self.observer = options, observer
        self.checkpoint = checkpoint_path(output)
        observer.message(backend.reason)
        if backend.name == "cuda":
            observer.message(cuda.summary())
        if options.heads_precision == "bf16":
            _check_bf16(backend)
        recipe = options.recipe
        self.iterations = (
            options.iterations or recipe.iterations or (30_000 if backend.name == "cuda" else 3_000)
        )
        shape = ModelShape.of(recipe, options.level_count, options.weights)
        self.settings: dict[str, Any] = {
            "iterations": self.iterations,
            "seed": options.seed,
            "voxel_size": options.voxel_size or 0.0,
            "recipe": asdict(recipe),
            "heads_precision": options.heads_precision,
            "shape": shape.to_dict(),
            "scene": scene.name,
            "views": [view.camera.name for view in scene.train],
            "size": [scene.train[0].camera.width, scene.train[0].camera.height],
        }
        saved = self._saved()
        model = (
            storage.model_from_dict(saved["model"])
            if saved
            else initial_model(scene, shape, options.voxel_size, reference_grid=recipe.grid == "reference")
        )
        model.heads.bf16 = options.heads_precision == "bf16"
        schedule = Schedule.of(recipe, self.iterations)
        self.trainer = Trainer(scene, model, schedule, backend, recipe)
        if saved:
            self._restore(saved)
        observer.message(
            f"{model.anchors} anchors, voxel size {model.voxel_size:.4g}, {len(scene.train)} views"
        )

    def train(self) -> None:
        """All iterations that are left."""
        trainer, started, first = self.trainer, time.monotonic(), self.trainer.iteration
        estimated = 0
        with (
            self._log() as log,
            deferred_interrupt() as interrupted,
            settled_objects(),
            flushed_denormals(),
        ):
            while trainer.iteration < self.iterations:
                report = trainer.step()
                done = trainer.iteration
                if done % ESTIMATE_EVERY == 0 or done == self.iterations:
                    estimated = trainer.estimated_bytes()
                if done % REPORT_EVERY == 0 or done == self.iterations:
                    self._write_log(log, report, estimated)
                    left = (time.monotonic() - started) / (done - first) * (self.iterations - done)
                    self.observer.progress(self._progress(report, estimated, left))
                every = self.options.checkpoint_every
                if every and done % every == 0 and done < self.iterations:
                    self._save(log)
                if interrupted.is_set():
                    self._save(log)
                    self.observer.message(f"interrupted; `--resume` goes on from iteration {done}")
                    raise KeyboardInterrupt

    def _progress(self, report: StepReport, estimated: int, left: float) -> FitProgress:
        trainer = self.trainer
        return FitProgress(
            iteration=trainer.iteration,
            iterations=self.iterations,
            phase=report.phase.value,
            loss=report.loss,
            psnr=trainer.psnr,
            anchors=trainer.model.anchors,
            estimated_bytes=estimated,
            seconds_left=left,
        )

    def _write_log(self, log: IO[str] | None, report: StepReport, estimated: int) -> None:
        """One JSON line; no times in it, so that equal runs give equal logs."""
        if log is None:
            return
        row = {
            "iteration": self.trainer.iteration,
            "phase": report.phase.value,
            "level": report.level,
            "loss": report.loss,
            "psnr": self.trainer.psnr,
            "anchors": self.trainer.model.anchors,
            "level_bits": report.bits,
            "estimated_bytes": estimated,
        }
        with writing(log.name):
            log.write(json.dumps(row) + "\n")
            log.flush()

    @contextmanager
    def _log(self) -> Iterator[IO[str] | None]:
        path = self.options.log
        if path is None:
            yield None
            return
        kept = _rows_until(path, self.trainer.iteration) if self.trainer.iteration else []
        with writing(path):
            file = path.open("w")
        try:
            file.writelines(kept)
            yield file
        finally:
            with writing(path):
                file.close()

    def _save(self, log: IO[str] | None) -> None:
        trainer = self.trainer
        if log is not None:
            os.fsync(log.fileno())
        storage.save(
            self.checkpoint,
            {
                "format": CHECKPOINT_FORMAT,
                "version": storage.VERSION,
                "settings": self.settings,
                "model": storage.model_to_dict(trainer.model),
                "optimizer": trainer.optimizer.state_dict(),
                "statistics": trainer.statistics.tensors(),
                "order": trainer.order,
                "iteration": trainer.iteration,
                "psnr": trainer.psnr,
                "picture_loss": trainer.picture_loss,
                "pruned": trainer.pruned,
                "random": torch.get_rng_state(),
                "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            },
        )

    def _saved(self) -> dict[str, Any] | None:
        if not self.options.resume:
            return None
        if not self.checkpoint.exists():
            self.observer.message(f"no checkpoint {self.checkpoint}: starting from the beginning")
            return None
        saved = storage.load(self.checkpoint, str(self.checkpoint), CHECKPOINT_FORMAT)
        for key, value in self.settings.items():
            if saved["settings"].get(key) != value:
                raise UsageError(
                    f"{self.checkpoint}: was made with another {key}; "
                    "give the same options or start without --resume"
                )
        return saved

    def _restore(self, saved: dict[str, Any]) -> None:
        trainer = self.trainer
        trainer.optimizer = make_optimizer(trainer.model, trainer.recipe.mask_momentum)
        trainer.optimizer.load_state_dict(saved["optimizer"])
        trainer.statistics = Statistics(**{k: v.to(trainer.device) for k, v in saved["statistics"].items()})
        trainer.order = list(saved["order"])
        trainer.iteration, trainer.psnr = saved["iteration"], saved["psnr"]
        trainer.picture_loss, trainer.pruned = saved["picture_loss"], saved["pruned"]
        torch.set_rng_state(saved["random"])
        if saved["random_cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(saved["random_cuda"])
        self.observer.message(f"resumed at iteration {trainer.iteration}")


def _rows_until(path: Path, iteration: int) -> list[str]:
    """Lines of an interrupted run's log up to an iteration. Raises InputError when it is no such log."""
    kept: list[str] = []
    if not path.is_file():
        return kept
    try:
        for line in path.read_text().splitlines(keepends=True):
            if not line.endswith("\n") or json.loads(line)["iteration"] > iteration:
                break
            kept.append(line)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: is not the log of the run to resume; name another with --log") from error
    return kept


def _check_bf16(backend: Backend) -> None:
    if backend.name != "cuda":
        raise BackendError(
            "--heads-precision bf16 needs a CUDA device: on a CPU the fused float32 heads are faster"
        )
    if not torch.cuda.is_bf16_supported(including_emulation=False):
        raise BackendError(f"--heads-precision bf16: {backend.device} has no bfloat16; give float32")
