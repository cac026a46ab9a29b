//! What the modules are, and what they do in the test host, where nothing is noise: instructions
//! and hostcalls.

use crate::client;
use crate::plan::{Direction, Node, Situation};
use crate::variant::{Filters, Variant};
use anyhow::{Context as _, Result};
use flate2::{Compression, write::GzEncoder};
use proxy_wasm_test_host::{Callback, Host, Module, Plugin};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

/// A module as a file.
pub(crate) struct Size {
    pub(crate) raw: usize,
    pub(crate) gzipped: usize,
    /// SHA-256, hex.
    pub(crate) digest: String,
}

impl Size {
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&bytes)?;
        let digest = hmac_sha256::Hash::hash(&bytes).iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        Ok(Self { raw: bytes.len(), gzipped: encoder.finish()?.len(), digest })
    }
}

/// One request and its answer in the guest.
pub(crate) struct Work {
    /// Instructions of all callbacks, in the interpreter's units.
    pub(crate) fuel: u64,
    /// Hostcalls in the request phase.
    pub(crate) hostcalls: usize,
}

/// What a variant does in a situation; `None` for one that is no module.
pub(crate) fn work(
    node: &Node,
    situation: &Situation,
    variant: &Variant,
    filters: &Filters,
) -> Result<Option<Work>> {
    let Some((module, config)) = filters.module(variant) else { return Ok(None) };
    let host = Host::new();
    host.set_node(&node.id, node.labels.iter().map(|(name, value)| (&**name, &**value)));
    let module = Module::from_file(module).with_context(|| module.display().to_string())?;
    let plugin = host.vm(&module)?.configure(config)?;
    if let Some(headers) = &situation.before {
        send(&plugin, Direction::Inbound, headers);
    }
    // What only the first request does is no cost of a request.
    send(&plugin, situation.direction, &situation.headers);
    plugin.vm().open_journal();
    send(&plugin, situation.direction, &situation.headers);
    let journal = plugin.vm().close_journal();
    let hostcalls = journal.of(Callback::RequestHeaders).calls().count();
    Ok(Some(Work { fuel: journal.fuel(), hostcalls }))
}

fn send(plugin: &Plugin, direction: Direction, headers: &[(String, String)]) {
    let mut stream = plugin.stream();
    stream.set_property("xds.listener_direction", direction as i64);
    stream.set_property("xds.cluster_name", crate::proxy::CLUSTER_V1);
    stream.request_headers(client::header_map(headers), true);
    stream.response_headers([(":status", "200")], true);
    stream.end();
}
