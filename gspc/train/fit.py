"""The run around the trainer: seeds, progress, log, checkpoints, interruption and the finished file."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from gspc.choices import TARGET_SIZE
from gspc.config import FitOptions, checkpoint_path, preview_path
from gspc.data import suggested_cameras
from gspc.data.frame import Framed
from gspc.data.start import prepared
from gspc.errors import InputError, OutputError, Stopped, UsageError
from gspc.model import storage
from gspc.model.anchors import ModelShape
from gspc.model.loaded import Loaded
from gspc.ops.heads.tinycudann import fused_heads
from gspc.ops.process import flushed_denormals, threads
from gspc.rendering.frames import to_uint8, write_png
from gspc.rendering.rasterizer import Backend, choose_backend
from gspc.scene import Frame, SceneData, View
from gspc.train import checkpoint, utility
from gspc.train.coarse import SHARED, Coarse
from gspc.train.gauges import StepReport
from gspc.train.guards import FEWEST_ANCHORS, most_anchors, open_first_level, told_of_full_gpu
from gspc.train.initialize import initial_model
from gspc.train.introduce import introduce
from gspc.train.lock import only_fit_of
from gspc.train.log import TrainingLog, training_log
from gspc.train.observer import FitObserver, FitProgress, FitResult, Silent
from gspc.train.process import Asked, deferred_signals, seeded, settled_objects
from gspc.train.ranks import RankGone, Ranks, device_of_rank, joined, wanted
from gspc.train.schedule import Schedule
from gspc.train.settings import run_settings
from gspc.train.trainer import Trainer

REPORT_EVERY = 10
ESTIMATE_EVERY = 100
JUDGED = 8  # views that are compared in the end, of the held-out and of the training ones
PARTED = 6.0  # dB between them that are worth a warning


def fit(scene: SceneData, output: Path, options: FitOptions, observer: FitObserver) -> FitResult:
    """Trains a model of `scene` and writes it to `output`.

    A checkpoint beside the output is written every `options.checkpoint_every` iterations and on Ctrl-C,
    SIGTERM and SIGHUP, which then raise Stopped; `options.resume` goes on from it. Same seed, device and
    thread count: same log. `options.pause_at` ends there, with the checkpoint as the result;
    `options.branch` begins at such a checkpoint of another output.

    Threads, torch's random numbers, denormal mode, signal handlers and the garbage collector are as before
    when it returns or raises. A fit allocates and frees hundreds of megabytes a step; `gspc fit` therefore
    tells the C library to keep freed memory, which a program of your own may do as `gspc.cli.process` does.

    Raises UsageError when a checkpoint was made with other options or photographs, or when `options.pause_at`
    is not among the iterations that are left; InputError, OutputError, BackendError.
    """
    if wanted() > 1 and os.environ.get("RANK") != "0":  # the first rank writes and speaks for all
        return _fit(scene, output, replace(options, log=None, preview=0), Silent())
    with only_fit_of(output):
        return _fit(scene, output, options, observer)


def _fit(scene: SceneData, output: Path, options: FitOptions, observer: FitObserver) -> FitResult:
    started = time.monotonic()
    backend = choose_backend(device_of_rank(options.device))
    coarse = Coarse.load(options.coarse) if options.coarse is not None else None
    framed = prepared(scene, coarse.frame if coarse is not None else None)
    with threads(options.threads), seeded(options.seed, backend.device), joined(backend.device) as ranks:
        with told_of_full_gpu():
            run = _Run(framed, scene, output, options, observer, backend, ranks, coarse)
            paused = run.train()
            held_out = None if paused else run.judge()
            gains = None if paused else run.measure()
        trainer = run.trainer
        if ranks.first and not paused:
            _keep(output, _trained(run, scene, framed.frame, options, gains), run.checkpoint)
        ranks.finish()
    seconds = time.monotonic() - started
    path = run.checkpoint if paused else output
    return FitResult(
        path,
        trainer.iteration,
        trainer.model.anchors,
        trainer.gauges.psnr,
        held_out,
        seconds,
        paused=paused,
    )


def _trained(
    run: _Run, scene: SceneData, frame: Frame, options: FitOptions, gains: storage.Gains | None
) -> storage.TrainedModel:
    """What a finished run is worth keeping of."""
    aim = {} if options.target_size is None else {TARGET_SIZE: str(options.target_size)}
    return storage.TrainedModel(
        model=run.trainer.model.cpu(),
        cameras=suggested_cameras(scene.views),
        background=scene.background,
        metadata={"scene": scene.name, "iterations": str(run.iterations), **aim, **dict(options.metadata)},
        frame=frame,
        gains=gains,
    )


def _keep(output: Path, trained: storage.TrainedModel, of_run: Path) -> None:
    """Writes the model and removes the checkpoint; where the disk has no room beside it, in its place. Raises
    OutputError, which says where the model is."""
    try:
        storage.save_model(output, trained)
    except OutputError as error:
        kept = Path(tempfile.gettempdir()) / f"{output.stem}-{os.getpid()}{output.suffix}"
        try:
            storage.save_model(kept, trained)
        except OutputError:
            raise OutputError(f"{error}; the last checkpoint is {of_run}") from error
        raise OutputError(f"{error}; the model is kept as {kept}") from error
    of_run.unlink(missing_ok=True)


def _some(views: Sequence[View]) -> Sequence[View]:
    """`JUDGED` views at most, evenly spread."""
    return views[:: max(1, len(views) // JUDGED)][:JUDGED]


class _Run:
    """A fit from its first iteration, or from that of its checkpoint, to its last."""

    def __init__(
        self,
        framed: Framed,
        scene: SceneData,
        output: Path,
        options: FitOptions,
        observer: FitObserver,
        backend: Backend,
        ranks: Ranks,
        coarse: Coarse | None = None,
    ) -> None:
        self.coarse = coarse
        self.options, self.observer, self.output = options, observer, output
        self.ranks = ranks
        self.checkpoint = checkpoint_path(output)
        introduce(backend, options, observer.message)
        asked = options.iterations or options.recipe.schedule.iterations
        self.iterations = asked or (30_000 if backend.name == "cuda" else 3_000)
        self.settings = run_settings(scene, options, self.iterations, ranks.count)
        saved = self._saved()
        self.trainer = self._start(framed, backend, saved)
        ranks.start(options.seed)
        self.estimated = 0  # bytes of a stream of the model
        if saved is not None:
            self.estimated = checkpoint.restore(saved, self.trainer)
            begun = "resumed" if options.branch is None else f"{options.branch}: branched off"
            observer.message(f"{begun} at iteration {self.trainer.iteration}")
        self._check_pause()
        model = self.trainer.model
        size = model.voxel_size * framed.frame.scale
        observer.message(f"{model.anchors} anchors, voxel size {size:.4g}, {len(scene.train)} views")

    def _saved(self) -> Loaded | None:
        """The checkpoint to go on from, if one is asked for and there."""
        if (branch := self.options.branch) is not None:
            return checkpoint.load(branch, self.settings, branch=True)
        if not self.options.resume:
            return None
        if not self.checkpoint.exists():
            raise InputError(f"{self.checkpoint}: there is no checkpoint to go on from; leave out --resume")
        return checkpoint.load(self.checkpoint, self.settings)

    def _check_pause(self) -> None:
        """Refuses to pause where this run does not come by."""
        at, first = self.options.pause_at, self.trainer.iteration
        if at is not None and not first < at < self.iterations:
            raise UsageError(f"--pause-at {at}: give {first + 1} to {self.iterations - 1} for this fit")

    def _start(self, framed: Framed, backend: Backend, saved: Loaded | None) -> Trainer:
        """A trainer of a new model, or of the checkpoint's."""
        options, recipe = self.options, self.options.recipe
        shape = ModelShape.of(recipe, options.level_count, options.weights)
        if saved is None and self.coarse is not None:
            model = self.coarse.start(framed.scene, shape)
        elif saved is None:
            reference = recipe.representation.grid == "reference"
            for note in framed.notes():
                self.observer.message(note)
            voxel_size = options.voxel_size and options.voxel_size / framed.frame.scale
            most = most_anchors(options.max_anchors, torch.device(backend.device))
            model = initial_model(framed.scene, shape, voxel_size, most=most, reference_grid=reference)
        else:
            model = checkpoint.model_of(saved, shape, branch=options.branch is not None)
        model.heads.bf16 = options.heads_precision == "bf16"
        if options.heads_backend == "tinycudann":
            weights = model.heads.weights(quantized=False)
            sizes = weights.w1.shape[1], len(weights.w1) // 3, shape.offsets
            model.heads.logits = fused_heads(*sizes)
        schedule = Schedule.of(recipe, self.iterations, self.ranks.count)
        limits = options.max_anchors, options.target_size, options.gpu_memory
        trainer = Trainer(framed.scene, model, schedule, backend, recipe, *limits, self.ranks)
        if self.coarse is not None:
            trainer.frozen, trainer.calibrate = SHARED, self.coarse.calibrate
        return trainer

    def train(self) -> bool:
        """All iterations that are left, or those until the run is to pause; whether it does."""
        trainer, started, first = self.trainer, time.monotonic(), self.trainer.iteration
        with (
            training_log(self.options.log, first if self.options.resume else 0) as log,
            deferred_signals() as asked,
            settled_objects(),
            flushed_denormals(),
        ):
            while trainer.iteration < self.iterations:
                report = self._step(asked, log)
                done = trainer.iteration
                if done % ESTIMATE_EVERY == 0 or done == self.iterations:
                    self.estimated = trainer.estimated_bytes()
                if done % REPORT_EVERY == 0 or done == self.iterations:
                    trainer.gauges.read()
                    log.write(self._row(report))
                    left = (time.monotonic() - started) / (done - first) * (self.iterations - done)
                    self.observer.progress(self._progress(report, left))
                every = self.options.checkpoint_every
                if every and done % every == 0 and done < self.iterations:
                    self._save_if_possible(log)
                if self.options.preview and done % self.options.preview == 0:
                    self._preview()
                if done == self.options.pause_at:
                    self._save(log)
                    self.observer.message(f"paused after iteration {done}; `--resume` goes on from there")
                    return True
                if (number := self.ranks.agreed) is not None:
                    self._save(log)
                    self.observer.message(f"interrupted; `--resume` goes on from iteration {done}")
                    raise Stopped(number)
        return False

    def _step(self, asked: Asked, log: TrainingLog) -> StepReport:
        """An iteration. Where another rank is gone, what all ranks had before it is saved."""
        trainer = self.trainer
        self.ranks.asked = asked.signal
        done, edited = trainer.iteration, trainer.edits
        try:
            report = trainer.step()
        except RankGone as error:
            if trainer.edits == edited and self.ranks.first:
                self._save(log)
                error.problem += f"; `--resume` goes on from iteration {done}"
            raise
        if self.ranks.count == 1:
            self.ranks.agreed = asked.signal
        return report

    def _preview(self) -> None:
        """A photograph and what the model shows in its place, beside the output. The view is a held-out one
        where there is any."""
        scene = self.trainer.scene
        view = (scene.test or scene.train)[0]
        shown = to_uint8(self.trainer.picture(view).numpy())
        write_png(preview_path(self.output), np.hstack([view.load(), shown]))

    def judge(self) -> float | None:
        """PSNR of some held-out views, if there are any; warns of a scene that was not learned."""
        trainer, say = self.trainer, self.observer.message
        if opened := open_first_level(trainer.model):
            say(f"warning: masks left nothing at level 1; its {opened} likeliest Gaussians were opened again")
        if trainer.model.anchors <= FEWEST_ANCHORS:
            say(
                f"warning: only {trainer.model.anchors} anchors are left: these photographs hardly show "
                "anything that their cameras agree on"
            )
        scene = trainer.scene
        if not scene.test:
            return None
        held_out, trained = trainer.psnr_of(_some(scene.test)), trainer.psnr_of(_some(scene.train))
        if trained - held_out > PARTED:
            say(
                f"warning: held-out views reach {held_out:.1f} dB, training views {trained:.1f} dB: "
                "poses may be wrong, or views too few or too far apart"
            )
        return held_out

    def measure(self) -> storage.Gains | None:
        """What refinements and later Gaussians are worth; see `utility.measured`. A signal saves a checkpoint
        and raises Stopped, as in `train`."""
        if not (self.ranks.first and self.options.recipe.levels.ranked):
            return None
        trainer = self.trainer
        with deferred_signals() as asked, flushed_denormals():
            gains = utility.measured(trainer, self.observer.message, lambda: asked.signal is not None)
            if asked.signal is not None:
                checkpoint.save(self.checkpoint, self.settings, trainer, self.estimated)
                self.observer.message("interrupted; `--resume` goes on after the last iteration")
                raise Stopped(asked.signal)
        return gains

    def _progress(self, report: StepReport, left: float) -> FitProgress:
        trainer = self.trainer
        return FitProgress(
            iteration=trainer.iteration,
            iterations=self.iterations,
            phase=report.phase.value,
            loss=report.loss,
            psnr=trainer.gauges.psnr,
            anchors=trainer.model.anchors,
            estimated_bytes=self.estimated,
            seconds_left=left,
        )

    def _row(self, report: StepReport) -> dict[str, object]:
        """A row of the log; no times in it, so that equal runs give equal logs."""
        return {
            "iteration": self.trainer.iteration,
            "phase": report.phase.value,
            "level": report.level,
            "loss": report.loss,
            "psnr": self.trainer.gauges.psnr,
            "anchors": self.trainer.model.anchors,
            "level_bits": report.bits,
            "estimated_bytes": self.estimated,
        }

    def _save(self, log: TrainingLog) -> None:
        self.trainer.gauges.read()
        if not self.ranks.first:
            return
        log.sync()
        checkpoint.save(self.checkpoint, self.settings, self.trainer, self.estimated)

    def _save_if_possible(self, log: TrainingLog) -> None:
        """A disk that is full now may have room at the next checkpoint: no reason to lose hours of
        training."""
        try:
            self._save(log)
        except OutputError as error:
            self.observer.message(f"warning: no checkpoint this time: {error}")
