//! What the command line prints, as transcripts: Markdown with files and commands in it. The
//! documentation has two of them, `transcripts/` has the others.
//!
//! A block of code with a name behind its language is a file. A block of `console` has commands
//! after `$ ` (and `> `, where one goes on), each with what it prints and its exit code, if that
//! is not 0. They run in a folder of their own, beside the project's manifests, where nobody is logged
//! in anywhere. `registry.example.com` is there: `registry/` says what it has; and `mesh.example.com`, with
//! what is in `mesh/`.
//! `UPDATE_DOCS=1 cargo test --test transcripts` writes all outputs anew.

mod mesh;
mod registry;

use std::fmt::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::{env, fs};

#[test]
fn the_documentation_is_true() {
    for page in ["command-line", "from-plain-istio"] {
        replay(&root().join(format!("docs/{page}.md")));
    }
}

#[test]
fn every_transcript_is_true() {
    let folder = root().join("cli/tests/transcripts");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files.iter().for_each(|file| replay(file));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn replay(file: &Path) {
    let text = fs::read_to_string(file).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in ["wasmplugin", "examples"] {
        symlink(root().join(name).canonicalize().unwrap(), folder.path().join(name)).unwrap();
    }
    fs::create_dir(folder.path().join("dist")).unwrap();
    fs::write(folder.path().join("dist/release-track.wasm"), registry::built()).unwrap();
    let replayed = run(&text, folder.path());
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(file, replayed).unwrap();
        return;
    }
    for (number, (is, was)) in replayed.lines().zip(text.lines()).enumerate() {
        let place = format!("{}:{}", file.display(), number + 1);
        assert_eq!(is, was, "{place} is behind: UPDATE_DOCS=1 cargo test --test transcripts");
    }
    assert_eq!(replayed.lines().count(), text.lines().count(), "{}", file.display());
}

/// The text with every output as it is.
fn run(text: &str, folder: &Path) -> String {
    let mut replayed = String::new();
    let mut commands = 0;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        writeln!(replayed, "{line}").unwrap();
        let Some(info) = line.strip_prefix("```") else { continue };
        let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        if info == "console" {
            commands += replay_block(&block, folder, &mut replayed);
        } else {
            let contents: String = block.iter().flat_map(|line| [line, "\n"]).collect();
            if let Some((_, name)) = info.split_once(' ') {
                let path = folder.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, there(&contents)).unwrap();
            }
            replayed.push_str(&contents);
        }
        replayed.push_str("```\n");
    }
    assert!(commands > 0, "there is no command");
    replayed
}

/// How many commands it has.
fn replay_block(block: &[&str], folder: &Path, replayed: &mut String) -> usize {
    let mut commands: Vec<Vec<&str>> = Vec::new();
    let mut continues = false;
    for line in block {
        if line.starts_with("$ ") {
            commands.push(vec![line]);
        } else if continues {
            commands.last_mut().unwrap().push(line);
        }
        continues = line.starts_with("$ ") || continues && line.starts_with("> ");
        continues &= line.ends_with('\\');
    }
    for lines in &commands {
        let command: Vec<_> = lines.iter().map(|line| &line[2..]).collect();
        let shown: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
        replayed.push_str(&shown);
        replayed.push_str(&output(&command.join("\n"), folder));
    }
    commands.len()
}

/// Hosts of a transcript, and where they really are.
static HOSTS: LazyLock<[(&str, String); 2]> = LazyLock::new(|| {
    [("registry.example.com", registry::start()), ("mesh.example.com", mesh::start())]
});

fn there(text: &str) -> String {
    HOSTS.iter().fold(text.to_owned(), |text, (name, address)| text.replace(name, address))
}

fn here(text: &str) -> String {
    HOSTS.iter().fold(text.to_owned(), |text, (name, address)| text.replace(address, name))
}

fn output(command: &str, folder: &Path) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_release-track"));
    let path = format!("{}:{}", binary.parent().unwrap().display(), env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-c", &format!("exec 2>&1\n{}", there(command))])
        .current_dir(folder)
        .env("PATH", path)
        .env("HOME", folder)
        .env("XDG_RUNTIME_DIR", folder)
        .env_remove("DOCKER_CONFIG")
        .env_remove("REGISTRY_AUTH_FILE")
        .env_remove("CLICOLOR_FORCE")
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let text = here(&String::from_utf8(output.stdout).unwrap());
    // A space at the end of a line would not outlast an editor.
    let text: String = text.lines().flat_map(|line| [line.trim_end(), "\n"]).collect();
    match output.status.code().unwrap() {
        0 => text,
        code => format!("{text}(exit code {code})\n"),
    }
}
