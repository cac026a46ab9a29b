"""The software bill of materials of one file of a release, in CycloneDX's form, on standard output.

    sbom.py FILE PACKAGE TARGET

It names what `cargo tree` says is linked into PACKAGE for TARGET: with this package's features alone, without what
only builds it (procedural macros, build scripts) or tests it. The same sources and the same FILE give the same bytes:
the time is SOURCE_DATE_EPOCH (seconds since 1970; the commit's), and the serial number comes from FILE itself.

Form: https://cyclonedx.org/docs/1.6/json/.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
import uuid
from datetime import UTC, datetime
from pathlib import Path


def said(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def components(package, target, checksums):
    """The components of PACKAGE by their references, itself first, and what each depends on."""
    found, depends, above = {}, {}, []
    tree = ("cargo", "tree", "--locked", "--edges=normal,no-proc-macro", "--no-dedupe", "--prefix=depth")
    for line in said(*tree, f"--package={package}", f"--target={target}", "--format=|{p}|{l}").splitlines():
        depth, crate, licence = line.split("|")
        name, version = crate.split()[:2]
        version = version.removeprefix("v")
        reference = f"pkg:cargo/{name}@{version}"
        found[reference] = {
            "type": "library",
            "bom-ref": reference,
            "name": name,
            "version": version,
            # As crates wrote it before there were expressions: MIT/Apache-2.0.
            "licenses": [{"expression": licence.replace("/", " OR ")}],
            "purl": reference,
        }
        if (name, version) in checksums:
            found[reference]["hashes"] = [{"alg": "SHA-256", "content": checksums[name, version]}]
        depends.setdefault(reference, set())
        del above[int(depth) :]
        if above:
            depends[above[-1]].add(reference)
        above.append(reference)
    return found, depends


def standard_library(target):
    """Rust's own, with the C library that it brings for TARGET."""
    version = dict(line.split(": ") for line in said("rustc", "--version", "--verbose").splitlines()[1:])
    reference = f"pkg:generic/rust-std@{version['release']}?target={target}"
    return {
        "type": "library",
        "bom-ref": reference,
        "name": "rust-std",
        "version": version["release"],
        "description": f"The standard library for {target}, with what C library Rust brings for it",
        "licenses": [{"expression": "MIT OR Apache-2.0"}],
        "purl": reference,
        "pedigree": {
            "commits": [
                {
                    "uid": version["commit-hash"],
                    "url": f"https://github.com/rust-lang/rust/commit/{version['commit-hash']}",
                }
            ]
        },
    }


def main():
    file, package, target = sys.argv[1:]
    locked = tomllib.loads(Path("Cargo.lock").read_text())["package"]
    checksums = {(each["name"], each["version"]): each["checksum"] for each in locked if "checksum" in each}
    found, depends = components(package, target, checksums)
    root, *_ = found
    std = standard_library(target)
    found[std["bom-ref"]] = std
    depends[std["bom-ref"]] = set()
    for reference in depends.keys() - {std["bom-ref"]}:
        depends[reference].add(std["bom-ref"])
    sha256 = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    described = {
        **found.pop(root),
        "type": "application" if re.search("linux-musl$", target) else "library",
        "name": Path(file).name,
        "hashes": [{"alg": "SHA-256", "content": sha256}],
    }
    time = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, f"sha256:{sha256}").urn,
        "version": 1,
        "metadata": {"timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ"), "component": described},
        "components": [found[reference] for reference in sorted(found)],
        "dependencies": [
            {"ref": reference, "dependsOn": sorted(on)} if on else {"ref": reference}
            for reference, on in sorted(depends.items())
        ],
    }
    json.dump(bom, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
