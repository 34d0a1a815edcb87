//! The pages of an admin listener: who is there, the metrics, the flight record.

mod access;

use crate::metrics::CONTENT_TYPE;
use crate::{Dump, FlightRecorder, Ledger, Metrics};
use access::{Access, Denied};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::SystemTime;
use tower_service::Service;

/// The admin pages of a server as a service of their own, to be served by a second [`Server`](crate::Server) on a listener that only
/// those can reach who may see clients' addresses.
///
/// | request | answer |
/// |---|---|
/// | `GET /debug/connections` | the [dump](Dump) as text; `?json` as JSON; `rows=N` shows N connections of each group |
/// | `GET /metrics` | for Prometheus ([`Metrics`]) |
/// | `GET /debug/flight` | the [flight record](FlightRecorder), if there is a recorder |
///
/// A request without a [`token`](Admin::token) must name a host of the listener's own, which are
/// the loopback addresses, `localhost`, and each [`host`](Admin::host); any other is answered 421.
/// A page on another site that has its name resolved to this address (DNS rebinding) sends its own
/// name.
#[derive(Clone, Debug)]
pub struct Admin {
    ledger: Ledger,
    flight: Option<FlightRecorder>,
    access: Access,
}

impl Admin {
    /// The pages of the server whose ledger this is.
    pub fn new(ledger: Ledger) -> Self {
        Admin {
            ledger,
            flight: None,
            access: Access::default(),
        }
    }

    /// The listener is also known by this name or address: a host without a port, as `Host` has it.
    /// IPv6 addresses are in brackets or not.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.access.allow(host.into());
        self
    }

    /// Requires `Authorization: Bearer TOKEN` (RFC 6750) with this token; any other request is
    /// answered 401. The host of a request does not matter then, because no other site's page has
    /// the token. It is compared in constant time.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.access.require(token.into());
        self
    }

    /// With the record of `flight`, which the server must have as its watch.
    #[must_use]
    pub fn flight(mut self, flight: FlightRecorder) -> Self {
        self.flight = Some(flight);
        self
    }

    /// Answers one request. Its body is not read.
    pub fn answer<B>(&self, request: &Request<B>) -> Response<String> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let wrong = "only GET\n".to_owned();
            let response = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, wrong);
            return with(response, header::ALLOW, "GET, HEAD");
        }
        match self.access.check(request.uri(), request.headers()) {
            Ok(()) => {}
            Err(Denied::Host) => {
                let wrong = "this host is not the admin listener's own (DNS rebinding?)\n";
                return page(StatusCode::MISDIRECTED_REQUEST, TEXT, wrong.to_owned());
            }
            Err(Denied::Token) => {
                let wrong = "Authorization: Bearer TOKEN is required\n".to_owned();
                let response = page(StatusCode::UNAUTHORIZED, TEXT, wrong);
                return with(response, header::WWW_AUTHENTICATE, "Bearer");
            }
        }
        let query = request.uri().query().unwrap_or_default();
        match request.uri().path() {
            "/debug/connections" => self.connections(query),
            "/metrics" => page(
                StatusCode::OK,
                CONTENT_TYPE,
                Metrics::new(self.ledger.clone()).text(),
            ),
            "/debug/flight" => match &self.flight {
                Some(flight) => page(StatusCode::OK, JSON_LINES, flight.text(SystemTime::now())),
                None => page(
                    StatusCode::NOT_FOUND,
                    TEXT,
                    "there is no flight recorder\n".to_owned(),
                ),
            },
            "/" => page(StatusCode::OK, TEXT, INDEX.to_owned()),
            _ => page(StatusCode::NOT_FOUND, TEXT, INDEX.to_owned()),
        }
    }

    fn connections(&self, query: &str) -> Response<String> {
        let mut rows = Dump::ROWS;
        let mut json = false;
        for part in query.split('&').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                None if part == "json" => json = true,
                Some(("rows", count)) if count.parse::<usize>().is_ok() => {
                    rows = count.parse().unwrap_or(rows);
                }
                _ => {
                    let wrong = "allowed: json, rows=N\n".to_owned();
                    return page(StatusCode::BAD_REQUEST, TEXT, wrong);
                }
            }
        }
        let dump = self.ledger.dump().rows(rows).taken(SystemTime::now());
        if json {
            page(StatusCode::OK, JSON, dump.to_json() + "\n")
        } else {
            page(StatusCode::OK, TEXT, dump.to_string())
        }
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const JSON_LINES: &str = "application/jsonl";
const INDEX: &str = "/debug/connections\n/debug/connections?json\n/debug/flight\n/metrics\n";

fn page(status: StatusCode, kind: &'static str, text: String) -> Response<String> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    with(response, header::CONTENT_TYPE, kind)
}

fn with(mut response: Response<String>, name: HeaderName, value: &'static str) -> Response<String> {
    let value = HeaderValue::from_static(value);
    response.headers_mut().insert(name, value);
    response
}

impl<B> Service<Request<B>> for Admin {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(self.answer(&request)))
    }
}
