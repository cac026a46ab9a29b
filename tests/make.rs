//! The Makefile on machines that lack something: it works, or one sentence says what to do.
//!
//! A machine is a PATH of its own: the programs that a Makefile needs anywhere, and stand-ins for
//! those of Rust.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// What every machine has.
const COMMON: [&str; 9] = ["bash", "make", "sed", "sort", "grep", "head", "cat", "uname", "expand"];

struct Machine {
    programs: TempDir,
    sysroot: TempDir,
}

struct Said {
    success: bool,
    text: String,
}

impl Machine {
    fn new() -> Self {
        let machine =
            Self { programs: tempfile::tempdir().unwrap(), sysroot: tempfile::tempdir().unwrap() };
        let path = std::env::var_os("PATH").unwrap();
        for name in COMMON {
            let program = std::env::split_paths(&path).map(|folder| folder.join(name));
            let program = program.into_iter().find(|program| program.exists());
            symlink(
                program.unwrap_or_else(|| panic!("{name}")),
                machine.programs.path().join(name),
            )
            .unwrap();
        }
        machine
    }

    fn with(self, name: &str, script: &str) -> Self {
        let program = self.programs.path().join(name);
        fs::write(&program, format!("#!{}/bash\n{script}\n", self.programs.path().display()))
            .unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// Rust, with these targets' standard libraries.
    fn with_rust(self, targets: &[&str]) -> Self {
        for target in targets {
            fs::create_dir_all(self.target(target)).unwrap();
        }
        let sysroot = self.sysroot.path().display().to_string();
        self.with("cargo", "exit 1").with("rustc", &format!("echo {sysroot}"))
    }

    fn target(&self, target: &str) -> std::path::PathBuf {
        self.sysroot.path().join("lib/rustlib").join(target).join("lib")
    }

    fn make(&self, arguments: &[&str]) -> Said {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new(self.programs.path().join("make"));
        command.args(["--no-print-directory", "-C"]).arg(root).args(arguments);
        let output = command.env_clear().env("PATH", self.programs.path()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        Said { success: output.status.success(), text: String::from_utf8(text).unwrap() }
    }
}

const WASM: &str = "wasm32-wasip1";
/// As the Makefile names it.
const COSIGN: &str = ".tools/cosign-3.1.3/cosign";
const HOST: &str = "x86_64-unknown-linux-gnu";

#[test]
fn without_rust_one_sentence_says_where_it_is() {
    for target in ["build", "cli", "demo"] {
        let said = Machine::new().make(&[target]);
        assert!(!said.success);
        assert!(said.text.starts_with("Rust is not on the PATH"), "{}", said.text);
        assert!(said.text.contains("https://rustup.rs"), "{}", said.text);
    }
}

#[test]
fn a_rust_that_has_everything_is_left_alone() {
    let machine = Machine::new().with_rust(&[HOST, WASM]).with("rustup", "echo rustup; exit 1");
    let said = machine.make(&["toolchain"]);
    assert!(said.success && !said.text.contains("rustup"), "{}", said.text);
}

/// As where rustup does not install by itself (`RUSTUP_AUTO_INSTALL=0`).
#[test]
fn a_missing_target_is_installed_by_rustup() {
    let machine = Machine::new().with_rust(&[HOST]).with("rustup", "echo \"rustup: $*\"");
    let said = machine.make(&["toolchain"]);
    assert!(said.success && said.text.contains("toolchain install"), "{}", said.text);
    assert!(said.text.contains(WASM), "{}", said.text);
}

#[test]
fn a_toolchain_that_is_not_there_is_installed_by_rustup() {
    let machine = Machine::new().with("cargo", "exit 1").with("rustc", "exit 1");
    let said = machine.with("rustup", "echo \"rustup: $*\"").make(&["toolchain"]);
    assert!(said.success && said.text.contains("toolchain install"), "{}", said.text);
}

#[test]
fn rustup_that_fails_ends_it() {
    let machine = Machine::new().with_rust(&[HOST]).with("rustup", "exit 1");
    assert!(!machine.make(&["toolchain"]).success);
}

#[test]
fn a_rust_without_rustup_is_told_what_it_lacks() {
    let said = Machine::new().with_rust(&[HOST]).make(&["toolchain"]);
    assert!(!said.success);
    assert!(said.text.contains(WASM) && said.text.contains("https://rustup.rs"), "{}", said.text);
}

#[test]
fn a_choice_that_is_misspelt_is_refused() {
    let said = Machine::new().with_rust(&[HOST, WASM]).make(&["toolchain", "FOWARD=none"]);
    assert!(!said.success);
    assert!(said.text.contains("FOWARD") && said.text.contains("FORWARD"), "{}", said.text);
}

#[test]
fn an_image_without_a_name_is_asked_for_one() {
    let said = Machine::new().with_rust(&[HOST, WASM]).make(&["-o", "build", "push"]);
    assert!(!said.success);
    assert!(said.text.contains("make push IMAGE="), "{}", said.text);
}

#[test]
fn a_release_without_a_key_is_asked_for_one() {
    let said = Machine::new().with_rust(&[HOST, WASM]).make(&["release"]);
    assert!(!said.success);
    assert!(said.text.contains("make release KEY=cosign.key"), "{}", said.text);
    let said = Machine::new().with_rust(&[HOST, WASM]).make(&["publish", "IMAGE=localhost/a:1"]);
    assert!(!said.success);
    assert!(said.text.contains("KEY=cosign.key"), "{}", said.text);
}

#[test]
fn a_key_that_is_not_there_is_named() {
    let machine = Machine::new().with_rust(&[HOST, WASM]);
    let said = machine.make(&["release", "KEY=/nowhere/cosign.key"]);
    assert!(!said.success);
    assert!(said.text.contains("/nowhere/cosign.key"), "{}", said.text);
}

#[test]
fn without_go_one_sentence_says_what_builds_cosign() {
    let said = Machine::new().with_rust(&[HOST, WASM]).make(&["-B", COSIGN]);
    assert!(!said.success);
    assert!(said.text.contains("https://go.dev/dl"), "{}", said.text);
}

#[test]
fn a_version_is_asked_for() {
    let said = Machine::new().make(&["version"]);
    assert!(!said.success);
    assert!(said.text.contains("make version NEW="), "{}", said.text);
}

/// `make push` once the module is built, with a podman of ours that pushes what `$PUSHED` says, or
/// fails.
struct Pushing {
    folder: TempDir,
}

impl Pushing {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let podman = folder.path().join("podman");
        let script = r#"#!/bin/bash
[[ $1 == push ]] || exit 0
[[ -n ${PUSHED:-} ]] || { echo 'unauthorized' >&2; exit 125; }
while [[ $1 != --digestfile ]]; do shift; done
printf %s "$PUSHED" > "$2"
"#;
        fs::write(&podman, script).unwrap();
        fs::set_permissions(&podman, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.path().join("module.wasm"), "").unwrap();
        fs::create_dir(folder.path().join("dist")).unwrap();
        Self { folder }
    }

    fn push(&self, tag: &str, digest: &str) -> Said {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = std::env::var("PATH").unwrap();
        let output = Command::new(root.join("wasmplugin/image.sh"))
            .arg("push")
            .env("PATH", format!("{}:{path}", self.folder.path().display()))
            .env("OCI", "podman")
            .env("IMAGE", format!("registry.example.com/release-track:{tag}"))
            .env("MODULE", self.folder.path().join("module.wasm"))
            .env("DIST", self.folder.path().join("dist"))
            .env("PUSHED", digest)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        Said { success: output.status.success(), text: String::from_utf8(text).unwrap() }
    }

    fn plugin(&self) -> std::path::PathBuf {
        self.folder.path().join("dist/wasmplugin/wasmplugin.yaml")
    }
}

#[test]
fn a_push_leaves_edits_as_they_are_and_changes_the_image() {
    let pushing = Pushing::new();
    assert!(pushing.push("0.1.0", &format!("sha256:{}", "1".repeat(64))).success);
    let plugin = fs::read_to_string(pushing.plugin()).unwrap();
    fs::write(pushing.plugin(), plugin.replace("exact: tester", "exact: alice")).unwrap();
    let second = format!("sha256:{}", "2".repeat(64));
    let said = pushing.push("0.2.0", &second);
    assert!(said.success && said.text.contains("keeps what it has"), "{}", said.text);
    let plugin = fs::read_to_string(pushing.plugin()).unwrap();
    assert!(plugin.contains("exact: alice") && !plugin.contains("exact: tester"), "{plugin}");
    assert!(plugin.contains(&format!("release-track@{second}")), "{plugin}");
}

#[test]
fn a_push_that_fails_says_so_last_and_changes_nothing() {
    let pushing = Pushing::new();
    assert!(pushing.push("0.1.0", &format!("sha256:{}", "1".repeat(64))).success);
    let before = fs::read_to_string(pushing.plugin()).unwrap();
    let said = pushing.push("0.2.0", "");
    let last = said.text.lines().last().unwrap();
    assert!(!said.success && last.contains("0.2.0 was not pushed"), "{}", said.text);
    assert_eq!(fs::read_to_string(pushing.plugin()).unwrap(), before);
}
