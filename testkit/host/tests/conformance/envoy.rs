//! The probe in a real Envoy.

use crate::script::{self, Answer, Listener, Proxy, Request};
use crate::upstream::{Server, read_chunks};
use mesh::envoy;
use mesh::ports::Port;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, thread};
use tokio::runtime::{Builder, Runtime};

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Envoy {
    process: envoy::Envoy,
    runtime: Runtime,
    folder: PathBuf,
    probe: PathBuf,
    ports: Ports,
    usual: Server,
    _special: Server,
    held: Option<TcpStream>,
}

struct Ports {
    admin: Port,
    inbound: Port,
    outbound: Port,
}

impl Envoy {
    pub(crate) fn start(probe: &Path) -> Self {
        let options = envoy::Options::new(envoy::find().unwrap_or_else(|error| panic!("{error}")));
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("conformance");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder for Envoy");
        let [admin, inbound, outbound] = [(); 3].map(|()| Port::any().expect("a free port"));
        let ports = Ports { admin, inbound, outbound };
        let (usual, special) = (Server::start("usual"), Server::start("special"));
        write_plugins(&folder, probe, "first");
        let file = folder.join("envoy.json");
        let bootstrap = bootstrap(&folder, &ports, usual.address, special.address);
        fs::write(&file, bootstrap.to_string()).expect("a bootstrap");
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let started = runtime.block_on(async {
            let envoy =
                envoy::Envoy::start("envoy", &options, &file, ports.admin.address()).await?;
            envoy.ready(PATIENCE).await?;
            Ok::<_, envoy::Error>(envoy)
        });
        let process = started.unwrap_or_else(|error| panic!("{error}"));
        Self {
            process,
            runtime,
            folder,
            probe: probe.to_owned(),
            ports,
            usual,
            _special: special,
            held: None,
        }
    }

    fn log(&self) -> String {
        self.process.process().log().join("\n")
    }

