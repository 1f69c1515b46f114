"""The binary range coder of the format in plain Python, both directions (pcgs(5), BINARY CODER).

Tests hold the C++ coder against it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from gspc.errors import BitstreamError

WORD = (1 << 64) - 1


@dataclass
class BinaryModel:
    """Probability of a one in 1/65536: mean of a fast and a slow estimate."""

    fast: int = 32768
    slow: int = 32768
    count: int = 0

    def probability(self) -> int:
        return min(max((self.fast + self.slow) >> 1, 32), 65504)

    def update(self, bit: int) -> None:
        target = 65535 if bit else 0
        self.fast += ((target - self.fast) * rate(min(self.count, 60))) >> 15
        self.slow += ((target - self.slow) * rate(self.count)) >> 15
        self.count = min(self.count + 1, 255)


def rate(n: int) -> int:
    """round(32768 / (n + 1.5)): how far a probability moves after n decisions."""
    return (65536 + (2 * n + 3) // 2) // (2 * n + 3)


@dataclass
class ExpGolombModel:
    length: list[BinaryModel] = field(default_factory=lambda: [BinaryModel() for _ in range(31)])
    first: list[BinaryModel] = field(default_factory=lambda: [BinaryModel() for _ in range(32)])
    second: list[BinaryModel] = field(default_factory=lambda: [BinaryModel() for _ in range(64)])
    sign: BinaryModel = field(default_factory=BinaryModel)


class BinaryCoder(ABC):
    """What both directions share. Each call returns the value coded; a decoder ignores the one passed in."""

    @abstractmethod
    def code(self, p: int, bit: int = 0) -> int:
        """One decision with P(one) = p / 65536."""

    @abstractmethod
    def uniform(self, value: int, count: int) -> int:
        """One of `count` (1..65536) equally likely values."""

    def bit(self, model: BinaryModel, bit: int = 0) -> int:
        bit = self.code(model.probability(), bit)
        model.update(bit)
        return bit

    def raw(self, value: int, bits: int) -> int:
        if bits > 16:
            high = self.raw(value >> 16, bits - 16)
            return high << 16 | self.raw(value & 65535, 16)
        return self.uniform(value, 1 << bits) if bits else 0

    def number(self, model: ExpGolombModel, value: int = 0) -> int:
        v, k, result = value + 1, 0, 1
        while k < 31 and self.bit(model.length[k], int(v >> (k + 1) > 0)):
            k += 1
        if k >= 1:
            result = result << 1 | self.bit(model.first[k], v >> (k - 1) & 1)
        if k >= 2:
            result = result << 1 | self.bit(model.second[2 * k + (result & 1)], v >> (k - 2) & 1)
        if k >= 3:
            result = result << (k - 2) | self.raw(v & ((1 << (k - 2)) - 1), k - 2)
        return result - 1

    def signed_number(self, model: ExpGolombModel, value: int = 0) -> int:
        magnitude = self.number(model, abs(value)) & 0x7FFFFFFF
        return -magnitude if magnitude and self.bit(model.sign, int(value < 0)) else magnitude


class BinaryEncoder(BinaryCoder):
    """`low` is kept whole, as an exact fraction: no carries to think about."""

    def __init__(self) -> None:
        self.low = 0
        self.range = WORD
        self.words = 0

    def _narrow(self, offset: int, size: int) -> None:
        self.low += offset
        self.range = size
        if size < 1 << 32:
            self.low <<= 32
            self.range <<= 32
            self.words += 1

    def code(self, p: int, bit: int = 0) -> int:
        bound = (self.range >> 16) * p
        self._narrow(0 if bit else bound, bound if bit else self.range - bound)
        return bit

    def uniform(self, value: int, count: int) -> int:
        size = self.range // count
        self._narrow(size * value, size)
        return value

    def finish(self) -> bytes:
        for kept in range(9):
            unit = 1 << (64 - 8 * kept)
            value = -(-self.low // unit) * unit
            if value - self.low < self.range:
                return (value // unit).to_bytes(4 * self.words + kept, "big")
        raise AssertionError("eight bytes always suffice")


class BinaryDecoder(BinaryCoder):
    """Zeros follow the end of `data`."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.read = 8
        self.value = int.from_bytes(data[:8].ljust(8, b"\0"), "big")
        self.range = WORD

    def _narrow(self, offset: int, size: int) -> None:
        self.value = (self.value - offset) & WORD
        self.range = size
        if size < 1 << 32:
            word = self.data[self.read : self.read + 4].ljust(4, b"\0")
            self.value = (self.value << 32 | int.from_bytes(word, "big")) & WORD
            self.range <<= 32
            self.read += 4

    def code(self, p: int, bit: int = 0) -> int:
        bound = (self.range >> 16) * p
        bit = int(self.value < bound)
        self._narrow(0 if bit else bound, bound if bit else self.range - bound)
        return bit

    def uniform(self, value: int, count: int) -> int:
        size = self.range // count
        value = min(self.value // size, count - 1)
        self._narrow(size * value, size)
        return value

    @property
    def overrun(self) -> bool:
        return self.read > len(self.data) + 8

    @property
    def finished(self) -> bool:
        return len(self.data) <= self.read <= len(self.data) + 8

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


def models(count: int) -> list[BinaryModel]:
    """Fresh models."""
    return [BinaryModel() for _ in range(count)]
