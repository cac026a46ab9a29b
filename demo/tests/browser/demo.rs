//! The demo as a person starts it, on free ports.

use anyhow::{Context, Result, bail, ensure};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long it may take to start or to stop on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Demo {
    /// Addresses, as it names them itself.
    pub(crate) page: String,
    pub(crate) graph: String,
    /// All that it says.
    pub(crate) said: Vec<String>,
    process: Child,
}

impl Demo {
    pub(crate) async fn start() -> Result<Self> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_demo"))
            .args(["run", "--port=0", "--graph-port=0"])
            .args(["--forward=request-id", "--filter=on", "--routes=story"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("the demo")?;
        let stdout = process.stdout.take().context("the demo's output")?;
        let mut lines = BufReader::new(stdout).lines();
        let welcome = async {
            let mut said = Vec::new();
            while let Some(line) = lines.next_line().await? {
                let is_last = line.starts_with("Ctrl-C");
                said.push(line);
                if is_last {
                    return anyhow::Ok(said);
                }
            }
            bail!("the demo ended, having said {said:#?}")
        };
        let said = timeout(PATIENCE, welcome).await.context("the demo does not start")??;
        let address = |what: &str| {
            let rest = said.iter().find_map(|line| line.strip_prefix(what));
            let address = rest.and_then(|rest| rest.split_whitespace().next());
            address.map(str::to_owned).with_context(|| format!("no address of {what}"))
        };
        let (page, graph) = (address("The weather app:")?, address("The traffic graph:")?);
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Demo { page, graph, said, process })
    }

    /// As Ctrl-C does.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let id = self.process.id().context("the demo has ended before")?;
        let id = rustix::process::Pid::from_raw(id.cast_signed()).context("the demo's id")?;
        rustix::process::kill_process(id, rustix::process::Signal::INT)?;
        let ended = timeout(PATIENCE, self.process.wait()).await;
        let status = ended.context("the demo does not stop")??;
        ensure!(status.success(), "the demo ended with {status}");
        Ok(())
    }
}
