//! No process survives whoever started it, and what cannot work is said in one sentence.

use demo::stage::Project;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

const DEMO: &str = env!("CARGO_BIN_EXE_demo");
const PATIENCE: Duration = Duration::from_secs(60);
const PODS: usize = 7;

#[test]
fn nothing_survives_the_death_of_make() {
    let run = Run::of(&mut make(&project_root().join("Makefile"), &["-o", "build", "demo"]));
    run.kill(run.child.id());
    run.has_vanished();
}

#[test]
fn nothing_survives_the_death_of_what_make_started() {
    let run = Run::of(&mut make(&project_root().join("Makefile"), &["-o", "build", "demo"]));
    run.kill(*run.children(run.child.id()).first().expect("make has a child"));
    run.has_vanished();
}

/// A recipe that does not use `exec`: a shell stays between make and the demo.
#[test]
fn nothing_survives_the_death_of_makes_shell() {
    let folder = tempfile::tempdir().unwrap();
    let makefile = folder.path().join("Makefile");
    fs::write(&makefile, ".PHONY: demo\ndemo:\n\t@$(DEMO) run; true\n").unwrap();
    let run = Run::of(&mut make(&makefile, &["demo"]));
    let shell = *run.children(run.child.id()).first().expect("make has a child");
    assert!(!run.children(shell).is_empty(), "the shell has a child");
    run.kill(shell);
    run.has_vanished();
}

#[test]
fn nothing_survives_the_death_of_the_demo() {
    let run = Run::of(Command::new(DEMO).arg("run"));
    run.kill(run.child.id());
    run.has_vanished();
}

#[test]
fn nothing_survives_a_death_while_it_starts() {
    let run = Run::started(Command::new(DEMO).arg("run"));
    let start = Instant::now();
    while run.processes().len() < 3 {
        assert!(start.elapsed() < PATIENCE);
        sleep(Duration::from_millis(1));
    }
    run.kill(run.child.id());
    run.has_vanished();
}

#[test]
fn ctrl_c_stops_everything() {
    let mut run = Run::of(&mut make(&project_root().join("Makefile"), &["-o", "build", "demo"]));
    // A terminal sends it to all of the foreground process group.
    signal("INT", &format!("-{}", run.child.id()));
    run.child.wait().unwrap();
    run.has_vanished();
}

#[test]
fn an_envoy_that_dies_is_reported() {
    let mut run = Run::of(Command::new(DEMO).arg("run").stderr(Stdio::piped()));
    let envoys =
        run.processes().into_iter().filter(|pid| command_line(*pid).contains("forecast-v2-0"));
    let envoys: Vec<_> = envoys.collect();
    let [envoy] = envoys[..] else { panic!("{envoys:?}") };
    run.kill(envoy);
    assert_eq!(run.child.wait().unwrap().code(), Some(1));
    let mut said = String::new();
    run.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("Envoy of pod forecast-v2-0"), "{said}");
    run.has_vanished();
}

#[test]
fn an_envoy_that_does_not_start_is_reported_with_its_last_words() {
    let folder = tempfile::tempdir().unwrap();
    let envoy = folder.path().join("envoy");
    fs::write(&envoy, "#!/bin/sh\necho 'out of luck' >&2\nexit 3\n").unwrap();
    fs::set_permissions(&envoy, fs::Permissions::from_mode(0o755)).unwrap();
    let said = refusal(demo().env("ENVOY", &envoy));
    assert!(said.contains("Envoy of") && said.contains("out of luck"), "{said}");
}

#[test]
fn a_busy_port_is_one_sentence() {
    for (option, variable) in [("--port", " PORT,"), ("--graph-port", " GRAPH_PORT,")] {
        let busy = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = busy.local_addr().unwrap().port().to_string();
        let said = refusal(demo().args([option, &port]));
        assert!(said.lines().count() == 1 && said.contains(&port), "{said}");
        assert!(said.contains(variable), "{said}");
    }
}

#[test]
fn manifests_that_are_not_there_are_one_sentence() {
    let said = refusal(demo().args(["--with", "examples/nowhere"]));
    assert!(said.lines().count() == 1 && said.contains("examples/nowhere"), "{said}");
    assert_eq!(said.matches("No such file").count(), 1, "{said}");
}

