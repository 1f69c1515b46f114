from collections.abc import Sequence
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

class Attribute:
    """One kind of value of an anchor; see gspc.format.shape.Attribute."""

    def __init__(
        self, values: int, refined_until: int, trit_model: str, hidden: int, step_base: float
    ) -> None: ...
    @property
    def values(self) -> int: ...
    @property
    def refined_until(self) -> int: ...
    @property
    def trit_model(self) -> str: ...
    @property
    def hidden(self) -> int: ...
    @property
    def step_base(self) -> float: ...
    def step_level(self, level: int) -> int: ...
    def refines_at(self, level: int) -> bool: ...
    @property
    def wants_network(self) -> bool: ...

class StreamShape:
    """All sizes of a stream; see gspc.format.shape.StreamShape."""

    def __init__(
        self,
        attributes: Sequence[Attribute],
        steps_hidden: int,
        trunk_hidden: int,
        heads_hidden: int,
        residual_hidden: int,
        groups: tuple[int, int],
        pool: tuple[int, int, int],
        box_low: Sequence[int],
        box_size: Sequence[int],
        planes: Sequence[tuple[int, int, int]],
        selective: bool,
    ) -> None: ...
    @property
    def attributes(self) -> list[Attribute]: ...
    @property
    def steps_hidden(self) -> int: ...
    @property
    def trunk_hidden(self) -> int: ...
    @property
    def heads_hidden(self) -> int: ...
    @property
    def residual_hidden(self) -> int: ...
    @property
    def groups(self) -> tuple[int, int]: ...
    @property
    def pool(self) -> tuple[int, int, int]: ...
    @property
    def box_low(self) -> list[int]: ...
    @property
    def box_size(self) -> list[int]: ...
    @property
    def planes(self) -> list[tuple[int, int, int]]: ...
    @property
    def selective(self) -> bool: ...
    @property
    def context_size(self) -> int: ...
    def layers(self, levels: int) -> list[tuple[str, int, int, int]]:
        """(name, inputs, outputs, variants) of every layer of the networks."""

    def error(self) -> str | None:
        """What is beyond the format, or None."""

class StreamHeader:
    """The HEAD chunk: a shape and where in the world it lies."""

    def __init__(
        self,
        shape: StreamShape,
        origin: Sequence[float] = [0.0, 0.0, 0.0],
        voxel_size: float = 1.0,
        background: Sequence[float] = [0.0, 0.0, 0.0],
        position_bits: int = 21,
    ) -> None: ...
    @property
    def shape(self) -> StreamShape: ...
    @property
    def position_bits(self) -> int: ...
    @property
    def origin(self) -> list[float]: ...
    @property
    def voxel_size(self) -> float: ...
    @property
    def background(self) -> list[float]: ...
    def error(self) -> str | None:
        """What is beyond the format, or None."""

    def to_bytes(self) -> bytes:
        """The payload of HEAD."""

    @staticmethod
    def from_bytes(data: bytes) -> StreamHeader:
        """The reverse of to_bytes. Raises StreamError."""

class StreamError(ValueError):
    pass

class StoredCamera:
    """A suggested camera as the stream holds it."""

    def __init__(
        self, name: bytes, width: int, height: int, intrinsics: Sequence[float], pose: Sequence[float]
    ) -> None: ...
    @property
    def name(self) -> bytes: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def intrinsics(self) -> list[float]: ...
    @property
    def pose(self) -> list[float]: ...

class DecodedStream:
    """
    A decoded stream of N anchors. Its arrays are views that keep it alive; integers (positions, symbols, means, steps) or floats are empty, by what was asked for.
    """

    @property
    def header(self) -> StreamHeader: ...
    @property
    def level(self) -> int: ...
    @property
    def levels_in_file(self) -> int: ...
    @property
    def truncated(self) -> bool: ...
    @property
    def hash(self) -> int: ...
    @property
    def metadata(self) -> bytes: ...
    @property
    def cameras(self) -> list[StoredCamera]: ...
    @property
    def frame(self) -> list[float]:
        """
        Scale, unit quaternion wxyz and translation from the stream's coordinates to the user's.
        """

    @property
    def swell(self) -> bytes:
        """
        A byte for each level, 64ths that log_scales of Gaussians are larger by.
        """

    @property
    def heads(self) -> list: ...
    @property
    def distance_scale(self) -> float: ...
    @property
    def gaussian_level(self) -> NDArray[numpy.uint8]:
        """[N, K] uint8, 0: not alive"""

    @property
    def anchors(self) -> NDArray[numpy.float32]:
        """[N, 3] float32, world space"""

    @property
    def features(self) -> NDArray[numpy.float32]:
        """[N, P + F] float32"""

    @property
    def log_scales(self) -> NDArray[numpy.float32]:
        """[N, 6] float32"""

    @property
    def offsets(self) -> NDArray[numpy.float32]:
        """[N, K, 3] float32"""

    @property
    def positions(self) -> NDArray[numpy.int32]:
        """[N, 3] int32, voxels"""

    @property
    def symbols(self) -> list[NDArray[numpy.int32]]:
        """[N, values] int32 of every attribute"""

    @property
    def means(self) -> NDArray[numpy.int16]:
        """[N, F + Z + 3K] int16"""

    @property
    def steps(self) -> NDArray[numpy.uint8]:
        """[N, 3] uint8"""

    @property
    def step_levels(self) -> NDArray[numpy.uint8]:
        """[N, 3] uint8: the stage whose step symbols are in"""

    @property
    def ideal(self) -> list[list[float]]:
        """
        Bits by level of each attribute's first appearances, then of its trits.
        """

