//! Ports that stay ours.

use mesh::ports::Port;
use socket2::{Domain, Socket, Type};
use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

#[test]
fn no_port_is_given_twice() {
    let ports: Vec<_> = (0..200).map(|_| Port::any().unwrap()).collect();
    let distinct: HashSet<_> = ports.iter().map(Port::address).collect();
    assert_eq!(distinct.len(), ports.len());
}

#[test]
fn whom_it_is_held_for_may_listen() {
    let port = Port::any().unwrap();
    // As Envoy's admin port and the weather app do.
    drop(TcpListener::bind(port.address()).unwrap());
    // As Envoy's listeners do.
    listener_that_shares(port.address());
}

#[test]
fn a_port_on_which_somebody_listens_is_refused() {
    let one = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = one.local_addr().unwrap();
    assert_eq!(Port::exactly(address.port()).unwrap_err().kind(), ErrorKind::AddrInUse);
    drop(one);
    let shares = listener_that_shares(address);
    assert_eq!(Port::exactly(address.port()).unwrap_err().kind(), ErrorKind::AddrInUse);
    drop(shares);
    assert_eq!(Port::exactly(address.port()).unwrap().address(), address);
}

fn listener_that_shares(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.listen(1).unwrap();
    socket
}
