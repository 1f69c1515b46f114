from typing import Annotated

import numpy
from numpy.typing import NDArray

def active_isa() -> str:
    """The instruction set in use: base, v3 (AVX2) or v4 (AVX-512)."""

def supported_isa() -> str:
    """The best instruction set of this processor."""

def set_isa(name: str) -> None:
    """Uses at most this instruction set. Raises ValueError for other names."""

class RansEncoder:
    """Records runs of symbols; finish() codes them."""

    def __init__(self) -> None: ...
    def gaussian(
        self,
        table: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
        symbol: Annotated[NDArray[numpy.int32], dict(shape=(None,), order="C", device="cpu", writable=False)],
    ) -> Annotated[NDArray[numpy.uint32], dict(shape=(None,))]:
        """
        Codes symbol [n] under Gaussian table [n] (below 128). Returns the indices of those escaped.
        """

    def trits(
        self,
        table: Annotated[NDArray[numpy.uint16], dict(shape=(None,), order="C", device="cpu", writable=False)],
        trit: Annotated[NDArray[numpy.int8], dict(shape=(None,), order="C", device="cpu", writable=False)],
    ) -> None:
        """Codes trit [n] in {-1, 0, 1} under trit table [n] (below 4096)."""

    def mixture(
        self,
        scale0: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
        scale1: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
        mean0: Annotated[NDArray[numpy.int16], dict(shape=(None,), order="C", device="cpu", writable=False)],
        mean1: Annotated[NDArray[numpy.int16], dict(shape=(None,), order="C", device="cpu", writable=False)],
        weight: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
        symbol: Annotated[NDArray[numpy.int32], dict(shape=(None,), order="C", device="cpu", writable=False)],
    ) -> Annotated[NDArray[numpy.uint32], dict(shape=(None,))]:
        """
        Codes symbol [n] under two-component mixtures, all [n]. Returns the indices of those escaped.
        """

    def finish(self) -> bytes:
        """The stream; the encoder is empty again."""

class RansDecoder:
    """Decodes the runs of a stream in the order in which they were recorded."""

    def __init__(self, data: bytes) -> None: ...
    def gaussian(
        self,
        table: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
    ) -> tuple[
        Annotated[NDArray[numpy.int32], dict(shape=(None,))],
        Annotated[NDArray[numpy.uint32], dict(shape=(None,))],
    ]:
        """
        Symbols [n] under Gaussian table [n], and the indices of those escaped.
        """

    def trits(
        self,
        table: Annotated[NDArray[numpy.uint16], dict(shape=(None,), order="C", device="cpu", writable=False)],
    ) -> Annotated[NDArray[numpy.int8], dict(shape=(None,))]:
        """Trits [n] under trit table [n]."""

    def gaussian_into(
        self,
        table: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
        symbol: Annotated[NDArray[numpy.int32], dict(shape=(None,), order="C", device="cpu")],
    ) -> Annotated[NDArray[numpy.uint32], dict(shape=(None,))]:
        """The same into symbol [n]; returns the indices of those escaped."""

    def trits_into(
        self,
        table: Annotated[NDArray[numpy.uint16], dict(shape=(None,), order="C", device="cpu", writable=False)],
        trit: Annotated[NDArray[numpy.int8], dict(shape=(None,), order="C", device="cpu")],
    ) -> None:
        """The same into trit [n]."""

    def mixture(
        self,
        scale0: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
        scale1: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
        mean0: Annotated[NDArray[numpy.int16], dict(shape=(None,), order="C", device="cpu", writable=False)],
        mean1: Annotated[NDArray[numpy.int16], dict(shape=(None,), order="C", device="cpu", writable=False)],
        weight: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
    ) -> tuple[
        Annotated[NDArray[numpy.int32], dict(shape=(None,))],
        Annotated[NDArray[numpy.uint32], dict(shape=(None,))],
    ]:
        """
        Symbols [n] under two-component mixtures, all [n], and the indices of those escaped.
        """

    def mixture_into(
        self,
        scale0: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
        scale1: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
        mean0: Annotated[NDArray[numpy.int16], dict(shape=(None,), order="C", device="cpu", writable=False)],
        mean1: Annotated[NDArray[numpy.int16], dict(shape=(None,), order="C", device="cpu", writable=False)],
        weight: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
        symbol: Annotated[NDArray[numpy.int32], dict(shape=(None,), order="C", device="cpu")],
    ) -> Annotated[NDArray[numpy.uint32], dict(shape=(None,))]:
        """The same into symbol [n]; returns the indices of those escaped."""

    def ok(self) -> bool:
        """Nothing wrong was seen so far."""

    def finished(self) -> bool:
        """All was decoded and every byte used."""

def gaussian_frequencies(table: int) -> Annotated[NDArray[numpy.uint16], dict(shape=(None,))]:
    """
    Frequencies of a Gaussian table in slot order: 0, -1, 1, ... -R, R, escape.
    """