def encode_stream(
    header: StreamHeader,
    stages: Sequence[int],
    networks: list,
    signs: Annotated[NDArray[numpy.uint8], dict(order="C", device="cpu", writable=False)],
    heads: list,
    distance_scale: float,
    cameras: Sequence[StoredCamera],
    metadata: bytes,
    frame: Sequence[float],
    swell: bytes,
    positions: Annotated[NDArray[numpy.int32], dict(order="C", device="cpu", writable=False)],
    symbols: Sequence[Annotated[NDArray[numpy.int32], dict(order="C", device="cpu", writable=False)]],
    gaussian_level: Annotated[NDArray[numpy.uint8], dict(order="C", device="cpu", writable=False)],
    refined_at: Annotated[NDArray[numpy.uint8], dict(order="C", device="cpu", writable=False)],
    levels: int,
    slice_anchors: int,
    threads: int,
) -> bytes: ...
def decode_stream(
    data: bytes, upto: int, threads: int, max_memory: int, symbols: bool, ideal: bool, reverse: bool
) -> DecodedStream: ...
def decode_cost(data: bytes, upto: int, threads: int) -> tuple[int, int]:
    """(bytes of memory, work) that decoding takes at most."""

def set_max_work(most: int) -> None:
    """
    The most work that decoding may take in this process; 0: what a file's size allows.
    """

def predict_centers(
    shape: StreamShape,
    levels: int,
    networks: list,
    signs: Annotated[NDArray[numpy.uint8], dict(order="C", device="cpu", writable=False)],
    positions: Annotated[NDArray[numpy.int32], dict(order="C", device="cpu", writable=False)],
    threads: int,
) -> tuple[NDArray[numpy.int16], NDArray[numpy.uint8]]: ...
def predict_pool(
    shape: StreamShape,
    levels: int,
    networks: list,
    signs: Annotated[NDArray[numpy.uint8], dict(order="C", device="cpu", writable=False)],
    positions: Annotated[NDArray[numpy.int32], dict(order="C", device="cpu", writable=False)],
    threads: int,
) -> NDArray[numpy.float32]: ...
def truncate_stream(data: bytes, levels: int) -> bytes: ...
def stream_costs(
    data: bytes, threads: int, max_memory: int
) -> tuple[
    NDArray[numpy.int32], NDArray[numpy.uint8], NDArray[numpy.float32], tuple[float, float, float], float
]:
    """
    What anchors cost: positions [N, 3] int32, first level [N] uint8, bits [S, N, 6] float32 by level and component, origin, voxel size. Raises StreamError.
    """

def plane_entropies(data: bytes) -> list[float]:
    """
    Bits of each plane of the grid, by the entropy of its signs given the two entries before. Raises StreamError.
    """

def transcode_stream(data: bytes, to: int, upto: int, max_memory: int, coder: object) -> bytes:
    """
    The levels of a stream up to `upto` (0: the whole ones) with symbols coded by lanes (to 0) or `coder` (to 1). `coder` has Encoder(), Decoder(bytes) with the methods of RansEncoder and RansDecoder, and memory(symbols), the bytes it takes for a run. Raises StreamError.
    """

def mixture_bounds(
    scale0: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
    scale1: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
    mean0: Annotated[NDArray[numpy.int16], dict(shape=(None,), order="C", device="cpu", writable=False)],
    mean1: Annotated[NDArray[numpy.int16], dict(shape=(None,), order="C", device="cpu", writable=False)],
    weight: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
) -> tuple[NDArray[numpy.int32], NDArray[numpy.int32]]:
    """
    Lowest and highest symbol [n] of the tables of two-component mixtures, all [n].
    """

def mixture_slots(
    scale0: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
    scale1: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
    mean0: Annotated[NDArray[numpy.int16], dict(shape=(None,), order="C", device="cpu", writable=False)],
    mean1: Annotated[NDArray[numpy.int16], dict(shape=(None,), order="C", device="cpu", writable=False)],
    weight: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)],
) -> NDArray[numpy.uint16]:
    """
    [n, slots + 1] first slot of each symbol and of the escape, then 2^14, of tables with equally many slots. Raises ValueError for others.
    """

class StreamReader:
    """
    A stream that comes in pieces (kernels/codec/stream/stream_reader.hpp).
    """

    def __init__(self, upto: int, threads: int, max_memory: int, symbols: bool) -> None: ...
    def feed(self, data: bytes) -> None: ...
    def feed_at(self, offset: int, data: bytes) -> None: ...
    @property
    def opened(self) -> bool: ...
    @property
    def header(self) -> StreamHeader: ...
    @property
    def frame(self) -> list[float]: ...
    @property
    def levels(self) -> int: ...
    @property
    def slices(self) -> int: ...
    @property
    def level(self) -> int: ...
    @property
    def next_level(self) -> int: ...
    @property
    def ready(self) -> bool: ...
    @property
    def wanted(self) -> tuple[int, int]:
        """(offset, size) of the first bytes that are missing for the next level"""

    def choose(self, slices: Sequence[bool]) -> None: ...
    def slices_in(self, low: Sequence[int], high: Sequence[int]) -> list[bool]:
        """
        A flag for each slice: can it hold anchors in a box of voxels, both corners included?
        """

    def slice_box(self, slice: int) -> list[float]: ...
    def slice_range(self, level: int, slice: int) -> tuple[int, int]: ...
    def level_end(self, level: int) -> int: ...
    def advance(self, part: bool = False) -> None: ...
    def scene(self) -> DecodedStream: ...
