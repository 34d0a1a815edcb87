//! A connect under way.

use super::{TcpStream, leaf};
use crate::agenda::Key;
use crate::config::Link;
use crate::connection::Life;
use crate::observer::{ConnectionId, Side};
use crate::readiness::Place;
use crate::world::{current, down, process_died, with};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A connect under way, from [`TcpStream::connect_from`]. Dropping it leaves nothing behind, at either host.
#[derive(Debug)]
#[must_use = "a connect does nothing unless it is awaited"]
pub struct Connect {
    to: SocketAddr,
    from: Option<IpAddr>,
    link: Option<Link>,
    begun: Option<Begun>,
}

#[derive(Clone, Copy, Debug)]
struct Begun {
    world: u64,
    key: Key,
    id: ConnectionId,
}

impl Connect {
    pub(super) fn new(to: SocketAddr, from: Option<IpAddr>, link: Option<Link>) -> Connect {
        Connect {
            to,
            from,
            link,
            begun: None,
        }
    }

    /// The connection that is being made; `None` before the first poll, which sends the SYN, and after the
    /// last.
    pub fn connection(&self) -> Option<ConnectionId> {
        self.begun.map(|begun| begun.id)
    }

    fn begin(&mut self) -> io::Result<Begun> {
        if let Some(begun) = self.begun {
            return Ok(begun);
        }
        let world = current()?;
        let begun = with(world, |network| {
            let key = network.connect(self.to, self.from, self.link);
            let (connection, _) = network.get(key)?;
            Some(Begun {
                world,
                key,
                id: connection.id,
            })
        });
        self.begun = begun.flatten();
        self.begun.ok_or_else(down)
    }
}

impl Future for Connect {
    type Output = io::Result<TcpStream>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        leaf(cx, |cx| {
            let world = self.begun.map_or_else(current, |begun| Ok(begun.world))?;
            let dead = with(world, |network| {
                network.process > 0 && network.medium.is_called_by_dead()
            });
            if dead == Some(true) {
                return process_died();
            }
            let Begun { world, key, .. } = self.begin()?;
            let result = with(world, |network| {
                let (connection, medium) = network.get(key)?;
                match connection.end_ref(Side::Client).life {
                    Life::SynSent => {
                        connection.wait_writable(Side::Client, Place::Poll, cx, medium);
                        return Some(Poll::Pending);
                    }
                    Life::Open => {}
                    // Refused, timed out, or reset since: connect says so if it is the first to ask.
                    _ => {
                        if let Some(fault) = connection.end(Side::Client).fault.take() {
                            network.abandon(key);
                            return Some(Poll::Ready(Err(fault.into())));
                        }
                    }
                }
                network
                    .socket(key, Side::Client)
                    .map(|socket| Poll::Ready(Ok(TcpStream::new(socket))))
            });
            let result = ready!(result.flatten().unwrap_or_else(|| Poll::Ready(Err(down()))));
            self.begun = None;
            Poll::Ready(result)
        })
    }
}

impl Drop for Connect {
    fn drop(&mut self) {
        if let Some(Begun { world, key, .. }) = self.begun {
            with(world, |network| network.abandon(key));
        }
    }
}
