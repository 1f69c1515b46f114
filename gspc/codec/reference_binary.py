"""Binary streams of the format in plain Python (pcgs(5), BINARY CODER), decoding only: what parameters and
masks need on top of the coder in reference_positions."""

from __future__ import annotations

from gspc.codec import reference_positions
from gspc.codec.reference_positions import BinaryModel, ExpGolombModel
from gspc.errors import BitstreamError

__all__ = ["BinaryDecoder", "BinaryModel", "ExpGolombModel", "models"]


def models(count: int) -> list[BinaryModel]:
    """Fresh models."""
    return [BinaryModel() for _ in range(count)]


class BinaryDecoder(reference_positions.BinaryDecoder):
    """Reads decisions from bytes; zeros follow the end."""

    def digits(self, bits: int) -> int:
        """`bits` (0..32) raw digits, most significant first."""
        return self.raw(0, bits)

    def tree(self, digits: list[BinaryModel], bits: int) -> int:
        """`bits` digits, most significant first, each under the model that its predecessors choose."""
        node = 1
        for _ in range(bits):
            node = node << 1 | self.bit(digits[node])
        return node - (1 << bits)

    def check_end(self, what: str) -> None:
        """All bytes were read, and at most what the start took ahead beyond them."""
        if not self.finished:
            raise BitstreamError(f"{what}: does not end where its contents do")
