"""The heads' products by tinycudann's fused networks (Müller et al. 2021), where that is installed.

Its networks have no biases and widths of 16 to 128, so ours are laid into larger ones: an input that is
always 1 carries the first layer's bias, and a hidden unit that is always 1 the second one's. The weights stay
ours and are laid out anew in every step, so that nothing has to be converted to save or to finish a fit.
tinycudann computes in half precision; our weights and gradients are float32.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gspc.errors import BackendError
from gspc.ops.heads.types import HeadWeights

WIDTHS = (16, 32, 64, 128)  # of a fused network
STEP = 16  # inputs and outputs come in multiples of it
INSTALL = "build it as its own page says (it is not on the package index), or give --heads-backend gspc"


def load() -> Any:
    """The package. Raises BackendError where it is not there or does not load."""
    try:
        return importlib.import_module("tinycudann")
    except ModuleNotFoundError:
        raise BackendError(f"--heads-backend tinycudann: tinycudann is not installed; {INSTALL}") from None
    except Exception as error:  # OSError without CUDA, and whatever its compiled module raises
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise BackendError(
            f"--heads-backend tinycudann: tinycudann does not load ({reason}); {INSTALL}"
        ) from None


def _padded(size: int) -> int:
    return -(-size // STEP) * STEP


class FusedHeads:
    """Logits of the three heads of one model."""

    def __init__(self, inputs: int, hidden: int, offsets: int, package: Any) -> None:
        """`inputs` of the heads, `hidden` units of each, K `offsets`. Raises BackendError for sizes that no
        fused network has."""
        width = next((width for width in WIDTHS if width > hidden), None)
        if width is None:
            raise BackendError(
                f"--heads-backend tinycudann: {hidden} hidden units and one for biases are more than "
                f"{WIDTHS[-1]}; give --set head_hidden={WIDTHS[-1] - 1} or fewer"
            )
        self.width, self.inputs = width, _padded(inputs + 1)
        config = {
            "otype": "FullyFusedMLP",
            "activation": "ReLU",
            "output_activation": "None",
            "n_neurons": width,
            "n_hidden_layers": 1,
        }
        outputs = (offsets, 3 * offsets, 7 * offsets)
        self.networks = [package.Network(self.inputs, count, config) for count in outputs]

    def __call__(self, inputs: Tensor, heads: HeadWeights) -> tuple[Tensor, ...]:
        """Logits of opacity [N, K], color [N, 3K] and cov [N, 7K] from inputs [N, I], differentiable."""
        n, read = inputs.shape
        constant = [inputs.new_ones(n, 1), inputs.new_zeros(n, self.inputs - read - 1)]
        rows = torch.cat([inputs, *constant], 1)
        second = (
            (heads.w_opacity, heads.b_opacity),
            (heads.w_color, heads.b_color),
            (heads.w_cov, heads.b_cov),
        )
        blocks = zip(heads.w1.chunk(3), heads.b1.chunk(3), second, self.networks, strict=True)
        return tuple(
            torch.func.functional_call(network, {"params": self._laid_out(w1, b1, *of)}, (rows,)).to(inputs)
            for w1, b1, of, network in blocks
        )

    def _laid_out(self, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
        """A network's weights as tinycudann holds them: [width, inputs], then [outputs, width], in rows."""
        hidden, read = w1.shape
        first = F.pad(torch.cat([w1, b1[:, None]], 1), (0, self.inputs - read - 1))
        always = F.one_hot(torch.tensor(read), self.inputs)[None].to(first)
        idle = first.new_zeros(self.width - hidden - 1, self.inputs)
        last = torch.cat([w2, b2[:, None]], 1)
        last = F.pad(last, (0, self.width - hidden - 1, 0, _padded(len(w2)) - len(w2)))
        return torch.cat([part.flatten() for part in (first, always, idle, last)])


def fused_heads(inputs: int, hidden: int, offsets: int) -> Callable[..., tuple[Tensor, ...]]:
    """Logits by tinycudann of heads with so many inputs, hidden units each and offsets; the result takes
    inputs [N, I] and weights. Raises BackendError."""
    return FusedHeads(inputs, hidden, offsets, load())
