//! An instance's port, which is the instance's for life: who knows its endpoint finds it there after every restart.
//!
//! A socket that is bound and never listens keeps it from everybody who takes any free port, as clients do with theirs. Linux
//! lets a server bind beside it, because both say `SO_REUSEADDR`; elsewhere it gives way as long as there is a server.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use socket2::{Domain, Protocol, Socket, Type};

use crate::lab::LabError;

/// Whether a server may bind where a socket is bound that does not listen.
const SHARED: bool = cfg!(target_os = "linux");

/// A port on 127.0.0.1 that nobody else gets by chance.
#[derive(Debug)]
pub struct Berth {
    port: u16,
    keeper: Mutex<Option<Socket>>,
}

fn bound(port: u16) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    Ok(socket)
}

impl Berth {
    /// Any that is free.
    pub fn take() -> Result<Self, LabError> {
        let taken = || {
            let socket = bound(0)?;
            let port = socket.local_addr()?.as_socket().map_or(0, |address| address.port());
            Ok(Self { port, keeper: Mutex::new(Some(socket)) })
        };
        taken().map_err(LabError::io("find a free port on", Path::new("127.0.0.1")))
    }

    /// Which it is.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn keeper(&self) -> MutexGuard<'_, Option<Socket>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A server is about to come.
    pub fn make_way(&self) {
        if !SHARED {
            *self.keeper() = None;
        }
    }

    /// There is no server now. Who took it meanwhile is told by the next server that wants to have it.
    pub fn hold(&self) {
        let mut keeper = self.keeper();
        if keeper.is_none() {
            *keeper = bound(self.port).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn nobody_gets_it_by_chance_and_its_own_server_does() {
        let berth = Berth::take().unwrap();
        assert_ne!(berth.port(), 0);
        for _ in 0..200 {
            let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            assert_ne!(other.local_addr().unwrap().port(), berth.port());
        }
        for _ in 0..2 {
            berth.make_way();
            let server = TcpListener::bind((Ipv4Addr::LOCALHOST, berth.port())).unwrap();
            assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, berth.port())).is_err(), "one at a time");
            drop(server);
            berth.hold();
        }
    }
}
