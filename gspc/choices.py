"""Words that options take, and files say. They are apart from `gspc.config`, which loads every preset: every
command needs them to start, and most need no preset."""

from typing import Literal

Background = Literal["auto", "white", "black"]
Precision = Literal["float32", "bf16"]
HeadsBackend = Literal["auto", "gspc", "tinycudann"]
LensField = Literal["full", "crop"]
Exif = Literal["auto", "apply", "ignore"]

TARGET_SIZE = "target_size"  # in a model's metadata: the bytes that its stream should take
