//! Jobs that outlive the request which orders them.

use std::future::Future;

/// Runs a job, whoever goes or stays.
pub(crate) fn later<F: Future<Output: Send> + Send + 'static>(job: F) {
    drop(tokio::spawn(job));
}
