"""All that is measured of a trained model, and on which views."""

from __future__ import annotations

from collections.abc import Callable

from gspc.model.storage import Gains
from gspc.train.shots import Shot
from gspc.train.trainer import Trainer
from gspc.train.utility.anchors import ROUNDS, Anchors
from gspc.train.utility.steps import DONE, Steps
from gspc.train.utility.swell import VIEWS, Interrupted, Swell
from gspc.train.worth import chosen_views


def measured(trainer: Trainer, say: Callable[[str], None], interrupted: Callable[[], bool]) -> Gains | None:
    """What parts of a trained model are worth, on views of its scene. None where it has no parts, is not as
    its stream will hold it yet, or when the measuring was `interrupted`."""
    if trainer.model.shape.levels == 1 or not trainer.model.quantized:
        return None
    say("measuring what anchors and refinements are worth to the training views")
    anchors, steps = Anchors(trainer), Steps(trainer)
    count = len(trainer.shots.views)

    def shot_of(number: int) -> Shot:
        return trainer.shots.take(number, trainer.iteration, scale=1.0, random_behind=False)

    def look(add: Callable[[Shot, float], None], passes: int, turn: int, turns: int) -> bool:
        views = chosen_views(count, trainer.iteration, passes, turn, turns)
        for number in views:
            if interrupted():
                return False
            add(shot_of(number), 1 / len(views))
        return True

    for turn, share in enumerate(ROUNDS):
        anchors.begin(share)
        if not look(anchors.add, len(ROUNDS), turn, len(ROUNDS)):
            return None
        anchors.end()
    for turn, done in enumerate((0.0, *DONE)):
        steps.settle(done)
        if not look(steps.add, steps.passes, turn, 1 + len(DONE)):
            return None
    few = min(VIEWS, count)
    shots = [shot_of(i * count // few) for i in range(few)]
    try:
        swell = tuple(Swell(anchors, interrupted).measured(shots))
    except Interrupted:
        return None
    return Gains(steps.refined.cpu(), steps.fresh.cpu(), anchors.gains.cpu(), swell)
