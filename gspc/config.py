"""Options of the use cases: frozen dataclasses that refuse what makes no sense with a UsageError."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from gspc.choices import Background, Exif, HeadsBackend, LensField, Precision
from gspc.errors import UsageError
from gspc.presets import DEFAULT_PRESET, GSPC
from gspc.recipe import Recipe
from gspc.switches import chosen

REDUCTIONS = (1, 2, 4, 8)  # values of --resolution that divide the photographs' size; larger ones are a width
MAX_LEVELS = 8  # 3^7 = 2187 bins of level 8 in one of level 1: finer than any step the coder's tables reach


@dataclass(frozen=True)
class DataOptions:
    """How photographs and cameras are read.

    resolution: 1, 2, 4 or 8 divide the photographs' size; a value above 8 is the width in pixels that wider
        photographs are reduced to. None keeps the size, except that photographs wider than 1600 pixels are
        reduced to 1600. Photographs are never enlarged.
    hold: every hold-th view in name order, starting with the first, is kept for testing; 0 keeps none.
    background: color behind transparent pixels and behind the scene. "auto" takes white where the photographs
        are transparent or surrounded by pure white, else black.
    images: folder of the photographs when it is not `images/` beside the model.
    image_cache: gigabytes of decoded photographs kept; those beyond are decoded each time they are used.
    masks: folder of the masks when it is not `masks/` beside the photographs; Path("none") ignores all masks.
    field: of photographs whose lens bends lines, keep the "full" field or "crop" it to a rectangle.
    exif: whether EXIF orientations are to "apply", to "ignore", or decided by the cameras' sizes ("auto").
    cache: folder that keeps straightened photographs; None keeps them in memory only.
    strict: refuse scenes of which a photograph is missing or damaged.
    cameras: of a splat in place of photographs, the scene whose cameras it is to be seen from; None places
        cameras by the splat's geometry.

    >>> import gspc
    >>> gspc.DataOptions(resolution=2, background="white").hold
    8
    """

    resolution: int | None = None
    hold: int = 8
    background: Background = "auto"
    images: Path | None = None
    image_cache: float = 2.0
    masks: Path | None = None
    field: LensField = "full"
    exif: Exif = "auto"
    cache: Path | None = None
    strict: bool = False
    cameras: Path | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for values out of range."""
        if self.resolution is not None and not (
            self.resolution in REDUCTIONS or 8 < self.resolution <= 65535
        ):
            raise UsageError(
                f"--resolution {self.resolution}: give 1, 2, 4, 8 or a width of 9 to 65535 pixels"
            )
        if self.hold < 0:
            raise UsageError(f"--hold {self.hold}: give 0 (no test views) or a positive number")
        if not 0 <= self.image_cache < 1e6:
            raise UsageError(f"--image-cache {self.image_cache}: give gigabytes, 0 or more")
        if self.background not in get_args(Background):
            raise UsageError(f"--background {self.background}: give one of {', '.join(get_args(Background))}")
        if self.field not in get_args(LensField):
            raise UsageError(f"--field {self.field}: give one of {', '.join(get_args(LensField))}")
        if self.exif not in get_args(Exif):
            raise UsageError(f"--exif {self.exif}: give one of {', '.join(get_args(Exif))}")


MIN_TARGET_SIZE = 10_000  # bytes; networks, cameras and header alone take more than this
MIN_MAX_ANCHORS = 64  # fewer are no scene: pruning leaves as many


