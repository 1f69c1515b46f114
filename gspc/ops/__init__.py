"""Operations of training and rendering, one folder each.

`__init__.py` is the contract: public functions with shapes, errors and source, the one place where arguments
are checked, and the choice of who computes. `definition.py` is the readable torch version, which runs in any
float dtype on any device; `cpu.py` is autograd over the compiled kernels, `cuda.py` over those of
`kernels/cuda`. A definition never calls a kernel, so that tests can compare the two.

`arrays` has the few operations that rendering and metrics need over numpy arrays, without torch; `kernels`
loads the compiled module, `cuda` builds and loads the CUDA ones, `process` holds what a caller may change of
the process.
"""