#[test]
fn a_missing_envoy_is_one_sentence() {
    let said = refusal(demo().env("ENVOY", "/nowhere/envoy"));
    assert!(said.lines().count() == 1 && said.contains("/nowhere/envoy"), "{said}");
}

#[test]
fn an_unknown_field_names_file_and_field() {
    let cases = [
        (
            "examples/weather/routes.yaml",
            "timeout",
            "  - route:\n",
            "  - timeouts: 1s\n    route:\n",
        ),
        ("examples/weather/app/forecast.yaml", "replica", "  replicas: 1", "  replica: 1"),
        ("examples/weather/kustomization.yaml", "patches", "resources:", "patches: []\nresources:"),
        ("wasmplugin/wasmplugin.yaml", "phases", "  phase:", "  phases:"),
        ("wasmplugin/wasmplugin.yaml", "matches", "      match:", "      matches:"),
    ];
    for (file, field, from, to) in cases {
        let project = tempfile::tempdir().unwrap();
        for folder in ["examples", "wasmplugin"] {
            let copied = Command::new("cp")
                .arg("-r")
                .arg(project_root().join(folder))
                .arg(project.path())
                .status();
            assert!(copied.unwrap().success());
        }
        let path = project.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let said = refusal(demo().current_dir(project.path()));
        assert!(said.contains(file) && said.contains(field), "{said}");
    }
}

fn project_root() -> std::path::PathBuf {
    Project::here().unwrap().manifests
}

/// Any ports.
fn demo() -> Command {
    let mut demo = Command::new(DEMO);
    demo.arg("run").env("PORT", "0").env("GRAPH_PORT", "0");
    demo.env("ENVOY", mesh::envoy::find().unwrap());
    demo
}

/// What it says before it ends with exit code 1.
fn refusal(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    said
}

/// Make, with a cargo that has nothing to do.
fn make(makefile: &Path, arguments: &[&str]) -> Command {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).join("idle");
    fs::create_dir_all(&tools).unwrap();
    // Other tests do the same.
    let _ = symlink("/bin/true", tools.join("cargo"));
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let mut make = Command::new("make");
    make.arg("-f").arg(makefile).args(arguments);
    make.env("PATH", path).env("DEMO", DEMO).current_dir(project_root());
    make
}

/// A running demo, and whatever it starts: all have a mark in their environment.
struct Run {
    child: Child,
    mark: String,
    stdout: BufReader<ChildStdout>,
}

impl Run {
    fn started(command: &mut Command) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mark = format!("TEST_OF_PROCESSES={}-{number}", std::process::id());
        let (name, value) = mark.split_once('=').unwrap();
        command
            .env(name, value)
            .env("PORT", "0")
            .env("GRAPH_PORT", "0")
            .env("ENVOY", mesh::envoy::find().unwrap())
            // What `cargo test` may have been started by is not what is tested.
            .env_remove("MAKELEVEL")
            .env_remove("MAKEFLAGS")
            .process_group(0)
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Run { child, mark, stdout }
    }

    /// Waits until it serves.
    fn of(command: &mut Command) -> Self {
        let mut run = Run::started(command);
        let mut lines = run.stdout.by_ref().lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("http://")), "it says where it serves");
        let applications_and_envoys = 2 * PODS - 1;
        assert!(run.processes().len() > applications_and_envoys);
        run
    }

    fn processes(&self) -> BTreeSet<u32> {
        let pids = fs::read_dir("/proc").unwrap().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid: &u32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == self.mark.as_bytes())
        })
        .collect()
    }

    fn children(&self, parent: u32) -> Vec<u32> {
        let is_child = |pid: &u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
            rest.split(' ').nth(1) == Some(&parent.to_string())
        };
        self.processes().into_iter().filter(is_child).collect()
    }

    fn kill(&self, pid: u32) {
        assert!(self.processes().contains(&pid));
        signal("KILL", &pid.to_string());
    }

    fn has_vanished(&self) {
        let start = Instant::now();
        loop {
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            let lines = left.iter().map(|pid| command_line(*pid)).collect::<Vec<_>>().join("\n");
            assert!(start.elapsed() < PATIENCE, "left behind:\n{lines}");
            sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        for pid in self.processes() {
            signal("KILL", &pid.to_string());
        }
        let _ = self.child.wait();
    }
}

fn signal(name: &str, target: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), "--", target]).status();
    assert!(sent.is_ok());
}

fn command_line(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}
