//! The way to a server: names resolved, sockets opened, dead peers noticed.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::error::ConnectError;
use super::target::{Address, Host};

/// Where one try goes; kept to send a cancel request to the same server.
#[derive(Debug, Clone)]
pub(super) enum Route {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// The addresses of a host, in the resolver's order.
pub(super) async fn resolve(host: &Host) -> Result<Vec<Route>, ConnectError> {
    let name = match &host.address {
        Address::Socket(_) => return Ok(vec![Route::Unix(host.socket_path())]),
        Address::Name(name) => name,
    };
    let failed = |reason: String| ConnectError::Resolve { host: host.to_string(), reason };
    let found = tokio::net::lookup_host((name.as_str(), host.port)).await.map_err(|error| failed(error.to_string()))?;
    let routes: Vec<_> = found.map(Route::Tcp).collect();
    if routes.is_empty() { Err(failed("it has no address".to_owned())) } else { Ok(routes) }
}

/// Opens a socket.
pub(super) async fn open(route: &Route) -> io::Result<Socket> {
    match route {
        Route::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let keepalive =
                TcpKeepalive::new().with_time(Duration::from_secs(30)).with_interval(Duration::from_secs(10));
            SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
            Ok(Socket::Tcp(stream))
        }
        Route::Unix(path) => Ok(Socket::Unix(UnixStream::connect(path).await?)),
    }
}

/// What went wrong with opening a socket, in words.
pub(super) fn open_error(host: &Host, route: &Route, error: &io::Error) -> ConnectError {
    let address = match route {
        // Where a name has several addresses, the one that failed is what a firewall's owner will ask for.
        Route::Tcp(address) if format!("{host}") != address.to_string() => format!("{host} ({})", address.ip()),
        _ => host.to_string(),
    };
    match (error.kind(), route) {
        (io::ErrorKind::NotFound, Route::Unix(_)) => ConnectError::NoSocket { address },
        (io::ErrorKind::ConnectionRefused, _) => ConnectError::Refused { address },
        _ => ConnectError::Unreachable { address, reason: error.to_string() },
    }
}

/// An open socket of either kind.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, buffer),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
