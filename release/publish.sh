#!/bin/bash
# publish.sh: pushes the image of dist/release/VERSION to IMAGE (registry/name:tag), as it is, and signs it there.
#
#   KEY            the private key of cosign; COSIGN_PASSWORD is the key's
#   COSIGN, CRANE  the programs
set -euo pipefail
cd "${0%/*}/.."

stop() {
    echo "$1" >&2
    exit 1
}

[[ -n ${KEY:-} ]] || stop 'Signed with which key? make publish IMAGE=... KEY=cosign.key'
version=$(sed -nE 's/^version = "(.*)"/\1/p' Cargo.toml | head -1)
from=dist/release/$version
[[ -e $from/SHA256SUMS ]] || stop "There is no $from: make release KEY=... makes it"
(cd "$from" && sha256sum --quiet --check SHA256SUMS) || stop "$from is not as it was made: make release makes it anew"

make --no-print-directory cosign
layout=$(mktemp -d)
trap 'rm -r "$layout"' EXIT
tar --extract --file "$from/release-track-image.tar" --directory "$layout"
pushed=$("$CRANE" push "$layout" "$IMAGE")
[[ ${pushed##*@} == "$(<"$from/release-track-image.digest")" ]] || stop "$pushed is not the image of $from"
# Of no service: neither a log nor a time is asked for.
offline=(--signing-config release/offline/signing-config.json --trusted-root release/offline/trusted-root.json)
"$COSIGN" sign --yes --key "$KEY" "${offline[@]}" "$pushed"
echo "$pushed is pushed and signed"
