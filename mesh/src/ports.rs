//! Ports on 127.0.0.1 that stay ours until we let go.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

/// A port that is bound, but not listened on. Processes that bind it with SO_REUSEADDR or
/// SO_REUSEPORT, as Envoy and the weather app do, may listen on it; nobody else is given it
/// meanwhile.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    _held: Socket,
}

impl Port {
    /// Any that is free.
    pub fn any() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        // Only now: with these set, bind(2) could have given us one that is held in the same way.
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        Port::held(socket)
    }

    /// This one.
    ///
    /// # Errors
    /// When somebody listens there.
    pub fn exactly(port: u16) -> io::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        // A listener without SO_REUSEPORT finds every other one. Connections in TIME_WAIT are no
        // hindrance.
        std::net::TcpListener::bind(address)?;
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        Port::held(socket)
    }

    fn held(socket: Socket) -> io::Result<Self> {
        let address = socket.local_addr()?.as_socket().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "not an address of a socket")
        })?;
        Ok(Port { address, _held: socket })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
