//! The weather app: four services, one program.
//!
//! `frontend` calls `advertisement` and `forecast`; `forecast` calls `recommendation` from its v2
//! on.

mod calls;
pub mod forecast;
mod forward;
mod page;
mod server;
mod service;

pub use forward::Forward;
pub use page::{CONTENT_SECURITY_POLICY, Page};
pub use server::{Options, serve};
pub use service::Service;
