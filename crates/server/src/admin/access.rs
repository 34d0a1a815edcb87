//! Who may see the admin pages.

use crate::host;
use http::{HeaderMap, Uri, header};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// The hosts by which the listener is known, and the token that a request must have, if one is set.
#[derive(Clone, Default)]
pub(super) struct Access {
    hosts: Vec<String>,
    token: Option<Arc<str>>,
}

/// Why a request gets no page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Denied {
    /// Its host is not the listener's.
    Host,
    /// It has not the token.
    Token,
}

impl Access {
    pub(super) fn allow(&mut self, host: String) {
        self.hosts.push(host);
    }

    pub(super) fn require(&mut self, token: String) {
        self.token = Some(token.into());
    }

    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Denied> {
        match &self.token {
            Some(token) if has_token(headers, token) => Ok(()),
            Some(_) => Err(Denied::Token),
            None if self.is_own(uri, headers) => Ok(()),
            None => Err(Denied::Host),
        }
    }

    /// Whether the request names a host of the listener's. One that names none (HTTP/1.0) is from
    /// no browser.
    fn is_own(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let named = match uri.authority() {
            Some(authority) => Some(authority.as_str().as_bytes()),
            None => headers.get(header::HOST).map(|host| host.as_bytes()),
        };
        let Some(named) = named else {
            return true;
        };
        let Some((host, _)) = host::split(named) else {
            return false;
        };
        let Ok(host) = std::str::from_utf8(host) else {
            return false;
        };
        let address = address(host);
        host.eq_ignore_ascii_case("localhost")
            || address.is_some_and(|address| address.to_canonical().is_loopback())
            || self.hosts.iter().any(|own| {
                own.eq_ignore_ascii_case(host) || address.is_some() && self::address(own) == address
            })
    }
}

/// An IPv6 address may be in brackets.
fn address(host: &str) -> Option<IpAddr> {
    let literal = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    literal.unwrap_or(host).parse().ok()
}

fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    let Some((scheme, given)) = value.as_bytes().split_at_checked("Bearer ".len()) else {
        return false;
    };
    scheme.eq_ignore_ascii_case(b"Bearer ") && given.ct_eq(token.as_bytes()).into()
}

/// The token is not shown.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("hosts", &self.hosts)
            .field("token", &self.token.is_some())
            .finish()
    }
}
