"""Counts what a training step dispatches: operations, estimated launches and waits, by part of the step."""

from __future__ import annotations

import bisect
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gspc.model.anchors import AnchorModel
from gspc.model.context import ContextNets
from gspc.model.grid import HashGrid
from gspc.model.heads import GaussianHeads
from gspc.ops import rate as rate_ops
from gspc.train import attributes as attributes_module
from gspc.train import chance
from gspc.train import trainer as trainer_module
from gspc.train.rate import loss as loss_module
from gspc.train.trainer import Trainer

# Operations that launch nothing; views do not, either, which their schemas say.
FREE = {
    "aten.empty.memory_format",
    "aten.empty_like.default",
    "aten.empty_strided.default",
    "aten.new_empty.default",
    "aten.new_empty_strided.default",
    "aten.detach.default",
    "aten.alias.default",
    "aten._unsafe_view.default",
    "aten._reshape_alias.default",
    "aten.lift_fresh.default",
    "aten._local_scalar_dense.default",
}
WAITING = (
    "aten._local_scalar_dense",
    "aten.is_nonzero",
    "aten.nonzero",
    "aten.masked_select",
    "aten._unique",
)
LAUNCHES = {"aten.nonzero": 4, "aten.index_put": 14, "aten._index_put_impl": 14}
RASTERIZER, HOST = (
    "rasterizer",
    "host",
)  # parts that are not counted: gsplat's own; numbers that the CPU draws

PARTS: tuple[tuple[Any, str, str], ...] = (
    (trainer_module, "visible_rows", "visible rows"),
    (attributes_module, "mask_rows", "masks"),
    (attributes_module, "noisy_attributes", "rows"),
    (attributes_module, "rounded_attributes", "rows"),
    (AnchorModel, "predicted_and_steps", "pool and steps"),
    (HashGrid, "forward", "grid"),
    (HashGrid, "rows", "grid"),
    (GaussianHeads, "to_draw", "heads"),
    (trainer_module, "neural_gaussians", "heads"),
    (trainer_module, "rasterize", RASTERIZER),
    (trainer_module, "picture_loss", "loss"),
    (trainer_module, "mean_product", "loss"),
    (loss_module, "level_sample", "rate: masks and rows"),
    (ContextNets, "predict_level", "rate: trunk, steps, scales"),
    (ContextNets, "chunk_outputs", "rate: chunk networks"),
    (ContextNets, "trit_outputs", "rate: trit networks"),
    (rate_ops, "all_bits", "rate: bits"),
    (rate_ops, "chunk_inputs", "rate: chunk inputs"),
    (rate_ops, "trits", "rate: trits"),
    (loss_module.RateLoss, "loss", "rate: rest"),
    (Trainer, "_gather", "statistics"),
    (trainer_module, "whole_number", HOST),
    (attributes_module, "seeds", HOST),
    (chance, "seed", HOST),
    (Trainer, "_next_shot", "photograph"),
)


def launches_of(name: str, function: Any) -> int:
    """About how many kernels an operation launches on a GPU."""
    returns = function._schema.returns
    if name in FREE or (returns and all(r.alias_info and not r.alias_info.is_write for r in returns)):
        return 0
    return next((count for start, count in LAUNCHES.items() if name.startswith(start)), 1)


class Counted(TorchDispatchMode):
    """Operations, launches and waits by part; the backward pass counts for the parts it comes from."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ["rest"]
        self.numbers: Counter[str] = Counter()
        self.launched: Counter[str] = Counter()
        self.waited: Counter[str] = Counter()
        self.places: Counter[str] = Counter()  # of waits
        self.counting = False
        self._nodes: list[tuple[int, str]] = []  # autograd's sequence numbers from which on a part records

    @property
    def operations(self) -> int:
        return sum(self.numbers.values())

    @property
    def launches(self) -> int:
        return sum(self.launched.values())

    @property
    def waits(self) -> int:
        return sum(self.waited.values())

    def launch(self, count: int = 1) -> None:
        """Kernels of our own, which no dispatcher sees."""
        if self.counting:
            self.launched[self._part()] += count

    def table(self, title: str) -> str:
        rows = [f"{title}\n{'part':28}{'operations':>12}{'launches':>10}{'waits':>7}"]
        for part, count in [*self.numbers.most_common(), ("all", self.operations)]:
            launched, waited = (
                (self.launches, self.waits) if part == "all" else (self.launched[part], self.waited[part])
            )
            rows.append(f"{part:28}{count:12}{launched:10}{waited:7}")
        return "\n".join([*rows, *(f"  {count} waits at {where}" for where, count in self.places.items())])

    def _part(self) -> str:
        node = torch._C._current_autograd_node()
        if node is None:
            return self.stack[-1]
        at = bisect.bisect_right(self._nodes, (node._sequence_nr(), "\uffff")) - 1  # type: ignore[attr-defined]
        return self._nodes[at][1] if at >= 0 else "rest"

    def _note(self) -> None:
        """From here on autograd records for the part that has just begun, or that goes on."""
        number = torch._C._autograd._get_sequence_nr()
        if self._nodes and self._nodes[-1][0] == number:
            self._nodes.pop()  # nothing was recorded since
        self._nodes.append((number, self.stack[-1]))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        part, name = self._part(), str(func)
        if part not in (RASTERIZER, HOST) and not name.startswith("profiler"):
            self.numbers[part] += 1
            self.launched[part] += launches_of(name, func)
            if name.startswith(WAITING):
                self.waited[part] += 1
                frame = [f for f in traceback.extract_stack() if "/gspc/" in f.filename][-1]
                self.places[f"{frame.filename.split('/gspc/')[-1]}:{frame.lineno}: {frame.line}"] += 1
        return func(*args, **(kwargs or {}))

    @contextmanager
    def labeled(self) -> Iterator[None]:
        """Calls of `PARTS` count for their parts inside."""
        with ExitStack() as patches:
            for owner, name, label in PARTS:
                patches.enter_context(
                    mock.patch.object(owner, name, self._within(getattr(owner, name), label))
                )
            yield

    def _within(self, call: Callable[..., Any], label: str) -> Callable[..., Any]:
        def labeled(*arguments: Any, **options: Any) -> Any:
            self.stack.append(label)
            self._note()
            try:
                return call(*arguments, **options)
            finally:
                self.stack.pop()
                self._note()

        return labeled


def step_counted(made: Trainer, level: int, counted: Counted | None = None) -> Counted:
    """One step of a trainer at `level`, after one of the same kind that fills what is kept between steps."""
    counted, at = counted or Counted(), made.iteration
    made.gauges._waits = True  # as on a GPU
    with mock.patch.object(trainer_module, "whole_number", lambda low, high, shared=None: level):
        made.step()
        made.iteration = at
        with counted.labeled(), counted:
            counted.counting = True
            made.step()
            counted.counting = False
    return counted
