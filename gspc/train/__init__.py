"""Training: `fit` learns an anchor model from a scene and writes `model.pt`."""

from gspc.train.fit import FitObserver, FitProgress, FitResult, fit

__all__ = ["FitObserver", "FitProgress", "FitResult", "fit"]
