//! One Envoy process: found, started from a bootstrap, asked through its admin port.

use crate::process::{Ended, Process, Signal};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;

/// The version that the project installs for itself.
pub const VERSION: &str = "1.40.0";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "There is no Envoy at {}: `make envoy` installs {VERSION} into the project, ENVOY=<path> uses another.",
        .0.display()
    )]
    Missing(PathBuf),
    #[error("{} does not say which version it is: {said}", binary.display())]
    Version { binary: PathBuf, said: String },
    #[error("{name}: {cause}")]
    Start { name: String, cause: std::io::Error },
    #[error(transparent)]
    Ended(#[from] Ended),
    #[error("{name} is not ready after {} s{}", .after.as_secs(), lines(log))]
    NotReady { name: String, after: Duration, log: Vec<String> },
    #[error("{name} still has requests {} s after its drain began", after.as_secs())]
    Busy { name: String, after: Duration },
    #[error("{name}: no response from its admin port to {path}: {message}")]
    Admin { name: String, path: String, message: String },
}

pub(crate) fn lines(log: &[String]) -> String {
    log.iter().map(|line| format!("\n  {line}")).collect()
}

/// `$ENVOY`, or the one in the `.envoy` folder of the working directory or one above it.
pub fn find() -> Result<PathBuf, Error> {
    let relative = format!(".envoy/{VERSION}/envoy/_bin/envoy");
    let path = match std::env::var_os("ENVOY").filter(|path| !path.is_empty()) {
        Some(path) => path.into(),
        None => {
            let here = std::env::current_dir().unwrap_or_default();
            let mut found = here.ancestors().map(|folder| folder.join(&relative));
            found.find(|path| path.exists()).unwrap_or_else(|| here.join(&relative))
        }
    };
    if path.is_file() { Ok(path) } else { Err(Error::Missing(path)) }
}

/// Major and minor version, such as (1, 40): what differs between Envoys differs by that.
pub fn version(binary: &Path) -> Result<(u32, u32), Error> {
    ask_version(binary, parse_version)
}

/// The whole version, such as `1.40.0`.
pub fn full_version(binary: &Path) -> Result<String, Error> {
    ask_version(binary, |said| parse_full_version(said).map(str::to_owned))
}

