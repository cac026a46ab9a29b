//! The application behind an Envoy: it notes a request's headers, and responds as the case says.

use super::client::{Head, read_head};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

type Lines = Vec<(String, Vec<u8>)>;

pub(super) struct Upstream {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    request: Option<Lines>,
    response: Lines,
}

impl Upstream {
    pub(super) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::<Mutex<Shared>>::default();
        let upstream = Self { address, shared: shared.clone() };
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                // Envoy closes connections as it likes.
                tokio::spawn(serve(connection, shared.clone()));
            }
        });
        Ok(upstream)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request gets this response.
    pub(super) fn expect(&self, response: Lines) {
        *lock(&self.shared) = Shared { request: None, response };
    }

    /// The headers of the request since then, pseudo headers first.
    pub(super) fn seen(&self) -> Option<Lines> {
        lock(&self.shared).request.take()
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(connection: TcpStream, shared: Arc<Mutex<Shared>>) -> io::Result<()> {
    let mut connection = BufReader::new(connection);
    while let Some(head) = read_head(&mut connection).await? {
        let response = {
            let mut shared = lock(&shared);
            shared.request = Some(request(head));
            shared.response.clone()
        };
        let status = response.iter().find(|(name, _)| name == ":status");
        let status = status.map(|(_, value)| value.as_slice()).unwrap_or(b"200");
        let mut text = [b"HTTP/1.1 ", status, b" -\r\ncontent-length: 0\r\n"].concat();
        for (name, value) in response.iter().filter(|(name, _)| !name.starts_with(':')) {
            text.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        text.extend(b"\r\n");
        connection.write_all(&text).await?;
    }
    Ok(())
}

fn request(head: Head) -> Lines {
    let Head { first, headers } = head;
    let mut words = first.split(|b| *b == b' ').map(<[u8]>::to_vec);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut lines = vec![
        (":method".to_owned(), method),
        (":scheme".to_owned(), b"http".to_vec()),
        (":path".to_owned(), path),
    ];
    lines.extend(headers.into_iter().map(|(name, value)| {
        if name == "host" { (":authority".to_owned(), value) } else { (name, value) }
    }));
    lines
}
