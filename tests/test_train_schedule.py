"""Phases and learning rates scale with the run."""

import itertools
import math

import pytest

from gspc.presets import PCGS, PREDICT_GS
from gspc.train.schedule import LearningRate, Phase, Schedule


@pytest.mark.parametrize("iterations", [300, 3000, 30_000])
def test_phases_come_in_order_at_their_shares(iterations):
    schedule = Schedule(iterations)
    phases = [schedule.phase(i) for i in range(iterations)]
    changes = [i for i in range(1, iterations) if phases[i] is not phases[i - 1]]
    assert [phases[0], *(phases[i] for i in changes)] == [Phase.WARMUP, Phase.NOISE, Phase.RATE, Phase.FINISH]
    assert [i / iterations for i in changes] == pytest.approx([0.10, 1 / 3, 0.90], abs=1 / iterations)


@pytest.mark.parametrize("iterations", [20, 300, 3000])
def test_grid_settles_and_rounding_begins_at_their_shares(iterations):
    schedule = Schedule(iterations, pooled=True)
    settled = [schedule.settled(i) for i in range(iterations)]
    rounded = [schedule.rounds(i) for i in range(iterations)]
    assert settled == [i >= iterations / 2 for i in range(iterations)]
    assert sum(rounded) == iterations // 20 and rounded[-1]
    assert not any(a and schedule.densifies(i) for i, a in enumerate(settled))
    assert all(schedule.phase(i) is Phase.FINISH for i, a in enumerate(rounded) if a)


def test_without_a_pool_the_grid_settles_as_late_in_its_own_time():
    schedule = Schedule(300)
    assert [schedule.phase(i) is Phase.RATE for i in (99, 100)] == [False, True]  # from where the grid learns
    assert [schedule.settled(i) for i in (199, 201)] == [False, True]


def test_a_grid_that_never_settles_does_so_for_rounding():
    late = Schedule(100, grid_until=1.0, round_from=0.97)
    assert [i for i in range(100) if late.settled(i)] == [97, 98, 99]
    published = Schedule.of(PCGS, 100)
    assert not any(published.settled(i) or published.rounds(i) for i in range(100))


def test_learning_rates_decay_exponentially():
    rate = LearningRate(0.01, 0.0001)
    assert rate.at(0.0) == pytest.approx(0.01)
    assert rate.at(0.5) == pytest.approx(0.001)
    assert rate.at(1.0) == rate.at(7.0) == pytest.approx(0.0001)


def test_entropy_model_decays_from_its_own_phase():
    schedule = Schedule(3000)
    assert schedule.learning_rate("context", 1000) == pytest.approx(schedule.learning_rates["context"].start)
    assert schedule.learning_rate("context", 3000) == pytest.approx(schedule.learning_rates["context"].end)


def test_masks_travel_as_far_in_a_short_run():
    assert Schedule(30_000).mask_scale == Schedule(90_000).mask_scale == 1
    assert Schedule(3000).mask_scale == 10
    assert Schedule(100).mask_scale == 20  # bounded
    hasty = PCGS.changed(mask_haste=2.5)
    assert [Schedule.of(hasty, n).mask_scale for n in (60_000, 6000, 3000)] == [2.5, 12.5, 20]


def test_densification_lies_in_its_window():
    schedule = Schedule(3000)
    at = [i + 1 for i in range(3000) if schedule.densifies(i)]
    assert 150 <= at[0] < 150 + 32 and 1500 - 32 < at[-1] <= 1500
    assert schedule.densify_every == 32 and Schedule(30_000).densify_every == 100
    assert {b - a for a, b in itertools.pairwise(at)} == {schedule.densify_every}
    assert not schedule.gathers(0) and schedule.gathers(100) and not schedule.gathers(2000)


