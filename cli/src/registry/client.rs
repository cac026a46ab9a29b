//! The part of the distribution specification that a pull takes, with the logins of docker and podman.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pull>

use super::reference::Reference;
use crate::http::{self, How};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use docker_credential::{CredentialRetrievalError, DockerCredential};
use serde::Deserialize;
use std::time::Duration;
use ureq::http::Response;
use ureq::http::header::WWW_AUTHENTICATE;
use ureq::{Agent, Body};
use url::Url;

const PATIENCE: Duration = Duration::from_secs(60);

/// Why there is no image.
pub(crate) enum Error {
    NotFound,
    Denied(Login),
    /// What stands in the way.
    Unreachable(String),
    /// It is there, and agents can do nothing with it.
    Unusable(String),
}

/// What the registry wanted to know of who asks, and what it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    NotAsked,
    /// Neither docker nor podman has one for this host.
    Unknown,
    /// Not to be had: why.
    Failed(String),
    Given,
}

/// A repository of a registry.
pub(super) struct Client<'a> {
    agent: Agent,
    reference: &'a Reference,
    schemes: &'static [&'static str],
    /// The value of the header that the registry wants.
    authorization: Option<String>,
    pub(super) login: Login,
}

impl<'a> Client<'a> {
    pub(super) fn new(reference: &'a Reference, insecure: bool) -> Self {
        let is_local = reference.is_local();
        Self {
            agent: http::agent(&How { patience: PATIENCE, insecure, directly: is_local }),
            reference,
            schemes: if is_local || insecure { &["https", "http"] } else { &["https"] },
            authorization: None,
            login: Login::NotAsked,
        }
    }

    /// The body, of so many bytes at most, of what the registry has under a path of the repository.
    pub(super) fn get(&mut self, path: &str, accept: &str, limit: u64) -> Result<Vec<u8>, Error> {
        let mut response = self.send(path, accept)?;
        if response.status() == 401 && self.authorization.is_none() {
            self.authorization = self.authorize(&response)?;
            if self.authorization.is_some() {
                response = self.send(path, accept)?;
            }
        }
        match response.status().as_u16() {
            200 => read(response, limit),
            401 | 403 => Err(Error::Denied(self.login.clone())),
            404 => Err(Error::NotFound),
            status => Err(Error::Unreachable(format!("it responds {status} to {path}"))),
        }
    }

    /// By the first scheme that the registry speaks, from then on.
    fn send(&mut self, path: &str, accept: &str) -> Result<Response<Body>, Error> {
        let mut failures = Vec::new();
        for (at, scheme) in self.schemes.iter().enumerate() {
            let Reference { host, repository, .. } = self.reference;
            let mut request = self
                .agent
                .get(format!("{scheme}://{host}/v2/{repository}/{path}"))
                .header("accept", accept);
            if let Some(authorization) = &self.authorization {
                request = request.header("authorization", authorization);
            }
            match request.call() {
                Ok(response) => {
                    self.schemes = &self.schemes[at..=at];
                    return Ok(response);
                }
                Err(error) => failures.push(format!("{scheme}: {error}")),
            }
        }
        Err(Error::Unreachable(failures.join("; ")))
    }

    /// What to say to a challenge (RFC 9110, section 11.6.1), if anything is known.
    fn authorize(&mut self, response: &Response<Body>) -> Result<Option<String>, Error> {
        let credential = self.credential();
        let values = response.headers().get_all(WWW_AUTHENTICATE);
        let challenges = values.iter().filter_map(|value| value.to_str().ok());
        for challenge in challenges.flat_map(http_auth::ChallengeParser::new).flatten() {
            let parameter = |wanted: &str| {
                let mut parameters = challenge.params.iter();
                parameters
                    .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                    .map(|(_, value)| value.to_unescaped())
            };
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                return Ok(credential.as_ref().and_then(basic));
            }
            if challenge.scheme.eq_ignore_ascii_case("bearer")
                && let Some(mut realm) =
                    parameter("realm").and_then(|realm| Url::parse(&realm).ok())
            {
                let scope = parameter("scope")
                    .unwrap_or_else(|| format!("repository:{}:pull", self.reference.repository));
                let service = parameter("service").unwrap_or_default();
                let asked = [("service", &*service), ("scope", &*scope)];
                realm.query_pairs_mut().extend_pairs(asked);
                return self.token(&realm, &asked, credential.as_ref()).map(Some);
            }
        }
        Ok(None)
    }

    /// <https://distribution.github.io/distribution/spec/auth/token/>, and `oauth/` beside it.
    fn token(
        &self,
        realm: &Url,
        asked: &[(&str, &str)],
        credential: Option<&DockerCredential>,
    ) -> Result<String, Error> {
        let response = match credential {
            Some(DockerCredential::IdentityToken(token)) => {
                let mut form = asked.to_vec();
                form.extend([("grant_type", "refresh_token"), ("refresh_token", &**token)]);
                form.push(("client_id", "release-track"));
                self.agent.post(realm.as_str()).send_form(form)
            }
            other => {
                let request = self.agent.get(realm.as_str());
                match other.and_then(basic) {
                    Some(basic) => request.header("authorization", basic).call(),
                    None => request.call(),
                }
            }
        };
        let response = response.map_err(|error| Error::Unreachable(error.to_string()))?;
        /// Some registries say both.
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }
        match response.status().as_u16() {
            200 => serde_json::from_slice::<Token>(&read(response, MAX_TOKEN)?)
                .ok()
                .and_then(|token| token.token.or(token.access_token))
                .map(|token| format!("Bearer {token}"))
                .ok_or_else(|| Error::Unreachable(format!("{realm} gives no token"))),
            400 | 401 | 403 => Err(Error::Denied(self.login.clone())),
            status => Err(Error::Unreachable(format!("it responds {status} to {realm}"))),
        }
    }

    /// The login that docker or podman has for this registry.
    fn credential(&mut self) -> Option<DockerCredential> {
        use CredentialRetrievalError::{
            ConfigNotFound, ConfigReadError, HelperFailure, NoCredentialConfigured,
        };
        let server = match &*self.reference.host {
            "index.docker.io" => "https://index.docker.io/v1/",
            host => host,
        };
        self.login = Login::Unknown;
        for source in [docker_credential::get_credential, docker_credential::get_podman_credential]
        {
            match source(server) {
                Ok(credential) => {
                    self.login = Login::Given;
                    return Some(credential);
                }
                // A helper fails where it has nothing to give.
                Err(
                    ConfigNotFound
                    | ConfigReadError
                    | NoCredentialConfigured
                    | HelperFailure { .. },
                ) => {}
                Err(error) => self.login = Login::Failed(error.to_string()),
            }
        }
        None
    }
}

const MAX_TOKEN: u64 = 1 << 20;

fn read(response: Response<Body>, limit: u64) -> Result<Vec<u8>, Error> {
    http::read(response, limit).map_err(|error| Error::Unreachable(error.to_string()))
}

/// RFC 7617.
fn basic(credential: &DockerCredential) -> Option<String> {
    match credential {
        DockerCredential::UsernamePassword(name, password) => {
            Some(format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
        }
        DockerCredential::IdentityToken(_) => None,
    }
}
