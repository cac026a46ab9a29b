//! `render`: the same installation in another form.

use crate::failure::Failure;
use crate::input::yaml::Node;
use crate::input::{self, manifest::Configuration};
use crate::output::say;
use crate::refusal::the_one;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  The filter as a dynamic module, on every gateway and sidecar that the plugin is for:
    release-track render --native wasmplugin.yaml | kubectl apply -f -
  The module lies elsewhere in the proxies' containers:
    release-track render --native --module /opt/release-track.so wasmplugin.yaml

The module must be in the container before its proxy starts: docs/native.md says how. Delete the
WasmPlugin first: two filters on one proxy undo each other.

Exit codes: 0 rendered, 1 the configuration is refused, 2 wrong usage.";

/// Print the EnvoyFilter that installs the filter as a dynamic module
///
/// It is made of the WasmPlugin, so that there is one source for both.
#[derive(Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Render {
    /// As a dynamic module of Envoy
    #[arg(long, required = true)]
    native: bool,
    /// Where the module lies in a proxy's container
    #[arg(long, value_name = "PATH", default_value = "/etc/release-track/librelease-track.so")]
    module: String,
    /// A file with the WasmPlugin or TrafficExtension; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Render {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let files = input::load(&[&self.file])?;
        let (source, _) = the_one(&files)?;
        say!("{}", envoy_filter(&source, &self.module)?.trim_end());
        for line in lost(&source) {
            anstream::eprintln!("release-track: {line}");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What the plugin says, and an EnvoyFilter has no place for.
fn lost(source: &Configuration<'_>) -> Vec<String> {
    let variables = source.environment.iter().flatten().map(|(name, _)| name);
    variables
        .map(|name| {
            format!("vmConfig.env: set {name} in the environment of the proxies themselves")
        })
        .collect()
}

fn envoy_filter(source: &Configuration<'_>, module: &str) -> Result<String, Failure> {
    let Some((object, _)) = source.plugin else {
        return Err(Failure::usage("this is a configuration alone: give the WasmPlugin around it"));
    };
    let spec = |way: &[&str]| object.node.at(&["spec"]).and_then(|spec| spec.at(way));
    if spec(&["targetRefs"]).or(spec(&["targetRef"])).is_some() {
        return Err(Failure::refused(format!(
            "{object}: it is for a waypoint or a gateway of the Gateway API (targetRefs), which \
             EnvoyFilter cannot name"
        )));
    }
    // Behind whatever authenticates and authorizes, where a rule reads what they set.
    let is_first = spec(&["phase"]).and_then(Node::text) == Some("AUTHN");
    let namespace = object.namespace.map(|name| format!("\n  namespace: {name}"));
    let labels = spec(&["selector", "matchLabels"]).map(Node::to_json);
    let selector = labels.map(|labels| format!("\n  workloadSelector: {{labels: {labels}}}"));
    let config = quoted(&source.node.to_json().to_string());
    let patches = [
        ("GATEWAY", "release-track"),
        ("SIDECAR_INBOUND", "release-track/inbound"),
        ("SIDECAR_OUTBOUND", "release-track/outbound"),
    ]
    .map(|(context, name)| patch(context, name, is_first, module, &config));
    Ok(format!(
        "# Of {object}, by `release-track render --native`.
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata:
  name: {}{}
spec:{}
  configPatches:
{}",
        object.name,
        namespace.unwrap_or_default(),
        selector.unwrap_or_default(),
        patches.concat(),
    ))
}

/// Into every HTTP connection manager of one kind of listener.
fn patch(context: &str, name: &str, is_first: bool, module: &str, config: &str) -> String {
    let (before, operation) = match is_first {
        true => ("", "INSERT_FIRST"),
        false => ("\n            subFilter: {name: envoy.filters.http.router}", "INSERT_BEFORE"),
    };
    format!(
        "  - applyTo: HTTP_FILTER
    match:
      context: {context}
      listener:
        filterChain:
          filter:
            name: envoy.filters.network.http_connection_manager{before}
    patch:
      operation: {operation}
      value:
        name: release-track
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter
          dynamic_module_config:
            module: {{local: {{filename: {}}}}}
            do_not_close: true
          filter_name: {name}
          filter_config:
            '@type': type.googleapis.com/google.protobuf.StringValue
            value: {config}
",
        quoted(module)
    )
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
