"""A trained splat in place of photographs: views drawn from it, along given cameras or along placed ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gspc.errors import InputError, UsageError
from gspc.pipeline.plain import read_plain
from gspc.pipeline.source import is_splats, load_source, naming, read_bytes

if TYPE_CHECKING:
    from gspc.config import DataOptions
    from gspc.data import SceneReport
    from gspc.data.report import Notes, TeacherReport
    from gspc.scene import Camera, SceneData
    from gspc.splats import Splats
    from gspc.splats.teaching import Lesson, UnitSplats

WIDTHS = (320, 1280)  # pixels; between them a picture has about as many pixels as the splat has Gaussians
STEP = 16  # pixels; widths are multiples of it
LEAST = 2  # cameras
_ARRANGED = {
    "object": "all around it",
    "one-sided": "on the side that it was made to be seen from",
    "inside-out": "within it, looking out",
}

Report = Callable[[str], None]


@dataclass(frozen=True)
class Taught:
    """The scene that a splat teaches, and what was understood of it."""

    scene: SceneData
    report: SceneReport


def is_teacher(path: Path) -> bool:
    """Whether `path` is a splat of another tool, by its content: a file or an unbundled SOG's folder."""
    from gspc.data import kinds

    if path.is_dir():
        meta = path / "meta.json"
        return meta.is_file() and b'"means"' in read_bytes(meta)
    kind = kinds.look(path)
    if kind is not None:
        return kind.splat
    return path.is_file() and path.suffix.lower() != ".json" and is_splats(read_bytes(path))


def load_views(
    path: Path,
    options: DataOptions,
    *,
    seed: int = 0,
    device: str = "cpu",
    to_train: bool = True,
    report: Report = lambda text: None,
) -> SceneData:
    """The views of a scene: photographs, or where `path` is a splat, pictures of it; see `teach`."""
    from gspc.data import load_scene

    if is_teacher(path):
        return teach(path, options, seed=seed, device=device, to_train=to_train, report=report).scene
    refuse_cameras(path, options)
    return load_scene(path, options, to_train=to_train)


def refuse_cameras(path: Path, options: DataOptions) -> None:
    """Raises UsageError for photographs that are to be seen from other cameras than their own."""
    if options.cameras is not None:
        raise UsageError(f"{path}: is no splat, but photographs, which have cameras; leave out --cameras")


def teach(
    path: Path,
    options: DataOptions,
    *,
    seed: int = 0,
    device: str = "cpu",
    to_train: bool = True,
    report: Report = lambda text: None,
) -> Taught:
    """Views of the splat at `path`, drawn on `device` when they are loaded.

    Every `hold`-th of given cameras is kept for testing. Placed ones all teach, and as many others are placed
    between them to test with. Training views come from a fresh place near their camera in
    every iteration, by `seed`. Raises InputError, UsageError for options that are about photographs,
    BackendError.
    """
    from gspc.data.report import Notes
    from gspc.splats import HOME, to_frame
    from gspc.splats.teaching import lesson, unit_splats

    _refuse_options(path, options)
    notes = Notes()
    splats = to_frame(read_plain(load_source(path)), HOME)
    given = None if options.cameras is None else _given(options, notes)
    with naming(str(path)):
        unit = unit_splats(splats)
        found = lesson(unit, given, lambda done, total: report(f"placing cameras: {100 * done // total} %"))
    return _Making(path, options, splats, unit, found, notes).taught(seed, device, to_train=to_train)


def _refuse_options(path: Path, options: DataOptions) -> None:
    for name, value in (("--images", options.images), ("--masks", options.masks)):
        if value is not None:
            raise UsageError(f"{path}: is a splat, for which {name} means nothing")


def _given(options: DataOptions, notes: Notes) -> tuple[Camera, ...]:
    """The cameras of another scene, at the size that their pictures are to have."""
    from gspc.data import read_cameras
    from gspc.data.images import target_size

    assert options.cameras is not None
    cameras, said = read_cameras(options.cameras, options.field)
    for note in said:
        (notes.warn if note.warning else notes.say)(note.text)
    return tuple(
        camera.resized(*target_size(camera.width, camera.height, options.resolution)) for camera in cameras
    )


def picture_size(gaussians: int, resolution: int | None) -> tuple[int, int]:
    """Width and height of the pictures of placed cameras, 4:3; see WIDTHS and DataOptions.resolution."""
    if resolution is not None and resolution > 8:
        return resolution, max(1, round(resolution * 3 / 4))
    width = min(max(round((gaussians * 4 / 3) ** 0.5), WIDTHS[0]), WIDTHS[1]) // STEP * STEP
    width //= resolution or 1
    return width, width * 3 // 4


