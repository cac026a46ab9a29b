//! release-track: a Proxy-Wasm filter that keeps every hop of a request on the release it
//! started on.
//!
//! ```text
//! wasm        the proxy: the SDK's callbacks, the `proxy_*` calls
//! exchange    in place of it, a request and its response on a proxy that is not there
//! filter      a configuration at work on one proxy: which role has a request
//! config      pluginConfig -> types that cannot be wrong
//! roles       gateway, inbound, outbound, waypoint: a view and facts in, a decision out
//! decide      which track a request follows: preview, rules, share
//! gauges      the configuration and the shares in force, as metrics
//! guard       stops shares whose responses fail
//! plan        what a decision comes to, and the one place that writes it
//! carrier     where a track is kept in a request: the propagator is the table of all carriers
//! istio       what Istio names: proxies, clusters, stats
//! host        what the core asks of a proxy: facts, and effects
//! vocabulary  the words that metrics and people are told
//! track       the names of tracks
//! syntax      cookies, targets, hex digits, patterns
//! ```
//!
//! A request goes down this list and up again: [`filter`] asks a role, the role reads a view of the
//! request and returns a decision, a plan is made of it, and applied once.
//!
//! Everything below `exchange` is the core: it sees the proxy only through [`host`], compiles natively,
//! and never panics. Header data are bytes throughout.

pub mod carrier;
pub mod config;
pub mod decide;
pub mod filter;
mod gauges;
pub mod guard;
pub mod host;
pub mod istio;
pub mod plan;
mod roles;
pub mod syntax;
pub mod track;
pub mod vocabulary;

#[cfg(not(target_family = "wasm"))]
pub mod exchange;
#[cfg(target_family = "wasm")]
mod wasm;
