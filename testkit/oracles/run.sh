#!/usr/bin/env bash
# What the libraries of applications read in what passes the edge: `make oracles`. It needs python3, node
# with npm, java with mvn, and go; each library is installed once, into the folder that is given.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=$(mkdir -p "$1" && cd "$1" && pwd)

missing=
for tool in python3 node npm java javac mvn go; do command -v "$tool" > /dev/null || missing+=" $tool"; done
if [[ -n $missing ]]; then
  echo "the oracles need$missing, which this machine does not have"
  exit 1
fi

# install NAME FILES...: whether the libraries of a folder have to be installed, for its files changed.
install() {
  local name=$1 stamp
  stamp=$home/$name/.installed
  shift
  cmp -s <(cat "$@") "$stamp" && return 1
  echo "Installing the libraries of $name"
  rm -rf "${home:?}/$name"
  mkdir -p "$home/$name"
}
installed() {
  local name=$1
  shift
  cat "$@" > "$home/$name/.installed"
}

if install python "$here/python/requirements.txt"; then
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
    --target "$home/python" --requirement "$here/python/requirements.txt"
  installed python "$here/python/requirements.txt"
fi
if install node "$here/node/package.json"; then
  cp "$here/node/package.json" "$home/node"
  (cd "$home/node" && npm install --silent --ignore-scripts --no-package-lock --no-audit --no-fund)
  installed node "$here/node/package.json"
fi
if install java "$here/java/pom.xml" "$here/java/Read.java"; then
  mvn --quiet --batch-mode --file "$here/java/pom.xml" dependency:copy-dependencies -DoutputDirectory="$home/java/jars"
  javac -cp "$home/java/jars/*" -d "$home/java/classes" "$here/java/Read.java"
  installed java "$here/java/pom.xml" "$here/java/Read.java"
fi
if install go "$here/go/go.mod" "$here/go/go.sum" "$here/go/main.go"; then
  (cd "$here/go" && go build -o "$home/go/read" .)
  installed go "$here/go/go.mod" "$here/go/go.sum" "$here/go/main.go"
fi

edge=$(realpath "${ORACLES:?}")
"$edge" requests "$home/requests"
cd "$home/requests"
read_python() { PYTHONPATH=$home/python python3 "$here/python/read.py"; }
read_dotnet() { python3 "$here/python/dotnet.py"; }
read_node() { (cd "$home/node" && node "$here/node/read.mjs"); }
read_java() { java -cp "$home/java/classes:$home/java/jars/*" Read; }
read_go() { "$home/go/read"; }
readers=(python dotnet node java go)
for reader in "${readers[@]}"; do
  for what in sent passed; do "read_$reader" < "$what" > "$reader.$what" 2> "$reader.log" || { cat "$reader.log"; exit 1; }; done
done
"$edge" judge "$home/requests" "${readers[@]}"
