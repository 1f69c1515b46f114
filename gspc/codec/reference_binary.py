"""The adaptive binary coder of the format in plain Python (pcgs(5), BINARY CODER), decoding only."""

from __future__ import annotations

from dataclasses import dataclass, field

from gspc.errors import BitstreamError

LEAST, MOST = 32, 65504  # bounds of a model's probability
FAST_LIMIT, SLOW_LIMIT = 16, 255


def rate(count: int) -> int:
    """Adaptation after `count` observations: round(32768 / (count + 1.5))."""
    return (65536 + (2 * count + 3) // 2) // (2 * count + 3)


@dataclass
class BinaryModel:
    """Probability of a one in 1/65536, the mean of a quick and a slow estimate."""

    fast: int = 32768
    slow: int = 32768
    count: int = 0

    def probability(self) -> int:
        """Within [32, 65504]."""
        return min(max((self.fast + self.slow) >> 1, LEAST), MOST)

    def update(self, bit: int) -> None:
        """Moves both estimates toward the bit seen."""
        target = 65535 if bit else 0
        self.fast += (target - self.fast) * rate(min(self.count, FAST_LIMIT)) >> 15
        self.slow += (target - self.slow) * rate(self.count) >> 15
        self.count = min(self.count + 1, SLOW_LIMIT)


def models(count: int) -> list[BinaryModel]:
    """Fresh models."""
    return [BinaryModel() for _ in range(count)]


@dataclass
class NumberModel:
    """Models of an adaptive Exp-Golomb number."""

    length: list[BinaryModel] = field(default_factory=lambda: models(31))
    first: list[BinaryModel] = field(default_factory=lambda: models(32))
    second: list[BinaryModel] = field(default_factory=lambda: models(64))
    sign: BinaryModel = field(default_factory=BinaryModel)


class BinaryDecoder:
    """Reads decisions from bytes; zeros follow the end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.range = (1 << 64) - 1
        self.value = self._word() << 32
        self.value |= self._word()

    def _word(self) -> int:
        word = self.data[self.at : self.at + 4]
        self.at += 4
        return int.from_bytes(word + bytes(4 - len(word)), "big")

    def _renormalize(self) -> None:
        if self.range >> 32 == 0:
            self.range <<= 32
            self.value = self.value << 32 | self._word()

    def code(self, p: int) -> int:
        """One decision whose ones have probability p / 65536."""
        bound = (self.range >> 16) * p
        bit = int(self.value < bound)
        if bit:
            self.range = bound
        else:
            self.value -= bound
            self.range -= bound
        self._renormalize()
        return bit

    def bit(self, model: BinaryModel) -> int:
        """One decision under an adaptive model."""
        bit = self.code(model.probability())
        model.update(bit)
        return bit

    def raw(self, bits: int) -> int:
        """`bits` (0..32) equiprobable digits, most significant first."""
        if bits > 16:
            return self.raw(bits - 16) << 16 | self.raw(16)
        if bits == 0:
            return 0
        self.range >>= bits
        value = min(self.value // self.range, (1 << bits) - 1)
        self.value -= value * self.range
        self._renormalize()
        return value

    def number(self, model: NumberModel) -> int:
        """An unsigned Exp-Golomb number."""
        k = 0
        while k < 31 and self.bit(model.length[k]):
            k += 1
        result = 1
        if k >= 1:
            result = result << 1 | self.bit(model.first[k])
        if k >= 2:
            result = result << 1 | self.bit(model.second[2 * k + (result & 1)])
        if k >= 3:
            result = result << (k - 2) | self.raw(k - 2)
        return result - 1

    def signed_number(self, model: NumberModel) -> int:
        """Magnitude, then a sign unless it is zero."""
        magnitude = self.number(model)
        return -magnitude if magnitude and self.bit(model.sign) else magnitude

    def tree(self, digits: list[BinaryModel], bits: int) -> int:
        """`bits` digits, most significant first, each under the model that its predecessors choose."""
        node = 1
        for _ in range(bits):
            node = node << 1 | self.bit(digits[node])
        return node - (1 << bits)

    def check_end(self, what: str) -> None:
        """All bytes were read, and at most what the start took ahead beyond them."""
        if not len(self.data) <= self.at <= len(self.data) + 8:
            raise BitstreamError(f"{what}: does not end where its contents do")
