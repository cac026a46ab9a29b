#!/usr/bin/env bash
# What real applications carry: `make clients-test`. run.sh PROGRAM FOLDER FILTER.WASM. It needs python3, node with
# npm, java with mvn, and go; what the applications need is installed once, into the folder.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "$1") filter=$(realpath "$3")
home=$(mkdir -p "$2" && cd "$2" && pwd)

missing=
for tool in python3 node npm java javac mvn go; do command -v "$tool" > /dev/null || missing+=" $tool"; done
if [[ -n $missing ]]; then
  echo "the clients need$missing, which this machine does not have"
  exit 1
fi

# install NAME FILES...: has `install_NAME` do it in the folder of that name, if one of the files has changed.
install() {
  local name=$1 folder=$home/$1
  shift
  if cmp -s <(cat "$@") "$folder/.installed"; then return; fi
  echo "Installing what the clients in $name need"
  rm -rf "$folder"
  mkdir -p "$folder"
  (cd "$folder" && "install_$name")
  cat "$@" > "$folder/.installed"
}
install_python() {
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
    --target . --requirement "$here/python/requirements.txt"
}
install_node() {
  cp "$here/node/package.json" .
  npm install --silent --ignore-scripts --no-package-lock --no-audit --no-fund
}
install_java() {
  mvn --quiet --batch-mode --file "$here/java/pom.xml" dependency:copy-dependencies -DoutputDirectory="$PWD/jars"
  javac -cp 'jars/*' -d classes "$here"/java/*.java
  mkdir agents brave
  mv jars/*agent*.jar agents
  mv jars/brave-*.jar jars/micrometer-tracing*.jar brave
}
install_go() { (cd "$here/go" && go build -o "$home/go/" ./...); }

# At the same time: most of it is waiting.
installing=()
install python "$here/python/requirements.txt" & installing+=($!)
install node "$here/node/package.json" & installing+=($!)
install java "$here/java"/* & installing+=($!)
install go "$here/go"/go.* "$here/go"/*/*.go & installing+=($!)
for one in "${installing[@]}"; do wait "$one"; done

exec "$program" test --folder "$here" --installed "$home" --filter "$filter"
