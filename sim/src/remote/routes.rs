//! Scenarios are written for the probe app; another server has the like of its routes elsewhere, or not at all.

use hangup_scenario::{Host, Piece, Scenario, Step};
use std::collections::{BTreeMap, BTreeSet};

/// A route of the probe app, and what stands in its place must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The path; with a number behind it for `/big` and `/slow`.
    pub path: &'static str,
    /// What a server has to have there.
    pub about: &'static str,
}

/// Every one that a scenario can ask for.
pub const ROUTES: [Route; 11] = [
    Route {
        path: "/",
        about: "GET: any answer that is short and comes at once",
    },
    Route {
        path: "/echo",
        about: "POST: reads the whole body, then answers 2xx",
    },
    Route {
        path: "/reject",
        about: "POST: answers 4xx without reading the body",
    },
    Route {
        path: "/big",
        about: "GET: 8 MB or more, which no kernel keeps to itself; {} in its place becomes the number of bytes",
    },
    Route {
        path: "/slow",
        about: "GET: answers after a while; {} in its place becomes the milliseconds",
    },
    Route {
        path: "/stream",
        about: "POST: answers with the body as it comes",
    },
    Route {
        path: "/panic",
        about: "GET: fails as handlers fail",
    },
    Route {
        path: "/never",
        about: "GET: never answers",
    },
    Route {
        path: "/events",
        about: "GET: answers with a stream that has no end, in which nothing comes after the first bytes",
    },
    Route {
        path: "/endless",
        about: "GET: answers with bytes that have no end, as fast as they are taken",
    },
    Route {
        path: "/upgrade",
        about: "GET with Upgrade: echo: answers 101, then sends back whatever comes",
    },
];

/// A response that is not read has to be longer than what the server's kernel keeps of it (4 MB, as Linux comes); in the simulation
/// less will do.
const BIG: u64 = 8_000_000;
/// What is shorter than this in a scenario is meant to be as long as it is.
const LONG: u64 = 100_000;

/// Where a server has what the probe app has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    /// By the probe app's path.
    places: BTreeMap<&'static str, String>,
    /// The value of `Host`, where a scenario does not say otherwise.
    pub host: Option<String>,
}

impl Routes {
    /// Says where a route is; false if the probe app has no such route.
    pub fn put(&mut self, path: &str, place: String) -> bool {
        let route = ROUTES.iter().find(|route| route.path == path);
        if let Some(route) = route {
            self.places.insert(route.path, place);
        }
        route.is_some()
    }

    /// Was it said where this route is?
    pub fn names(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    /// Where a target of the probe app is on this server.
    pub fn place(&self, target: &str) -> String {
        let Some(path) = route_of(target) else {
            return target.to_owned();
        };
        let Some((_, Ok(number))) = target
            .rsplit_once('/')
            .map(|(before, number)| (before, number.parse::<u64>()))
        else {
            return self
                .places
                .get(path)
                .map_or(target, String::as_str)
                .to_owned();
        };
        let number = match path {
            "/big" if number >= LONG => number.max(BIG),
            _ => number,
        };
        match self.places.get(path) {
            Some(place) => place.replace("{}", &number.to_string()),
            None => format!("{path}/{number}"),
        }
    }

    /// Puts this server's targets in a scenario.
    pub(crate) fn map(&self, scenario: &mut Scenario) {
        let clients = scenario.clients.iter_mut();
        clients
            .flat_map(|client| &mut client.steps)
            .for_each(|step| self.map_step(step));
    }

    pub(crate) fn map_step(&self, step: &mut Step) {
        let Step::Send(send) = step else { return };
        for piece in &mut send.what {
            match piece {
                Piece::Head(head) => {
                    head.target = self.place(&head.target).into();
                    if let (Host::Default, Some(host)) = (&head.host, &self.host) {
                        head.host = Host::Text(host.clone());
                    }
                }
                Piece::Bytes(bytes) => {
                    if let Some(mapped) = self.map_bytes(bytes) {
                        *bytes = mapped;
                    }
                }
                Piece::Body(_) | Piece::Chunk(_) | Piece::LastChunk => {}
            }
        }
    }

    /// The same in the request lines among raw bytes; none if there is nothing to do.
    fn map_bytes(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(bytes).ok()?;
        let lines: Vec<String> = text
            .split("\r\n")
            .map(|line| match target_of(line) {
                Some(target) => line.replacen(target, &self.place(target), 1),
                None => line.to_owned(),
            })
            .collect();
        let mapped = lines.join("\r\n").into_bytes();
        (mapped != bytes).then_some(mapped)
    }
}

/// The route of the probe app that a target asks for.
fn route_of(target: &str) -> Option<&'static str> {
    let paths = ROUTES.iter().map(|route| route.path);
    paths.clone().find(|path| *path == target).or_else(|| {
        let (before, number) = target.rsplit_once('/')?;
        let counted = number.parse::<u64>().is_ok();
        paths.clone().find(|path| counted && *path == before)
    })
}

