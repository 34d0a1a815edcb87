//! The signal to shut down gracefully, as a server under test gets it.

use std::future::pending;
use tokio::sync::watch;

/// Tells a server that it is to shut down gracefully: to accept nothing more, to answer what it has, and to return. Clones
/// all tell the same.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// Gives the signal.
#[derive(Debug)]
pub(crate) struct Order(watch::Sender<bool>);

impl Order {
    /// An order that has not been given, and the signal that it will give.
    pub(crate) fn new() -> (Self, Shutdown) {
        let (order, signal) = watch::channel(false);
        (Self(order), Shutdown(signal))
    }

    /// Gives it.
    pub(crate) fn give(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// A signal that is never given.
    pub fn never() -> Self {
        Order::new().1
    }

    /// Waits until it is given; from then on it is there at once.
    pub async fn given(mut self) {
        if self.0.wait_for(|given| *given).await.is_err() {
            pending().await
        }
    }

    /// Has it been given?
    pub fn is_given(&self) -> bool {
        *self.0.borrow()
    }
}
