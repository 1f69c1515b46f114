#!/usr/bin/env bash
# Builds the fuzz targets of this folder into build/fuzz with clang's libFuzzer and the address and
# undefined-behavior sanitizers. Only what changed is compiled again.
#   tests/native/fuzz/build.sh [CLANG++]
set -euo pipefail
cd "$(dirname "$0")/../../.."
cxx=${1:-}
for name in clang++ clang++-{19,18,17,16,15,14}; do
  [[ -n $cxx ]] || cxx=$(command -v $name || true)
done
[[ -n $cxx ]] || { echo 'no clang++ here; apt-get install clang libclang-rt-14-dev' >&2; exit 1; }
out=build/fuzz
mkdir -p $out/objects
flags=(-std=gnu++17 -O2 -g1 -Ikernels -Itests/native/fuzz -pthread -ffp-contract=off -Wall -Wextra
  -fsanitize=address,undefined -fno-sanitize-recover=all)
# Branches are counted everywhere. Comparisons are reported to the fuzzer only where fields are read: elsewhere they are
# of checksums, symbols and weights, and watching them takes a third of the time.
counted=-fsanitize-coverage=inline-8bit-counters,pc-table
watched=$counted,trace-cmp
isas=(base)
if [[ $(uname -m) == x86_64 ]]; then
  flags+=(-DGSPC_MULTI_ISA)
  isas+=(v3 v4)
fi

# One line of make for each object: what it is made from, and how.
rules() {
  local objects=()
  object() {  # NAME SOURCE FLAGS...
    local name=$1 source=$2 coverage=$counted
    shift 2
    case $source in */format/{header,shape,usable}.cpp | */fuzz/header.cpp) coverage=$watched ;; esac
    echo "$out/objects/$name.o: $source $out/rules.mk"
    echo "	$cxx ${flags[*]} $coverage $* -MMD -c $source -o \$@"
    objects+=("$out/objects/$name.o")
  }
  named() { echo "-DGSPC_ISA_NAMESPACE=isa_$1 -DGSPC_ISA_IS_${1%%_*}=1"; }
  echo "all:"
  local source stem isa
  for source in kernels/codec/*/*.cpp kernels/common/*.cpp; do
    stem=$(basename "$source" .cpp)
    case $stem in
    *_vnni) [[ ${#isas[@]} -eq 1 ]] || object "$stem" "$source" -march=x86-64-v4 -mavx512vnni "$(named v4_vnni)" ;;
    *_isa)
      for isa in "${isas[@]}"; do
        object "${stem}_$isa" "$source" "$([[ $isa == base ]] || echo "-march=x86-64-$isa")" "$(named "$isa")"
      done ;;
    *) object "$stem" "$source" "$(named base)" ;;
    esac
  done
  local core=("${objects[@]}")
  for source in tests/native/fuzz/*.cpp; do
    stem=$(basename "$source" .cpp)
    object "target_$stem" "$source" "$(named base)"
    echo "$out/$stem: $out/objects/target_$stem.o ${core[*]}"
    echo "	$cxx -fsanitize=fuzzer,address,undefined -pthread \$^ -o \$@"
    echo "all: $out/$stem"
  done
  echo "-include $out/objects/*.d"
}
rules > $out/rules.new
cmp --silent $out/rules.new $out/rules.mk || mv $out/rules.new $out/rules.mk  # other flags: all is compiled again
make --no-print-directory --silent --jobs="${JOBS:-$(nproc)}" --file=$out/rules.mk all
