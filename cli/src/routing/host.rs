//! Names of hosts, as Istio completes them.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Host<'a> {
    /// A service of the cluster, and its namespace, if the files say which.
    Service { name: &'a str, namespace: Option<&'a str> },
    /// Any other, as it stands there; it may begin with `*`.
    Other(&'a str),
}

impl<'a> Host<'a> {
    /// A name without a dot is completed by the object's namespace (Istio: pilot's
    /// `ResolveShortnameToFQDN`).
    pub(crate) fn of(host: &'a str, namespace: Option<&'a str>) -> Self {
        let mut labels = host.splitn(4, '.');
        match (labels.next(), labels.next(), labels.next()) {
            (Some(name), None, _) if name != "*" && !name.is_empty() => {
                Self::Service { name, namespace }
            }
            (Some(name), Some(namespace), Some("svc")) if name != "*" => {
                Self::Service { name, namespace: Some(namespace) }
            }
            _ => Self::Other(host),
        }
    }

    /// Its first label, or all of one that is no service.
    pub(crate) fn name(self) -> &'a str {
        match self {
            Self::Service { name, .. } => name,
            Self::Other(host) => host,
        }
    }

    /// Whether both may be the same: what the files do not say may be anything.
    pub(crate) fn meets(self, other: Host<'_>) -> bool {
        match (self, other) {
            (
                Self::Service { name, namespace },
                Host::Service { name: known, namespace: there },
            ) => name == known && meet(namespace, there),
            (Self::Other(host), Host::Other(known)) => host == known,
            _ => false,
        }
    }

    /// Whether this one, which may begin with `*`, has the other among its hosts.
    pub(crate) fn covers(self, host: &str, other: Host<'_>) -> bool {
        match self {
            Self::Other(pattern) => match pattern.strip_prefix('*') {
                Some(domain) => host.ends_with(domain),
                None => pattern == host,
            },
            Self::Service { .. } => self.meets(other),
        }
    }
}

/// Two namespaces of which either may be unknown.
pub(crate) fn meet(one: Option<&str>, other: Option<&str>) -> bool {
    one.zip(other).is_none_or(|(one, other)| one == other)
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service { name, namespace: Some(namespace) } => write!(f, "{namespace}/{name}"),
            Self::Service { name, namespace: None } => f.write_str(name),
            Self::Other(host) => f.write_str(host),
        }
    }
}
