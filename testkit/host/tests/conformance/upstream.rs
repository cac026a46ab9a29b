//! The server behind the proxy.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

pub(crate) type Lines = Vec<(String, Vec<u8>)>;

/// What the server answers: the response's headers, and a body made of the
/// request's. `via` tells of which of two servers it is.
pub(crate) fn answer(via: &str, request_body: &[u8]) -> (Lines, Vec<u8>) {
    let body = [b"seen: ", request_body].concat();
    let headers = [
        ("x-dup", &b"1"[..]),
        ("x-empty", b""),
        ("X-Dup", b"2"),
        ("x-bytes", b"\xe9"),
        ("x-probe-via", via.as_bytes()),
        ("set-cookie", b"a=1"),
        ("set-cookie", b"b=2"),
        ("content-type", b"text/plain"),
        ("content-length", body.len().to_string().as_bytes()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_vec()));
    (headers.into(), body)
}

/// The same as a server on a free port. It keeps requests for `/held` waiting.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    held: Arc<Held>,
}

#[derive(Default)]
struct Held {
    /// How many have come, and how many may go.
    state: Mutex<(usize, usize)>,
    changed: Condvar,
}

impl Server {
    pub(crate) fn start(via: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let held = Arc::new(Held::default());
        let for_thread = held.clone();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let held = for_thread.clone();
                thread::spawn(move || serve(connection, via, &held));
            }
        });
        Self { address, held }
    }

    /// Waits until a request for `/held` has come that is not answered.
    pub(crate) fn wait_for_held(&self) {
        let mut state = self.held.state.lock().expect("not poisoned");
        while state.0 <= state.1 {
            state = self.held.changed.wait(state).expect("not poisoned");
        }
    }

    /// Answers it.
    pub(crate) fn release(&self) {
        self.held.state.lock().expect("not poisoned").1 += 1;
        self.held.changed.notify_all();
    }
}

/// Serves requests on one connection until it closes.
fn serve(connection: TcpStream, via: &str, held: &Held) {
    let mut reader = BufReader::new(connection);
    while let Some((path, body)) = read_request(&mut reader) {
        if path == "/held" {
            let mut state = held.state.lock().expect("not poisoned");
            state.0 += 1;
            held.changed.notify_all();
            while state.1 < state.0 {
                state = held.changed.wait(state).expect("not poisoned");
            }
        }
        let (headers, body) = answer(via, &body);
        let mut response = b"HTTP/1.1 200 OK\r\n".to_vec();
        for (name, value) in headers {
            response.extend([name.as_bytes(), b": ", &value, b"\r\n"].concat());
        }
        response.extend(b"\r\n");
        response.extend(body);
        if reader.get_mut().write_all(&response).is_err() {
            return;
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut line = || {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line).ok()?;
        Some(String::from_utf8_lossy(line.trim_ascii_end()).into_owned())
    };
    let path = line()?.split(' ').nth(1)?.to_owned();
    let mut length = None;
    loop {
        let header = line()?;
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse().ok();
        }
    }
    let mut body = Vec::new();
    match length {
        Some(length) => {
            body.resize(length, 0);
            reader.read_exact(&mut body).ok()?;
        }
        // The proxy sends a changed body in chunks.
        None if path.starts_with("/body") => body = read_chunks(reader)?,
        None => {}
    }
    Some((path, body))
}

pub(crate) fn read_chunks(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size).ok()?;
        let size = usize::from_str_radix(size.trim_end(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend(&chunk[..size]);
    }
}
