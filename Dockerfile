# gspc in a container.
#
#   docker build --target small -t gspc .         decodes, draws, exports, inspects; some 300 MB
#   docker build --target full -t gspc:full .     trains as well, on a CPU, or on a GPU where the runtime gives it one
#   docker build --target cuda -t gspc:cuda .     the same with the compiler that gsplat and gspc's kernels need once
#
#   docker run --rm -v "$PWD:/work" gspc render scene.pcgs
#   docker run --rm --gpus all -v "$PWD:/work" gspc:cuda fit photos -o model.pt --device cuda
#
# TORCH is the build of torch to install, as for make: that of PyPI brings CUDA's libraries, several gigabytes.

ARG PYTHON=3.12

# An older Debian than the others: the wheel runs on its C library and all later ones.
FROM python:${PYTHON}-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
COPY . /source
RUN pip wheel --no-deps --config-settings=cmake.define.GSPC_BUNDLE_OPENMP=ON --wheel-dir /dist /source

FROM python:${PYTHON}-slim-bookworm AS small
RUN --mount=from=build,source=/dist,target=/dist pip install --no-cache-dir /dist/*.whl
WORKDIR /work
ENTRYPOINT ["gspc"]

FROM small AS full
ARG TORCH=torch==2.13.0
RUN --mount=from=build,source=/dist,target=/dist pip install --no-cache-dir "${TORCH}" && \
    wheel=$(echo /dist/*.whl) && pip install --no-cache-dir "gspc[fit,plots,colmap,spz] @ file://${wheel}"

# Ubuntu 24.04, whose Python is 3.12.
FROM nvidia/cuda:13.0.1-devel-ubuntu24.04 AS cuda
ARG TORCH=torch==2.13.0
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv python3-dev ninja-build && \
    rm -rf /var/lib/apt/lists/*
RUN --mount=from=build,source=/dist,target=/dist python3 -m venv /opt/gspc && \
    /opt/gspc/bin/pip install --no-cache-dir "${TORCH}" && \
    wheel=$(echo /dist/*.whl) && \
    /opt/gspc/bin/pip install --no-cache-dir "gspc[cuda,plots,colmap,spz] @ file://${wheel}"
ENV PATH=/opt/gspc/bin:$PATH
WORKDIR /work
ENTRYPOINT ["gspc"]
