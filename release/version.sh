#!/bin/bash
# version.sh: gives what CHANGELOG.md has under [Unreleased] the version NEW, everywhere that the version is told.
set -euo pipefail
cd "${0%/*}/.."

old=$(sed -nE 's/^version = "(.*)"/\1/p' Cargo.toml | head -1)
if [[ ! ${NEW:-} =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]]; then
    echo "Which version? make version NEW=0.2.0; this one is $old" >&2
    exit 1
fi
if grep -qF "## [$NEW]" CHANGELOG.md; then
    echo "CHANGELOG.md has [$NEW] already; versions are not given twice" >&2
    exit 1
fi

sed -i -E "s/^## \[Unreleased\]$/&\n\n## [$NEW] - $(date -u +%F)/; /^Since [0-9-]+\.$/,+1d" CHANGELOG.md
sed -i -E "s/^((release-track|mesh) = .*|)version = \"${old//./\\.}\"/\1version = \"$NEW\"/" Cargo.toml ./*/Cargo.toml
sed -i -E "s/^(version|appVersion): .*/\1: $NEW/" chart/Chart.yaml
# In the manifests, the documents and what the command line answers; not where a registry of the tests is asked.
git grep -lzE "(release-track|weather)[: ]${old//./\\.}" -- ':!CHANGELOG.md' ':!cli/tests/transcripts/image.md' ':!docs/*command-line.md' |
    xargs -0 sed -i -E "s/(release-track|weather)([: ])${old//./\\.}/\1\2$NEW/g"
cargo update --quiet --workspace
cargo update --quiet --workspace --manifest-path fuzz/Cargo.toml
git diff --stat
echo "Read CHANGELOG.md once more, run make test, and commit"
