"""How many operations a training step dispatches on the path of a GPU, how often it waits, and that neither
grows. No GPU is needed: operations choose their kernels by `gspc.ops.place`, which answers here as for a GPU,
with our kernels (run on the host by an emulation) or without.

`pytest tests/test_operation_budget.py -s` prints the tables.
"""

from __future__ import annotations

from typing import Any

import pytest
from operation_count import Counted, step_counted
from torch import Tensor
from train_scenes import noise_scene, trainer

from gspc.ops import cuda, place
from gspc.presets import GSPC
from gspc.scene import SceneData
from gspc.train.trainer import Trainer

# (iteration of 100, level) -> most operations, launches and waits of a step by torch's operations, without
# those of the rasterizer. These numbers only go down, unless a step does more.
BY_TORCH = {
    (5, 3): (2486, 1964, 2),  # warmup
    (20, 3): (2490, 1967, 2),  # noise
    (40, 1): (4234, 3341, 2),  # rate, while the grid learns
    (40, 2): (4901, 3913, 2),
    (40, 3): (4258, 3360, 2),
    (70, 2): (2861, 2261, 2),  # rate, the grid settled
    (91, 2): (3389, 2676, 2),  # finish
    (97, 2): (3232, 2551, 2),  # finish, rounded
}
# The same with our kernels: at most 160 operations, 90 launches and 1 wait, whatever the phase and the level.
BY_KERNELS = {
    (20, 3): (65, 41, 1),
    (40, 1): (144, 75, 1),
    (40, 2): (155, 82, 1),
    (40, 3): (144, 75, 1),
    (70, 1): (135, 68, 1),
    (70, 2): (144, 74, 1),
    (70, 3): (135, 68, 1),
    (91, 2): (144, 79, 1),
    (97, 2): (145, 79, 1),
}
MOST = 160, 90, 1


@pytest.fixture(scope="module")
def scene() -> SceneData:
    return noise_scene()


def kept_gradients(made: Trainer, patch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """Gradients of the trainer's first step, which it takes as ever."""
    found: dict[str, Tensor] = {}
    step = made.optimizer.step

    def keep() -> None:
        if not found:
            grads = {name: p.grad for name, p in made.model.named_parameters()}
            found.update((name, grad.clone()) for name, grad in grads.items() if grad is not None)
        step()

    patch.setattr(made.optimizer, "step", keep)
    return found


def check(found: Counted, title: str, budget: tuple[int, int, int]) -> None:
    print(found.table(title))
    spent = found.operations, found.launches, found.waits
    over = [(have, most) for have, most in zip(spent, budget, strict=True) if have > most]
    assert not over, found.table(f"{title}: over the budget of {budget}")


def test_no_budget_is_above_the_bar() -> None:
    assert all(
        have <= most for budget in BY_KERNELS.values() for have, most in zip(budget, MOST, strict=True)
    )


@pytest.mark.parametrize(("at", "level"), BY_TORCH)
def test_a_step_by_torchs_operations(
    scene: SceneData, monkeypatch: pytest.MonkeyPatch, at: int, level: int
) -> None:
    made = trainer(scene, GSPC, at)
    monkeypatch.setattr(place, "of", lambda tensor: "torch")
    check(step_counted(made, level), f"iteration {at} of 100, level {level}", BY_TORCH[at, level])


@pytest.mark.parametrize(("at", "level"), BY_KERNELS)
def test_a_step_by_our_kernels(
    scene: SceneData,
    on_host: None,
    host_library: Any,
    monkeypatch: pytest.MonkeyPatch,
    at: int,
    level: int,
) -> None:
    """Which also gives the loss and the gradients that torch's operations do."""
    losses, grads = [], []
    for by in ("torch", "cuda"):
        made, found = trainer(scene, GSPC, at), Counted()
        call = cuda.call

        def counted(name: str, *arguments: object, call: Any = call, found: Counted = found) -> None:
            before = host_library.host_launched()
            call(name, *arguments)
            found.launch(host_library.host_launched() - before)

        with monkeypatch.context() as patch:
            patch.setattr(place, "of", lambda tensor, by=by: by)
            patch.setattr(cuda, "call", counted)
            grads.append(kept_gradients(made, patch))
            step_counted(made, level, found)
            losses.append(float(made.gauges.picture_loss))
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert grads[0].keys() == grads[1].keys() and len(grads[0]) >= 20
    for name, wanted in grads[0].items():
        error = float((grads[1][name] - wanted).norm())
        assert error <= 1e-3 * float(wanted.norm()) + 1e-9, name
    check(found, f"iteration {at} of 100, level {level}, our kernels", BY_KERNELS[at, level])


def test_what_is_counted(scene: SceneData, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts, launches and waits, from forward and backward passes."""
    made = trainer(scene, GSPC, 70)
    monkeypatch.setattr(place, "of", lambda tensor: "torch")
    found = step_counted(made, 2)
    assert {"heads", "rate: bits", "visible rows", "masks"} <= found.numbers.keys()
    assert found.waited == {"heads": 1, "visible rows": 1}
    assert all("nonzero" in where for where in found.places)
    assert found.launched["heads"] < found.numbers["heads"]  # views launch nothing