    fn wait(&mut self, what: &str, mut until: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !until(self) {
            assert!(start.elapsed() < PATIENCE, "Envoy did not {what}. It said:\n{}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn stats(&self, filter: &str) -> Vec<(String, Value)> {
        let stats = self.runtime.block_on(self.process.admin().stats(filter));
        stats.unwrap_or_else(|error| panic!("{error}"))
    }

    fn send(&self, request: &Request) -> TcpStream {
        let mut text = format!(
            "{} {} HTTP/1.1\r\nhost: {}\r\nx-request-id: {}\r\n",
            if request.body.is_some() { "POST" } else { "GET" },
            request.path,
            script::HOST,
            script::REQUEST_ID,
        )
        .into_bytes();
        for (name, value) in request.headers {
            text.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        if let Some(body) = request.body {
            text.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
            text.extend(body);
        } else {
            text.extend(b"\r\n");
        }
        let port = match request.listener {
            Listener::Inbound => &self.ports.inbound,
            Listener::Outbound => &self.ports.outbound,
        };
        let mut connection = TcpStream::connect(port.address()).expect("a connection");
        connection.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        connection.write_all(&text).expect("a request sent");
        connection
    }
}

impl Proxy for Envoy {
    fn exchange(&mut self, request: &Request) -> Answer {
        let connection = self.send(request);
        read_answer(connection)
            .unwrap_or_else(|| panic!("no answer to {}. Envoy said:\n{}", request.path, self.log()))
    }

    fn hold(&mut self) {
        self.held = Some(self.send(&Request {
            listener: Listener::Inbound,
            path: "/held",
            headers: &[],
            body: None,
        }));
        self.usual.wait_for_held();
    }

    fn release(&mut self) -> Answer {
        self.usual.release();
        let held = self.held.take().expect("a held request");
        read_answer(held).expect("an answer")
    }

    fn tick(&mut self) {
        // The request for `/pause` was answered, so there was one.
    }

    fn update(&mut self, configuration: &str) {
        let refused = |envoy: &Self| {
            let counters = "^extension_config_discovery\\.http_filter\\..*\\.config_fail$";
            envoy.stats(counters).iter().filter_map(|(_, value)| value.as_u64()).sum::<u64>()
        };
        let listeners = [Listener::Inbound, Listener::Outbound];
        let before = refused(self);
        write_plugins(&self.folder, &self.probe, configuration);
        self.wait("look at the new configuration", |envoy| {
            if ["refuse", "trap"].contains(&configuration) {
                return refused(envoy) == before + listeners.len() as u64;
            }
            // The worker has it some time after the main thread.
            listeners.iter().all(|listener| {
                let answer = envoy.exchange(&script::configuration_of(*listener));
                answer.body == configuration.as_bytes()
            })
        });
    }

    fn metrics(&mut self) -> BTreeMap<String, String> {
        let stats = self.stats("^wasmcustom\\.probe_(counter|gauge)$");
        let name = |name: &str| name.trim_start_matches("wasmcustom.").to_owned();
        stats.iter().map(|(stat, value)| (name(stat), value.to_string())).collect()
    }
}

fn read_answer(connection: TcpStream) -> Option<Answer> {
    let mut reader = BufReader::new(connection);
    let mut line = || {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line).ok()?;
        (!line.is_empty()).then(|| line.trim_ascii_end().to_vec())
    };
    let status = String::from_utf8(line()?).ok()?;
    let status = status.split(' ').nth(1)?.parse().ok()?;
    let mut headers = Vec::new();
    loop {
        let header = line()?;
        if header.is_empty() {
            break;
        }
        let colon = header.iter().position(|byte| *byte == b':')?;
        let name = String::from_utf8(header[..colon].to_ascii_lowercase()).ok()?;
        headers.push((name, header[colon + 1..].trim_ascii().to_vec()));
    }
    let header = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v);
    let mut body = Vec::new();
    if let Some(length) = header("content-length") {
        body.resize(std::str::from_utf8(length).ok()?.parse().ok()?, 0);
        reader.read_exact(&mut body).ok()?;
    } else if header("transfer-encoding").is_some() {
        body = read_chunks(&mut reader)?;
    }
    Some(Answer { status, headers, body })
}

/// The files that Envoy watches for the filter of each listener.
fn write_plugins(folder: &Path, probe: &Path, configuration: &str) {
    for (listener, vm_configuration) in [("inbound", "vm one"), ("outbound", "vm two")] {
        let string = |text: &str| json!({"@type": STRING, "value": text});
        let plugin = json!({
            "name": "probe",
            "root_id": "probe-root",
            "configuration": string(configuration),
            "vm_config": {
                "vm_id": script::VM_ID,
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": probe}},
                "configuration": string(vm_configuration),
                "environment_variables": {"key_values": {"PROBE": "environment"}},
            },
        });
        let resource = json!({
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": listener,
            "typed_config": {"@type": WASM, "config": plugin},
        });
        let discovery = json!({"version_info": configuration, "resources": [resource]});
        // Envoy looks when a file is moved to where it watches.
        let new = folder.join("new.json");
        fs::write(&new, discovery.to_string()).expect("a file");
        fs::rename(&new, folder.join(format!("{listener}.json"))).expect("a file");
    }
}

const STRING: &str = "type.googleapis.com/google.protobuf.StringValue";
const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

fn bootstrap(folder: &Path, ports: &Ports, usual: SocketAddr, special: SocketAddr) -> Value {
    let address = |address: SocketAddr| {
        let (host, port) = (address.ip().to_string(), address.port());
        json!({"socket_address": {"address": host, "port_value": port}})
    };
    let listener = |name: &str, direction: &str, port: &Port| {
        let routes = json!([
            {
                "name": "special",
                "match": {"prefix": "/", "headers": [
                    {"name": "x-probe-route", "string_match": {"exact": "special"}},
                ]},
                "route": {"cluster": "special"},
            },
            {
                "name": "usual",
                "match": {"prefix": "/"},
                "route": {"cluster": "usual"},
            },
        ]);
        json!({
            "name": name,
            "traffic_direction": direction,
            "address": address(port.address()),
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.\
                        http_connection_manager.v3.HttpConnectionManager",
                    "stat_prefix": name,
                    "route_config": {"virtual_hosts": [
                        {"name": "probe-host", "domains": ["*"], "routes": routes},
                    ]},
                    "http_filters": [
                        {"name": name, "config_discovery": {
                            "config_source": {
                                "resource_api_version": "V3",
                                "path_config_source": {
                                    "path": folder.join(format!("{name}.json")),
                                },
                            },
                            "type_urls": [WASM],
                        }},
                        {"name": "envoy.filters.http.router", "typed_config": {
                            "@type": "type.googleapis.com/envoy.extensions.filters.http.\
                                router.v3.Router",
                            "suppress_envoy_headers": true,
                        }},
                    ],
                },
            }]}],
        })
    };
    let cluster = |name: &str, server: SocketAddr| {
        json!({
            "name": name,
            "type": "STATIC",
            "load_assignment": {"cluster_name": name, "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": address(server)}}]},
            ]},
        })
    };
    json!({
        "node": {"id": script::NODE_ID, "cluster": "probe", "metadata": script::metadata()},
        "admin": {"address": address(ports.admin.address())},
        "static_resources": {
            "listeners": [
                listener("inbound", "INBOUND", &ports.inbound),
                listener("outbound", "OUTBOUND", &ports.outbound),
            ],
            "clusters": [cluster("usual", usual), cluster("special", special)],
        },
    })
}
