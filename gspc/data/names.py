"""From the names in a model to files on this disk, although the model may come from another one.

Names are found as they are; else with other letter case, with another suffix of the same stem, or by the end
of a path that begins elsewhere. Every rule is applied to all names alike, a file is never taken for two
names, and nothing outside the folders that the user named is ever opened by name.
"""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from gspc.data.images import SUFFIXES
from gspc.data.report import spelled

MAX_FILES = 500_000  # of one folder that are looked through
# Pictures in folders of these names are no photographs of the scene.
_SKIPPED = re.compile(
    r"masks?|depths?|depth_maps?|normals?|normal_maps?|semantics?|segmentations?|stereo|sparse|renders?|"
    r"images_\d+",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Located:
    """Where names were found: a path for each or None, and how, by an example of each way."""

    home: Path
    paths: tuple[Path | None, ...]
    ways: dict[str, tuple[int, str, Path]]  # way -> how many, and one of them: the name and its file

    @property
    def found(self) -> int:
        """How many names have a file."""
        return sum(path is not None for path in self.paths)


def plain(name: str) -> str:
    """A name with forward slashes, without `./` and double slashes."""
    return posixpath.normpath(name.replace("\\", "/")) if name else name


def is_inside(name: str) -> bool:
    """Whether a plain name stays below the folder it is joined to."""
    parts = PurePosixPath(name).parts
    return bool(name) and not name.startswith("/") and ".." not in parts and not PureWindowsPath(name).drive


def labels(names: Sequence[str]) -> list[str]:
    """What views are called: their names as text; for paths that lead elsewhere, what follows their common
    folder."""
    return [spelled(name) for name in _short([plain(name) for name in names])]


def _short(plains: list[str]) -> list[str]:
    strange = [name for name in plains if not is_inside(name)]
    if not strange:
        return plains
    common = [PurePosixPath(name).parts[:-1] for name in strange]
    depth = 0
    while all(len(parts) > depth and parts[depth] == common[0][depth] for parts in common):
        depth += 1
    short = [
        "/".join(PurePosixPath(name).parts[depth:]).replace("../", "").replace(":", "_")
        if not is_inside(name)
        else name
        for name in plains
    ]
    return short if len(set(short)) == len(set(plains)) else [name.strip("/") for name in plains]


def folded(name: str) -> str:
    """A name without what file systems take for one: the case of letters, and how accents are composed."""
    return unicodedata.normalize("NFC", name).casefold()


class Index:
    """The photographs below a folder, by their folded relative path, with and without suffix."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.by_name: dict[str, list[str]] = {}
        self.by_stem: dict[str, list[str]] = {}
        for file in walk(folder):
            self.by_name.setdefault(folded(file), []).append(file)
            self.by_stem.setdefault(posixpath.splitext(folded(file))[0], []).append(file)

    def find(self, name: str) -> tuple[str, str] | None:
        """The file that `name` means and the way it was found; None when there is none, or several."""
        key = folded(name)
        stem, suffix = posixpath.splitext(key)
        ways = [("case", self.by_name, key), ("suffix", self.by_stem, key)]
        if suffix[1:2].isalpha():  # r_0.5 is a name without a suffix
            ways.append(("suffix", self.by_stem, stem))
        for way, table, key in ways:
            found = table.get(key, ())
            if len(found) == 1:
                return found[0], way
        return None


def walk(folder: Path) -> Iterable[str]:
    """Relative paths of the photographs below `folder`, sorted within each folder, without hidden ones."""
    count = 0
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(n for n in folders if not n.startswith(".") and not _SKIPPED.fullmatch(n))
        base = os.path.relpath(where, folder).replace(os.sep, "/")
        for file in sorted(files):
            if not file.startswith(".") and file.lower().endswith(SUFFIXES):
                yield file if base == "." else f"{base}/{file}"
                count += 1
                if count >= MAX_FILES:
                    return


def locate(names: Sequence[str], homes: Sequence[Path], root: Path) -> Located:
    """Files of `names` in the home that has most of them, else by tolerant rules in each home and in `root`.

    Homes are searched in order; the earlier wins where two have equally many. Paths with `..` count where
    they end inside `root`.
    """
    plains = [plain(name) for name in names]
    best = Located(homes[0], (None,) * len(names), {})
    for home in homes:
        exact = [_exact(home, root, raw, name) for raw, name in zip(names, plains, strict=True)]
        here = Located(home, tuple(exact), {})
        if here.found > best.found:
            best = here
        if best.found == len(names):
            return best
    folders = list(dict.fromkeys([best.home, *homes, root] if best.found else [*homes, root]))
    for home in folders:
        here = _tolerant(names, plains, home, root)
        if here.found > best.found:
            best = here
        if best.found == len(names):
            break
    return best


def is_file(path: Path) -> bool:
    """Whether there is such a file. Unlike Path.is_file it says no to names that are too long for any, and is
    twice as fast for hundreds."""
    return os.path.isfile(path)  # noqa: PTH113


def _exact(home: Path, root: Path, raw: str, name: str) -> Path | None:
    """The file of exactly this name, below `home`, or through `..` below `root`."""
    if "\\" in raw and is_inside(raw) and is_file(home / raw):
        return home / raw  # a backslash may be part of a name where paths have slashes
    if is_inside(name):
        path = home / name
        return path if is_file(path) else None
    if name.startswith("/") or PureWindowsPath(name).drive:
        return None
    path = Path(os.path.normpath(Path(os.path.abspath(home)) / name))  # noqa: PTH100 (not through links)
    inside = path.is_relative_to(os.path.abspath(root))  # noqa: PTH100
    return path if inside and is_file(path) else None


def _tolerant(names: Sequence[str], plains: Sequence[str], home: Path, root: Path) -> Located:
    """As `locate` in one folder, with other case, other suffixes, and leading folders dropped or added."""
    index = Index(home)
    if not index.by_name:
        return Located(home, (None,) * len(names), {})
    strip, prefix = _shift(plains, index)
    found: list[tuple[str, str] | None] = []
    for raw, name in zip(names, plains, strict=True):
        if (path := _exact(home, root, raw, name)) is not None:
            found.append((os.path.relpath(path, home), ""))
            continue
        tail = prefix + "/".join(_parts(name)[strip:])
        match = (tail, "") if is_file(home / tail) and tail in _members(index, tail) else index.find(tail)
        found.append((match[0], match[1] or ("path" if strip or prefix else "")) if match else None)
    claimed = Counter(match[0] for match in found if match)
    sure = [match if match and (claimed[match[0]] == 1 or not match[1]) else None for match in found]
    ways: dict[str, tuple[int, str, Path]] = {}
    for raw, match in zip(names, sure, strict=True):
        if match and match[1]:
            count = ways.get(match[1], (0, "", home))[0]
            ways[match[1]] = (count + 1, raw, home / match[0])
    return Located(home, tuple(home / match[0] if match else None for match in sure), ways)


def _members(index: Index, name: str) -> list[str]:
    return index.by_name.get(folded(name), [])


def _parts(name: str) -> tuple[str, ...]:
    """Folders and file of a plain name, without a drive, a leading slash and `..`."""
    path = PurePosixPath(name)
    return tuple(part for part in path.parts if part not in ("/", "..") and not part.endswith(":"))


def _shift(plains: Sequence[str], index: Index) -> tuple[int, str]:
    """How many leading folders to drop from all names, and which folder to put before them, so that most of
    them are in the index; as few as possible, and nothing where nothing helps."""
    split = [_parts(name) for name in plains]
    deepest = max((len(parts) for parts in split), default=1)
    options = [(strip, "") for strip in range(deepest)]
    files = {file for found in index.by_name.values() for file in found}
    folders = sorted({str(above) for file in files for above in PurePosixPath(file).parents})
    options += [(0, folder + "/") for folder in folders if folder != "."]
    options += [(deepest - 1, folder + "/") for folder in folders if folder != "." and deepest > 1]

    def score(option: tuple[int, str]) -> int:
        tails = [option[1] + "/".join(parts[option[0] :]) for parts in split if len(parts) > option[0]]
        return len({match[0] for tail in tails if (match := index.find(tail)) is not None})

    best, most = (0, ""), 0
    for option in options[:200]:
        if (count := score(option)) > most:
            best, most = option, count
    return best
