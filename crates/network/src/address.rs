//! Addresses and names, with the names of `tokio::net`. A simulation has no resolver: a name is one that the
//! world was told, `localhost`, or unknown.

use crate::world::with_names;
use std::future::{Ready, ready};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// What can be bound or connected to, in the shape of `tokio::net::ToSocketAddrs`.
///
/// It is implemented for the same types. A name resolves at once: to the address that
/// [`World::name`](crate::World::name) gave it, or to 127.0.0.1 if it is `localhost`.
pub trait ToSocketAddrs {
    /// The addresses, in the order in which they are tried.
    ///
    /// # Errors
    /// `InvalidInput` if the port is missing or no number from 0 to 65535; `NotFound` if the world
    /// has no such name.
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>>;
}

/// Resolves a host's name and port, in the shape of `tokio::net::lookup_host`.
///
/// # Errors
/// As [`ToSocketAddrs::to_socket_addrs`].
pub async fn lookup_host<A: ToSocketAddrs>(
    host: A,
) -> io::Result<impl Iterator<Item = SocketAddr>> {
    let found: Ready<_> = ready(host.to_socket_addrs());
    found.await.map(Vec::into_iter)
}

fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    if let Some(ip) = bare.and_then(|bare| bare.parse::<Ipv6Addr>().ok()) {
        return Ok(vec![SocketAddr::new(ip.into(), port)]);
    }
    let named = with_names(|names| names.get(host).copied()).flatten();
    let ip = named.or_else(|| (host == "localhost").then_some(Ipv4Addr::LOCALHOST.into()));
    let ip = ip.ok_or_else(|| {
        let known = with_names(|names| names.keys().cloned().collect::<Vec<_>>().join(", "));
        let known = known.filter(|known| !known.is_empty());
        let known = known.unwrap_or_else(|| "none but localhost".to_owned());
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("no host of the simulated network is called {host:?} (there are: {known})"),
        )
    })?;
    Ok(vec![SocketAddr::new(ip, port)])
}

impl ToSocketAddrs for str {
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = self.parse() {
            return Ok(vec![address]);
        }
        let parts = self.rsplit_once(':');
        let parts = parts.and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let (host, port) = parts.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{self:?} is no address: it takes the form host:port"),
            )
        })?;
        resolve(host, port)
    }
}

impl ToSocketAddrs for String {
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        self.as_str().to_socket_addrs()
    }
}

impl ToSocketAddrs for (&str, u16) {
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        resolve(self.0, self.1)
    }
}

impl ToSocketAddrs for (String, u16) {
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        resolve(&self.0, self.1)
    }
}

impl ToSocketAddrs for [SocketAddr] {
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(self.to_vec())
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        (**self).to_socket_addrs()
    }
}

macro_rules! of_numbers {
    ($($type:ty),*) => {$(
        impl ToSocketAddrs for $type {
            fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
                Ok(vec![SocketAddr::from(*self)])
            }
        }
    )*};
}
of_numbers!(
    SocketAddr,
    SocketAddrV4,
    SocketAddrV6,
    (IpAddr, u16),
    (Ipv4Addr, u16),
    (Ipv6Addr, u16)
);
