"""gspc: progressive compression of 3D Gaussian Splatting scenes."""

from pkgutil import extend_path

# Run from a source checkout, `python -m gspc` imports this directory, which has no compiled kernels; the
# installed copy's directory is appended so that they are found there.
__path__ = extend_path(__path__, __name__)
__version__ = "0.1.0"
