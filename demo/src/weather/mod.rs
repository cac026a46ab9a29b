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

use clap::ValueEnum;
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