fn ask_version<T>(binary: &Path, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, Error> {
    let said = match std::process::Command::new(binary).arg("--version").output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    parse(&said).ok_or_else(|| Error::Version { binary: binary.into(), said })
}

/// `envoy  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL`
fn parse_full_version(said: &str) -> Option<&str> {
    let (_, build) = said.split_once("version: ")?;
    build.split('/').nth(1)
}

fn parse_version(said: &str) -> Option<(u32, u32)> {
    let mut numbers = parse_full_version(said)?.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// How to run it, beyond the bootstrap.
#[derive(Clone, Debug)]
pub struct Options {
    pub binary: PathBuf,
    /// Worker threads.
    pub workers: usize,
    /// As for `--log-level`.
    pub log_level: String,
    /// How long a graceful drain of listeners takes.
    pub drain: Duration,
}

impl Options {
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Options {
            binary: binary.into(),
            workers: 1,
            log_level: "warning".into(),
            drain: Duration::from_secs(5),
        }
    }
}

/// Dropping it kills the process.
pub struct Envoy {
    process: Process,
    admin: Admin,
}

impl Envoy {
    /// Starts an Envoy whose bootstrap (JSON) is in `bootstrap` and binds its admin port to
    /// `admin`.
    pub async fn start(
        name: &str,
        options: &Options,
        bootstrap: &Path,
        admin: SocketAddr,
    ) -> Result<Self, Error> {
        if !options.binary.is_file() {
            return Err(Error::Missing(options.binary.clone()));
        }
        let mut command = Command::new(&options.binary);
        command
            .arg("--config-path")
            .arg(bootstrap)
            // Hot restart would make Envoys on one machine share memory.
            .arg("--disable-hot-restart")
            .args(["--concurrency", &options.workers.to_string()])
            .args(["--log-level", &options.log_level])
            .args(["--drain-time-s", &options.drain.as_secs().to_string()]);
        let process = Process::spawn(name, command)
            .await
            .map_err(|cause| Error::Start { name: name.into(), cause })?;
        Ok(Envoy { process, admin: Admin::new(name, admin) })
    }

    /// Waits until it serves.
    pub async fn ready(&self, patience: Duration) -> Result<(), Error> {
        let poll = async {
            while self.admin.get("/ready").await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            ended = self.process.ended() => Err(ended.into()),
            ready = tokio::time::timeout(patience, poll) => ready.map_err(|_| Error::NotReady {
                name: self.process.name().into(),
                after: patience,
                log: self.process.log(),
            }),
        }
    }

    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Tells callers to go elsewhere, and returns when no request is left. What the application
    /// behind it still calls goes through.
    pub async fn drain(&self, patience: Duration) -> Result<(), Error> {
        let path = "/drain_listeners?inboundonly&graceful";
        self.admin.post(path).await?;
        let idle = async {
            while self.admin.active_requests().await? > 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok(())
        };
        let idle = tokio::time::timeout(patience, idle).await;
        idle.unwrap_or_else(|_| {
            Err(Error::Busy { name: self.process.name().into(), after: patience })
        })
    }

    /// Asks it to end, insists after `patience`.
    pub async fn stop(self, patience: Duration) -> Ended {
        self.process.stop(patience).await
    }

    pub fn kill(&self) {
        self.process.signal(Signal::KILL);
    }
}

/// Envoy's admin port. <https://www.envoyproxy.io/docs/envoy/v1.40.0/operations/admin>
#[derive(Clone)]
pub struct Admin {
    name: String,
    address: SocketAddr,
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl Admin {
    pub fn new(name: &str, address: SocketAddr) -> Self {
        Admin {
            name: name.into(),
            address,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// # Errors
    /// Every response but 200.
    pub async fn get(&self, path: &str) -> Result<String, Error> {
        self.ask(Method::GET, path).await
    }

    pub async fn post(&self, path: &str) -> Result<String, Error> {
        self.ask(Method::POST, path).await
    }

    async fn ask(&self, method: Method, path: &str) -> Result<String, Error> {
        let error =
            |message: String| Error::Admin { name: self.name.clone(), path: path.into(), message };
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .body(Empty::new())
            .map_err(|e| error(e.to_string()))?;
        let response = async {
            let response = self.client.request(request).await;
            let (head, body) = response.map_err(|e| error(chain(&e)))?.into_parts();
            let body = body.collect().await.map_err(|e| error(chain(&e)))?;
            let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            match head.status {
                StatusCode::OK => Ok(text),
                status => Err(error(format!("{status} {text}"))),
            }
        };
        tokio::time::timeout(Duration::from_secs(60), response)
            .await
            .map_err(|_| error("silence for 60 s".into()))?
    }

    /// Statistics whose name matches `filter` (a regex): counters and gauges as numbers, text
    /// readouts as strings.
    pub async fn stats(&self, filter: &str) -> Result<Vec<(String, Value)>, Error> {
        let filter: String = filter.bytes().map(percent).collect();
        let text = self.get(&format!("/stats?format=json&filter={filter}")).await?;
        let document: Value = serde_json::from_str(&text).unwrap_or_default();
        let stats = document["stats"].as_array().cloned().unwrap_or_default();
        Ok(stats
            .into_iter()
            .filter_map(|mut stat| {
                let name = stat["name"].as_str()?.to_owned();
                Some((name, stat["value"].take()))
            })
            .collect())
    }

    /// Requests that its listeners' clients wait for.
    pub async fn active_requests(&self) -> Result<u64, Error> {
        let stats = self.stats("^http\\..*downstream_rq_active$").await?;
        let ours = |name: &str| !name.starts_with("http.admin.");
        let values = stats.iter().filter(|(name, _)| ours(name));
        Ok(values.filter_map(|(_, value)| value.as_u64()).sum())
    }
}

fn percent(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() { char::from(byte).into() } else { format!("%{byte:02X}") }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_version;

    #[test]
    fn reads_what_envoy_says_of_its_version() {
        let says = |build: &str| parse_version(&format!("/opt/envoy  version: {build}"));
        assert_eq!(says("bad8280de/1.36.4/Clean/RELEASE/BoringSSL"), Some((1, 36)));
        assert_eq!(says("0/2.0.0-dev/Modified/DEBUG/BoringSSL"), Some((2, 0)));
        assert_eq!(says("bad8280de"), None);
        assert_eq!(parse_version("No such file or directory"), None);
    }
}
