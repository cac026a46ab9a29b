//! A registry with an image of every kind that `check --image` tells apart, for the transcripts.
//!
//! | repository | who may read it |
//! | --- | --- |
//! | `release-track` | everybody |
//! | `private/release-track` | `tester` with the password `secret` (RFC 7617) |
//! | `team/release-track` | whoever brings a token that the same login gets |
//! | `closed/release-track` | nobody |

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::{iter, thread};

const REPOSITORY: &str = "release-track";
const LOGIN: &str = "authorization: Basic dGVzdGVyOnNlY3JldA==";
const TOKEN: &str = "authorization: Bearer for-pulls";

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const ZSTD_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
const WASM_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
const WASM_CONFIG: &str = "application/vnd.module.wasm.config.v1+json";

/// As long as `registry.example.com`, so that what a transcript underlines stays in its place.
const ADDRESS: &str = "127.10.100.100";

/// As much of a module as is looked at: a custom section with a text.
fn module(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    [b"\0asm\x01\0\0\0", &[0, length + 1, length][..], text.as_bytes()].concat()
}

/// What was built, as far as the transcripts know.
pub(crate) fn built() -> Vec<u8> {
    module("release-track: built here")
}

/// Starts one that serves as long as the process lives. Returns its `HOST:PORT`.
pub(crate) fn start() -> String {
    let port = iter::from_fn(|| Some(TcpListener::bind((ADDRESS, 0)).unwrap()))
        .find(|listener| listener.local_addr().unwrap().port() >= 10_000);
    let listener = port.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let store = Arc::new(Store::filled());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let store = Arc::clone(&store);
            // A client that goes away has had enough.
            thread::spawn(move || store.serve(&stream.unwrap()).ok());
        }
    });
    address
}

/// Manifests and blobs, by what a request's path ends with.
#[derive(Default)]
struct Store(HashMap<String, Vec<u8>>);

impl Store {
    fn filled() -> Self {
        let mut store = Self::default();
        let built = built();
        let docker = store.image(DOCKER, &[(DOCKER_LAYER, archive("plugin.wasm", &built))]);
        store.tag("0.1.0", &docker);
        let base = (LAYER, archive("etc/os-release", b""));
        let oci = store.image(OCI, &[base, (LAYER, archive("./plugin.wasm", &built))]);
        store.tag("0.1.0-oci", &oci);
        let artifact =
            store.image(OCI, &[(WASM_CONFIG, b"{}".to_vec()), (WASM_LAYER, built.clone())]);
        store.tag("0.1.0-artifact", &artifact);
        for (tag, platforms) in [("0.1.0-list", &["arm64", "amd64"][..]), ("0.1.0-arm", &["arm64"])]
        {
            let children = platforms.iter().map(|platform| {
                let platform = json!({"architecture": platform, "os": "linux"});
                json!({"digest": digest(&docker), "mediaType": DOCKER, "platform": platform})
            });
            let children: Vec<_> = children.collect();
            let list = store.manifest(&json!({"manifests": children, "mediaType": INDEX}));
            store.tag(tag, &list);
        }
        let older = module("release-track: built before");
        for (tag, kind, file) in [
            ("older", LAYER, archive("plugin.wasm", &older)),
            ("zstd", ZSTD_LAYER, archive("plugin.wasm", &built)),
            ("elsewhere", LAYER, archive("filter.wasm", &built)),
            ("foreign", LAYER, archive("plugin.wasm", &module("another filter"))),
            ("no-archive", LAYER, built.clone()),
        ] {
            let image = store.image(OCI, &[(kind, file)]);
            store.tag(tag, &image);
        }
        let lost = store.image(OCI, &[(LAYER, archive("plugin.wasm", b"lost"))]);
        store.0.remove(&format!("blobs/{}", digest(&archive("plugin.wasm", b"lost"))));
        store.tag("lost", &lost);
        let torn = archive("plugin.wasm", b"torn");
        let image = store.image(OCI, &[(LAYER, torn.clone())]);
        store.0.insert(format!("blobs/{}", digest(&torn)), torn[..9].to_vec());
        store.tag("torn", &image);
        store.tag("no-manifest", b"<html>");
        store
    }

    fn image(&mut self, kind: &str, layers: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let layers = layers.iter().map(|(kind, bytes)| {
            self.0.insert(format!("blobs/{}", digest(bytes)), bytes.clone());
            json!({"digest": digest(bytes), "mediaType": kind, "size": bytes.len()})
        });
        let layers: Vec<_> = layers.collect();
        self.manifest(&json!({"layers": layers, "mediaType": kind}))
    }

    /// Members stand in the order of their names: so they come out of any build of the library.
    fn manifest(&mut self, value: &Value) -> Vec<u8> {
        let bytes = value.to_string().into_bytes();
        self.0.insert(format!("manifests/{}", digest(&bytes)), bytes.clone());
        bytes
    }

    fn tag(&mut self, tag: &str, manifest: &[u8]) {
        self.0.insert(format!("manifests/{tag}"), manifest.to_vec());
    }

    /// One request; whoever speaks TLS is left alone.
    fn serve(&self, stream: &TcpStream) -> std::io::Result<()> {
        let mut first = [0];
        stream.peek(&mut first)?;
        if first != *b"G" {
            return Ok(());
        }
        let mut lines = BufReader::new(stream).lines();
        let line = lines.next().unwrap()?;
        let headers: Vec<_> =
            lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        let has = |wanted: &str| headers.iter().any(|header| header.eq_ignore_ascii_case(wanted));
        let host = headers.iter().find_map(|header| header.strip_prefix("host: ")).unwrap();
        let path = line.split(' ').nth(1).unwrap();
        let (realm, service) = (format!("http://{host}/token"), "registry.example.com");
        let bearer = format!("Bearer realm=\"{realm}\",service=\"{service}\",scope=\"pull\"");
        let (status, challenge, body) = if path.starts_with("/token?") && has(LOGIN) {
            (200, None, br#"{"token": "for-pulls"}"#.to_vec())
        } else if path.starts_with("/token?") {
            (401, None, Vec::new())
        } else if path.contains("/closed/") {
            (403, None, Vec::new())
        } else if path.contains("/private/") && !has(LOGIN) {
            (401, Some("Basic realm=\"private\"".to_owned()), Vec::new())
        } else if path.contains("/team/") && !has(TOKEN) {
            (401, Some(bearer), Vec::new())
        } else {
            let (_, wanted) = path.split_once(&format!("{REPOSITORY}/")).unwrap_or_default();
            match self.0.get(wanted) {
                Some(body) => (200, None, body.clone()),
                None => (404, None, Vec::new()),
            }
        };
        let challenge = challenge.map(|challenge| format!("www-authenticate: {challenge}\r\n"));
        let head = format!(
            "HTTP/1.1 {status} Status\r\n{}content-length: {}\r\nconnection: close\r\n\r\n",
            challenge.unwrap_or_default(),
            body.len()
        );
        let mut stream = stream;
        stream.write_all(head.as_bytes())?;
        stream.write_all(&body)?;
        stream.shutdown(std::net::Shutdown::Write)?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    }
}

/// A layer with one file, the same in every version of the compressor.
fn archive(name: &str, file: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_size(file.len() as u64);
    header.set_mode(0o644);
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::none()));
    archive.append_data(&mut header, name, file).unwrap();
    archive.into_inner().unwrap().finish().unwrap()
}

fn digest(bytes: &[u8]) -> String {
    let digits =
        hmac_sha256::Hash::hash(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("sha256:{digits}")
}
