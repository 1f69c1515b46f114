"""For torchrun: ranks train the scene of noise together and compare themselves."""

from __future__ import annotations

import hashlib

import torch
import torch.distributed as dist
from train_scenes import ITERATIONS, POOLED, noise_scene, trainer

from gspc.ops.kernels import native
from gspc.train.ranks import joined
from gspc.train.trainer import Trainer


def digest(made: Trainer) -> tuple[str, int]:
    """Of all parameters and moments, and how many anchors there are."""
    found = hashlib.sha256()
    for _, tensor in sorted(made.model.state_dict().items()):
        found.update(tensor.contiguous().numpy().tobytes())
    for state in made.optimizer.state.values():
        found.update(state["exp_avg"].numpy().tobytes())
    return found.hexdigest()[:16], made.model.anchors


def main() -> None:
    torch.set_num_threads(1)
    native.set_threads(1)
    with joined("cpu") as ranks:
        recipe = POOLED.changed(prune_by_masks=True, densify_threshold=1e-6)
        made = trainer(noise_scene(), recipe, 0)
        made = Trainer(made.scene, made.model, made.schedule, made.backend, recipe, ranks=ranks)
        ranks.start(0)
        while made.iteration < ITERATIONS:
            made.step()
            if made.iteration % 10 == 0:
                found: list[tuple[str, int] | None] = [None] * ranks.count
                dist.all_gather_object(found, digest(made))
                if ranks.first:
                    equal = "equal" if len(set(found)) == 1 else "differ"
                    print(made.iteration, equal, *(one[1] for one in found if one), flush=True)
        seen: list[int | None] = [None] * ranks.count
        dist.all_gather_object(seen, torch.randint(1 << 30, ()).item())
        if ranks.first:
            print(
                "own random numbers", "differ" if len(set(seen)) == ranks.count else "are equal", flush=True
            )
        ranks.finish()


if __name__ == "__main__":
    main()
