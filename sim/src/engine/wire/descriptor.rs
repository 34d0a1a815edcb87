//! What a process has open. When it dies its kernel closes that, whoever still has it in hand.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

/// An open socket; clones are of the same one.
#[derive(Debug)]
pub(super) struct Descriptor<S>(Arc<Mutex<Option<S>>>);

impl<S> Descriptor<S> {
    pub(super) fn of(socket: S) -> Self {
        Self(Arc::new(Mutex::new(Some(socket))))
    }

    /// Works on the socket; none if it is closed.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut S) -> R) -> Option<R> {
        let mut socket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        socket.as_mut().map(work)
    }

    /// Polls the socket. Of a process that is dead no call that can wait ever returns.
    pub(super) fn poll<R>(&self, poll: impl FnOnce(&mut S) -> Poll<R>) -> Poll<R> {
        self.with(poll).unwrap_or(Poll::Pending)
    }

    /// Gives the socket, which is closed when that is dropped; none if it is closed already.
    pub(super) fn close(&self) -> Option<S> {
        let mut socket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        socket.take()
    }
}

impl<S> Clone for Descriptor<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
