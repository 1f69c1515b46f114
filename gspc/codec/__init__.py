"""The codec: integers to `.pcgs` streams and back. Nothing here imports torch; `gspc.codec.export` does."""

from gspc.codec.core import step_table
from gspc.codec.reader import ArrivingStream, Region
from gspc.codec.recode import recode, require
from gspc.codec.salvaged import Losses, decode_salvaged
from gspc.codec.stream import (
    decode,
    decode_symbols,
    encode,
    limit_work,
    predict,
    predict_pool,
    truncate_levels,
)
from gspc.format.scene import (
    Decoded,
    IntegerLayer,
    IntegerNetwork,
    Networks,
    QuantizedHeads,
    QuantizedLayer,
    QuantizedResidualDecoder,
    QuantizedScene,
    Symbols,
)

__all__ = [
    "ArrivingStream",
    "Decoded",
    "IntegerLayer",
    "IntegerNetwork",
    "Losses",
    "Networks",
    "QuantizedHeads",
    "QuantizedLayer",
    "QuantizedResidualDecoder",
    "QuantizedScene",
    "Region",
    "Symbols",
    "decode",
    "decode_salvaged",
    "decode_symbols",
    "encode",
    "limit_work",
    "predict",
    "predict_pool",
    "recode",
    "require",
    "step_table",
    "truncate_levels",
]