def gaussian_support(table: int) -> int:
    """R of a Gaussian table: |k| <= R has a symbol."""

def trit_frequencies() -> Annotated[NDArray[numpy.uint16], dict(shape=(None,))]:
    """[4096 * 3] frequencies of -1, 0, 1 in each trit table."""

def step_table() -> Annotated[NDArray[numpy.uint16], dict(shape=(None,))]:
    """[128] round(2^14 (1 + tanh((i - 64) / 32)))"""

def log_step_table() -> Annotated[NDArray[numpy.int16], dict(shape=(None,))]:
    """[128] round(12 log2(step / 2^14))"""

def inverse_step_table() -> Annotated[NDArray[numpy.uint32], dict(shape=(None,))]:
    """[128] round(2^26 / step)"""

def mixture_weight_table() -> Annotated[NDArray[numpy.uint8], dict(shape=(None,))]:
    """[64] round(256 sigmoid((i - 32) / 4)), 255 at most"""

def trit_zero_edges() -> Annotated[NDArray[numpy.uint32], dict(shape=(None,))]:
    """[63] round(2^16 sigmoid((i - 31.5) / 4))"""

def trit_plus_edges() -> Annotated[NDArray[numpy.uint32], dict(shape=(None,))]:
    """[63] round(2^16 sigmoid((i - 31.5) / 8))"""

def inverse3(level: int) -> int:
    """round(2^16 / 3^(level - 1)), level 1..8; 0 outside."""

def log3(level: int) -> int:
    """round(12 (level - 1) log2 3), level 1..8; 0 outside."""

def binary_encode(
    ops: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order="C", device="cpu", writable=False)],
) -> bytes:
    """Codes a script [3 n] of operations for tests; see run_script."""

def binary_decode(
    data: bytes,
    ops: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order="C", device="cpu", writable=False)],
) -> tuple[NDArray[numpy.uint32], bool, bool]:
    """
    Decodes it: values [n], whether bytes were missing, whether all were read.
    """

def encode_positions(
    known: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    fresh: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    low: int,
    high: int,
    bits: int,
) -> bytes:
    """
    Codes the sorted Morton keys fresh [n] in [low, high), given known [m] and bits per axis. Raises ValueError for keys that break the rules.
    """

def decode_positions(
    data: bytes,
    known: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    low: int,
    high: int,
    bits: int,
    n: int,
) -> NDArray[numpy.uint64] | None:
    """The n fresh keys, or None when the bytes are damaged."""

def position_priors() -> tuple[NDArray[numpy.uint16], NDArray[numpy.int32]]:
    """
    Where the positions coder starts: slots uint16 [n, 2] (probability, count) and weights int32 [w].
    """

def morton_keys(
    positions: Annotated[
        NDArray[numpy.int32], dict(shape=(None, 3), order="C", device="cpu", writable=False)
    ],
) -> NDArray[numpy.uint64]:
    """Morton keys [N] of positions [N, 3] in [0, 2^21)."""

def morton_positions(
    keys: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order="C", device="cpu", writable=False)],
) -> NDArray[numpy.int32]:
    """Positions [N, 3] of Morton keys [N]."""

class StreamError(ValueError):
    pass

def encode_stream(
    header: dict,
    scene_levels: int,
    networks: dict,
    signs: Annotated[NDArray[numpy.uint8], dict(order="C", device="cpu", writable=False)],
    heads: dict,
    cameras: list,
    metadata: bytes,
    positions: Annotated[NDArray[numpy.int32], dict(order="C", device="cpu", writable=False)],
    features: Annotated[NDArray[numpy.int32], dict(order="C", device="cpu", writable=False)],
    scaling: Annotated[NDArray[numpy.int32], dict(order="C", device="cpu", writable=False)],
    offsets: Annotated[NDArray[numpy.int32], dict(order="C", device="cpu", writable=False)],
    gaussian_level: Annotated[NDArray[numpy.uint8], dict(order="C", device="cpu", writable=False)],
    levels: int,
    slice_anchors: int,
    threads: int,
) -> bytes: ...
def decode_stream(
    data: bytes, upto: int, threads: int, max_memory: int, symbols: bool, ideal: bool, reverse: bool
) -> dict: ...
def truncate_stream(data: bytes, levels: int) -> bytes: ...
def predict_pool(
    header: dict,
    levels: int,
    networks: dict,
    signs: Annotated[NDArray[numpy.uint8], dict(order="C", device="cpu", writable=False)],
    positions: Annotated[NDArray[numpy.int32], dict(order="C", device="cpu", writable=False)],
    threads: int,
) -> object: ...
def predict_centers(
    header: dict,
    levels: int,
    networks: dict,
    signs: Annotated[NDArray[numpy.uint8], dict(order="C", device="cpu", writable=False)],
    positions: Annotated[NDArray[numpy.int32], dict(order="C", device="cpu", writable=False)],
    threads: int,
) -> tuple: ...
