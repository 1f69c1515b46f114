"""Phases and learning rates scale with the run."""

import itertools

import pytest

from gspc.train.schedule import Phase, Rate, Schedule


@pytest.mark.parametrize("iterations", [300, 3000, 30_000])
def test_phases_come_in_order_at_their_shares(iterations):
    schedule = Schedule(iterations)
    phases = [schedule.phase(i) for i in range(iterations)]
    changes = [i for i in range(1, iterations) if phases[i] is not phases[i - 1]]
    assert [phases[0], *(phases[i] for i in changes)] == [Phase.WARMUP, Phase.NOISE, Phase.RATE, Phase.FINISH]
    assert [i / iterations for i in changes] == pytest.approx([0.10, 1 / 3, 0.90], abs=1 / iterations)


def test_learning_rates_decay_exponentially():
    rate = Rate(0.01, 0.0001)
    assert rate.at(0.0) == pytest.approx(0.01)
    assert rate.at(0.5) == pytest.approx(0.001)
    assert rate.at(1.0) == rate.at(7.0) == pytest.approx(0.0001)


def test_entropy_model_decays_from_its_own_phase():
    schedule = Schedule(3000)
    assert schedule.learning_rate("context", 1000) == pytest.approx(schedule.learning_rates["context"].start)
    assert schedule.learning_rate("context", 3000) == pytest.approx(schedule.learning_rates["context"].end)


def test_densification_lies_in_its_window():
    schedule = Schedule(3000)
    at = [i + 1 for i in range(3000) if schedule.densifies(i)]
    assert 150 <= at[0] < 150 + 32 and 1500 - 32 < at[-1] <= 1500
    assert schedule.densify_every == 32 and Schedule(30_000).densify_every == 100
    assert {b - a for a, b in itertools.pairwise(at)} == {schedule.densify_every}
    assert not schedule.gathers(0) and schedule.gathers(100) and not schedule.gathers(2000)
