//! Whether the proxies will get the module that a plugin names. Istio's agents fetch it; where they
//! cannot, every request is answered 403, although the proxy ran the module of before.

use crate::failure::Failure;
use crate::input::manifest::Configuration;
use crate::input::yaml::Node;
use crate::registry::{self, Error, Login, Reference, Version};
use crate::report::Diagnostic;
use serde::Serialize;
use std::path::Path;
use std::{fmt, fs};

/// Where `make build` leaves it.
const BUILT: &str = "dist/release-track.wasm";

pub(super) struct Check {
    built: Option<Built>,
    insecure: bool,
}

struct Built {
    name: String,
    module: Vec<u8>,
}

/// An image with a module that the proxies can load.
#[derive(Serialize)]
pub(super) struct Fetched<'a> {
    file: &'a str,
    line: usize,
    /// As the manifest names it, with the host that it is asked from.
    image: String,
    digest: String,
    form: &'static str,
    /// The module's size.
    bytes: usize,
    /// Whether it is what was built, if that is known.
    is_built: Option<bool>,
    #[serde(skip)]
    built: &'a str,
}

impl Check {
    /// Compares with `module`, or with what was built here.
    pub(super) fn new(module: Option<&Path>, insecure: bool) -> Result<Self, Failure> {
        let path = module.unwrap_or(Path::new(BUILT));
        let name = path.display().to_string();
        let built = match fs::read(path) {
            Ok(module) => Some(Built { name, module }),
            Err(error) if module.is_some() => {
                return Err(Failure::usage(format!("{name}: {error}")));
            }
            Err(_) => None,
        };
        Ok(Self { built, insecure })
    }

    pub(super) fn run<'a>(
        &'a self,
        plugin: &'a Configuration<'a>,
        found: &mut Vec<Diagnostic<'a>>,
    ) -> Option<Fetched<'a>> {
        let source = plugin.source.as_ref()?;
        let mut say =
            |is_error: bool, code, node: &Node, at: &str, message: String, hint: String| {
                found.push(Diagnostic {
                    is_error,
                    code,
                    file: plugin.file,
                    span: node.span.clone(),
                    path: at.to_owned(),
                    value: None,
                    message,
                    hint: Some(hint),
                });
            };
        let url = source.url.text().unwrap_or_default();
        let name = match url.split_once("://") {
            Some(("oci", name)) => name,
            None => url,
            Some((scheme, _)) => {
                let message = format!("a module by {scheme} is not looked at: it is no image");
                let hint = "name an image by oci://, and by its digest".to_owned();
                say(false, "image-unchecked", source.url, "url", message, hint);
                return None;
            }
        };
        let Some(reference) = Reference::parse(name) else {
            let message = "this is not the name of an image".to_owned();
            let hint = "write oci://HOST/REPOSITORY@sha256:DIGEST".to_owned();
            say(true, "image-name", source.url, "url", message, hint);
            return None;
        };
        let image = match registry::fetch(&reference, self.insecure) {
            Ok(image) => image,
            Err(error) => {
                let (code, message, hint) = explain(&reference, error);
                say(true, code, source.url, "url", message, hint);
                return None;
            }
        };

        if let Version::Tag(tag) = &reference.version {
            let message =
                format!("the image is named by a tag: an agent that has {tag} does not look again");
            let hint = format!("write oci://{}", reference.at(&image.digest));
            say(false, "image-by-tag", source.url, "url", message, hint);
        }
        if let Some(node) = source.sha256
            && let Some(sha256) = node.text()
            && image.digest.strip_prefix("sha256:") != Some(sha256)
        {
            let message = "the image has another digest, and agents refuse it".to_owned();
            let hint = format!("write {}", image.digest.trim_start_matches("sha256:"));
            say(true, "image-sha256", node, "sha256", message, hint);
        }
        if image.login == Login::Given && !source.has_pull_secret {
            let message = format!("{} wants a login, and the plugin names none", reference.host);
            let hint = "add imagePullSecret, unless the agents have one of their own".to_owned();
            say(false, "image-secret", source.url, "url", message, hint);
        }
        let is_built = self.built.as_ref().map(|built| built.module == image.module);
        if !is_ours(&image.module) {
            let message = "its module is not release-track".to_owned();
            let hint = "make push IMAGE=HOST/REPOSITORY:TAG pushes it".to_owned();
            say(true, "image-foreign", source.url, "url", message, hint);
        } else if let Some(built) = &self.built
            && is_built == Some(false)
        {
            let message = format!(
                "its module is not {}: {} bytes, {}; there {} bytes, {}",
                built.name,
                image.module.len(),
                registry::digest(&image.module),
                built.module.len(),
                registry::digest(&built.module),
            );
            let hint = "push what was built, or name it by --module".to_owned();
            say(true, "image-differs", source.url, "url", message, hint);
        }
        Some(Fetched {
            file: &plugin.file.name,
            line: plugin.file.position(source.url.span.start).0,
            image: reference.to_string(),
            digest: image.digest,
            form: image.form,
            bytes: image.module.len(),
            is_built,
            built: self.built.as_ref().map_or(BUILT, |built| &built.name),
        })
    }
}

/// A WebAssembly module with the name that this filter's lines in the log begin with.
fn is_ours(module: &[u8]) -> bool {
    let name = b"release-track: ";
    module.starts_with(b"\0asm") && module.windows(name.len()).any(|at| at == name)
}

/// Code, message and hint.
fn explain(reference: &Reference, error: Error) -> (&'static str, String, String) {
    let host = &reference.host;
    match error {
        Error::NotFound => (
            "image-not-found",
            format!("{host} has no such image: every request would be answered 403"),
            "push it first: make push IMAGE=HOST/REPOSITORY:TAG".to_owned(),
        ),
        Error::Denied(login) => {
            let why = match login {
                Login::NotAsked => "and asks for no login".to_owned(),
                Login::Unknown => "and neither docker nor podman has a login for it".to_owned(),
                Login::Failed(why) => format!("and the login is not to be had: {why}"),
                Login::Given => "with the login that docker or podman has".to_owned(),
            };
            (
                "image-denied",
                format!("{host} does not show this image, {why}"),
                format!(
                    "docker login {host}, or podman login {host}; registries deny what does not exist, too"
                ),
            )
        }
        Error::Unreachable(why) => (
            "image-unreachable",
            format!("{host} could not be asked: {why}"),
            "--insecure is for a registry without a certificate, or with one of its own".to_owned(),
        ),
        Error::Unusable(why) => (
            "image-unusable",
            format!("agents take no module from this image: {why}"),
            "make push makes an image that they take".to_owned(),
        ),
    }
}

impl fmt::Display for Fetched<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, image, digest, form, bytes, built, .. } = self;
        let compared = match self.is_built {
            Some(true) => format!("the same as {built}"),
            Some(false) => format!("not {built}"),
            None => format!("not compared, for there is no {built}"),
        };
        let digest = if image.ends_with(digest) { String::new() } else { format!("{digest}, ") };
        write!(
            f,
            "{file}:{line}: image {image}: {digest}{form} with a module of {bytes} bytes, {compared}"
        )
    }
}
