//! How many connections a server counts itself: from a page of it, or from the descriptors of its process.
//!
//! A count is to be one of open connections. A count of goroutines or threads stays high for a while after a storm (fasthttp
//! keeps idle workers for some 19 s), so that a count has [`SETTLES`] to come back after the server's own time is over.

use crate::engine::wire::far::{Census, Holdings};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// How long a count may take to come back behind the server's own drain time.
pub const SETTLES: Duration = Duration::from_secs(20);
/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A page of counts is no longer.
const PAGE_MAX: u64 = 4 << 20;

/// A page with a number: `http://HOST:PORT/PATH`, or `...#NAME` for a Prometheus metric (all its samples are added up), or
/// `...#/POINTER` for a number in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountUrl {
    text: String,
    host: String,
    path: String,
    key: Option<String>,
}

/// Why there is no count.
#[derive(Debug, thiserror::Error)]
pub enum NoCount {
    /// It is no such address.
    #[error(
        "\"{0}\" is no page; allowed: http://HOST:PORT/PATH, with #METRIC or #/JSON/POINTER behind it"
    )]
    Url(String),
    /// The page cannot be had.
    #[error("{0}: {1}")]
    Page(String, io::Error),
    /// It answers with another status.
    #[error("{0} answers {1}")]
    Status(String, String),
    /// It has no such number.
    #[error("{0} has no number {1}")]
    Number(String, String),
}

impl CountUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, NoCount> {
        let wrong = || NoCount::Url(text.to_owned());
        let rest = text.strip_prefix("http://").ok_or_else(wrong)?;
        let (rest, key) = match rest.split_once('#') {
            Some((rest, key)) => (rest, Some(key.to_owned())),
            None => (rest, None),
        };
        let (host, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if host.is_empty() || !plain(rest) || key.as_deref() == Some("") {
            return Err(wrong());
        }
        Ok(Self {
            text: text.to_owned(),
            host: host.to_owned(),
            path: path.to_owned(),
            key,
        })
    }

    /// The number that the page has now.
    ///
    /// # Errors
    /// When it has none.
    pub fn read(&self) -> Result<f64, NoCount> {
        let page = self
            .page()
            .map_err(|error| NoCount::Page(self.text.clone(), error))?;
        let page = String::from_utf8_lossy(&page);
        let (head, body) = page.split_once("\r\n\r\n").unwrap_or((&page, ""));
        let status = head.split(' ').nth(1).unwrap_or("with no status");
        if status != "200" {
            let status: String = status.chars().take(20).collect();
            return Err(NoCount::Status(self.text.clone(), status));
        }
        number(body, self.key.as_deref()).ok_or_else(|| {
            let key = self.key.as_deref().unwrap_or("in it; name it behind a #");
            NoCount::Number(self.text.clone(), key.to_owned())
        })
    }

    /// HTTP/1.0, so that what comes is the page and nothing else.
    fn page(&self) -> io::Result<Vec<u8>> {
        let with_port = match self.host.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => self.host.clone(),
            _ => format!("{}:80", self.host),
        };
        let address = with_port.to_socket_addrs()?.next();
        let address = address.ok_or(io::ErrorKind::AddrNotAvailable)?;
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "GET {} HTTP/1.0\r\nHost: {}\r\n\r\n",
            self.path, self.host
        )?;
        let mut page = Vec::new();
        stream.take(PAGE_MAX).read_to_end(&mut page)?;
        Ok(page)
    }
}

fn number(body: &str, key: Option<&str>) -> Option<f64> {
    match key {
        None => body.trim().parse().ok(),
        Some(pointer) if pointer.starts_with('/') => {
            let value: serde_json::Value = serde_json::from_str(body).ok()?;
            value.pointer(pointer)?.as_f64()
        }
        Some(name) => {
            let samples = body.lines().filter_map(|line| {
                let rest = line.strip_prefix(name)?;
                let value = match rest.strip_prefix('{') {
                    Some(labels) => labels.rsplit_once('}')?.1,
                    None => rest.strip_prefix(' ')?,
                };
                value.split_ascii_whitespace().next()?.parse::<f64>().ok()
            });
            samples.fold(None, |sum, sample| Some(sum.unwrap_or(0.0) + sample))
        }
    }
}

/// Where a count comes from.
#[derive(Debug)]
pub(crate) enum Count {
    /// A page.
    Page(CountUrl),
    /// The descriptors of a process and its descendants, for connections to the probed port.
    Process {
        /// Its id.
        process: u32,
        /// The looks at it.
        census: Arc<Census>,
        /// What it was seen to hold.
        holdings: Holdings,
    },
}

impl Count {
    /// Looks at a process through the survey's table; none if its sockets are not to be seen.
    pub(crate) fn of_process(remote: &super::Remote, process: u32) -> Option<Self> {
        Some(Self::Process {
            process,
            census: remote.census.clone()?,
            holdings: Holdings::default(),
        })
    }

    /// What it is, as on the command line.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Page(url) => url.text.clone(),
            Self::Process { process, .. } => format!("process {process}"),
        }
    }

    /// The count now.
    ///
    /// # Errors
    /// When a page has none.
    pub(crate) fn now(&mut self) -> Result<f64, NoCount> {
        match self {
            Self::Page(url) => url.read(),
            Self::Process {
                census, holdings, ..
            } => Ok(holdings.count(census) as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_text_metrics_and_json() {
        assert_eq!(number(" 12\n", None), Some(12.0));
        let metrics = "# TYPE open gauge\nopen{phase=\"idle\"} 3\nopen{phase=\"a} b\"} 4 170000\nopened 99\nopen 1\n";
        assert_eq!(number(metrics, Some("open")), Some(8.0));
        assert_eq!(number(metrics, Some("opened")), Some(99.0));
        assert_eq!(number(metrics, Some("missing")), None);
        assert_eq!(number(r#"{"a": {"b": [1, 7]}}"#, Some("/a/b/1")), Some(7.0));
        assert_eq!(number("no json", Some("/a")), None);
        assert_eq!(number("", None), None);
    }

    #[test]
    fn what_is_no_page_is_refused() {
        for wrong in [
            "",
            "https://a/",
            "127.0.0.1:80/",
            "http://",
            "http://a/b c",
            "http://a/#",
        ] {
            assert!(CountUrl::parse(wrong).is_err(), "{wrong}");
        }
        let url = CountUrl::parse("http://[::1]:9/m?x#open").expect("it is one");
        assert_eq!(
            (url.host.as_str(), url.path.as_str(), url.key.as_deref()),
            ("[::1]:9", "/m?x", Some("open"))
        );
    }
}
