//! What the network of a case is like.

use std::time::Duration;

use super::mask::{BIG, ERASE, Mask, NETWORK, SHAPE};
use crate::{
    scenario::{Network, Rst},
    stream::Stream,
};

pub(super) fn network(case_seed: u64, mask: Mask) -> Network {
    let mut stream = Stream::new(case_seed, "network");
    let mut network = Network::default();
    if mask.has(ERASE) {
        network.rst = Rst::Erase;
    }
    if mask.has(SHAPE) {
        // Without latency, what a client does at a deadline reaches the server at that deadline.
        network.latency = Duration::from_millis(*stream.pick(&[0, 0, 1, 20, 100]));
        network.jitter = Duration::from_millis(*stream.pick(&[0, 0, 0, 1, 30]));
        // Small segments and buffers make many events of a big body or response: not both.
        let (mtus, buffers): (&[usize], &[Option<usize>]) = match mask.has(BIG) {
            true => (
                &[1500, 1500, 9000, 65_535],
                &[Some(16 << 10), None, Some(256 << 10)],
            ),
            // A read for every single byte is dear, too.
            false => (
                &[1, 16, 16, 100, 100, 536, 1500, 1500],
                &[Some(1 << 10), Some(4 << 10), None],
            ),
        };
        network.mtu = *stream.pick(mtus);
        network.send_buffer = *stream.pick(buffers);
        network.receive_buffer = *stream.pick(buffers);
    }
    if mask.has(NETWORK) {
        network.loss = *stream.pick(&[0.0, 0.01, 0.1, 0.5]);
    }
    network
}
