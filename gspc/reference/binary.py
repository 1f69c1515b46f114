"""The binary range coder, both directions (pcgs(5), BINARY CODER)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from gspc.errors import BitstreamError

WORD = (1 << 64) - 1


def rate(n: int) -> int:
    """round(32768 / (n + 1.5)): how far a probability moves after n decisions.

    >>> [rate(n) for n in (0, 1, 2, 255)]
    [21845, 13107, 9362, 128]
    """
    return (65536 + (2 * n + 3) // 2) // (2 * n + 3)


@dataclass
class BinaryModel:
    """Probability of a one in 1/65536: the mean of an estimate that forgets fast and one that settles."""

    fast: int = 32768
    slow: int = 32768
    count: int = 0  # decisions seen, at most 255

    def probability(self) -> int:
        """What the next decision is coded with: never certain."""
        return min(max((self.fast + self.slow) >> 1, 32), 65504)

    def update(self, bit: int) -> None:
        """Moves both estimates toward a decision."""
        target = 65535 if bit else 0
        self.fast += ((target - self.fast) * rate(min(self.count, 60))) >> 15
        self.slow += ((target - self.slow) * rate(self.count)) >> 15
        self.count = min(self.count + 1, 255)


def models(count: int) -> list[BinaryModel]:
    """Fresh models."""
    return [BinaryModel() for _ in range(count)]


@dataclass
class ExpGolombModel:
    """Models of a number: of how many binary digits it has, and of the two below the leading one."""

    length: list[BinaryModel] = field(default_factory=lambda: models(31))
    first: list[BinaryModel] = field(default_factory=lambda: models(32))
    second: list[BinaryModel] = field(default_factory=lambda: models(64))
    sign: BinaryModel = field(default_factory=BinaryModel)


class BinaryCoder(ABC):
    """What both directions share.

    Each call returns the value coded: an encoder codes the one passed in, a decoder ignores it.
    """

    @abstractmethod
    def code(self, p: int, bit: int = 0) -> int:
        """One decision with P(one) = p / 65536."""

    @abstractmethod
    def uniform(self, value: int, count: int) -> int:
        """One of `count` (1..65536) equally likely values."""

    def bit(self, model: BinaryModel, bit: int = 0) -> int:
        """One decision under a model, which adapts to it."""
        bit = self.code(model.probability(), bit)
        model.update(bit)
        return bit

    def raw(self, value: int, bits: int) -> int:
        """`bits` (0 to 32) digits, all values equally likely."""
        if bits > 16:
            high = self.raw(value >> 16, bits - 16)
            return high << 16 | self.raw(value & 65535, 16)
        return self.uniform(value, 1 << bits) if bits else 0

    def number(self, model: ExpGolombModel, value: int = 0) -> int:
        """A number 0 to 2^32 - 2: value + 1 in binary, the count of its digits first."""
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
        """A number with a sign, 31 bits of magnitude."""
        magnitude = self.number(model, abs(value)) & 0x7FFFFFFF
        return -magnitude if magnitude and self.bit(model.sign, int(value < 0)) else magnitude


class BinaryEncoder(BinaryCoder):
    """Narrows the interval [low, low + range) decision by decision.

    `low` is kept whole, as an exact fraction of 64 + 32 `words` bits: no carries to think about.

    >>> encoder = BinaryEncoder()
    >>> [encoder.raw(digit, 4) for digit in (1, 10)]
    [1, 10]
    >>> encoder.finish().hex()
    '1a'
    """

    def __init__(self) -> None:
        self.low = 0
        self.range = WORD  # 2^32 or more between decisions
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
        """The fewest bytes that make a number in the interval, zeros behind them."""
        for kept in range(9):
            unit = 1 << (64 - 8 * kept)
            value = -(-self.low // unit) * unit
            if value - self.low < self.range:
                return (value // unit).to_bytes(4 * self.words + kept, "big")
        raise AssertionError("eight bytes always suffice")


class BinaryDecoder(BinaryCoder):
    """Finds out where in the interval the number that the bytes make lies. Zeros follow the end of `data`.

    >>> decoder = BinaryDecoder(bytes([0x1A]))
    >>> [decoder.digits(4), decoder.digits(4)]
    [1, 10]
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.read = 8  # bytes taken, those past the end included
        self.value = int.from_bytes(data[:8].ljust(8, b"\0"), "big")  # from the interval's lower end
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
    def finished(self) -> bool:
        """Whether all bytes were read, and at most the eight that a reader is ahead beyond them."""
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
        """Raises BitstreamError unless `what` ends where its bytes do."""
        if not self.finished:
            raise BitstreamError(f"{what}: does not end where its contents do")
