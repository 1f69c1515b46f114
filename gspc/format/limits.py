"""Constants and limits of the format (pcgs(5), LIMITS). The core has the same (format/limits.hpp); a
test compares both with the page."""

from __future__ import annotations

MAGIC = b"\x89PCGS\r\n\x1a"
VERSION_MAJOR = 2  # the newest that is known here; the oldest is 1
VERSION_MINOR = 0  # of streams without what came later
PARITY_MINOR = 1  # of streams with parity chunks
SWELL_MINOR = 2  # of streams with a swel chunk
PREAMBLE_BYTES = 12
CHUNK_HEADER_BYTES = 24
INDEX_WINDOW = 16384
NO_SLICE = 0xFFFFFFFF

MAX_LEVELS = 8
MAX_FEATURES = 256
MAX_OFFSETS = 32
MAX_HIDDEN = 512
MAX_POOL = 256
MAX_GROUPS = 8
MAX_POSITION_BITS = 21
MAX_PLANES = 64
MAX_SLICES = 2048
MAX_CAMERAS = 64
MAX_METADATA_BYTES = 1 << 20
MAX_CHUNK_BYTES = 1 << 30
MAX_ANCHORS_PER_BYTE = 8

# What keeps every value finite in float32 from the decoder to the picture; `usable` compares.
MAX_NAME_BYTES = 1024
MAX_SIDE = 65535  # pixels: 16 bits in the stream
MIN_FOCAL = 1 / 1024  # pixels; a shorter one could be 0 in float32
MAX_FOCAL = 1 << 30  # pixels; times a slope at the near plane still far below 2^127
MAX_CENTER = 1 << 24  # pixels from the corner of the picture; float32 tells pixels apart up to here
MAX_ROTATION_ERROR = 1e-3  # of the products of rows from 0 and 1; what rounding leaves, no scale or shear
MAX_ORIGIN = 1 << 32  # world units; with the largest voxels all anchors lie nearer than renderers draw, 1e10
MAX_VOXEL = 1 << 11  # world units; 2^21 of them are as far as the origin may be
MIN_FRAME_SCALE, MAX_FRAME_SCALE = (
    2.0**-64,
    2.0**32,
)  # user's units per own unit: products stay finite in float32
MAX_TRANSLATION = 1 << 33  # world units; a camera that stands where anchors can
MAX_STEP = 1 << 20
MAX_HEAD_FLOAT = 1 << 20  # scales, biases, distance scale; products through both layers stay below 2^120

# What follows for a decoded scene: position bits and voxel size, symbol and step, 127 times a scale.
MAX_ANCHOR = 1 << 33
MAX_VALUE = 1 << 45
MAX_HEAD_WEIGHT = 1 << 27

# Bytes of a decoded scene's header: the metadata of a stream, escaped once more as JSON, may take seven times
# as many as there (and 64 cameras another 0.5 MB).
MAX_SCENE_HEADER = 1 << 23
MAX_MEMORY = 4 << 30  # bytes that decoding may take unless asked otherwise
