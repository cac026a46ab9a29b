//! How a mesh routes, as far as the given files say: VirtualServices and the Gateway API's routes
//! as one table for each way in, and the versions that their destinations have.
//!
//! - `table`: the types;
//! - `virtual_service`, `http_route`: from an object to its table;
//! - `join`: objects that a proxy sees as one table;
//! - `versions`: from a destination to its pods' labels.

mod host;
mod http_route;
mod join;
mod table;
mod versions;
mod virtual_service;

use crate::input::manifest::Object;
use crate::input::yaml::Node;

pub(crate) use host::Host;
pub(crate) use table::{Action, Condition, Destination, Place, Route, StringMatch, Table};
pub(crate) use versions::{Labels, Subset, Versions};

#[derive(Default)]
pub(crate) struct Routing<'a> {
    pub(crate) tables: Vec<Table<'a>>,
    pub(crate) versions: Versions<'a>,
    /// The hosts of ServiceEntries, and whether they are outside of the mesh.
    pub(crate) entries: Vec<(Host<'a>, bool)>,
}

impl<'a> Routing<'a> {
    pub(crate) fn of(objects: &[Object<'a>]) -> Self {
        let mut routing = Self::default();
        let (mut services, mut routes) = (Vec::new(), Vec::new());
        for object in objects {
            match (object.group, object.kind) {
                ("networking.istio.io", "VirtualService") => {
                    services.push(virtual_service::read(object));
                }
                ("gateway.networking.k8s.io", "HTTPRoute" | "GRPCRoute") => {
                    routes.push(http_route::read(object));
                }
                ("networking.istio.io", "ServiceEntry") => routing.add_entry(object),
                _ => routing.versions.add(object),
            }
        }
        routing.tables = join::virtual_services(services);
        routing.tables.extend(join::http_routes(routes));
        routing
    }

    /// <https://istio.io/latest/docs/reference/config/networking/service-entry/>: outside, if it
    /// does not say where.
    fn add_entry(&mut self, object: &Object<'a>) {
        let is_outside = object.text(&["spec", "location"]) != Some("MESH_INTERNAL");
        let hosts = object.list(&["spec", "hosts"]).filter_map(Node::text);
        self.entries.extend(hosts.map(|host| (Host::of(host, object.namespace), is_outside)));
    }
}
