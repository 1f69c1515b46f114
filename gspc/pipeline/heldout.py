"""Which views a model never saw, remembered by short hashes of their names.

A model says which views were held out, so that scoring another folder of the same scene cannot take training
views for held-out ones. 24 bits per name take four characters; one name in 16 million is taken for another.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

BYTES = 3  # of a name's hash; four characters of text each

Standing = Literal["held out", "trained", "unknown"]


def held_out_text(names: Iterable[str]) -> str:
    """The metadata entry `held_out` for the names of views."""
    return base64.b64encode(b"".join(sorted(map(_digest, names)))).decode()


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()[:BYTES]


@dataclass(frozen=True)
class TrainingSplit:
    """What a scene knows about the views it was made from.

    held_out: digests of views kept from training. seen: names of its suggested cameras, some or all of the
    views.
    """

    held_out: frozenset[bytes]
    seen: frozenset[str]

    @classmethod
    def read(cls, text: str, cameras: Iterable[str]) -> TrainingSplit | None:
        """From the metadata entry and the suggested cameras; None for a text that is none."""
        try:
            data = base64.b64decode(text, validate=True)
        except ValueError:
            return None
        if not data or len(data) % BYTES:
            return None
        parts = frozenset(data[at : at + BYTES] for at in range(0, len(data), BYTES))
        return cls(parts, frozenset(cameras))

    def standing(self, names: Sequence[str]) -> list[Standing]:
        """What each view is to the model. Views of a folder that shares none with it are unknown: new
        ones."""
        held = [_digest(name) in self.held_out for name in names]
        same_scene = any(held) or any(name in self.seen for name in names)
        other: Standing = "trained" if same_scene else "unknown"
        return ["held out" if kept else other for kept in held]