def test_ranks_densify_as_often_as_one_that_sees_as_many_views():
    def times(iterations: int, views: int) -> int:
        schedule = Schedule.of(PCGS, iterations, views)
        return sum(schedule.densifies(i) for i in range(iterations))

    assert Schedule(150, views=2).densify_every == 5 and Schedule(15_000, views=2).densify_every == 50
    for iterations in (1200, 3000, 30_000):
        one = times(iterations, 1)
        assert all(abs(times(iterations // ranks, ranks) - one) <= 2 for ranks in (2, 4))
    assert Schedule(1500, views=2).mask_scale == Schedule(3000).mask_scale
    assert Schedule(100, views=64).densify_every == 1


def test_views_grow_as_predict_gs_says():
    """Eq. 6: delta_t = 1 + (0.7 - 1) / 2 (1 + cos(pi t / T)) until T, then 1."""
    schedule = Schedule.of(PREDICT_GS, 30_000)
    assert schedule.view_scale(0) == pytest.approx(0.7)
    assert schedule.view_scale(4500) == pytest.approx(0.85)
    assert schedule.view_scale(3000) == pytest.approx(1 - 0.15 * (1 + math.cos(math.pi / 3)))
    assert schedule.view_scale(8999) == pytest.approx(1.0, abs=1e-6)
    assert schedule.view_scale(9000) == schedule.view_scale(29_999) == 1.0
    scales = [schedule.view_scale(i) for i in range(9001)]
    assert scales == sorted(scales)
    short = Schedule.of(PREDICT_GS, 300)
    assert [short.view_scale(i) for i in range(91)] == pytest.approx(scales[::100])


@pytest.mark.parametrize(
    ("kind", "start", "halfway", "end"),
    [("none", 1, 1, 1), ("fixed", 0.5, 0.5, 1), ("linear", 0.5, 0.75, 1), ("cosine", 0.5, 0.75, 1)],
)
def test_other_ways_to_grow(kind, start, halfway, end):
    recipe = PCGS.changed(downsampling=kind, downsampling_start=0.5, downsampling_until=0.4)
    schedule = Schedule.of(recipe, 1000)
    assert [schedule.view_scale(i) for i in (0, 200, 400)] == pytest.approx([start, halfway, end])


def test_views_that_never_are_small():
    recipe = PREDICT_GS.changed(downsampling_until=0.0)
    assert Schedule.of(recipe, 100).view_scale(0) == 1.0


def test_residuals_join_after_the_pool_was_alone():
    schedule = Schedule.of(PREDICT_GS, 30_000)
    assert not schedule.residuals(0) and not schedule.residuals(4999)
    assert schedule.residuals(5000)
    assert Schedule.of(PCGS, 30_000).residuals(0)  # nothing to wait for without a pool


def test_the_grid_learns_from_the_start_with_a_pool():
    pooled, plain = Schedule.of(PREDICT_GS, 1000), Schedule.of(PCGS, 1000)
    assert pooled.learning_rate("grid", 0) == pytest.approx(pooled.learning_rates["grid"].start)
    assert 0 < pooled.learning_rate("grid", 899) < pooled.learning_rate("grid", 500)
    assert plain.learning_rate("grid", 950) > 0
    assert plain.learning_rate("grid", 333) == pytest.approx(plain.learning_rates["grid"].start)
    assert pooled.learning_rate("pool", 950) > 0


def test_closed_anchors_are_pruned_after_densification():
    schedule = Schedule(3000)
    at = [i + 1 for i in range(3000) if schedule.prunes(i)]
    assert at and at[0] > 1500 and all(i % schedule.densify_every == 0 for i in at)
    assert not any(schedule.prunes(i) and schedule.densifies(i) for i in range(3000))


def test_faint_anchors_are_judged_when_heads_have_learned():
    for iterations, first in ((20, 5), (1000, 250), (2000, 500), (30_000, 500)):
        schedule = Schedule(iterations)
        assert [schedule.judges_faint(i) for i in (first - 2, first - 1)] == [False, True]
