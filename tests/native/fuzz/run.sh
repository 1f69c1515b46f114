#!/usr/bin/env bash
# Runs every fuzz target, or those named, for some seconds each and prints executions and coverage. What they find
# stays in build/fuzz/found; the corpora grow in build/fuzz/corpus, those in this folder only by hand.
#   tests/native/fuzz/run.sh SECONDS [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/../../.."
seconds=$1
shift
targets=("$@")
[[ $# -gt 0 ]] || for source in tests/native/fuzz/*.cpp; do targets+=("$(basename "$source" .cpp)"); done
export UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=malloc_context_size=4
failed=()
for target in "${targets[@]}"; do
  found=build/fuzz/found/$target corpus=build/fuzz/corpus/$target seeds=tests/native/fuzz/corpus/$target longest=256
  mkdir -p "$found" "$corpus"
  more=()
  # Whole streams of every feature, small ones. Inputs are drawn evenly: to weigh them takes a fifth of the time here.
  case $target in decode | feed) seeds=tests/native/fuzz/corpus/streams longest=4096 more=(-entropic=0) ;; esac
  log=build/fuzz/$target.log
  # Two limits that no input may pass: time of one, and memory that does not grow from one to the next.
  if build/fuzz/"$target" -max_total_time="$seconds" -max_len=$longest "${more[@]}" -timeout=20 \
    -rss_limit_mb=1024 -artifact_prefix="$found/" "$corpus" "$seeds" > "$log" 2>&1; then
    sed -nE "s/^#([0-9]+)\s+DONE\s+cov: ([0-9]+).*/$target: \1 executions, \2 edges, nothing found/p" "$log"
  else
    grep -E 'ERROR|runtime error|SUMMARY|Test unit written' "$log" >&2 || tail -5 "$log" >&2
    failed+=("$target")
  fi
done
if [[ ${#failed[@]} -gt 0 ]]; then
  echo "fuzz: found something in: ${failed[*]}; see build/fuzz/found" >&2
  exit 1
fi
