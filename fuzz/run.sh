#!/usr/bin/env bash
# Fuzzes targets, one after the other: run.sh CARGO_FUZZ SECONDS TARGET...
#
# New inputs go to target/corpus, beside the kept ones; what breaks a claim goes to artifacts.
set -euo pipefail
fuzz=$(realpath "$1") seconds=$2
shift 2
cd "$(dirname "$0")"
# The toolchain is this folder's own.
unset RUSTUP_TOOLCHAIN CARGO_TARGET_DIR
# Another of our commands may have brought it without its components.
for program in cargo cargo-fmt cargo-clippy; do
  rustup which "$program" > /dev/null 2>&1 || rustup toolchain install --no-self-update
done
cargo fmt --check
cargo clippy --quiet --locked --all-targets -- -D warnings

passed=0 failed=0
for target in "$@"; do
  log=target/$target.log
  # Only the dynamic module has unsafe code: elsewhere the address sanitizer would only be slow.
  sanitizer=none
  if [[ $target == native ]]; then sanitizer=address; fi
  mkdir -p "target/corpus/$target"
  "$fuzz" build --fuzz-dir . --sanitizer "$sanitizer" "$target" 2>&1 | grep -E '^(warning|error)' -A 20 || true
  if "$fuzz" run --fuzz-dir . --sanitizer "$sanitizer" "$target" "target/corpus/$target" "corpus/$target" -- \
    -max_total_time="$seconds" -print_final_stats=1 &> "$log"; then
    passed=$((passed + 1)) verdict='nothing found'
  else
    failed=$((failed + 1)) verdict="broken, see fuzz/$log"
    grep -vE '^(#|INFO:|NEW_FUNC)' "$log" | tail -60
  fi
  runs=$(sed -nE 's/^stat::number_of_executed_units: *//p' "$log")
  echo "$target: ${runs:-0} executions, $verdict"
done
echo "$passed passed, $failed failed"
((failed == 0))
