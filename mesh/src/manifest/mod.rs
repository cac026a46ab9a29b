//! The YAML files that a cluster gets, as types. What is not understood here is an error that names
//! file and field, never skipped: a demo that silently ignores a line of a manifest would prove
//! nothing.

mod core;
mod labels;
mod networking;
mod wasm_plugin;

pub use self::core::{Container, ContainerPort, Deployment, EnvVar, Pod, Service, ServicePort};
pub use labels::{Labels, selects};
pub use networking::{
    Destination, DestinationRule, Gateway, HttpMatch, HttpRoute, RouteDestination, Server,
    StringMatch, Subset, VirtualService,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::{Path, PathBuf};
pub use wasm_plugin::{FailStrategy, WasmPlugin};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {cause}", file.display())]
    Read { file: PathBuf, cause: std::io::Error },
    #[error("{}: not valid YAML: {message}", file.display())]
    Yaml { file: PathBuf, message: String },
    #[error("{}: {object}: {field}: {message}", file.display())]
    Field {
        file: PathBuf,
        /// Kind and name.
        object: String,
        /// Where in the object, as in `spec.http[0].match[1]`.
        field: String,
        message: String,
    },
}

/// One object of a manifest.
#[derive(Clone, Debug)]
pub struct Object<T> {
    pub file: PathBuf,
    pub kind: String,
    pub name: String,
    pub namespace: String,
    pub spec: T,
}

impl<T> Object<T> {
    /// An error in a field that is well-formed, but means nothing beside the other objects.
    pub fn error(&self, field: impl Into<String>, message: impl Into<String>) -> Error {
        Error::Field {
            file: self.file.clone(),
            object: format!("{} {}/{}", self.kind, self.namespace, self.name),
            field: field.into(),
            message: message.into(),
        }
    }
}

/// Everything that was applied.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    pub services: Vec<Object<Service>>,
    pub deployments: Vec<Object<Deployment>>,
    pub gateways: Vec<Object<Gateway>>,
    pub virtual_services: Vec<Object<VirtualService>>,
    pub destination_rules: Vec<Object<DestinationRule>>,
    pub wasm_plugins: Vec<Object<WasmPlugin>>,
}

impl Manifests {
    /// Applies files, and folders with a `kustomization.yaml`, in this order. An object takes the
    /// place of an earlier one of the same kind, namespace and name, as with `kubectl apply`.
    pub fn load<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Result<Self, Error> {
        let mut manifests = Manifests::default();
        for path in paths {
            manifests.apply(path.as_ref())?;
        }
        Ok(manifests)
    }

    /// Applies the text of one file, which errors call so.
    pub fn read(file: &Path, text: &str) -> Result<Self, Error> {
        let mut manifests = Manifests::default();
        for document in parse(file, text)? {
            manifests.apply_object(file, document)?;
        }
        Ok(manifests)
    }

    fn apply(&mut self, path: &Path) -> Result<(), Error> {
        if path.is_dir() {
            return self.apply_folder(path);
        }
        for document in documents(path)? {
            self.apply_object(path, document)?;
        }
        Ok(())
    }

    fn apply_folder(&mut self, folder: &Path) -> Result<(), Error> {
        let file = folder.join("kustomization.yaml");
        for document in documents(&file)? {
            let kustomization: Kustomization = typed(&file, "Kustomization", document)?;
            for resource in kustomization.resources {
                self.apply(&folder.join(resource))?;
            }
        }
        Ok(())
    }

    fn apply_object(&mut self, file: &Path, document: Value) -> Result<(), Error> {
        let header: Header = typed_lenient(file, &document)?;
        let (group, _) = header.api_version.split_once('/').unwrap_or_default();
        match (group, header.kind.as_str()) {
            ("", "Namespace") => Ok(()),
            ("", "Service") => put(&mut self.services, file, &header, document),
            ("apps", "Deployment") => put(&mut self.deployments, file, &header, document),
            ("networking.istio.io", "Gateway") => put(&mut self.gateways, file, &header, document),
            ("networking.istio.io", "VirtualService") => {
                put(&mut self.virtual_services, file, &header, document)
            }
            ("networking.istio.io", "DestinationRule") => {
                put(&mut self.destination_rules, file, &header, document)
            }
            ("extensions.istio.io", "WasmPlugin") => {
                put(&mut self.wasm_plugins, file, &header, document)
            }
            _ => Err(Error::Field {
                file: file.into(),
                object: header.to_string(),
                field: "kind".into(),
                message: format!(
                    "{} {} means nothing to this mesh; it knows Namespace, Service, Deployment, \
                     Gateway, VirtualService, DestinationRule and WasmPlugin",
                    header.api_version, header.kind
                ),
            }),
        }
    }
}

fn documents(file: &Path) -> Result<Vec<Value>, Error> {
    let text =
        std::fs::read_to_string(file).map_err(|cause| Error::Read { file: file.into(), cause })?;
    parse(file, &text)
}

fn parse(file: &Path, text: &str) -> Result<Vec<Value>, Error> {
    serde_saphyr::from_multiple(text)
        .map_err(|error| Error::Yaml { file: file.into(), message: error.to_string() })
}

fn put<T: DeserializeOwned>(
    list: &mut Vec<Object<T>>,
    file: &Path,
    header: &Header,
    document: Value,
) -> Result<(), Error> {
    let envelope: Envelope<T> = typed(file, &header.to_string(), document)?;
    let object = Object {
        file: file.into(),
        kind: header.kind.clone(),
        name: envelope.metadata.name,
        namespace: envelope.metadata.namespace,
        spec: envelope.spec,
    };
    list.retain(|o| (&o.namespace, &o.name) != (&object.namespace, &object.name));
    list.push(object);
    Ok(())
}

fn typed<T: DeserializeOwned>(file: &Path, object: &str, document: Value) -> Result<T, Error> {
    serde_path_to_error::deserialize(document).map_err(|error| Error::Field {
        file: file.into(),
        object: object.into(),
        field: error.path().to_string(),
        message: error.into_inner().to_string(),
    })
}

fn typed_lenient(file: &Path, document: &Value) -> Result<Header, Error> {
    Header::deserialize(document).map_err(|error| Error::Yaml {
        file: file.into(),
        message: format!("not a Kubernetes object: {error}"),
    })
}

/// What every object says of itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    api_version: String,
    kind: String,
    metadata: HeaderMetadata,
}

#[derive(Deserialize)]
struct HeaderMetadata {
    name: String,
    #[serde(default = "default_namespace")]
    namespace: String,
}

impl std::fmt::Display for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let HeaderMetadata { name, namespace } = &self.metadata;
        write!(f, "{} {namespace}/{name}", self.kind)
    }
}

fn default_namespace() -> String {
    "default".into()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Envelope<T> {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    metadata: Metadata,
    spec: T,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: String,
    #[serde(default = "default_namespace")]
    namespace: String,
    #[serde(rename = "labels", default)]
    _labels: Labels,
    #[serde(rename = "annotations", default)]
    _annotations: Labels,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Kustomization {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    resources: Vec<PathBuf>,
}
