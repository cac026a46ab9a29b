//! What a registry gives for the name of an image, found by the rules of Istio's agents
//! (`pkg/wasm/imagefetcher.go`): they take the module from it, or nothing.

mod client;
mod reference;

use client::Client;
pub(crate) use client::{Error, Login};
use flate2::read::MultiGzDecoder;
pub(crate) use reference::{Reference, Version};
use serde::Deserialize;
use std::io::Read;

/// As much as an agent takes: `ISTIO_WASM_MAX_BINARY_SIZE_BYTES`.
const MAX_MODULE: u64 = 256 << 20;
const MAX_MANIFEST: u64 = 4 << 20;

const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const WASM_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";

/// What an agent gets.
pub(crate) struct Image {
    /// Of the manifest that the agent compares `sha256` with: `sha256:` and 64 hex digits.
    pub(crate) digest: String,
    pub(crate) form: &'static str,
    pub(crate) module: Vec<u8>,
    /// What the registry wanted to know.
    pub(crate) login: Login,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    layers: Vec<Descriptor>,
    /// Of an index.
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

/// OCI image specification, `descriptor.md`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: String,
    architecture: String,
}

impl Descriptor {
    /// What agents look for in an index, whatever machine they run on.
    fn is_for_agents(&self) -> bool {
        let is_theirs = |p: &Platform| p.os == "linux" && p.architecture == "amd64";
        self.platform.as_ref().is_none_or(is_theirs)
    }
}

/// Asks the image's registry, over HTTPS; `insecure` believes any certificate, and takes plain HTTP.
pub(crate) fn fetch(reference: &Reference, insecure: bool) -> Result<Image, Error> {
    let mut client = Client::new(reference, insecure);
    let version = match &reference.version {
        Version::Tag(version) | Version::Digest(version) => version,
    };
    let (mut digest, mut manifest) = manifest(&mut client, version)?;
    if !manifest.manifests.is_empty() {
        let Some(child) = manifest.manifests.iter().find(|child| child.is_for_agents()) else {
            let platforms = manifest.manifests.iter().filter_map(|child| child.platform.as_ref());
            let platforms: Vec<_> =
                platforms.map(|p| format!("{}/{}", p.os, p.architecture)).collect();
            return Err(Error::Unusable(format!(
                "it is a list of images for {}, and agents on any machine take that for linux/amd64",
                platforms.join(", ")
            )));
        };
        (digest, manifest) = self::manifest(&mut client, &child.digest)?;
    }
    let (form, module) = module(&mut client, &manifest)?;
    Ok(Image { digest, form, module, login: client.login })
}

/// With the digest that it has.
fn manifest(client: &mut Client<'_>, version: &str) -> Result<(String, Manifest), Error> {
    let accept = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST].join(", ");
    let bytes = client.get(&format!("manifests/{version}"), &accept, MAX_MANIFEST)?;
    let digest = digest(&bytes);
    if version.starts_with("sha256:") && version != digest {
        return Err(Error::Unusable(format!("its manifest has another digest, {digest}")));
    }
    let manifest = serde_json::from_slice(&bytes)
        .map_err(|error| Error::Unusable(format!("its manifest is not valid: {error}")))?;
    Ok((digest, manifest))
}

fn module(client: &mut Client<'_>, manifest: &Manifest) -> Result<(&'static str, Vec<u8>), Error> {
    let unusable = |message: &str| Err(Error::Unusable(message.to_owned()));
    let Some(last) = manifest.layers.last() else {
        return unusable("it has no layers");
    };
    if manifest.media_type == DOCKER_MANIFEST {
        return match &*last.media_type {
            DOCKER_LAYER => Ok(("a Docker image", from_archive(&blob(client, &last.digest)?)?)),
            other => unusable(&format!("agents do not read a last layer of type {other}")),
        };
    }
    if last.media_type == OCI_LAYER {
        return Ok(("an OCI image", from_archive(&blob(client, &last.digest)?)?));
    }
    match manifest.layers.iter().find(|layer| layer.media_type == WASM_LAYER) {
        Some(layer) if manifest.layers.len() == 2 => {
            Ok(("an OCI artifact", blob(client, &layer.digest)?))
        }
        Some(_) => unusable("agents take an artifact of two layers, and no other"),
        None => unusable(&format!("agents do not read a last layer of type {}", last.media_type)),
    }
}

/// A layer, whose bytes are those that its digest is of.
fn blob(client: &mut Client<'_>, wanted: &str) -> Result<Vec<u8>, Error> {
    let bytes = client.get(&format!("blobs/{wanted}"), "*/*", MAX_MODULE);
    let bytes = bytes.map_err(|error| match error {
        Error::NotFound => Error::Unusable(format!("its layer {wanted} is not there")),
        error => error,
    })?;
    let found = digest(&bytes);
    if found == wanted {
        Ok(bytes)
    } else {
        Err(Error::Unusable(format!("its layer {wanted} came as {found}")))
    }
}

/// The file `plugin.wasm` of a layer, in whatever folder.
fn from_archive(layer: &[u8]) -> Result<Vec<u8>, Error> {
    let broken = |error| Error::Unusable(format!("its last layer is not a valid archive: {error}"));
    let mut archive = tar::Archive::new(MultiGzDecoder::new(layer).take(MAX_MODULE));
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        if entry.path().is_ok_and(|path| path.file_name().is_some_and(|name| name == "plugin.wasm"))
        {
            let mut module = Vec::new();
            entry.read_to_end(&mut module).map_err(broken)?;
            return Ok(module);
        }
    }
    Err(Error::Unusable("its last layer has no file plugin.wasm".to_owned()))
}

/// `sha256:` and 64 hex digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let hash = hmac_sha256::Hash::hash(bytes);
    hash.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}
