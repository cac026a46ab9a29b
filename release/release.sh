#!/bin/bash
# release.sh CHART: all files of a release of the commit that is checked out, in dist/release/VERSION.
#
#   KEY     the private key of cosign that signs SHA256SUMS, or none
#   COSIGN  cosign; COSIGN_PASSWORD is the key's
#   OCI     buildah or podman (default: the first that is there)
#   ARCHES  the processors of the dynamic module and of the command line
#   CHART   where make chart puts its file
#
# The same commit gives the same bytes, but for the signature.
set -euo pipefail
cd "${0%/*}/.."

stop() {
    echo "$1" >&2
    exit 1
}

version=$(sed -nE 's/^version = "(.*)"/\1/p' Cargo.toml | head -1)
tag=v$version

# The lines below a heading of CHANGELOG.md, up to the next one.
section() {
    awk -v heading="## [$1]" 'index($0, "## [") == 1 { inside = index($0, heading) == 1; next } inside' CHANGELOG.md
}

[[ -n ${KEY:-} ]] || stop 'Signed with which key? make release KEY=cosign.key (make cosign, cosign generate-key-pair make one), or KEY=none'
[[ $KEY == none || $KEY == *://* || -r $KEY ]] || stop "KEY=$KEY: there is no such file; cosign generate-key-pair makes one"
[[ -z $(git status --porcelain) ]] || stop "There are changes that are in no commit (git status): a release is made of one"
[[ -n $(section "$version") ]] ||
    stop "CHANGELOG.md has no heading [$version], the version in Cargo.toml: make version NEW=... sets both"
! section Unreleased | grep -qv -e '^$' -e '^Since ' ||
    stop "CHANGELOG.md has lines under [Unreleased], and $version is told already: make version NEW=... gives them a version"
if tagged=$(git rev-parse --quiet --verify "$tag^{commit}") && [[ $tagged != $(git rev-parse HEAD) ]]; then
    stop "$tag is another commit: make version NEW=... gives this one its own version"
fi
for tool in ${OCI:-buildah podman}; do
    if command -v "$tool" >/dev/null; then OCI=$tool && break; fi
done
[[ ${OCI:-} =~ ^(buildah|podman)$ ]] || stop 'The image of a release is made by buildah or podman: install one of them'
export OCI

[[ $KEY == none ]] || make --no-print-directory cosign

SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
umask 022
to=dist/release/$version
rm -rf "$to" && mkdir -p "$to"

bill() { python3 release/sbom.py "$to/$1" "$2" "$3" >"$to/$1.cdx.json"; }

make --no-print-directory build
cp dist/release-track.wasm "$to"
bill release-track.wasm release-track wasm32-wasip1
machine=$(uname -m)
for arch in $ARCHES; do
    make --no-print-directory native static-cli ARCH="$arch"
    folder=dist
    [[ $arch == "$machine" ]] || folder=dist/$arch
    cp "$folder/librelease-track.so" "$to/librelease-track-linux-$arch.so"
    cp "dist/release-track-linux-$arch" "$to"
    bill "librelease-track-linux-$arch.so" release-track-native "$arch-unknown-linux-gnu"
    bill "release-track-linux-$arch" release-track-cli "$arch-unknown-linux-musl"
done
IMAGE=localhost/release-track:$version ARCHIVE=$to/release-track-image.tar wasmplugin/image.sh save >"$to/release-track-image.digest"
make --no-print-directory chart && cp "$1" "$to"

# shellcheck disable=SC2016 # Markdown's own
{
    section "$version"
    printf '\n### Files\n\n| file | bytes | sha256 |\n| --- | ---: | --- |\n'
    for file in "$to"/*; do
        printf '| `%s` | %s | `%s` |\n' "${file##*/}" "$(stat -c %s "$file")" "$(sha256sum "$file" | cut -d' ' -f1)"
    done
    printf '\nThe image: `%s`. Commit %s, %s.\n' "$(<"$to/release-track-image.digest")" "$(git rev-parse HEAD)" "$(rustc --version)"
} | cat --squeeze-blank | sed '1{/^$/d}' >dist/release/NOTES.md
mv dist/release/NOTES.md "$to"
(cd "$to" && sha256sum -- * >SHA256SUMS)

# Of no service: neither a log nor a time is asked for.
offline=(--signing-config release/offline/signing-config.json --trusted-root release/offline/trusted-root.json)
[[ $KEY == none ]] || "$COSIGN" sign-blob --yes --key "$KEY" "${offline[@]}" --bundle "$to/SHA256SUMS.sigstore.json" "$to/SHA256SUMS" >/dev/null
chmod go+r "$to"/*
echo "$to:"
ls "$to"
