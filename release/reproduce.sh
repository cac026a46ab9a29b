#!/bin/bash
# reproduce.sh: two clones of the commit, in folders of different names, make the same release byte for byte, and what
# was changed after it was signed is refused. What a maintainer does is done here: make version, release, publish.
#
#   COSIGN, CRANE  the programs
#   CHECKER        a folder with cyclonedx-python-lib
set -euo pipefail
cd "${0%/*}/.."
project=$PWD
export COSIGN CRANE

work=$(mktemp -d)
registry='' second=''
trap 'kill $registry $second 2> /dev/null || true; rm -rf "$work"' EXIT
passed=0

holds() {
    local what=$1
    shift
    if ! "$@" >"$work/said" 2>&1; then
        cat "$work/said"
        echo "does not hold: $what"
        exit 1
    fi
    passed=$((passed + 1))
    echo "ok: $what"
}

# refuses SENTENCE COMMAND: it fails, and says so.
refuses() {
    local sentence=$1
    shift
    if "$@" >"$work/said" 2>&1 || ! grep -qF -- "$sentence" "$work/said"; then
        cat "$work/said"
        echo "is not refused with \"$sentence\": $*"
        exit 1
    fi
    passed=$((passed + 1))
    echo "refused: $sentence"
}

# Not the storage of whoever uses this machine, and one for each clone.
for clone in one two; do
    printf '[storage]\ndriver = "vfs"\nrunroot = "%s"\ngraphroot = "%s"\n' "$work/run-$clone" "$work/graph-$clone" >"$work/$clone.conf"
done
export CONTAINERS_STORAGE_CONF=$work/one.conf

new=999.0.0
one=$work/one two=$work/of-another-name/two
export GIT_AUTHOR_NAME=rehearsal GIT_AUTHOR_EMAIL=rehearsal@example.com GIT_AUTHOR_DATE='2026-01-02T03:04:05Z'
export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE
export COSIGN_PASSWORD=rehearsal
git clone --quiet . "$one"
ln -s "$project/.tools" "$one/.tools"
key=$work/cosign.key
(cd "$work" && "$COSIGN" generate-key-pair && mkdir another && cd another && "$COSIGN" generate-key-pair) >"$work/said" 2>&1

cd "$one"
release() { make --no-print-directory release "$@"; }
sed -i 's/^## \[Unreleased\]$/&\n\n- Something new./' CHANGELOG.md
refuses 'changes that are in no commit' release KEY=none
git commit --quiet --all --message 'Something new'
refuses 'has lines under [Unreleased]' release KEY=none
refuses 'make version NEW=' make --no-print-directory version NEW=v1
holds 'what is unreleased is given a version' make --no-print-directory version NEW=$new
git commit --quiet --all --message "Release $new"
refuses 'versions are not given twice' make --no-print-directory version NEW=$new
refuses 'cosign generate-key-pair' release
refuses 'there is no such file' release KEY=elsewhere.key
git tag v$new HEAD~1
refuses "v$new is another commit" release KEY=none
git tag --force v$new >"$work/said" 2>&1

# Side by side, since a module is linked by one processor.
git clone --quiet "$one" "$two"
(cd "$two" && CONTAINERS_STORAGE_CONF=$work/two.conf release KEY=none) >"$work/two.log" 2>&1 &
second=$!
release KEY="$key"
made=$one/dist/release/$new
wait $second || { cat "$work/two.log" && exit 1; }
second=
holds 'two clones make the same files' diff -rq --exclude='SHA256SUMS.*' "$made" "$two/dist/release/$new"

cd "$made"
holds 'the notes are those of CHANGELOG.md' grep -qx -- '- Something new.' NOTES.md
holds 'the command line runs anywhere' sh -c "./release-track-linux-$(uname -m) --version && ! readelf --program-headers release-track-linux-$(uname -m) | grep INTERP"
# What was compiled for the module, since the clone was empty: a library each.
linked() { for library in "$two/target/$1/deps"/lib*.rlib; do basename "$library" | sed -E 's/^lib(.*)\.rlib$/\1/; s/-[0-9a-f]{16}$//'; done | sort -u; }
listed() { python3 -c 'import json, sys; print(*sorted({c["name"].replace("-", "_") for c in json.load(open(sys.argv[1]))["components"]} - {"rust_std"}), sep="\n")' "$1"; }
linked wasm32-wasip1/wasm | grep -vx release_track >"$work/linked"
listed release-track.wasm.cdx.json >"$work/listed"
holds 'what is linked into the module is what its bill lists' diff "$work/linked" "$work/listed"
holds 'the bills have the form of CycloneDX 1.6' env PYTHONPATH="$CHECKER" python3 - ./*.cdx.json <<'PYTHON'
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

for bill in sys.argv[1:]:
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(Path(bill).read_text())
    if error:
        sys.exit(f"{bill}: {error}")
PYTHON

signed() { "$COSIGN" verify-blob --key "$1" --insecure-ignore-tlog --bundle SHA256SUMS.sigstore.json "${2:-SHA256SUMS}"; }
holds 'the checksums are those of the files' sha256sum --check SHA256SUMS
holds 'the checksums are signed' signed "$work/cosign.pub"
refuses 'invalid signature' signed "$work/another/cosign.pub"
sed '1s/^./x/' SHA256SUMS >"$work/changed"
refuses 'invalid signature' signed "$work/cosign.pub" "$work/changed"

address=127.0.0.1:$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$CRANE" registry serve --address "$address" >"$work/registry.log" 2>&1 &
registry=$!
until "$CRANE" catalog "$address" >"$work/said" 2>&1; do kill -0 $registry && sleep 0.1; done
image=$address/release-track
cd "$one"
publish() { make --no-print-directory publish KEY="$key" IMAGE="$image:$1"; }
holds 'the image is pushed and signed' publish $new
digest=$(<"$made/release-track-image.digest")
trusted() { "$COSIGN" verify --key "$1" --insecure-ignore-tlog "$2"; }
holds 'its signature holds' trusted "$work/cosign.pub" "$image:$new"
refuses 'could not verify' trusted "$work/another/cosign.pub" "$image:$new"
PUSH_OPTIONS=--tls-verify=false make --no-print-directory push IMAGE="$image:pushed" OCI=buildah >"$work/pushed"
holds 'it names the commit that it is of' sh -c "'$CRANE' config '$image@$digest' | grep -F '\"org.opencontainers.image.revision\":\"$(git rev-parse HEAD)\"'"
holds 'make push gives the image the same digest' grep -qxF "$image@$digest" "$work/pushed"
# One byte more in the module.
cp dist/release-track.wasm "$work/changed.wasm" && printf '\0' >>"$work/changed.wasm"
PUSH_OPTIONS=--tls-verify=false make --no-print-directory -o build push IMAGE="$image:$new" OCI=buildah MODULE="$work/changed.wasm" >"$work/pushed"
refuses 'no signatures found' trusted "$work/cosign.pub" "$image:$new"
holds 'the digest is still what was signed' trusted "$work/cosign.pub" "$image@$digest"
printf x >>"$made/release-track.wasm"
refuses 'is not as it was made' publish again

echo "$passed passed; 0 failed"
