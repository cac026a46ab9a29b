//! Which proxy this is: Envoy tells a dynamic module nothing of its node (`xds.node` is empty), but
//! the file that it was started with does. In Istio's proxy that is what pilot-agent wrote.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// The node of a bootstrap (Envoy: `config.core.v3.Node`), as far as the filter reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Node {
    id: String,
    metadata: Metadata,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Metadata {
    /// The pod's labels.
    #[serde(rename = "LABELS")]
    labels: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Bootstrap {
    node: Node,
}

impl Node {
    #[cfg(any(test, feature = "stand-in"))]
    pub(crate) fn new(id: &str, labels: &[(&str, &str)]) -> Self {
        let labels = labels.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        Self { id: id.into(), metadata: Metadata { labels } }
    }

    /// A property below `xds.node`, by its path without that.
    pub(crate) fn property(&self, path: &[u8]) -> Option<&str> {
        if path == b"id" {
            return Some(&self.id);
        }
        let label = path.strip_prefix(b"metadata\0LABELS\0")?;
        self.metadata.labels.get(std::str::from_utf8(label).ok()?).map(String::as_str)
    }

    /// `arguments`: of the process, each followed by a NUL.
    pub(crate) fn read(arguments: &[u8]) -> Result<Self, String> {
        let path = bootstrap(arguments).ok_or("Envoy was started without --config-path")?;
        Self::of_file(&path).map_err(|why| format!("{}: {why}", path.display()))
    }

    fn of_file(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let bootstrap: Bootstrap = serde_json::from_reader(BufReader::new(file))
            .map_err(|error| format!("not a bootstrap in JSON: {error}"))?;
        Ok(bootstrap.node)
    }
}

/// The file that `-c` or `--config-path` names.
fn bootstrap(arguments: &[u8]) -> Option<PathBuf> {
    let mut arguments = arguments.split(|b| *b == 0);
    arguments.find(|argument| matches!(*argument, b"-c" | b"--config-path"))?;
    Some(PathBuf::from(std::str::from_utf8(arguments.next()?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_name_the_bootstrap() {
        let of = |arguments: &str| bootstrap(arguments.replace(' ', "\0").as_bytes());
        let istios = "/usr/local/bin/envoy -c etc/istio/proxy/envoy-rev.json --drain-time-s 45 ";
        assert_eq!(of(istios), Some("etc/istio/proxy/envoy-rev.json".into()));
        assert_eq!(of("envoy --log-level info --config-path /a.json "), Some("/a.json".into()));
        assert_eq!(of("envoy --config-yaml {} "), None);
        assert_eq!(of("envoy -c"), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn the_bootstrap_tells_id_and_labels() {
        let folder =
            std::env::temp_dir().join(format!("release-track-node-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("bootstrap.json");
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let arguments = format!("envoy\0-c\0{}\0", file.display());
            Node::read(arguments.as_bytes())
        };
        let node = read(
            r#"{"application_log_config": {}, "node": {"id": "sidecar~1~a.b~b.svc", "cluster": "a",
                "metadata": {"NAME": "a", "LABELS": {"app": "a", "version": "v2"}, "X": [1]}}}"#,
        );
        let node = node.unwrap();
        assert_eq!(node.property(b"id"), Some("sidecar~1~a.b~b.svc"));
        assert_eq!(node.property(b"metadata\0LABELS\0version"), Some("v2"));
        for none in ["metadata\0LABELS\0other", "metadata\0NAME", "", "id\0x"] {
            assert_eq!(node.property(none.as_bytes()), None, "{none:?}");
        }
        assert_eq!(read("{}"), Ok(Node::default()));
        for wrong in ["node: {id: x}", "", "{\"node\": {\"id\": 1}}"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
