//! HTTP/1.1 by hand, so that order, lines and bytes are what the case says.

use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A response, its headers with `:status` first and in lower case.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

/// A request line or status line, and headers.
pub(super) struct Head {
    pub(super) first: Vec<u8>,
    pub(super) headers: Vec<(String, Vec<u8>)>,
}

/// Sends one request over a connection of its own.
pub(super) async fn send(to: SocketAddr, lines: &[(String, Vec<u8>)]) -> io::Result<Response> {
    let pseudo = |name: &str| {
        let line = lines.iter().find(|(known, _)| known == name);
        line.map(|(_, value)| value.as_slice()).unwrap_or_default()
    };
    let mut request = [
        pseudo(":method"),
        b" ",
        pseudo(":path"),
        b" HTTP/1.1\r\nhost: ",
        pseudo(":authority"),
        b"\r\n",
    ]
    .concat();
    for (name, value) in lines.iter().filter(|(name, _)| !name.starts_with(':')) {
        request.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    request.extend(b"\r\n");
    let mut connection = BufReader::new(TcpStream::connect(to).await?);
    connection.write_all(&request).await?;
    let head = read_head(&mut connection).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let Head { first, mut headers } = head;
    let status = String::from_utf8_lossy(&first).split(' ').nth(1).and_then(|s| s.parse().ok());
    let status: u16 = status.ok_or(io::ErrorKind::InvalidData)?;
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| String::from_utf8_lossy(value).parse().ok());
    let mut body = vec![0; length.unwrap_or_default()];
    connection.read_exact(&mut body).await?;
    headers.insert(0, (":status".into(), status.to_string().into_bytes()));
    Ok(Response { status, headers, body })
}

/// Reads to the empty line; `None` where the connection ended before.
pub(super) async fn read_head(connection: &mut BufReader<TcpStream>) -> io::Result<Option<Head>> {
    let mut first = None;
    let mut headers = Vec::new();
    loop {
        let mut line = Vec::new();
        if connection.read_until(b'\n', &mut line).await? == 0 {
            return Ok(None);
        }
        let line = line.strip_suffix(b"\r\n").ok_or(io::ErrorKind::InvalidData)?;
        match &first {
            None => first = Some(line.to_vec()),
            Some(first) if line.is_empty() => {
                return Ok(Some(Head { first: first.clone(), headers }));
            }
            Some(_) => {
                let colon =
                    line.iter().position(|b| *b == b':').ok_or(io::ErrorKind::InvalidData)?;
                let (name, value) = line.split_at(colon);
                let name = String::from_utf8_lossy(name).to_ascii_lowercase();
                headers.push((name, value[1..].trim_ascii().to_vec()));
            }
        }
    }
}
