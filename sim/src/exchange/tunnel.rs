//! What passes through a connection that has switched to a protocol in which everything is sent back.

/// More than this of one direction is not kept.
const KEPT_MAX: usize = 1 << 20;

/// One direction of it, behind the head with which it begins.
#[derive(Debug, Default)]
pub struct Tunnel {
    bytes: Vec<u8>,
    /// So many of them came in the segment in which the head ended.
    pub with_head: usize,
    /// There were more than are kept.
    pub cut: bool,
}

impl Tunnel {
    /// A direction that begins with what stands behind the head in the head's own segment.
    pub(super) fn behind_head(bytes: &[u8]) -> Self {
        let mut tunnel = Self::default();
        tunnel.feed(bytes);
        tunnel.with_head = tunnel.bytes.len();
        tunnel
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let room = KEPT_MAX - self.bytes.len();
        self.cut |= bytes.len() > room;
        self.bytes.extend(bytes.iter().take(room));
    }

    /// What has come of it, as far as it is kept.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
