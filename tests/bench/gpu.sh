#!/usr/bin/env bash
# Everything that only a GPU can show, in one go of some twelve minutes; from the root of a checkout with gspc and
# gspc[cuda] installed:
#
#     tests/bench/gpu.sh OUT [SCENE]     on a GPU; SCENE is fitted with the default preset for 30,000 iterations
#     tests/bench/gpu.sh OUT --dry-run   the same steps in small on a CPU within some minutes, to see that the
#                                        script is sound; kernels then run on the host by an emulation
#
# Every step's output goes to OUT; a step that fails is said and does not keep the others from running.
set -uo pipefail
out=${1:?give a folder for what comes out} scene=${2:-} python=${PYTHON:-python}
here=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$out"
out=$(cd "$out" && pwd)
failed=0

step() { # NAME SECONDS COMMAND...: runs it and keeps what it says
  local name=$1 seconds=$2 began=$SECONDS
  shift 2
  timeout "$seconds" "$@" >"$out/$name.txt" 2>&1
  local code=$?
  [ $code = 0 ] || failed=$((failed + 1))
  printf '%-12s exit %-3d %4d s\n' "$name" $code $((SECONDS - began)) | tee -a "$out/summary.txt"
}

gspc() { "$python" -m gspc "$@"; }
export -f gspc
export python

if [ "$scene" = --dry-run ]; then
  device=cpu iterations=40 anchors=300 steps=1 scene=$out/tiny twins="tests/test_cuda_twins.py -k host"
  of_parts="--device cpu --scene $scene"
  [ -d "$scene" ] || "$python" -c 'import sys; from pathlib import Path; from gspc.data.demo import write_demo_scene
write_demo_scene(Path(sys.argv[1]), views=10, width=80, height=64, points=200)' "$scene" || exit 1
else
  device=cuda iterations=30000 anchors="50000 100000 300000 1000000" steps=30 of_parts=
  twins="tests/test_cuda_twins.py tests/test_cuda_device.py"
  "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' ||
    { echo 'gpu.sh: torch sees no CUDA device; --dry-run goes without' >&2; exit 5; }
fi
cd "$here" || exit 1
: >"$out/summary.txt"
if [ -z "$scene" ]; then
  scene=$out/demo
  [ -d "$scene" ] || gspc demo-scene -q "$scene"
fi

step machine 60 bash -c 'gspc --version -v; if command -v nvidia-smi; then nvidia-smi; fi'
# shellcheck disable=SC2086  # several words
step twins 180 "$python" -m pytest -q -p no:cacheprovider $twins
if command -v compute-sanitizer >/dev/null; then
  step sanitizer 120 compute-sanitizer --error-exitcode 1 "$python" -m pytest -q -k "device or kernels" \
    tests/test_cuda_twins.py tests/test_cuda_device.py
fi
# shellcheck disable=SC2086  # several words
step parts 240 "$python" tests/bench/bench_cuda.py $of_parts --anchors $anchors --steps $steps --json "$out/cuda.json"
step fit 420 "$python" -m gspc fit "$scene" -o "$out/model.pt" -f --device $device --iterations $iterations \
  --log "$out/fit.jsonl" --json="$out/fit.json"
step compress 60 "$python" -m gspc compress "$out/model.pt" -o "$out/scene.pcgs" -f
step eval 180 "$python" -m gspc eval "$out/scene.pcgs" --data "$scene" --json="$out/eval.json" -f
exit $((failed > 0))
