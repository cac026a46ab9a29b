//! setups.yaml, as types.

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use release_track::vocabulary::Carrier;
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

/// What is measured, and what must come out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setups {
    /// By the name that launch.sh knows.
    pub applications: BTreeMap<String, Application>,
    /// Of services that call each other.
    pub setups: Vec<Setup>,
    /// Of services with a message between: one produces it, and one that consumes it makes the call.
    pub messages: Vec<Setup>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// What it is written in, for people.
    pub language: String,
    /// What it is made of, for people.
    pub is: String,
    /// Its port's name in the mesh.
    #[serde(default)]
    pub port: Port,
}

/// How callers speak to an application, by Istio's names of ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Port {
    /// HTTP/1.1.
    #[default]
    Http,
    Http2,
    Grpc,
}

impl Port {
    pub fn name(self) -> &'static str {
        match self {
            Port::Http => "http",
            Port::Http2 => "http2",
            Port::Grpc => "grpc",
        }
    }
}

/// Applications that are instrumented in one way, and behave in one way.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// With the name of an application, its name in the mesh.
    pub id: String,
    /// For people.
    pub name: String,
    /// As launch.sh knows it.
    pub sdk: String,
    /// As `release-track check --sdk` knows it; several that behave alike share a name.
    pub check: Option<String>,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    pub applications: Vec<String>,
    /// A trace that the SDK reads.
    pub format: Format,
    /// One that it does not.
    pub another: Format,
    carried: Outcomes,
    minted: Option<Outcomes>,
    /// The one line that mends what is lost.
    pub mends: Option<String>,
}

/// Without a trace, with one of the SDK's format, and with one of another.
pub type Outcomes = [Outcome; 3];

impl Setup {
    pub fn expected(&self, mint: bool) -> Outcomes {
        self.minted.filter(|_| mint).unwrap_or(self.carried)
    }

    /// In the order of [`Outcomes`].
    pub fn arrivals(&self) -> [Option<Format>; 3] {
        [None, Some(self.format), Some(self.another)]
    }
}

/// By what the track came to the third service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Carried(Carrier),
    Lost,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::Carried(carrier) => carrier.label(),
            Outcome::Lost => "lost",
        })
    }
}

impl<'de> Deserialize<'de> for Outcome {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        match Carrier::of_label(&word) {
            Some(carrier) => Ok(Outcome::Carried(carrier)),
            None if word == "lost" => Ok(Outcome::Lost),
            None => Err(D::Error::custom(format!("{word} is neither a carrier nor `lost`"))),
        }
    }
}

/// A trace context, as some SDK sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Traceparent,
    B3,
    B3multi,
    Jaeger,
    Datadog,
}

impl Format {
    /// The headers of a trace that is recorded.
    pub fn headers(self, trace: u128, span: u64) -> Vec<(&'static str, String)> {
        match self {
            Format::Traceparent => vec![("traceparent", format!("00-{trace:032x}-{span:016x}-01"))],
            Format::B3 => vec![("b3", format!("{trace:032x}-{span:016x}-1"))],
            Format::B3multi => vec![
                ("x-b3-traceid", format!("{trace:032x}")),
                ("x-b3-spanid", format!("{span:016x}")),
                ("x-b3-sampled", "1".into()),
            ],
            Format::Jaeger => vec![("uber-trace-id", format!("{trace:032x}:{span:016x}:0:1"))],
            Format::Datadog => vec![
                ("x-datadog-trace-id", (trace as u64).to_string()),
                ("x-datadog-parent-id", span.to_string()),
                ("x-datadog-sampling-priority", "1".into()),
            ],
        }
    }
}

impl Setups {
    /// # Errors
    /// When the file says something that cannot be, in words for a person.
    pub fn load(folder: &Path) -> Result<Self> {
        let file = folder.join("setups.yaml");
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let setups: Self = serde_saphyr::from_str(&text)
            .map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
        let mut names = BTreeSet::new();
        for setup in setups.setups.iter().chain(&setups.messages) {
            for application in &setup.applications {
                let name = format!("{}-{application}", setup.id);
                ensure!(setups.applications.contains_key(application), "{name} is not known");
                ensure!(names.insert(name.clone()), "{name} is there twice");
            }
        }
        Ok(setups)
    }
}
