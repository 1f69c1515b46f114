"""A Reed-Solomon code over GF(2^16): a few checks put right as many wrong symbols as half their number.

A codeword has a symbol for each locator, a field element; the sum of symbol times locator^j is 0 for each j
below the number of checks, so the code is the dual of a generalized Reed-Solomon code with multipliers 1
(MacWilliams and Sloane 1977, chapter 10, section 8). Symbols of 16 bits allow codewords of 128 kB, and the
longer a codeword is, the fewer checks it takes for the same share of damage: the number of errors in it
varies less.

Checks stand at the locators of an affine subspace. Those of the whole data are the sum of what each run of
symbols at another coset adds, and each of these takes two additive Fourier transforms, n log n steps (Lin,
Chung and Han 2014, "Novel polynomial basis and its application to Reed-Solomon erasure codes").
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Symbols = NDArray[np.uint16]
Logs = NDArray[np.int32]

POLYNOMIAL = 0x1100B  # x^16 + x^12 + x^3 + x + 1, of which x is a generator
ORDER = 65535
MAX_CHECKS = 256
BATCH = 1 << 17  # symbols transformed at a time: what fits the processor's caches


class _Field(NamedTuple):
    exp: Symbols  # generator^i, also for i beyond the order; 0 from where logarithms of 0 take part
    log: Logs  # [65536]


@cache
def _field() -> _Field:
    powers, value = np.zeros(ORDER, np.uint16), 1
    for i in range(ORDER):
        powers[i] = value
        value = value << 1 ^ (POLYNOMIAL if value & 0x8000 else 0)
    log = np.full(ORDER + 1, 2 * ORDER, np.int32)
    log[powers] = np.arange(ORDER, dtype=np.int32)
    return _Field(np.concatenate([powers, powers, np.zeros(2 * ORDER + 1, np.uint16)]), log)


def _product(a: Symbols, b: Symbols) -> Symbols:
    exp, log = _field()
    return exp[log[a] + log[b]]


def most_symbols(checks: int) -> int:
    """How many symbols a codeword may have beside its checks: locators below twice the checks hold none."""
    return ORDER + 1 - 2 * checks


# ---- checks ----


@cache
def _skews() -> tuple[Logs, ...]:
    """Logarithms of the subspace polynomials of each layer, at all locators. The polynomial of layer l
    vanishes on the locators below 2^l and is 1 at 2^l; being linear it follows from its values at 2^j."""
    exp, log = _field()
    basis = (1 << np.arange(16)).astype(np.uint16)
    tables = []
    for layer in range(MAX_CHECKS.bit_length() - 1):
        values = np.zeros(1, np.uint16)
        for bit in exp[log[basis] + ORDER - log[basis[layer]]]:
            values = np.concatenate([values, values ^ bit])
        tables.append(log[values])
        basis = _product(basis, basis ^ basis[layer])
    return tuple(tables)


def _butterflies(values: Symbols, layer: int, starts: NDArray[np.int64]) -> tuple[Symbols, Symbols, Logs]:
    """Both halves [g, 2^layer, C, B] of the pairs in values [R, C, B] that a layer joins, as views, and what
    it multiplies by: B cosets begin at the locators `starts`."""
    pairs = values.reshape(-1, 2, 1 << layer, *values.shape[1:])
    firsts = np.arange(len(pairs))[:, None] << layer + 1
    return pairs[:, 0], pairs[:, 1], _skews()[layer][firsts ^ starts][:, None, None]


def _to_basis(values: Symbols, starts: NDArray[np.int64]) -> None:
    """Values [R, C, B] at the locators of cosets to coefficients of the novel basis, in place."""
    exp, log = _field()
    for layer in range(len(values).bit_length() - 1):
        low, high, skew = _butterflies(values, layer, starts)
        high ^= low
        low ^= exp[log[high] + skew]


def _from_basis(values: Symbols, starts: NDArray[np.int64]) -> None:
    """The reverse of `_to_basis`."""
    exp, log = _field()
    for layer in reversed(range(len(values).bit_length() - 1)):
        low, high, skew = _butterflies(values, layer, starts)
        low ^= exp[log[high] + skew]
        high ^= low


def checks_of(symbols: Symbols, checks: int) -> Symbols:  # [n, C] -> [R, C]
    """The R = `checks` checks of C codewords, a power of two up to `MAX_CHECKS`.

    Symbol i of a codeword has locator 2 R + i, check i has R + i; n is at most `most_symbols(R)`.
    """
    total = np.zeros((checks, symbols.shape[1]), np.uint16)
    step = max(BATCH // max(total.size, 1), 1) * checks
    for begin in range(0, len(symbols), step):
        part = symbols[begin : begin + step]
        runs = -(-len(part) // checks)
        padded = np.zeros((runs * checks, part.shape[1]), np.uint16)
        padded[: len(part)] = part
        values = np.ascontiguousarray(padded.reshape(runs, checks, -1).transpose(1, 2, 0))
        _to_basis(values, 2 * checks + begin + checks * np.arange(runs))
        total ^= np.bitwise_xor.reduce(values, axis=2)
    found = total[:, :, None]
    _from_basis(found, np.array([checks]))
    return found[:, :, 0]


# ---- errors ----


def corrections(symbols: Symbols, stored: Symbols) -> list[dict[int, int]]:
    """What is wrong in C codewords of symbols [n, C] with the checks `stored` [R, C]: for each, rows of
    symbols and what they must be XORed with. Nothing for a codeword with more than R / 2 errors, those of its
    checks included: it cannot be restored.
    """
    checks = len(stored)
    wrong = checks_of(symbols, checks) ^ stored
    errors = (_errors(residual, len(symbols)) if residual.any() else {} for residual in wrong.T)
    return [{place - checks: value for place, value in of.items() if place >= checks} for of in errors]


def _errors(residual: Symbols, n: int) -> dict[int, int]:
    """Places, counted from the first check, and values of the errors that a codeword's wrong checks [R] are
    the sum of; nothing where they are too many."""
    checks = len(residual)
    syndromes = _syndromes(residual)
    locator = _locator(syndromes)
    count = len(locator) - 1
    if count > checks // 2:
        return {}
    exp, log = _field()
    places = np.arange(checks, 2 * checks + n)  # locators
    sums = np.zeros(len(places), np.uint16)
    logs = log[places]
    for i, coefficient in enumerate(locator):
        sums ^= _times(coefficient, -i * logs)
    at = logs[sums == 0]
    if len(at) != count:
        return {}
    # Forney's formula: X times the evaluator over the derivative of the locator, both at 1 / X.
    evaluator = _truncated_product(syndromes, locator)
    above = _at_inverses(evaluator, at)
    below = _at_inverses(np.where(np.arange(len(locator)) % 2, locator, 0).astype(np.uint16), at)
    # The odd terms of the locator are its derivative times x, which cancels the formula's X.
    values = exp[log[above] + ORDER - log[below]]
    return dict(zip((places[sums == 0] - checks).tolist(), values.tolist(), strict=True))


def _times(value: np.uint16, logs: NDArray[np.signedinteger]) -> Symbols:
    """One value times the elements with such logarithms."""
    exp, log = _field()
    return exp[log[value] + logs % ORDER]


def _syndromes(residual: Symbols) -> Symbols:  # [R] -> [R]
    """Sums of the wrong checks times their locators^j."""
    exp, log = _field()
    at = np.flatnonzero(residual)
    powers = np.arange(len(residual))[:, None] * log[at + len(residual)]
    return np.asarray(np.bitwise_xor.reduce(exp[log[residual[at]] + powers % ORDER], axis=1))


def _at_inverses(polynomial: Symbols, logs: Logs) -> Symbols:
    found = np.zeros(len(logs), np.uint16)
    for i, coefficient in enumerate(polynomial):
        found ^= _times(coefficient, -i * logs)
    return found


def _truncated_product(a: Symbols, b: Symbols) -> Symbols:
    """Of the product only as many coefficients as `b` has less one: the degree of the evaluator."""
    found = np.zeros(len(b) - 1, np.uint16)
    for i in range(len(found)):
        found[i] = np.bitwise_xor.reduce(_product(a[: i + 1], b[i::-1]))
    return found


def _locator(syndromes: Symbols) -> Symbols:
    """The shortest recurrence of the syndromes, whose roots are the inverses of the errors' locators
    (Massey 1969, "Shift-register synthesis and BCH decoding")."""
    exp, log = _field()
    size = len(syndromes) + 1
    current, previous = np.zeros(size, np.uint16), np.zeros(size, np.uint16)
    current[0] = previous[0] = 1
    length, shift, last = 0, 1, np.uint16(1)
    for i in range(len(syndromes)):
        gap = np.bitwise_xor.reduce(_product(current[: length + 1], syndromes[i - length : i + 1][::-1]))
        if gap == 0:
            shift += 1
            continue
        moved = np.zeros(size, np.uint16)
        factor = exp[log[gap] + ORDER - log[last]]
        moved[shift:] = _product(previous[: size - shift], factor)
        if 2 * length <= i:
            length, previous, last, shift = i + 1 - length, current, gap, 0
        current = current ^ moved
        shift += 1
    return current[: length + 1]
