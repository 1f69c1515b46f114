"""Speed and size of the lane coder beside other coders, in one run: one thread, CPU time, best of several.

    python tests/bench/bench_coder.py [--symbols 10000000] [--repeat 5] [--isa base,v3,v4] [--json]

Every symbol has its own Gaussian (sigma 2^(-3 + i/12), i uniform in 12..37: about 1.25 bits a symbol),
every trit its own table; mixtures are of two such Gaussians, means within 2.5 steps of 0, any weight, one
of 2048 drawn for each symbol. constriction (pip install constriction) codes the same Gaussian symbols under
the exact Gaussians; CompressAI's rANS (if the package `compressai` is there) under 64 scales of its own,
mean-centred. `over` is the size above -sum log2 p of each coder's own tables, where we know them, else
above the exact Gaussians."""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from gspc import _codec
from gspc.reference.mixtures import mixture_table


@dataclass(frozen=True)
class Figure:
    coder: str
    symbols: int
    encode: float  # Msym/s
    decode: float
    bits: float  # a symbol
    over: float  # percent above the ideal


def best(repeat: int, run: Callable[[], object]) -> float:
    """Seconds of CPU time, the least of several runs."""
    times = []
    for _ in range(repeat):
        start = time.thread_time()
        run()
        times.append(time.thread_time() - start)
    return min(times)


