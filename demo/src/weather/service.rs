//! The services, and who calls whom.

use clap::ValueEnum;

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

    pub(super) fn port(self) -> u16 {
        match self {
            Service::Frontend => 3000,
            Service::Forecast => 3002,
            Service::Advertisement => 3003,
            Service::Recommendation => 3005,
        }
    }

    pub(super) fn calls(self, version: &str) -> &'static [Service] {
        match (self, version) {
            (Service::Frontend, _) => &[Service::Advertisement, Service::Forecast],
            (Service::Forecast, "v1") => &[],
            (Service::Forecast, _) => &[Service::Recommendation],
            (Service::Advertisement | Service::Recommendation, _) => &[],
        }
    }
}
