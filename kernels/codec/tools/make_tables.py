"""Makes entropy/tables_data.inc, the pinned integer tables of the format. Run once, offline; needs mpmath.

    python kernels/codec/tools/make_tables.py [output]

Everything is evaluated with 40 digits, so the result does not depend on any machine's libm. The output is
part of the format: a change makes a new major version. Each Gaussian table is symmetric and stored as
f[0], f[1..R], f[escape].
"""

from __future__ import annotations

import heapq
import math
import sys
from pathlib import Path

from mpmath import mp, mpf

mp.dps = 40

TABLE_BITS = 14
TOTAL = 1 << TABLE_BITS
GAUSSIANS = 128
LEVELS = 8
TAIL_STEPS = 12.0  # symbols further out than this many sigma (plus a few) are not counted: below 1e-32


def gaussian_bins(index: int) -> list[float]:
    """P(k), k = 0, 1, ... of a zero-mean Gaussian, sigma = 2^(-3 + index/12), over [k - 1/2, k + 1/2]."""
    root = mp.sqrt(2) * mp.power(2, mpf(index) / 12 - 3)
    count = int(TAIL_STEPS * 2 ** (index / 12 - 3)) + 4
    upper = [mp.erfc((mpf(2 * k - 1) / 2) / root) / 2 for k in range(1, count + 2)]
    return [float(1 - 2 * upper[0])] + [float(upper[k - 1] - upper[k]) for k in range(1, count + 1)]


def exp_golomb_bits(value: int) -> int:
    """Length of the order-0 Exp-Golomb code: what an escape's magnitude costs at most, before adaptation."""
    return 2 * (value + 1).bit_length() - 1


def allocate(bins: list[float], support: int, escape: int) -> list[int] | None:
    """Frequencies f[0..support], f[0] + 2 sum f[1..] = TOTAL - escape, that minimize the code length.

    Starts below the optimum and hands out what is left, always where a slot saves most; a pair k, -k takes
    two slots.
    """
    f = [max(1, math.floor(p * TOTAL * 0.98)) for p in bins[: support + 1]]
    left = TOTAL - escape - f[0] - 2 * sum(f[1:])
    if left < 0:
        return None
    heap = [(-p * math.log2((f[k] + 1) / f[k]), k) for k, p in enumerate(bins[: support + 1])]
    heapq.heapify(heap)
    while left:
        _, k = heap[0]
        if k and left == 1:
            f[0] += 1
            break
        f[k] += 1
        left -= 2 if k else 1
        heapq.heapreplace(heap, (-bins[k] * math.log2((f[k] + 1) / f[k]), k))
    return f


def expected_bits(bins: list[float], f: list[int], escape: int) -> float:
    """Bits per symbol of a table, escapes' signs and magnitudes included."""
    support = len(f) - 1
    bits = bins[0] * math.log2(TOTAL / f[0])
    bits += sum(2 * p * math.log2(TOTAL / q) for p, q in zip(bins[1:], f[1:], strict=False))
    for k in range(support + 1, len(bins)):
        bits += 2 * bins[k] * (math.log2(TOTAL / escape) + 1 + exp_golomb_bits(k - support - 1))
    return bits


def gaussian_table(index: int) -> list[int]:
    """The cheapest f[0], f[1..R], f[escape] over R and the escape's frequency."""
    bins = gaussian_bins(index)
    sigma = 2 ** (index / 12 - 3)
    best: tuple[float, list[int]] | None = None
    low, high = max(0, math.floor(2.8 * sigma - 1)), math.ceil(4.6 * sigma + 2)
    for support in range(low, high + 1, max(1, math.ceil(sigma / 12))):
        tail = 2 * sum(bins[support + 1 :])
        ideal = tail * TOTAL
        for escape in sorted({max(1, math.floor(ideal) + d) for d in (0, 1, 2)}):
            if escape > TOTAL // 64:
                continue
            f = allocate(bins, support, escape)
            if f is None:
                continue
            bits = expected_bits(bins, f, escape)
            if best is None or bits < best[0]:
                best = (bits, [*f, escape])
    if best is None:
        raise ValueError(f"no table for index {index}")
    return best[1]


def rounded(x: mpf) -> int:
    return int(mp.floor(x + mpf(1) / 2))


def sigmoid(x: mpf) -> mpf:
    return 1 / (1 + mp.exp(-x))


def rows(name: str, kind: str, values: list[int], note: str) -> str:
    text, line = [f"// {note}", f"const {kind} {name}[{len(values)}] = {{"], "   "
    for v in values:
        if len(line) + len(str(v)) + 2 > 118:
            text.append(line)
            line = "   "
        line += f" {v},"
    return "\n".join([*text, line, "};", ""])


