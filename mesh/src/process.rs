//! Processes that do not outlive us: not when a handle is dropped, not when we are killed.

pub use rustix::process::Signal;
use std::collections::VecDeque;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, watch};

/// How many lines of a process's standard error are kept.
const LOG_LINES: usize = 20;

/// A running process; dropping it kills.
pub struct Process {
    name: String,
    pid: u32,
    log: Arc<Mutex<VecDeque<String>>>,
    exit: watch::Receiver<Option<ExitStatus>>,
    stdin: Option<ChildStdin>,
    stdout: Option<mpsc::Receiver<String>>,
    /// Its end tells the task that owns the child to kill it.
    _alive: mpsc::Sender<()>,
}

/// How a process ended, for a person.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{name} ended ({status}){}", last_lines(log))]
pub struct Ended {
    pub name: String,
    pub status: ExitStatus,
    /// The last lines on its standard error.
    pub log: Vec<String>,
}

fn last_lines(log: &[String]) -> String {
    if log.is_empty() {
        "; it said nothing".into()
    } else {
        format!("; its last lines:\n  {}", log.join("\n  "))
    }
}

impl Process {
    /// Starts `command` with pipes for all three streams. Needs a Tokio runtime.
    pub async fn spawn(name: impl Into<String>, mut command: Command) -> std::io::Result<Self> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C at the terminal is for us; we end the children in our order.
            .process_group(0)
            .kill_on_drop(true);
        dies_with_us(&mut command);
        let mut child = spawn_on_lasting_thread(command).await?;

        let log = Arc::<Mutex<VecDeque<String>>>::default();
        let (exit_sender, exit) = watch::channel(None);
        let (alive, mut dropped) = mpsc::channel::<()>(1);
        let (lines, stdout) = mpsc::channel(1024);
        let process = Process {
            name: name.into(),
            pid: child.id().unwrap_or_default(),
            log: log.clone(),
            exit,
            stdin: child.stdin.take(),
            stdout: Some(stdout),
            _alive: alive,
        };
        let stderr = child.stderr.take();
        let stdout = child.stdout.take();
        tokio::spawn(each_line(stdout, async move |line| {
            // Without a reader the lines go nowhere, but the pipe must not fill up.
            let _ = lines.send(line).await;
        }));
        tokio::spawn(async move {
            let reader = tokio::spawn(each_line(stderr, async move |line| {
                let mut log = log.lock().unwrap_or_else(|e| e.into_inner());
                if log.len() == LOG_LINES {
                    log.pop_front();
                }
                log.push_back(line);
            }));
            let status = tokio::select! {
                status = child.wait() => status,
                _ = dropped.recv() => kill(&mut child).await,
            };
            // What it said last is worth a moment, unless a grandchild holds the pipe.
            let _ = tokio::time::timeout(Duration::from_secs(1), reader).await;
            let _ = exit_sender.send(status.ok());
        });
        Ok(process)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The lines of its standard output, once.
    pub fn stdout(&mut self) -> mpsc::Receiver<String> {
        self.stdout.take().unwrap_or_else(|| mpsc::channel(1).1)
    }

    /// Writes one line to its standard input.
    pub async fn tell(&mut self, line: &str) -> std::io::Result<()> {
        match &mut self.stdin {
            Some(stdin) => stdin.write_all(format!("{line}\n").as_bytes()).await,
            None => Ok(()),
        }
    }

    /// The last lines on its standard error.
    pub fn log(&self) -> Vec<String> {
        let log = self.log.lock().unwrap_or_else(|e| e.into_inner());
        log.iter().cloned().collect()
    }

    /// Resolves when it has ended; any number of watchers.
    pub fn ended(&self) -> impl Future<Output = Ended> + Send + use<> {
        let mut exit = self.exit.clone();
        let name = self.name.clone();
        let log = self.log.clone();
        async move {
            let status = match exit.wait_for(Option::is_some).await {
                Ok(status) => status.unwrap_or_default(),
                Err(_) => ExitStatus::default(),
            };
            let log = log.lock().unwrap_or_else(|e| e.into_inner());
            Ended { name, status, log: log.iter().cloned().collect() }
        }
    }

    pub fn is_running(&self) -> bool {
        self.exit.borrow().is_none()
    }

    /// Nothing happens to a process that has ended.
    pub fn signal(&self, signal: Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid.cast_signed());
        if let Some(pid) = pid.filter(|_| self.is_running()) {
            // The only error left is that it has just ended.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Asks it to end, insists after `patience`.
    pub async fn stop(self, patience: Duration) -> Ended {
        self.signal(Signal::TERM);
        if let Ok(ended) = tokio::time::timeout(patience, self.ended()).await {
            return ended;
        }
        self.signal(Signal::KILL);
        self.ended().await
    }

    /// Resident memory in bytes (`VmRSS` of proc(5)); `None` when it has ended.
    pub fn resident_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    }
}

async fn kill(child: &mut Child) -> std::io::Result<ExitStatus> {
    child.start_kill()?;
    child.wait().await
}

async fn each_line(stream: Option<impl AsyncRead + Unpin>, mut sink: impl AsyncFnMut(String)) {
    let Some(stream) = stream else { return };
    let mut lines = BufReader::new(stream).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        sink(String::from_utf8_lossy(&line).into_owned()).await;
    }
}

/// SIGKILL for the child when the thread that spawned it ends, which the last moment of our process
/// is, too.
#[allow(unsafe_code)]
fn dies_with_us(command: &mut Command) {
    use rustix::process::{getppid, set_parent_process_death_signal};
    let us = rustix::process::getpid();
    let ask = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // We may have died between fork and here.
        if getppid() == Some(us) { Ok(()) } else { Err(std::io::ErrorKind::NotFound.into()) }
    };
    // SAFETY: between fork and exec only two system calls are made; nothing is allocated, no lock
    // is taken.
    unsafe { command.pre_exec(ask) };
}

/// The death signal comes when the spawning thread ends, and a runtime's threads come and go: one
/// thread, which lives as long as we do, spawns everything.
async fn spawn_on_lasting_thread(mut command: Command) -> std::io::Result<Child> {
    type Job = Box<dyn FnOnce() + Send>;
    static JOBS: LazyLock<std::sync::mpsc::Sender<Job>> = LazyLock::new(|| {
        let (sender, jobs) = std::sync::mpsc::channel::<Job>();
        std::thread::spawn(move || jobs.iter().for_each(|job| job()));
        sender
    });
    let (sender, child) = tokio::sync::oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    let job = Box::new(move || {
        let _guard = runtime.enter();
        let _ = sender.send(command.spawn());
    });
    let gone = || std::io::Error::other("the thread that spawns processes has ended");
    JOBS.send(job).map_err(|_| gone())?;
    child.await.map_err(|_| gone())?
}
