use super::client::Http;
use super::visitor::Visitor;
use crate::call::Served;

/// One request and its end.
#[derive(Clone, Debug)]
pub struct Response {
    pub visitor: Visitor,
    pub http: Http,
    pub seconds: f64,
    /// What the applications say, or why there is nothing to say.
    pub served: Result<Served, String>,
}