@dataclass(frozen=True)
class FitOptions:
    """How a model is trained.

    iterations: None takes the recipe's, or else 30000 on CUDA and 3000 on a CPU; schedules scale with it.
    levels: number of progressive levels; None takes the recipe's.
    rate_weights: lambda of each level, from level 1 on; None takes the recipe's.
    voxel_size: edge of the anchors' voxels in world units; None derives it from the points.
    seed: seed of every random choice; the same seed, device and thread count give the same log.
    device: "auto", "cpu", "cuda" or "cuda:N".
    threads: threads of the CPU kernels; None takes all cores this process may use.
    checkpoint_every: iterations between checkpoints; 0 writes only the last.
    resume: go on from the checkpoint beside the output.
    branch: checkpoint of another fit to go on from, with its state of chance but with rate weights, target
        size and ingredients of rate and schedule that may differ; see `gspc.train.settings.of_training`.
    pause_at: iteration to stop after, with a checkpoint in place of the output; None: train to the end.
    log: file that receives the progress as JSON lines.
    target_size: bytes that the stream of all levels should take; None takes what the rate weights make of it.
    preview: iterations between pictures of a view beside the output; 0 writes none.
    max_anchors: that growth may reach; None: as many as half of the memory holds.
    gpu_memory: gigabytes of photographs that a GPU keeps, those beyond are copied there while the step before
        runs; None: a quarter of the GPU's memory.
    heads_precision: of the Gaussian heads' products while training, until they are quantized for the stream;
        "bf16" needs a CUDA device.
    heads_backend: who multiplies the heads' matrices while training, until they are quantized: "gspc",
        "tinycudann", which must be installed and needs a CUDA device, or what is known to be faster ("auto").
    coarse: model of a whole scene that this fit of a part of it starts from; its lattice, grid, pool and
        heads stay as they are; see `gspc.train.coarse`.
    recipe: what is learned and how; see `gspc.recipe`.
    metadata: what the model and its streams say about their making, beside the trainer's own entries.

    >>> import gspc
    >>> gspc.FitOptions(iterations=1000, levels=2).level_count
    2
    """

    iterations: int | None = None
    levels: int | None = None
    rate_weights: tuple[float, ...] | None = None
    voxel_size: float | None = None
    seed: int = 0
    device: str = "auto"
    threads: int | None = None
    checkpoint_every: int = 500
    resume: bool = False
    branch: Path | None = None
    pause_at: int | None = None
    log: Path | None = None
    target_size: int | None = None
    preview: int = 0
    max_anchors: int | None = None
    gpu_memory: float | None = None
    heads_precision: Precision = "float32"
    heads_backend: HeadsBackend = "auto"
    coarse: Path | None = None
    recipe: Recipe = GSPC
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise UsageError for values out of range."""
        if self.iterations is not None and self.iterations < 1:
            raise UsageError(f"--iterations {self.iterations}: give at least 1")
        if not 1 <= self.level_count <= MAX_LEVELS:
            raise UsageError(f"--levels {self.levels}: give 1 to {MAX_LEVELS}")
        if self.rate_weights is not None:
            if len(self.rate_weights) != self.level_count:
                raise UsageError(
                    f"--rate-weights: {len(self.rate_weights)} weights for {self.level_count} levels; "
                    "give one per level"
                )
            if not all(math.isfinite(weight) and weight >= 0 for weight in self.rate_weights):
                raise UsageError("--rate-weights: give finite numbers that are not negative")
        if self.voxel_size is not None and not (math.isfinite(self.voxel_size) and self.voxel_size > 0):
            raise UsageError(f"--voxel-size {self.voxel_size}: give a positive number of world units")
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"--seed {self.seed}: give 0 to 2^63 - 1")
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise UsageError(f"--device {self.device}: give auto, cpu, cuda or cuda:N")
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"--threads {self.threads}: give at least 1")
        if self.resume and self.branch is not None:
            raise UsageError(
                "--branch with --resume: --resume goes on from this output's own checkpoint; leave one out"
            )
        if self.pause_at is not None and self.pause_at < 1:
            raise UsageError(f"--pause-at {self.pause_at}: give at least 1")
        if self.checkpoint_every < 0:
            raise UsageError(f"--checkpoint-every {self.checkpoint_every}: give 0 or a positive number")
        if self.target_size is not None and self.target_size < MIN_TARGET_SIZE:
            raise UsageError(f"--target-size {self.target_size}: give at least {MIN_TARGET_SIZE:,} bytes")
        if self.preview < 0:
            raise UsageError(f"--preview {self.preview}: give 0 or a positive number")
        if self.max_anchors is not None and self.max_anchors < MIN_MAX_ANCHORS:
            raise UsageError(f"--max-anchors {self.max_anchors}: give at least {MIN_MAX_ANCHORS}")
        if self.heads_backend not in get_args(HeadsBackend):
            raise UsageError(
                f"--heads-backend {self.heads_backend}: give one of {', '.join(get_args(HeadsBackend))}"
            )
        if self.gpu_memory is not None and not 0 <= self.gpu_memory < 1e6:
            raise UsageError(f"--gpu-memory {self.gpu_memory}: give gigabytes, 0 or more")
        if self.heads_precision not in get_args(Precision):
            raise UsageError(
                f"--heads-precision {self.heads_precision}: give one of {', '.join(get_args(Precision))}"
            )

    @classmethod
    def of_preset(
        cls, name: str = DEFAULT_PRESET, ingredients: Mapping[str, object] | None = None, **options: Any
    ) -> FitOptions:
        """The options of a preset, of which `ingredients` are replaced; `options` are fields of this class.

        Raises UsageError.

        >>> import gspc
        >>> options = gspc.FitOptions.of_preset("fast", {"pool": 0, "features": 32}, levels=3)
        >>> options.recipe.schedule.iterations, dict(options.metadata)
        (800, {'preset': 'fast', 'switches': 'features=32 pool=0'})
        """
        recipe, made = chosen(name, ingredients or {})
        return cls(recipe=recipe, metadata=made, **options)

    @property
    def level_count(self) -> int:
        """Levels to train."""
        return self.recipe.levels.levels if self.levels is None else self.levels

    @property
    def weights(self) -> tuple[float, ...]:
        """Rate weight of each level."""
        return self.rate_weights or self.recipe.rate.weights(self.level_count)


def checkpoint_path(output: Path) -> Path:
    """Where a fit to `output` keeps what it needs to resume."""
    return output.with_name(output.name + ".checkpoint")


def preview_path(output: Path) -> Path:
    """Where a fit to `output` shows how far it is."""
    return output.with_name(output.name + ".preview.png")
