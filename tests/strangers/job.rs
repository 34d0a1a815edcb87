//! Work that outlives the request that ordered it, in a file of its own, by which a user names it to the bed.

use std::time::Duration;
use tokio::time::sleep;

/// Works at an upload for a minute.
pub(crate) fn starts(body: Vec<u8>) {
    tokio::spawn(async move {
        sleep(Duration::from_secs(60)).await;
        drop(body);
    });
}