@dataclass(frozen=True)
class _Making:
    """What a scene is made of."""

    path: Path
    options: DataOptions
    splats: Splats  # in HOME axes
    unit: UnitSplats
    lesson: Lesson
    notes: Notes

    def taught(self, seed: int, device: str, *, to_train: bool) -> Taught:
        from gspc.data.backgrounds import COLORS
        from gspc.scene import SceneData
        from gspc.splats.teaching import Teacher, starting_gaussians

        cameras = self._cameras()
        shown, held = self._split(cameras)
        if to_train and not shown:
            raise InputError(
                f"--hold {self.options.hold} leaves no view to train on; hold out fewer",
                source=str(self.path),
            )
        teacher = self._say(shown, len(held))
        background = COLORS["white" if self.options.background == "white" else "black"]
        drawn = Teacher.of(self.unit, background, device, self.path)
        scene = SceneData(
            self.path.name.partition(".")[0] or "scene",
            drawn.views(cameras, self.lesson.depths, shown, self.lesson.jitter(seed)),
            tuple(drawn.view(camera) for camera in held),
            *starting_gaussians(self.splats),
            background,
            tuple(self.notes.lines),
        )
        return Taught(scene, self._report(scene, teacher))

    def _split(self, cameras: tuple[Camera, ...]) -> tuple[list[int], tuple[Camera, ...]]:
        """The numbers of the cameras that teach, and the cameras to test with."""
        from gspc.splats.teaching import between

        hold = self.options.hold
        if self.options.cameras is None:
            return list(range(len(cameras))), between(cameras, self.lesson.depths, hold)
        held = [number for number in range(len(cameras)) if hold and number % hold == 0]
        shown = [number for number in range(len(cameras)) if number not in held]
        return shown, tuple(cameras[number] for number in held)

    def _cameras(self) -> tuple[Camera, ...]:
        cameras = self.lesson.cameras
        if self.options.cameras is None:
            size = picture_size(self.splats.count, self.options.resolution)
            return tuple(camera.resized(*size) for camera in cameras)
        self._say_blind()
        if len(cameras) < LEAST:
            raise InputError(
                f"{self.options.cameras}: {len(cameras)} of its cameras see anything of {self.path}; they "
                "must be in the splat's own coordinates"
            )
        return cameras

    def _say_blind(self) -> None:
        from gspc.data.report import counted, listed

        blind = self.lesson.blind
        if blind:
            self.notes.warn(
                f"{self.options.cameras}: {counted(len(blind), 'camera')} left out, which see nothing of "
                f"{self.path}: {listed(blind)}"
            )
            self.notes.leave_out(blind, "sees nothing of the splat")

    def _say(self, shown: list[int], held: int) -> TeacherReport:
        from gspc.data.report import TeacherReport, counted

        splats, found = self.splats, self.lesson
        covered = found.coverage(shown)
        kind = splats.metadata.get("format", "unknown")
        made = TeacherReport(
            kind,
            splats.count,
            splats.degree,
            found.arrangement,
            covered.hidden,
            covered.by_one,
            covered.by_several,
        )
        how = "given cameras" if self.options.cameras else f"cameras placed, {_ARRANGED[found.arrangement]}"
        self.notes.say(
            f"{self.path}: {counted(splats.count, 'Gaussian')}, harmonics of degree {splats.degree}; "
            f"{counted(len(shown) + held, 'view')} from {how}: {len(shown)} to train on, {held} held out for "
            "eval"
        )
        self.notes.say(
            f"{self.path}: training views show {_percent(covered.by_one)} of its opacity, three or more of "
            f"them {_percent(covered.by_several)}" + _hidden(covered.hidden)
        )
        return made

    def _report(self, scene: SceneData, teacher: TeacherReport) -> SceneReport:
        from gspc.data.report import CameraReport, SceneReport
        from gspc.data.summary import frame_of

        sizes = Counter((view.camera.width, view.camera.height) for view in scene.views)
        return SceneReport(
            scene=scene.name,
            kind="splat",
            model=str(self.options.cameras or self.path),
            photographs=str(self.path),
            cameras=tuple(
                CameraReport("PINHOLE", *size, count, *size, undistorted=False)
                for size, count in sizes.most_common()
            ),
            train=tuple(view.camera.name for view in scene.train),
            test=tuple(view.camera.name for view in scene.test),
            masks=0,
            points=len(scene.points),
            points_from=str(self.path),
            background="white" if min(scene.background) > 0.5 else "black",
            frame=frame_of([view.camera for view in scene.views]),
            left_out=tuple(self.notes.left_out),
            notes=tuple(self.notes.lines),
            teacher=teacher,
        )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _hidden(share: float) -> str:
    return f"; {_percent(share)} lies hidden within" if share >= 0.001 else ""
