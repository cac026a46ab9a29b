#!/bin/bash
# image.sh build|push: the filter as the image IMAGE, and an installation that names it by digest.
# image.sh build|push weather: the same with the weather app.
# image.sh save: the filter's image as ARCHIVE, in OCI's layout; prints its digest, which is that of the image pushed.
#
#   IMAGE         registry/repository:tag
#   OCI           docker, podman or buildah (default: the first that works), or oras: push the two-layer artifact
#   PUSH_OPTIONS  for the tool's push, such as --tls-verify=false
#   MODULE, DIST  what goes in, and where the installation is written
#   ARCH          the processor that the weather app is for: x86_64 or aarch64
set -euo pipefail
cd "$(dirname "$0")/.."

field() { sed -nE "s/^$1 = \"(.*)\"/\1/p" Cargo.toml | head -1; }
version=$(field version)
source=$(field repository)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
# The time of every file and of the image: the same sources give the same digest.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH
read -ra options <<<"${PUSH_OPTIONS:-}"

works() {
    case $1 in
    docker) docker info ;;
    *) command -v "$1" ;;
    esac &>/dev/null
}

if [[ -z ${OCI:-} ]]; then
    for tool in docker podman buildah; do
        if works $tool; then OCI=$tool && break; fi
    done
fi
if [[ -z ${OCI:-} ]]; then
    echo "Needs docker (with its daemon running), podman or buildah." >&2
    exit 1
fi

dist=${DIST:-dist}
# The context is a folder with the module, or the program, alone.
context=$dist/image
what=${2:-filter}
case $what in
filter)
    dockerfile=wasmplugin/Dockerfile file=${MODULE:-dist/release-track.wasm} name=release-track.wasm
    installation=$dist/wasmplugin platform=()
    ;;
weather)
    dockerfile=demo/Dockerfile file=dist/weather name=weather
    installation=$dist/weather-app platform=(--platform linux/amd64)
    if [[ ${ARCH:-$(uname -m)} = aarch64 ]]; then platform=(--platform linux/arm64); fi
    ;;
esac
if [[ $what = weather && $OCI = oras ]]; then
    echo "OCI=oras pushes the filter alone: the image of a pod needs docker, podman or buildah" >&2
    exit 1
fi
build() {
    local arguments=("${platform[@]}" --file "$dockerfile" --tag "$IMAGE" --build-arg "VERSION=$version" --build-arg "REVISION=$revision" --build-arg "SOURCE=$source" "$context")
    rm -rf "$context" && mkdir -p "$context" && cp "$file" "$context/$name"
    case $OCI in
    docker) docker buildx build --quiet --provenance=false --output type=docker,rewrite-timestamp=true "${arguments[@]}" ;;
    podman | buildah) "$OCI" build --quiet --timestamp "$SOURCE_DATE_EPOCH" --identity-label=false "${arguments[@]}" ;;
    oras) return ;;
    *) echo "OCI=$OCI: must be docker, podman, buildah or oras" >&2 && exit 1 ;;
    esac >/dev/null
    echo "$IMAGE built with $OCI"
}

# Prints the digest.
push() {
    local said=$context/digest
    case $OCI in
    docker)
        docker push "${options[@]}" "$IMAGE" | tee "$said" >&2
        sed -nE 's/.*digest: (sha256:[0-9a-f]{64}).*/\1/p' "$said"
        ;;
    podman | buildah)
        "$OCI" push --quiet "${options[@]}" --digestfile "$said" "$IMAGE" >&2 && cat "$said"
        ;;
    oras)
        mv "$context/release-track.wasm" "$context/plugin.wasm" && echo '{}' >"$context/config.json"
        local created annotations
        created=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
        annotations=(version="$version" revision="$revision" source="$source" licenses=Apache-2.0 created="$created")
        (cd "$context" && oras push --no-tty --format go-template='{{.digest}}' "${options[@]}" \
            "${annotations[@]/#/--annotation=org.opencontainers.image.}" "$IMAGE" \
            config.json:application/vnd.module.wasm.config.v1+json \
            plugin.wasm:application/vnd.module.wasm.content.layer.v1+wasm)
        ;;
    esac
}

# Its owner, times and order are no part of an archive's meaning, and are the same anywhere.
save() {
    local layout=$context/layout
    "$OCI" push --quiet --format oci --digestfile "$context/digest" "$IMAGE" "oci:$layout:$version" >&2
    tar --create --file "$ARCHIVE" --directory "$layout" --sort=name --mtime="@$SOURCE_DATE_EPOCH" \
        --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --format=ustar oci-layout index.json blobs
    cat "$context/digest"
}

# The user's own wasmplugin/, with the image in the place of the example. It is theirs to edit: once
# it is there, only its image changes.
install_filter() {
    if [[ -e $installation/wasmplugin.yaml ]]; then
        echo "$installation keeps what it has but for its image (remove it, and the next push makes it anew)."
    else
        rm -rf "$installation" && cp -r wasmplugin "$installation" && rm "$installation"/{Dockerfile,image.sh}
    fi
    find "$installation" -name '*.yaml' -exec sed -i "s|url: oci://.*|url: oci://$1@$2|" {} +
}

# The story, with the image in the place of the example.
install_weather() {
    local folder
    for folder in '' /graph; do
        mkdir -p "$installation$folder" && cat >"$installation$folder/kustomization.yaml" <<END
# Made by \`make push-weather\`.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- $(realpath --relative-to="$installation$folder" "examples/weather$folder")
images:
- name: registry.example.com/weather
  newName: $1
  digest: $2
END
    done
}

if [[ $1 = save ]]; then
    build >&2
    save
    exit
fi
build
[[ $1 = build ]] || {
    if ! digest=$(push) || [[ -z $digest ]]; then
        echo "$IMAGE was not pushed, for what $OCI says above; $installation is as it was." >&2
        exit 1
    fi
    pinned=${IMAGE%:"${IMAGE##*[:/]}"}
    "install_$what" "$pinned" "$digest"
    echo "$pinned@$digest"
    echo "Installed by: kubectl apply -k $installation"
}
