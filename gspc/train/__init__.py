"""Training: `fit` learns an anchor model from a scene and writes `model.pt`."""

from gspc.train.fit import fit
from gspc.train.observer import FitObserver, FitProgress, FitResult

__all__ = ["FitObserver", "FitProgress", "FitResult", "fit"]
