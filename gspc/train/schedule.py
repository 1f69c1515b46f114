"""When what happens: named phases and learning rates as shares of the run, so that they scale with the
iterations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from gspc.recipe import Downsampling, Recipe

REFERENCE_ITERATIONS = 30_000  # the papers' schedule, from which the shares below are taken

# Shares of a run at which anchors are weighed; in a shorter one than this nothing has a worth yet.
WEIGHED_AT = (0.55, 0.75)
FEWEST_WEIGHED = 300
# Anchors that hardly show stay for so many iterations, or for this share of a short run; see `judges_faint`.
FAINT_FROM, FAINT_FROM_SHARE = 500, 0.25


class Phase(Enum):
    """Phases of a run (PCGS and method section 6)."""

    WARMUP = "warmup"  # plain anchors
    # Uniform noise of the finest level's step before it is learned. The papers take a whole Q0 at every
    # level; in a short run features have not grown to that size yet (their spread on fox and lego is 0.4).
    NOISE = "noise"
    RATE = "rate"  # learned steps, contexts and masks at a sampled level
    # The same with simulated integer networks and heads, and in its end attributes on the stream's lattice
    FINISH = "finish"


# What training views still miss of their size, as a share of what they miss at the start, in an iteration
# before the one in which they have it all (Predict-GS Eq. 6 and its ablations).
MISSING_SIZE: Mapping[Downsampling, Callable[[int, float], float]] = {
    "none": lambda iteration, end: 0.0,
    "fixed": lambda iteration, end: 1.0,
    "linear": lambda iteration, end: 1 - iteration / end,
    "cosine": lambda iteration, end: 0.5 * (1 + math.cos(math.pi * iteration / end)),
}


@dataclass(frozen=True)
class LearningRate:
    """A learning rate from `start` to `end`, exponentially."""

    start: float
    end: float

    def at(self, progress: float) -> float:
        """Learning rate at a share of the run in [0, 1]."""
        return math.exp(
            math.log(self.start) + (math.log(self.end) - math.log(self.start)) * min(max(progress, 0.0), 1.0)
        )


@dataclass(frozen=True)
class Schedule:
    """Shares of the run at which phases begin, densification, and learning rates."""

    iterations: int
    views: int = 1  # that an iteration looks at, one for each rank
    noise_from: float = 0.10
    rate_from: float = 1 / 3
    masks_from: float = 0.38  # later than the rate: see `masks_learn`
    mask_haste: float = 1.0
    finish_from: float = 0.90
    grid_until: float = 0.50  # see `settled`
    round_from: float = 0.95  # see `rounds`; not before `finish_from`
    densify_from: float = 0.05
    densify_until: float = 0.50
    statistics_from: float = 1 / 60
    weighed_at: tuple[float, ...] = ()
    pool_alone: float = 0.0  # until this share residuals are switched off (Predict-GS, two-stage training)
    pooled: bool = False  # whether a pool reads the grid from the start
    random_background: float = 0.0  # until this share random colors are behind transparent photographs
    downsampling: Downsampling = "none"
    downsampling_start: float = 0.7
    downsampling_until: float = 0.3
    learning_rates: dict[str, LearningRate] = field(
        default_factory=lambda: {
            "features": LearningRate(0.0075, 0.00075),
            "log_scales": LearningRate(0.007, 0.0007),
            # Offsets count in scales of their anchor, so their rate has no unit. Scaffold-GS's 0.01 times the
            # radius of the cameras was 0.04 to 0.05 on the scenes that this was tuned on.
            "offsets": LearningRate(0.05, 0.0005),
            "masks": LearningRate(0.05, 0.005),  # times mask_scale
            "opacity": LearningRate(0.002, 0.0002),
            "color": LearningRate(0.008, 0.0005),
            "cov": LearningRate(0.004, 0.001),
            "residual": LearningRate(0.004, 0.0005),  # residual decoder
            "pool": LearningRate(0.005, 0.0005),  # fusion network
            "grid": LearningRate(0.005, 0.0005),  # as far as `grid_until` lets it
            "context": LearningRate(0.005, 0.0005),
        }
    )

    def phase(self, iteration: int) -> Phase:
        """Phase of an iteration, counted from 0."""
        progress = iteration / self.iterations
        if progress < self.noise_from:
            return Phase.WARMUP
        if progress < self.rate_from:
            return Phase.NOISE
        return Phase.RATE if progress < self.finish_from else Phase.FINISH

    def starts_rate(self, iteration: int) -> bool:
        """Whether the rate is in the loss from this iteration on."""
        rate_phases = (Phase.RATE, Phase.FINISH)
        return self.phase(iteration) in rate_phases and (
            iteration == 0 or self.phase(iteration - 1) not in rate_phases
        )

    @staticmethod
    def of(recipe: Recipe, iterations: int, views: int = 1) -> Schedule:
        """The schedule that a recipe asks for, of iterations that look at so many views each."""
        asked, pooled = recipe.schedule, recipe.representation.pool > 0
        return Schedule(
            iterations,
            views,
            weighed_at=WEIGHED_AT if iterations >= FEWEST_WEIGHED else (),
            pool_alone=asked.pool_alone if pooled else 0.0,
            pooled=pooled,
            mask_haste=asked.mask_haste,
            grid_until=asked.grid_until,
            round_from=asked.round_from,
            random_background=asked.random_background,
            downsampling=asked.downsampling,
            downsampling_start=asked.downsampling_start,
            downsampling_until=asked.downsampling_until,
        )

    def residuals(self, iteration: int) -> bool:
        """Whether residuals take part in this iteration."""
        return iteration >= self.pool_alone * self.iterations

    def random_behind(self, iteration: int) -> bool:
        """Whether random colors are behind transparent photographs in this iteration."""
        return iteration < self.random_background * self.iterations

    def view_scale(self, iteration: int) -> float:
        """Size of the training views relative to their full one."""
        end = self.downsampling_until * self.iterations
        if iteration >= end:
            return 1.0
        return 1.0 - (1.0 - self.downsampling_start) * MISSING_SIZE[self.downsampling](iteration, end)

    @property
    def mask_scale(self) -> float:
        """Factor on the masks' learning rate: in a short run masks must get as far in fewer steps. It is
        bounded because steps that are too long close masks whatever their Gaussians are worth (a factor of
        40 at 1500 iterations cost fox 0.8 dB)."""
        return min(self.mask_haste * max(REFERENCE_ITERATIONS / self.all_views, 1.0), 20.0)

    @property
    def all_views(self) -> int:
        """How many views the run looks at."""
        return self.iterations * self.views

    @property
    def densify_every(self) -> int:
        """Iterations between densifications: in views 100 in the reference's run, growing with the root of a
        run's length, so that a short run still sees each anchor often enough in between. An iteration that
        looks at several views counts as many: a run densifies as often, however many ranks share it."""
        between = max(10, round(100 * math.sqrt(self.all_views / REFERENCE_ITERATIONS)))
        return max(1, round(between / self.views))

    def densifies(self, iteration: int) -> bool:
        """Whether anchors grow and are pruned after this iteration."""
        inside = self.densify_from <= (iteration + 1) / self.iterations <= self.densify_until
        return inside and (iteration + 1) % self.densify_every == 0

    def judges_faint(self, iteration: int) -> bool:
        """Whether anchors that hardly show may be removed after this iteration. In a run's first iterations
        heads do not yet draw what they will: of 22,000 anchors of bonsai-small that were faint after 50
        iterations, 500 were after 250, and without the others the fit ended 3 dB worse."""
        return iteration + 1 >= min(FAINT_FROM, FAINT_FROM_SHARE * self.iterations)

    def prunes(self, iteration: int) -> bool:
        """Whether anchors whose masks have closed are removed after this iteration: once densification is
        over, which has its own pruning."""
        return (iteration + 1) / self.iterations > self.densify_until and (
            iteration + 1
        ) % self.densify_every == 0

    def weighs(self, iteration: int) -> bool:
        """Whether anchors are weighed before this iteration, and those that are not worth their bits removed:
        when growth is over, and again when the others have taken their place."""
        return iteration in [round(share * self.iterations) for share in self.weighed_at]

    def masks_learn(self, iteration: int) -> bool:
        """Whether masks learn in this iteration. They wait until the contexts have learned: before, the rate
        of a Gaussian is several times what it will be, and a mask that has closed does not open again."""
        return iteration >= self.masks_from * self.iterations

    def settled(self, iteration: int) -> bool:
        """Whether the grid's signs stay as they are. A sign that flips late moves predictions and contexts
        that everything else has adapted to, and reading signs that may flip takes a tenth of a step's time.
        Counted from where the grid begins to learn."""
        begin = 0.0 if self.pooled else self.rate_from
        until = begin + (1 - begin) * self.grid_until
        return iteration >= min(until, self.round_from) * self.iterations

    def rounds(self, iteration: int) -> bool:
        """Whether attributes are rounded to the stream's lattice, which then stays, instead of noise that
        stands for it: heads and values adapt to what a decoder restores. This comes late, because each level
        rounds a value to another place and pulls it there."""
        return iteration >= self.round_from * self.iterations

    def gathers(self, iteration: int) -> bool:
        """Whether this iteration adds to the statistics of densification."""
        return self.statistics_from <= iteration / self.iterations <= self.densify_until

    def learning_rate(self, group: str, iteration: int) -> float:
        """Learning rate of a parameter group, before the scene's factors. Rates of the entropy model start
        with its phase."""
        progress = iteration / self.iterations
        if group == "context" or (group == "grid" and not self.pooled):
            progress = (progress - self.rate_from) / (1 - self.rate_from)
        return self.learning_rates[group].at(progress)
