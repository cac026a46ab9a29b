//! Proxies and a Prometheus that are files: `NAME/PATH.json` beside this one is what NAME has at PATH.
//! A query of Prometheus is answered by the file of its metric, or by nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::{fs, thread};

/// With a port as long as `mesh.example.com`, so that tables stay in their columns.
const ADDRESS: &str = "127.10.0.1";

/// Starts a server of all of them, as long as the process lives. Returns its `HOST:PORT`.
pub(crate) fn start() -> String {
    let listener = TcpListener::bind((ADDRESS, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that goes away has had enough.
            thread::spawn(move || serve(&stream.unwrap()).ok());
        }
    });
    address
}

fn serve(stream: &TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let line = lines.next().unwrap()?;
    lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
    let target = line.split(' ').nth(1).unwrap();
    let (status, body) = match file(target) {
        Some(body) => (200, body),
        None => (404, Vec::new()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Status\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    let mut stream = stream;
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}

fn file(target: &str) -> Option<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mesh");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let read = |path: PathBuf| fs::read(folder.join(path).with_extension("json")).ok();
    let Some(prometheus) = path.strip_suffix("/api/v1/query") else {
        return read(path.trim_start_matches('/').into());
    };
    let metric = &query[query.find("release_track_")?..];
    let metric = metric.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()?;
    let nothing = r#"{"status": "success", "data": {"resultType": "vector", "result": []}}"#;
    let found = read(Path::new(prometheus.trim_start_matches('/')).join(metric));
    found.or(Some(nothing.as_bytes().to_vec()))
}