def gaussians(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tables, sigmas and symbols."""
    rng = np.random.default_rng(1)
    tables = rng.integers(12, 38, n).astype(np.uint8)
    sigma = 2.0 ** (-3 + tables / 12)
    return tables, sigma, np.rint(rng.normal(size=n) * sigma).astype(np.int32)


def trits(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    tables = (rng.integers(20, 50, n) * 64 + rng.integers(16, 48, n)).astype(np.uint16)
    p = np.cumsum(_codec.trit_frequencies().reshape(-1, 3), axis=1)[tables] / 2**14
    u = rng.random(n)
    return tables, ((u >= p[:, 0]).astype(np.int8) + (u >= p[:, 1]) - 1).astype(np.int8)


@dataclass(frozen=True)
class Mixtures:
    scales: tuple[np.ndarray, np.ndarray]
    means: tuple[np.ndarray, np.ndarray]
    weight: np.ndarray

    def at(self, index: np.ndarray) -> Mixtures:
        (s0, s1), (m0, m1) = self.scales, self.means
        return Mixtures((s0[index], s1[index]), (m0[index], m1[index]), self.weight[index])

    @property
    def arguments(self) -> tuple[np.ndarray, ...]:
        return *self.scales, *self.means, self.weight


def mixtures(n: int) -> tuple[Mixtures, np.ndarray, np.ndarray]:
    """The distinct mixtures, which of them each symbol has, and symbols."""
    rng = np.random.default_rng(3)

    def pair(low: int, high: int, kind: type[np.generic]) -> tuple[np.ndarray, np.ndarray]:
        return rng.integers(low, high, 2048).astype(kind), rng.integers(low, high, 2048).astype(kind)

    distinct = Mixtures(
        pair(12, 38, np.uint8), pair(-40, 41, np.int16), rng.integers(0, 256, 2048).astype(np.uint8)
    )
    index = rng.integers(0, 2048, n)
    own = distinct.at(index)
    second = rng.integers(0, 256, n) < own.weight
    sigma = 2.0 ** (-3 + np.where(second, own.scales[1], own.scales[0]) / 12)
    mean = np.where(second, own.means[1], own.means[0]) / 16
    return distinct, index, np.rint(mean + rng.normal(size=n) * sigma).astype(np.int32)


def mixture_bits(distinct: Mixtures, index: np.ndarray, symbols: np.ndarray) -> float:
    bits = np.full((len(distinct.weight), 64), np.nan)
    lows, escapes = (np.zeros(len(bits), np.int64) for _ in range(2))
    for i, (s0, s1, m0, m1, w) in enumerate(np.stack(distinct.arguments, axis=1).tolist()):
        table = mixture_table((s0, s1), (m0, m1), w)
        lows[i], escapes[i] = table.symbols[0], len(table.symbols)
        bits[i, : len(table.first) - 1] = 14 - np.log2(np.diff(table.first))
    order, escape = symbols - lows[index], escapes[index]
    return float(bits[index, np.where((order < 0) | (order > escape), escape, order)].sum())


def table_bits(tables: np.ndarray, symbols: np.ndarray) -> float:
    bits = np.full((128, 2 * 615 + 2), np.nan)
    for i in range(128):
        f = _codec.gaussian_frequencies(i)
        bits[i, : len(f)] = 14 - np.log2(f)
    supports = np.array([_codec.gaussian_support(i) for i in range(128)])
    order = np.where(symbols < 0, -2 * symbols - 1, 2 * symbols)
    return float(bits[tables, np.minimum(order, 2 * supports[tables] + 1)].sum())


def exact_bits(tables: np.ndarray, symbols: np.ndarray) -> float:
    total = 0.0
    index, count = np.unique(tables.astype(np.int64) * 64 + np.abs(symbols), return_counts=True)
    for key, n in zip(index.tolist(), count.tolist(), strict=True):
        sigma, k = 2 ** (key // 64 / 12 - 3), key % 64
        root = math.sqrt(2) * sigma
        p = (
            math.erf(0.5 / root)
            if k == 0
            else (math.erfc((k - 0.5) / root) - math.erfc((k + 0.5) / root)) / 2
        )
        total -= n * math.log2(p)
    return total


def ours_gaussian(n: int, repeat: int) -> Figure:
    tables, _, symbols = gaussians(n)
    encoder, out = _codec.RansEncoder(), np.zeros(n, np.int32)
    streams: list[bytes] = []

    def encode() -> None:
        encoder.gaussian(tables, symbols)
        streams[:] = [encoder.finish()]

    def decode() -> np.ndarray:
        return _codec.RansDecoder(streams[0]).gaussian_into(tables, out)

    encode_time = best(repeat, encode)
    decode_time = best(repeat, decode)
    out[decode()] = symbols[decode()]
    if not np.array_equal(out, symbols):
        raise AssertionError("round trip")
    bits = 8 * len(streams[0])
    return figure(
        f"gspc gaussian {_codec.active_isa()}", n, encode_time, decode_time, bits, table_bits(tables, symbols)
    )


def ours_trits(n: int, repeat: int) -> Figure:
    tables, values = trits(n)
    encoder, out = _codec.RansEncoder(), np.zeros(n, np.int8)
    streams: list[bytes] = []

    def encode() -> None:
        encoder.trits(tables, values)
        streams[:] = [encoder.finish()]

    encode_time = best(repeat, encode)
    decode_time = best(repeat, lambda: _codec.RansDecoder(streams[0]).trits_into(tables, out))
    if not np.array_equal(out, values):
        raise AssertionError("round trip")
    f = _codec.trit_frequencies().reshape(-1, 3)[tables, values + 1]
    ideal = float((14 - np.log2(f)).sum())
    return figure(
        f"gspc trits {_codec.active_isa()}", n, encode_time, decode_time, 8 * len(streams[0]), ideal
    )


def ours_mixtures(n: int, repeat: int) -> Figure:
    distinct, index, symbols = mixtures(n)
    arguments = distinct.at(index).arguments
    encoder, out = _codec.RansEncoder(), np.zeros(n, np.int32)
    streams: list[bytes] = []

    def encode() -> None:
        encoder.mixture(*arguments, symbols)
        streams[:] = [encoder.finish()]

    def decode() -> np.ndarray:
        return _codec.RansDecoder(streams[0]).mixture_into(*arguments, out)

    encode_time, decode_time = best(repeat, encode), best(repeat, decode)
    escaped = decode()
    out[escaped] = symbols[escaped]
    if not np.array_equal(out, symbols):
        raise AssertionError("round trip")
    ideal = mixture_bits(distinct, index, symbols)
    bits = 8 * len(streams[0])
    return figure(f"gspc mixtures {_codec.active_isa()}", n, encode_time, decode_time, bits, ideal)


def constriction_range(n: int, repeat: int) -> Figure | None:
    if importlib.util.find_spec("constriction") is None:
        return None
    import constriction

    tables, sigma, symbols = gaussians(n)
    means = np.zeros(n)
    model = constriction.stream.model.QuantizedGaussian(-64, 64)
    streams: list[np.ndarray] = []

    def encode() -> None:
        encoder = constriction.stream.queue.RangeEncoder()
        encoder.encode(symbols, model, means, sigma)
        streams[:] = [encoder.get_compressed()]

    def decode() -> np.ndarray:
        return constriction.stream.queue.RangeDecoder(streams[0]).decode(model, means, sigma)

    encode_time, decode_time = best(repeat, encode), best(repeat, decode)
    if not np.array_equal(decode(), symbols):
        raise AssertionError("round trip")
    bits = 32 * len(streams[0])
    return figure("constriction range", n, encode_time, decode_time, bits, exact_bits(tables, symbols))


def compressai_ans() -> ModuleType | None:
    """CompressAI's extension module alone: the package around it imports much else."""
    package = importlib.util.find_spec("compressai")
    if package is None or package.origin is None:
        return None
    for path in Path(package.origin).parent.glob("ans*.so"):
        spec = importlib.util.spec_from_file_location("ans", path)
        if spec is not None and spec.loader is not None:
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
    return None


def compressai_rans(n: int, repeat: int) -> Figure | None:
    """Tables as its GaussianConditional makes them: 16 bits, a floor of 1, one entry for the tails."""
    ans = compressai_ans()
    if ans is None:
        return None
    _, sigma, symbols = gaussians(n)
    scales = np.exp(np.linspace(math.log(0.11), math.log(256), 64))
    indices = np.searchsorted(scales, sigma).tolist()
    cdfs, sizes, offsets = [], [], []
    for scale in scales.tolist():
        reach = math.ceil(scale * 6)
        k = np.arange(-reach, reach + 1)
        upper = np.array([math.erfc((x - 0.5) / scale / math.sqrt(2)) / 2 for x in [*k, reach + 1]])
        weights = np.append(np.maximum(upper[:-1] - upper[1:], 0), 2 * upper[-1])
        f = np.maximum(np.rint(weights * 65536), 1).astype(int)
        f[reach] += 65536 - f.sum()
        cdfs.append([0, *np.cumsum(f).tolist()])
        sizes.append(len(cdfs[-1]))
        offsets.append(-reach)
    values = symbols.tolist()
    streams: list[bytes] = []

    def encode() -> None:
        streams[:] = [ans.RansEncoder().encode_with_indexes(values, indices, cdfs, sizes, offsets)]

    def decode() -> list[int]:
        return ans.RansDecoder().decode_with_indexes(streams[0], indices, cdfs, sizes, offsets)

    encode_time, decode_time = best(repeat, encode), best(repeat, decode)
    if decode() != values:
        raise AssertionError("round trip")
    tables = np.rint(12 * (np.log2(sigma) + 3)).astype(int)
    return figure(
        "compressai rans", n, encode_time, decode_time, 8 * len(streams[0]), exact_bits(tables, symbols)
    )


def figure(coder: str, n: int, encode: float, decode: float, bits: float, ideal: float) -> Figure:
    return Figure(coder, n, n / encode / 1e6, n / decode / 1e6, bits / n, 100 * (bits / ideal - 1))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--symbols", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--isa", default="base,v3,v4")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = []
    for isa in options.isa.split(","):
        _codec.set_isa(isa)
        if _codec.active_isa() == isa:
            found += [
                ours_gaussian(options.symbols, options.repeat),
                ours_mixtures(options.symbols, options.repeat),
                ours_trits(options.symbols, options.repeat),
            ]
    # The others are slower: a fifth of the symbols gives the same figures.
    others = [f(options.symbols // 5, 2) for f in (constriction_range, compressai_rans)]
    found += [f for f in others if f is not None]
    if options.json:
        print(json.dumps([asdict(f) for f in found], indent=1))
        return
    for f in found:
        ratios = [
            f"{f.encode / o.encode:6.1f}x encode {f.decode / o.decode:6.1f}x decode of {o.coder}"
            for o in others
            if o is not None and f.coder.startswith("gspc gaussian")
        ]
        print(
            f"{f.coder:20} {f.symbols:9} symbols  encode {f.encode:7.1f} Msym/s  "
            f"decode {f.decode:7.1f} Msym/s  {f.bits:.4f} bits  over {f.over:.3f} %",
            *ratios,
            sep="  ",
        )


if __name__ == "__main__":
    main()
