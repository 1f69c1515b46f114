"""Cameras of photographs alone: structure from motion by COLMAP's own code, through pycolmap.

The model is kept in sparse/0 beside the photographs, in COLMAP's layout, so that it is found from then on.
While it is made, features and matches lie in a database beside it: what was interrupted goes on where it was.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gspc.data.images import Photo, inspect_photo
from gspc.data.layouts import PHOTO_FOLDERS, find_model, find_transforms
from gspc.data.names import walk
from gspc.data.report import counted, spelled
from gspc.data.similar import similar_pairs
from gspc.data.undistort import pycolmap_for
from gspc.errors import InputError
from gspc.output import writing

Report = Callable[[str], None]

FEATURE_SIZE = (
    1600  # pixels of the longer side in which features are looked for; more hardly find more, and slower
)
EVERY_PAIR = 200  # photographs up to which all pairs are matched: 20,000 pairs
NEIGHBORS = (
    15  # following photographs that each is matched with beyond that, and as many at doubling distances
)
SIMILAR = 20  # photographs that look most like it, with which it is matched, too
DESCRIBED = 500  # features of a photograph that say what it looks like
BATCH = 16  # photographs between two lines of progress
FEWEST = 3


def reconstruct(path: Path, report: Report) -> None:
    """Finds the cameras of the photographs in the folder `path` (or its images/), unless it has cameras
    already.

    Writes the largest model found to path/sparse/0. Raises InputError when there are too few photographs or
    they do not hang together, BackendError without pycolmap, OutputError.
    """
    if not path.is_dir():
        raise InputError("no such folder of photographs", source=str(path))
    if find_model(path) is not None or find_transforms(path) is not None:
        report(f"{path}: has cameras already, which are used; remove them to make them anew")
        return
    colmap = pycolmap_for("--reconstruct")
    folder = next((path / name for name in PHOTO_FOLDERS if any(walk(path / name))), path)
    photos = _photographs(folder, report)
    names = [photo.path.relative_to(folder).as_posix() for photo in photos]
    work = path / ".gspc-reconstruct"
    started = time.monotonic()
    with writing(work):
        work.mkdir(exist_ok=True)
    try:
        with _quiet(colmap):
            _features(colmap, work / "database.db", folder, names, _one_camera(photos), report)
            _matches(colmap, work / "database.db", names, report)
            found = _map(colmap, work, folder, len(names), report)
    except InputError:
        shutil.rmtree(work, ignore_errors=True)  # another try would end alike
        raise
    with writing(path / "sparse"):
        target = path / "sparse" / "0"
        target.mkdir(parents=True, exist_ok=True)
        found.write(str(target))
        shutil.rmtree(work, ignore_errors=True)
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    report(
        f"{target}: cameras of {found.num_reg_images()} of {counted(len(names), 'photograph')}, "
        f"{found.num_points3D():,} points, in {minutes}:{seconds:02}"
    )


def _photographs(folder: Path, report: Report) -> list[Photo]:
    """The photographs below `folder` that can be read; InputError for fewer than FEWEST."""
    found = []
    for name in walk(folder):
        if spelled(name) != name:
            report(
                f"warning: {folder}: {spelled(name)} has a name that is no UTF-8, as COLMAP needs; left out"
            )
            continue
        try:
            found.append(inspect_photo(folder / name))
        except InputError as error:
            report(f"warning: {error}; left out")
    if len(found) < FEWEST:
        raise InputError(
            f"{counted(len(found), 'photograph')}; finding cameras takes at least {FEWEST}, "
            "better 30, "
            "that overlap",
            source=str(folder),
        )
    return found


def _one_camera(photos: Sequence[Photo]) -> bool:
    """Whether all photographs can be taken by one camera: they are of one size."""
    return len({(photo.width, photo.height) for photo in photos}) == 1


@contextmanager
def _quiet(colmap: Any) -> Iterator[None]:
    """COLMAP logs much to stderr, its errors included, which are raised or told here anyway."""
    before = colmap.logging.minloglevel
    colmap.logging.minloglevel = colmap.logging.Level.FATAL.value
    try:
        yield
    finally:
        colmap.logging.minloglevel = before


def _features(
    colmap: Any, database: Path, folder: Path, names: Sequence[str], one_camera: bool, report: Report
) -> None:
    """SIFT features of all photographs into the database, with a line of progress per batch."""
    options = colmap.FeatureExtractionOptions()
    options.max_image_size = FEATURE_SIZE
    options.use_gpu = False
    mode = colmap.CameraMode.SINGLE if one_camera else colmap.CameraMode.AUTO
    reader = colmap.ImageReaderOptions(camera_model="SIMPLE_RADIAL")
    for start in range(0, len(names), BATCH):
        if one_camera and _has_camera(colmap, database):
            reader.existing_camera_id = 1  # of the first batch
        colmap.extract_features(
            str(database),
            str(folder),
            image_names=list(names[start : start + BATCH]),
            camera_mode=mode,
            reader_options=reader,
            extraction_options=options,
            device=colmap.Device.cpu,
        )
        report(f"features of {min(start + BATCH, len(names))} of {counted(len(names), 'photograph')}")


def _has_camera(colmap: Any, database: Path) -> bool:
    """Whether the database knows a camera already: from an earlier batch, or from a run that was
    interrupted."""
    if not database.exists():
        return False
    with colmap.Database.open(str(database)) as opened:
        return bool(opened.num_cameras())


def _matches(colmap: Any, database: Path, names: Sequence[str], report: Report) -> None:
    """Matches between all pairs, of many photographs between neighbors in name order and similar ones."""
    matching = colmap.FeatureMatchingOptions(use_gpu=False)
    if len(names) <= EVERY_PAIR:
        report(f"matching {counted(len(names) * (len(names) - 1) // 2, 'pair')} of photographs")
        colmap.match_exhaustive(str(database), matching_options=matching, device=colmap.Device.cpu)
        return
    report(
        f"matching each of {len(names)} photographs (more than {EVERY_PAIR}) with those that follow it by "
        "name and those that look like it"
    )
    pairing = colmap.SequentialPairingOptions(overlap=NEIGHBORS, quadratic_overlap=True)
    colmap.match_sequential(
        str(database), matching_options=matching, pairing_options=pairing, device=colmap.Device.cpu
    )
    pairs = _similar(colmap, database)
    if not pairs:
        return
    listed = database.with_name("pairs.txt")
    listed.write_text("".join(f"{one} {other}\n" for one, other in pairs), encoding="utf-8")
    colmap.match_image_pairs(
        str(database),
        matching_options=matching,
        pairing_options=colmap.ImportedPairingOptions(match_list_path=str(listed)),
        device=colmap.Device.cpu,
    )


def _similar(colmap: Any, database: Path) -> list[tuple[str, str]]:
    """Names of photographs that look alike. COLMAP's lists of pairs cannot hold names with blanks: these have
    their neighbors alone."""
    with colmap.Database.open(str(database)) as opened:
        images = [image for image in opened.read_all_images() if not re.search(r"\s", image.name)]
        features = [_some(opened.read_descriptors(image.image_id).data) for image in images]
    pairs = similar_pairs(features, SIMILAR)
    return [(images[one].name, images[other].name) for one, other in pairs]


def _some(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:  # [n, 128] -> [DESCRIBED at most, 128]
    step = max(1, len(rows) // DESCRIBED)
    return np.array(rows[::step][:DESCRIBED])


def _map(colmap: Any, work: Path, folder: Path, count: int, report: Report) -> Any:
    """The largest reconstruction; InputError when there is none of FEWEST photographs."""
    placed = [0]

    def next_image() -> None:
        placed[0] += 1
        if placed[0] % BATCH == 0:
            report(f"{placed[0]} of {counted(count, 'photograph')} placed")

    report("placing photographs")
    models = work / "models"
    models.mkdir(exist_ok=True)
    options = colmap.IncrementalPipelineOptions(min_model_size=FEWEST, random_seed=0)
    found = colmap.incremental_mapping(
        str(work / "database.db"), str(folder), str(models), options=options, next_image_callback=next_image
    )
    best = max(found.values(), key=lambda model: model.num_reg_images(), default=None)
    if best is None or best.num_reg_images() < FEWEST:
        raise InputError(
            "no cameras found; the photographs overlap too little, are blurred or show too few details",
            source=str(folder),
        )
    return best
