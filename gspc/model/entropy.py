"""Bits of binary symbols that are coded with one adaptive model, differentiable."""

from gspc.ops.weigh import binary_entropy, sign_bits

__all__ = ["binary_entropy", "sign_bits"]
