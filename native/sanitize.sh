#!/usr/bin/env bash
# The tests of the dynamic module, on its Envoy that is not there, under the address sanitizer (with
# its search for leaks) and the thread sanitizer.
set -euo pipefail
cd "$(dirname "$0")"
unset RUSTUP_TOOLCHAIN CARGO_TARGET_DIR
nightly=$(sed -nE 's/^channel = "(.*)"/\1/p' ../fuzz/rust-toolchain.toml)
target=$(rustc -vV | sed -n 's/^host: //p')
rustup --quiet toolchain install "$nightly" --profile minimal --component rust-src --no-self-update > /dev/null

sanitize() {
  local sanitizer=$1
  shift
  echo "The $sanitizer sanitizer"
  RUSTFLAGS=-Zsanitizer=$sanitizer cargo "+$nightly" test --quiet --locked --target "$target" \
    --target-dir ../target/sanitize "$@"
}

# What a panic carries is kept on purpose.
sanitize address -- --skip a_panic_ends_at_the_hook
# It has to see the locks of the standard library, which is built anew for that. Two long tests have
# one thread each.
sanitize thread -Zbuild-std -- --skip the_core_and_the_module_do_the_same --skip whatever_call_fails
