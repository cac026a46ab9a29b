//! Asking others over HTTP.

use std::sync::Arc;
use std::time::Duration;
use ureq::http::Response;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

/// How somebody is asked.
pub(crate) struct How {
    /// For a whole response.
    pub(crate) patience: Duration,
    /// Any certificate is believed.
    pub(crate) insecure: bool,
    /// Not through the proxy that the environment names.
    pub(crate) directly: bool,
}

/// By HTTPS, it believes the authorities that this system believes. A status is no error.
pub(crate) fn agent(how: &How) -> Agent {
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .disable_verification(how.insecure)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let mut config = Agent::config_builder()
        .tls_config(tls.build())
        .http_status_as_error(false)
        .timeout_global(Some(how.patience))
        .user_agent(concat!("release-track/", env!("CARGO_PKG_VERSION")));
    if how.directly {
        config = config.proxy(None);
    }
    config.build().into()
}

/// A body of so many bytes at most.
pub(crate) fn read(mut response: Response<Body>, limit: u64) -> Result<Vec<u8>, ureq::Error> {
    response.body_mut().with_config().limit(limit).read_to_vec()
}
