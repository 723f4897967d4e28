//! What a connection runs over: TCP, or a stream through a node in the middle.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::PeerKey;
use crate::mux::Stream;

/// Where the other side of a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Remote {
    /// At this address, as this side's system sees it.
    Address(SocketAddr),
    /// Behind the node with this key, which passes bytes on that it cannot read.
    Through(PeerKey),
}

impl Remote {
    /// Returns the address, where there is one.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Remote::Address(address) => Some(*address),
            Remote::Through(_) => None,
        }
    }

    /// Returns the node in the middle, where there is one.
    pub fn middle(&self) -> Option<PeerKey> {
        match self {
            Remote::Address(_) => None,
            Remote::Through(middle) => Some(*middle),
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remote::Address(address) => address.fmt(f),
            Remote::Through(middle) => write!(f, "via:{}", middle.fingerprint()),
        }
    }
}

/// The bytes below SSH.
#[derive(Debug)]
pub(crate) enum Transport {
    Tcp(TcpStream),
    Stream(Stream),
}

impl Transport {
    /// Sets what suits SSH: what we write is complete messages, so waiting for more only delays them.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        match self {
            Transport::Tcp(tcp) => tcp.set_nodelay(true),
            Transport::Stream(_) => Ok(()),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Transport::Stream(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Transport::Tcp(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Transport::Stream(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Tcp(tcp) => Pin::new(tcp).poll_flush(cx),
            Transport::Stream(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Transport::Stream(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
