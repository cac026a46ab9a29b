//! The name of an image, as Istio's agents read it (go-containerregistry, `pkg/name`).

use std::fmt;

/// Where an image without a host is.
const DOCKER_HUB: &str = "index.docker.io";

/// `HOST/REPOSITORY:TAG@DIGEST`
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// With its port, if it has one.
    pub(crate) host: String,
    pub(crate) repository: String,
    /// What the registry is asked for: a digest, or else a tag.
    pub(crate) version: Version,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Tag(String),
    /// `sha256:` and 64 hex digits in lower case.
    Digest(String),
}

impl Reference {
    /// Reads what stands behind `oci://`. Where there is a digest, a tag in front of it says nothing;
    /// where there is neither, the tag is `latest`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        let (name, tag) = match name.rsplit_once(':') {
            // Not the port of a host.
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (name, "latest"),
        };
        let (host, repository) = match name.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest),
            _ => (DOCKER_HUB, name),
        };
        let repository = match host {
            DOCKER_HUB if !repository.contains('/') => format!("library/{repository}"),
            _ => repository.to_owned(),
        };
        let version = match digest {
            Some(digest) if is_digest(digest) => Version::Digest(digest.to_owned()),
            Some(_) => return None,
            None => Version::Tag(tag.to_owned()),
        };
        let is_name = |text: &str, more: &[u8]| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
        };
        let components_are_names = repository.split('/').all(|part| is_name(part, b"-._"));
        let is_valid = is_name(host, b"-.:[]") && components_are_names && is_name(tag, b"-._");
        is_valid.then(|| Self { host: host.to_owned(), repository, version })
    }

    /// Whether plain HTTP is tried too, as agents do it: on this machine and in private networks.
    pub(crate) fn is_local(&self) -> bool {
        let name = self.host.rsplit_once(':').map_or(&*self.host, |(name, _)| name);
        let name = name.trim_matches(['[', ']']);
        match name.parse::<std::net::IpAddr>() {
            Ok(std::net::IpAddr::V4(address)) => address.is_private() || address.is_loopback(),
            Ok(std::net::IpAddr::V6(address)) => address.is_loopback(),
            Err(_) => name == "localhost" || name.ends_with(".local"),
        }
    }

    /// The image by this digest.
    pub(crate) fn at(&self, digest: &str) -> String {
        format!("{}/{}@{digest}", self.host, self.repository)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Version::Tag(tag) => write!(f, "{}/{}:{tag}", self.host, self.repository),
            Version::Digest(digest) => f.write_str(&self.at(digest)),
        }
    }
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|digits| {
        digits.len() == 64 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_agents_read_them() {
        let digest = format!("sha256:{}", "0f".repeat(32));
        for (text, written) in [
            ("registry.example.com/a/b:0.1.0", "registry.example.com/a/b:0.1.0"),
            ("registry.example.com:5000/a", "registry.example.com:5000/a:latest"),
            ("localhost/a:1", "localhost/a:1"),
            ("[::1]:5000/a:1", "[::1]:5000/a:1"),
            ("a", "index.docker.io/library/a:latest"),
            ("team/a:1", "index.docker.io/team/a:1"),
            (&format!("ghcr.io/a@{digest}"), &format!("ghcr.io/a@{digest}")),
            (&format!("ghcr.io/a:1@{digest}"), &format!("ghcr.io/a@{digest}")),
        ] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), written, "{text}");
        }
        for text in
            ["", "a b", "ghcr.io/", "ghcr.io//a", "ghcr.io/a:", "ghcr.io/a@sha256:00", "a/../b?c"]
        {
            assert_eq!(Reference::parse(text), None, "{text}");
        }
    }

    #[test]
    fn plain_http_is_for_what_is_near() {
        let is_local = |host: &str| Reference::parse(&format!("{host}/a")).unwrap().is_local();
        for host in ["localhost:5000", "127.0.0.1:5000", "[::1]:5000", "10.1.2.3", "registry.local"]
        {
            assert!(is_local(host), "{host}");
        }
        for host in ["registry.example.com", "8.8.8.8:5000", "localhost.example.com", "ghcr.io"] {
            assert!(!is_local(host), "{host}");
        }
    }
}
