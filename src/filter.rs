//! The filter: a configuration at work, and which part of it has a request.

use crate::answer::{self, Answer};
use crate::config::Config;
use crate::host::{Host, Level, Verdict};
use crate::instance::Instance;
use crate::node::{Direction, Kind};
use crate::step::Step;
use crate::{edge, sidecar};
use std::cell::Cell;

/// A configured filter.
#[derive(Debug)]
pub struct Filter {
    instance: Instance,
    warned: Cell<bool>,
}

impl Filter {
    /// Reads a configuration and the proxy's node. What is wrong with it is one line in the
    /// proxy's log, and `None`: the proxy then keeps the configuration that it had.
    pub fn configure(host: &mut impl Host, json: &[u8]) -> Option<Self> {
        match Config::parse(json) {
            Ok(config) => Some(Self::new(host, config)),
            Err(error) => {
                host.log(Level::Error, &format!("release-track: configuration refused: {error}"));
                None
            }
        }
    }

    /// A filter for the proxy at hand.
    pub fn new(host: &mut impl Host, config: Config) -> Self {
        Self { instance: Instance::new(host, config), warned: Cell::new(false) }
    }

    /// The request headers have arrived.
    pub fn on_request(&self, host: &mut impl Host, answer: &mut Answer) -> Verdict {
        let instance = &self.instance;
        match (instance.node.kind, instance.config.edge.gateway) {
            (Kind::Gateway, true) => edge::gateway(instance, host, answer),
            (Kind::Gateway, false) | (Kind::Waypoint, _) => sidecar::waypoint(instance, host),
            (Kind::Sidecar, _) => self.at_sidecar(host, answer),
            (Kind::Unknown, _) => self.do_nothing(host, "its node id is none of Istio's"),
        }
    }

    fn at_sidecar(&self, host: &mut impl Host, answer: &mut Answer) -> Verdict {
        let instance = &self.instance;
        let Ok(headers) = host.request_headers() else { return Verdict::Continue };
        let request = instance.view(&headers);
        // To ask for the direction is a hostcall, and most requests can do without.
        if !host.listens() && sidecar::has_nothing_to_do(instance, host, &request) {
            return Verdict::Continue;
        }
        match Direction::read(host) {
            Some(Direction::Inbound) if instance.node.decides_inbound => {
                edge::inbound(instance, host, &request, answer)
            }
            Some(Direction::Inbound) => sidecar::inbound(instance, host, &request),
            Some(Direction::Outbound) => sidecar::outbound(instance, host, &request),
            None => self.do_nothing(host, "its listener has no direction"),
        }
    }

    /// The answer's headers have arrived.
    pub fn on_response(&self, host: &mut impl Host, answer: &Answer) {
        answer::complete(&self.instance, host, answer);
    }

    fn do_nothing(&self, host: &mut impl Host, why: &str) -> Verdict {
        host.explain(Step::Nothing(why));
        if !self.warned.replace(true) {
            let id = &self.instance.node.id;
            host.log(
                Level::Warn,
                &format!("release-track: does nothing on this proxy ({id:?}): {why}"),
            );
        }
        Verdict::Continue
    }
}