def symbol_rows(tables: list[list[int]]) -> list[str]:
    """Of Gaussian and trit tables."""
    return [
        rows("kSupport", "uint16_t", [len(t) - 2 for t in tables], "R of each Gaussian table"),
        rows(
            "kHalves",
            "uint16_t",
            [f for t in tables for f in t],
            "f[0], f[1..R], f[escape], table after table",
        ),
        rows(
            "kTritZero",
            "uint16_t",
            [min(max(rounded(TOTAL * sigmoid(mpf(a - 32) / 4)), 2), TOTAL - 2) for a in range(64)],
            "round(2^14 sigmoid((a - 32) / 4)): frequency of 0",
        ),
        rows(
            "kTritPlus",
            "uint16_t",
            [rounded(2**16 * sigmoid(mpf(b - 32) / 8)) for b in range(64)],
            "round(2^16 sigmoid((b - 32) / 8)): share of +1 in what 0 leaves",
        ),
    ]


def step_rows(steps: list[int]) -> list[str]:
    """Of steps, their logarithms and what levels divide them by."""
    log2 = [mp.log(mpf(s) / 2**14, 2) for s in steps]
    return [
        rows("kStep", "uint16_t", steps, "round(2^14 (1 + tanh((i - 64) / 32)))"),
        rows("kLogStep", "int16_t", [rounded(12 * x) for x in log2], "round(12 log2(step / 2^14))"),
        rows(
            "kInverse3",
            "uint32_t",
            [0] + [rounded(mpf(2**16) / 3 ** (s - 1)) for s in range(1, LEVELS + 1)],
            "[s]: round(2^16 / 3^(s - 1)); [0] unused",
        ),
        rows(
            "kLog3",
            "int16_t",
            [0] + [rounded(12 * (s - 1) * mp.log(3, 2)) for s in range(1, LEVELS + 1)],
            "[s]: round(12 (s - 1) log2 3); [0] unused",
        ),
    ]


def mixture_rows() -> list[str]:
    """Of the normal distribution that mixtures are summed from."""
    sigmas = [mp.power(2, mpf(i) / 12 - 3) for i in range(GAUSSIANS)]
    return [
        rows(
            "kNormal",
            "uint32_t",
            [rounded(2**16 * mp.ncdf(mpf(i) / 128)) for i in range(576 + 1)],
            "round(2^16 Phi(i / 128)): the half of the normal distribution that mixtures are summed from",
        ),
        rows(
            "kInverseSigma",
            "uint32_t",
            [rounded(2**23 / s) for s in sigmas],
            "round(2^23 / sigma)",
        ),
        rows(
            "kReach",
            "uint16_t",
            [rounded(16 * 4 * s) + 8 for s in sigmas],
            "round(4 sigma) + 1/2 in 1/16 steps: what a mixture's support covers to both sides of a mean",
        ),
    ]


def inverse_rows(steps: list[int]) -> list[str]:
    """Of what symbols are turned back with: inverse steps, weights, and edges between trit tables."""
    return [
        rows("kInverseStep", "uint32_t", [rounded(mpf(2**26) / s) for s in steps], "round(2^26 / step)"),
        rows(
            "kMixtureWeight",
            "uint8_t",
            [min(rounded(256 * sigmoid(mpf(i - 32) / 4)), 255) for i in range(64)],
            "round(256 sigmoid((i - 32) / 4)): weight of a mixture's second component",
        ),
        rows(
            "kTritZeroEdge",
            "uint32_t",
            [rounded(2**16 * sigmoid((mpf(i) - mpf(63) / 2) / 4)) for i in range(63)],
            "round(2^16 sigmoid((i - 31.5) / 4)): from this share of 0 on, a is i + 1 or more",
        ),
        rows(
            "kTritPlusEdge",
            "uint32_t",
            [rounded(2**16 * sigmoid((mpf(i) - mpf(63) / 2) / 8)) for i in range(63)],
            "round(2^16 sigmoid((i - 31.5) / 8)): from this share of +1 in what 0 leaves on, "
            "b is i + 1 or more",
        ),
    ]


def main() -> None:
    pinned = Path(__file__).parent.parent / "entropy" / "tables_data.inc"
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else pinned
    steps = [rounded(2**14 * (1 + mp.tanh(mpf(i - 64) / 32))) for i in range(128)]
    parts = [
        "// Written by make_tables.py. Part of the format: never edit.\n",
        *symbol_rows([gaussian_table(i) for i in range(GAUSSIANS)]),
        *step_rows(steps),
        *mixture_rows(),
        *inverse_rows(steps),
    ]
    output.write_text("\n".join(parts))


if __name__ == "__main__":
    main()
