//! A Prometheus that scrapes the mesh's Envoys, and knows the project's alert rules.

use anyhow::{Context, Result, ensure};
use mesh::envoy::Admin;
use mesh::ports::Port;
use mesh::process::Process;
use mesh::{Mesh, Pod};
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

/// How long it may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What it is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    pub binary: PathBuf,
    /// Rules of alerts, in Prometheus' own form.
    pub rules: PathBuf,
    /// Default: any free one.
    pub port: Option<u16>,
}

/// Dropping it kills it.
pub struct Prometheus {
    process: Process,
    api: Admin,
    _folder: TempDir,
}

impl Prometheus {
    /// Returns when it responds.
    pub async fn start(setup: Setup, mesh: &Mesh) -> Result<Self> {
        let Setup { binary, rules, port } = setup;
        ensure!(
            binary.is_file(),
            "There is no Prometheus at {}: `make demo PROMETHEUS=on` installs one.",
            binary.display()
        );
        let port = match port {
            Some(port) => Port::exactly(port).map_err(|_| mesh::Error::PortInUse(port))?,
            None => Port::any()?,
        };
        let address = port.address();
        let folder = tempfile::Builder::new().prefix("prometheus-").tempdir()?;
        // JSON is YAML.
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, config(mesh.pods(), &rules).to_string())?;
        // Unlike Envoy, it listens only where nobody holds the port.
        drop(port);
        let mut command = Command::new(&binary);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg("--storage.tsdb.retention.time=2h")
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn");
        let process = Process::spawn("Prometheus", command).await;
        let process = process.with_context(|| binary.display().to_string())?;
        let api = Admin::new("Prometheus", address);
        let ready = async {
            while api.get("/-/ready").await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            ended = process.ended() => return Err(ended.into()),
            ready = tokio::time::timeout(PATIENCE, ready) => ready.with_context(|| {
                format!("Prometheus is not ready after {} s", PATIENCE.as_secs())
            })?,
        }
        Ok(Prometheus { process, api, _folder: folder })
    }

    pub fn address(&self) -> SocketAddr {
        self.api.address()
    }

    /// What an expression is now: the series of an instant vector, as its API has them.
    /// <https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries>
    pub async fn query(&self, expression: &str) -> Result<Vec<Value>> {
        let escaped: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let text = self.api.get(&format!("/api/v1/query?query={escaped}")).await?;
        let mut response: Value = serde_json::from_str(&text)?;
        match response["data"]["result"].take() {
            Value::Array(series) => Ok(series),
            _ => anyhow::bail!("{expression}: {text}"),
        }
    }

    pub async fn stop(self) {
        self.process.stop(Duration::from_secs(5)).await;
    }
}

/// It scrapes often: whoever looks at the demo does not want to wait.
fn config(pods: &[Pod], rules: &Path) -> Value {
    let targets = pods.iter().map(|pod| {
        let proxy = pod.proxy();
        let mut labels = json!({"namespace": proxy.namespace, "pod": pod.name()});
        for name in ["app", "version"] {
            if let Some(value) = pod.labels().get(name) {
                labels[name] = json!(value);
            }
        }
        json!({"targets": [proxy.admin.to_string()], "labels": labels})
    });
    json!({
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [rules],
        "scrape_configs": [{
            "job_name": "envoys",
            "metrics_path": "/stats/prometheus",
            "fallback_scrape_protocol": "PrometheusText0.0.4",
            "static_configs": targets.collect::<Vec<_>>(),
        }],
    })
}
