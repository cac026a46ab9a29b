//! The weather app: four services, one program.
//!
//! `frontend` calls `advertisement` and `forecast`; `forecast` calls `recommendation` from its v2 on.

mod calls;
pub mod forecast;
mod forward;
mod page;
mod server;

pub use forward::Forward;
pub use page::{CONTENT_SECURITY_POLICY, Page};
pub use server::serve;

use crate::release::{PREVIEW_KEY, PREVIEW_TRACK};
use clap::ValueEnum;
use release_track::{decide::token::Key, track::Name};
use std::net::SocketAddr;

/// Serves one workload of the weather app.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[arg(long, value_enum)]
    pub service: Service,
    /// Told in every answer; decides what is called and how the page looks.
    #[arg(long)]
    pub version: String,
    #[arg(long, env = "LISTEN", default_value = "0.0.0.0:3000")]
    pub listen: SocketAddr,
    /// Where calls to other services go, whatever their name; without it, to their name.
    #[arg(long, env = "EGRESS")]
    pub egress: Option<SocketAddr>,
    /// What is passed on from a request to the calls that are made for it.
    #[arg(long, value_enum, env = "FORWARD", default_value = "request-id")]
    pub forward: Forward,
    /// Take lines `forward <what>` on standard input.
    #[arg(long, env = "SWITCHABLE")]
    pub switchable: bool,
    /// Offer a preview link, signed with this key of 32 to 128 hex digits.
    #[arg(long, env = PREVIEW_KEY, hide_env_values = true, value_parser = key, requires = "preview_track")]
    pub preview_key: Option<Key>,
    /// The track that it is for.
    #[arg(long, env = PREVIEW_TRACK, value_parser = name)]
    pub preview_track: Option<Name>,
}

fn key(text: &str) -> Result<Key, &'static str> {
    Key::parse(text).ok_or("a key is 32 to 128 hex digits")
}

fn name(text: &str) -> Result<Name, &'static str> {
    Name::parse(text).ok_or("a track's name is 1 to 63 letters, digits, or any of . _ -")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Service {
    Frontend,
    Forecast,
    Advertisement,
    Recommendation,
}

impl Service {
    pub fn name(self) -> &'static str {
        match self {
            Service::Frontend => "frontend",
            Service::Forecast => "forecast",
            Service::Advertisement => "advertisement",
            Service::Recommendation => "recommendation",
        }
    }

    fn port(self) -> u16 {
        match self {
            Service::Frontend => 3000,
            Service::Forecast => 3002,
            Service::Advertisement => 3003,
            Service::Recommendation => 3005,
        }
    }

    fn calls(self, version: &str) -> &'static [Service] {
        match (self, version) {
            (Service::Frontend, _) => &[Service::Advertisement, Service::Forecast],
            (Service::Forecast, "v1") => &[],
            (Service::Forecast, _) => &[Service::Recommendation],
            (Service::Advertisement | Service::Recommendation, _) => &[],
        }
    }
}