/// The target of a request line.
fn target_of(line: &str) -> Option<&str> {
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let is_line = words.next().is_none()
        && !method.is_empty()
        && method.bytes().all(|byte| byte.is_ascii_uppercase())
        && version.starts_with("HTTP/1.");
    is_line.then_some(target)
}

/// The routes of the probe app that a scenario asks for.
pub fn needed(scenario: &Scenario) -> BTreeSet<&'static str> {
    let steps = scenario.clients.iter().flat_map(|client| &client.steps);
    let mut needed = BTreeSet::new();
    for step in steps {
        let Step::Send(send) = step else { continue };
        for piece in &send.what {
            match piece {
                Piece::Head(head) => needed.extend(route_of(&head.target)),
                Piece::Bytes(bytes) => {
                    let text = String::from_utf8_lossy(bytes);
                    needed.extend(
                        text.split("\r\n")
                            .filter_map(target_of)
                            .filter_map(route_of),
                    );
                }
                Piece::Body(_) | Piece::Chunk(_) | Piece::LastChunk => {}
            }
        }
    }
    needed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes {
        let mut routes = Routes::default();
        assert!(routes.put("/echo", "/upload".to_owned()));
        assert!(routes.put("/big", "/zeros?n={}".to_owned()));
        assert!(routes.put("/", "/index.html".to_owned()));
        assert!(!routes.put("/nowhere", "/x".to_owned()));
        routes
    }

    #[test]
    fn targets_are_put_in_heads_and_in_raw_request_lines() {
        let text = r#"
            name = "all"
            [[client]]
            steps = [
              { do = "connect" },
              { do = "send", head = { method = "GET", target = "/big/300000" } },
              { do = "send", bytes = "POST /echo HTTP/1.1\r\nReferer: GET / HTTP/1.0 it is\r\n\r\nGET / HTTP/1.0\r\n\r\n" },
              { do = "send", head = { method = "POST", target = "/reject", length = 3 } },
            ]
        "#;
        let mut scenario = Scenario::from_toml("all", text).expect("it is a scenario");
        assert_eq!(
            needed(&scenario).into_iter().collect::<Vec<_>>(),
            ["/", "/big", "/echo", "/reject"]
        );
        let mut routes = routes();
        routes.host = Some("example.org".to_owned());
        routes.map(&mut scenario);
        let mut bytes = Vec::new();
        for step in &scenario.clients[0].steps {
            if let Step::Send(send) = step {
                send.render(&mut bytes);
            }
        }
        assert_eq!(
            String::from_utf8_lossy(&bytes),
            "GET /zeros?n=8000000 HTTP/1.1\r\nHost: example.org\r\n\r\n\
             POST /upload HTTP/1.1\r\nReferer: GET / HTTP/1.0 it is\r\n\r\nGET /index.html HTTP/1.0\r\n\r\n\
             POST /reject HTTP/1.1\r\nHost: example.org\r\nContent-Length: 3\r\n\r\n"
        );
    }

    #[test]
    fn a_big_response_is_more_than_kernels_keep() {
        let plain = Routes::default();
        assert_eq!(plain.place("/big/1000000"), "/big/8000000");
        assert_eq!(plain.place("/big/64000000"), "/big/64000000");
        assert_eq!(plain.place("/slow/1000"), "/slow/1000");
    }

    #[test]
    fn what_no_route_is_stays() {
        for target in ["/missing", "/smuggled", "*", "/big/x", "/echo/1/2", ""] {
            assert_eq!(routes().place(target), target);
        }
        assert_eq!(routes().place("/echo/1"), "/upload");
    }
}
