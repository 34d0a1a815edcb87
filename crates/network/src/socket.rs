//! A socket that is neither bound nor connected yet, with the names and methods of `tokio::net::TcpSocket`.

use crate::config::Link;
use crate::listener::{TcpListener, no_kernel};
use crate::network::Host;
use crate::stream::TcpStream;
use std::cell::Cell;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// A socket that is neither listening nor connected, in the shape of `tokio::net::TcpSocket`.
///
/// Options that have no effect on a simulated network are remembered: the network's settings say how large
/// buffers are, and there is nobody else whose address could be reused.
pub struct TcpSocket {
    v6: bool,
    local: Cell<Option<SocketAddr>>,
    options: Cell<Options>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Options {
    keepalive: bool,
    reuse_address: bool,
    reuse_port: bool,
    nodelay: bool,
    send_buffer: Option<u32>,
    receive_buffer: Option<u32>,
    linger: Option<Duration>,
}

/// What Linux says of the buffers of a socket that nobody has set, in bytes.
const SEND_BUFFER: u32 = 16 << 10;
const RECEIVE_BUFFER: u32 = 128 << 10;
/// `TCP_KEEPIDLE`, `TCP_KEEPINTVL` and `TCP_KEEPCNT` as Linux has them.
const KEEPALIVE: (Duration, Duration, u32) =
    (Duration::from_secs(7200), Duration::from_secs(75), 9);

macro_rules! remembered {
    ($($(#[$doc:meta])* $get:ident, $set:ident: $type:ty = $field:ident $(, or $default:expr)?;)*) => {$(
        $(#[$doc])*
        pub fn $set(&self, value: $type) -> io::Result<()> {
            let mut options = self.options.get();
            options.$field = remembered!(@put value $($default)?);
            self.options.set(options);
            Ok(())
        }

        #[doc = concat!("See [`TcpSocket::", stringify!($set), "`].")]
        pub fn $get(&self) -> io::Result<$type> {
            Ok(remembered!(@get self.options.get().$field $(, $default)?))
        }
    )*};
    (@put $value:ident $default:expr) => { Some($value) };
    (@put $value:ident) => { $value };
    (@get $value:expr, $default:expr) => { $value.unwrap_or($default) };
    (@get $value:expr) => { $value };
}

impl TcpSocket {
    /// A socket for IPv4.
    pub fn new_v4() -> io::Result<TcpSocket> {
        Ok(Self::new(false))
    }

    /// A socket for IPv6.
    pub fn new_v6() -> io::Result<TcpSocket> {
        Ok(Self::new(true))
    }

    fn new(v6: bool) -> TcpSocket {
        TcpSocket {
            v6,
            local: Cell::new(None),
            options: Cell::new(Options::default()),
        }
    }

    remembered! {
        /// Keep-alive probes with Linux's times: 7200 s, then nine every 75 s. They take effect on a connection that
        /// this socket makes.
        keepalive, set_keepalive: bool = keepalive;
        /// Remembered only.
        reuseaddr, set_reuseaddr: bool = reuse_address;
        /// Remembered only: a second listener of one address is refused.
        reuseport, set_reuseport: bool = reuse_port;
        /// Remembered only: small segments are sent at once.
        nodelay, set_nodelay: bool = nodelay;
        /// Remembered only, in bytes: the network's settings say how large it is.
        send_buffer_size, set_send_buffer_size: u32 = send_buffer, or SEND_BUFFER;
        /// Remembered only, in bytes: the network's settings say how large it is.
        recv_buffer_size, set_recv_buffer_size: u32 = receive_buffer, or RECEIVE_BUFFER;
        /// See [`TcpStream::set_linger`].
        linger, set_linger: Option<Duration> = linger;
    }

    /// See [`TcpStream::set_zero_linger`].
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// The error that no call has reported yet: there is none before a connect.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(None)
    }

    /// The address that it was bound to, else that of nobody.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let nobody = match self.v6 {
            true => IpAddr::from(Ipv6Addr::UNSPECIFIED),
            false => Ipv4Addr::UNSPECIFIED.into(),
        };
        Ok(self.local.get().unwrap_or(SocketAddr::new(nobody, 0)))
    }

    /// Where it listens, or what a connection comes from: of that the port is chosen by the host.
    ///
    /// # Errors
    /// `InvalidInput` if it is bound already, or the address is of the other kind.
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        self.check(address)?;
        if self.local.get().is_some() {
            return Err(ErrorKind::InvalidInput.into());
        }
        self.local.set(Some(address));
        Ok(())
    }

    fn check(&self, address: SocketAddr) -> io::Result<()> {
        match address.is_ipv6() == self.v6 {
            true => Ok(()),
            false => Err(ErrorKind::InvalidInput.into()),
        }
    }

    /// Connects.
    ///
    /// # Errors
    /// As [`TcpStream::connect`], and `InvalidInput` if the address is of the other kind.
    pub async fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        self.check(address)?;
        let local = self.local.get().map(|local| local.ip());
        let from = local.filter(|ip| !ip.is_unspecified());
        let options = self.options.get();
        let stream = TcpStream::connect_from(from, address, None::<Link>).await?;
        stream.set_nodelay(options.nodelay)?;
        stream.set_linger(options.linger)?;
        if options.keepalive {
            let (idle, interval, count) = KEEPALIVE;
            stream.set_keepalive(idle, interval, count)?;
        }
        Ok(stream)
    }

    /// Listens, with room for `backlog + 1` connections that are not accepted.
    ///
    /// # Errors
    /// `AddrInUse` if a listener is there, `NetworkDown` if this thread has no world.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        TcpListener::listen(self.local_addr()?, backlog, Host::Tested)
    }

    /// A socket of the kernel's cannot be put on the simulated network.
    ///
    /// # Errors
    /// Always `Unsupported`. tokio's gives no error, and none would be of use here.
    pub fn from_std_stream(stream: std::net::TcpStream) -> io::Result<TcpSocket> {
        drop(stream);
        Err(no_kernel("TcpSocket::from_std_stream"))
    }
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpSocket")
            .field("local", &self.local.get())
            .field("options", &self.options.get())
            .finish()
    }
}
