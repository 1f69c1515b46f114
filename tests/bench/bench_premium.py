"""What one stream for all qualities costs: its levels against models of one level, each trained for a size.

    python tests/bench/bench_premium.py SCENE ... --iterations 1000 --work DIR [--seeds 0 1]
        [--weights 1e-2 3e-3 1e-3] [--resolution R] [--threads T]

The premium is how many more bytes the stream takes at equal PSNR on held-out views, the mean over the
qualities that both reach; log bytes between points by monotone cubics over PSNR. With its jackknife error
over the views. What is done is kept in --work and not done again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from ablation_report import front
from paired import Figure, Scores, add_options, reading, scored, text
from scipy.interpolate import PchipInterpolator

from gspc.metrics import Curve

SAMPLES = 400  # of the shared range


def log_bytes(curve: Curve) -> Callable[[np.ndarray], np.ndarray]:
    """Log bytes over PSNR."""
    rates, psnr = zip(*curve, strict=True)
    interpolator = PchipInterpolator(np.array(psnr), np.log(np.array(rates, dtype=np.float64)))
    return lambda at: np.asarray(interpolator(at))


def premium(stream: Curve, models: Curve, low: float = -np.inf) -> float | None:
    """How many more bytes the stream takes at equal PSNR, in percent, above `low` dB; None where the two do
    not meet."""
    if len(models) < 2:
        return None
    low = max(low, stream[0][1], models[0][1])
    high = min(stream[-1][1], models[-1][1])
    if low >= high:
        return None
    at = np.linspace(low, high, SAMPLES)
    ratio = np.mean(log_bytes(stream)(at) - log_bytes(models)(at))
    return 100 * float(np.expm1(ratio))


def of_models(models: Sequence[Scores], without: int | None) -> Curve:
    """The last levels of models as one curve."""
    return front([model.points(without)[-1] for model in models], "bytes")


def whole(stream: Scores, models: Sequence[Scores]) -> Figure:
    """The premium over all qualities that both reach."""
    return lambda without: premium(stream.curve(without), of_models(models, without))


def refined(stream: Scores, models: Sequence[Scores]) -> Figure:
    """The premium from the level on that has all anchors: the last but two."""
    return lambda without: premium(
        stream.curve(without), of_models(models, without), stream.means(without)[-3]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("scenes", nargs="+", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--weights", nargs="+", default=["1e-2", "3e-3", "1e-3"])
    add_options(parser)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    for scene in given.scenes:
        for seed in given.seeds:
            stem = given.work / f"{scene.name}-{seed}-{given.iterations}"
            common = ("--iterations", given.iterations, "--seed", seed)
            stream = scored(scene, stem, common, reading(given))
            models = []
            for weight in given.weights:
                alone = stem.with_name(f"{stem.name}-{weight}")
                options = (*common, "--levels", 1, "--rate-weights", weight)
                models.append(scored(scene, alone, options, reading(given)))
            figures = {"premium": whole(stream, models), "from refinement on": refined(stream, models)}
            told = ", ".join(f"{name} {text(of, stream.views, '%')}" for name, of in figures.items())
            points = "  ".join(f"{p['psnr']:.2f} dB {p['bytes']:,}" for m in models for p in m.points()[-1:])
            print(f"{scene.name} seed {seed}: {told} ({points})", flush=True)


if __name__ == "__main__":
    main()
