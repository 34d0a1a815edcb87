//! Exchanges that `sweep` takes apart: well-behaved clients, from their first byte to their last.

use hangup_scenario::Scenario;

/// An exchange, by name.
#[derive(Debug)]
pub struct Exchange {
    /// The name on the command line.
    pub name: &'static str,
    /// One line about it.
    pub about: &'static str,
    /// The client's steps behind `connect`, as they stand in a scenario file.
    steps: &'static str,
}

/// Every exchange that is built in.
pub const ALL: [Exchange; 10] = [
    Exchange {
        name: "get",
        about: "GET and its response",
        steps: r#"{ do = "send", head = { method = "GET", target = "/" } }, { do = "await", status = "final", within = "2s" }"#,
    },
    Exchange {
        name: "fasthttp-1834",
        about: "POST with Expect: 100-continue, the 100, 1000 bytes of body, the response",
        steps: r#"{ do = "send", head = { method = "POST", target = "/echo", length = 1000, expect = "100-continue" } },
            { do = "await", status = 100, within = "2s" }, { do = "send", body = 1000 }, { do = "await", status = "final", within = "2s" }"#,
    },
    Exchange {
        name: "post",
        about: "POST with a body of 100 bytes in the same write",
        steps: r#"{ do = "send", all = [ { head = { method = "POST", target = "/echo", length = 100 } }, { body = 100 } ] },
            { do = "await", status = "final", within = "2s" }"#,
    },
    Exchange {
        name: "chunked",
        about: "POST with three chunks, each in a write of its own",
        steps: r#"{ do = "send", head = { method = "POST", target = "/echo", chunked = true } }, { do = "send", chunk = 40 },
            { do = "send", chunk = 1 }, { do = "send", chunk = 40 }, { do = "send", last_chunk = true }, { do = "await", status = "final", within = "2s" }"#,
    },
    Exchange {
        name: "keep-alive",
        about: "GET, POST and GET on one connection, each behind the response before it",
        steps: r#"{ do = "send", head = { method = "GET", target = "/" } }, { do = "await", status = "final", within = "2s" },
            { do = "send", all = [ { head = { method = "POST", target = "/echo", length = 20 } }, { body = 20 } ] }, { do = "await", status = "final", within = "2s" },
            { do = "send", head = { method = "GET", target = "/" } }, { do = "await", status = "final", within = "2s" }"#,
    },
    Exchange {
        name: "pipelined",
        about: "GET, POST and a GET that says close, in one write",
        steps: r#"{ do = "send", all = [ { head = { method = "GET", target = "/" } }, { head = { method = "POST", target = "/echo", length = 20 } },
            { body = 20 }, { head = { method = "GET", target = "/", connection = "close" } } ] }, { do = "await", eof = true, within = "2s" }"#,
    },
    Exchange {
        name: "rejected",
        about: "POST to a target that answers 403 without reading the body",
        steps: r#"{ do = "send", head = { method = "POST", target = "/reject", length = 200 } }, { do = "await", status = "final", within = "2s" },
            { do = "send", body = 200 }, { do = "await", eof = true, within = "2s" }"#,
    },
    Exchange {
        name: "download",
        about: "GET for 30000 bytes, read at 1000 bytes a second",
        steps: r#"{ do = "send", head = { method = "GET", target = "/big/30000" } }, { do = "read", bytes = 30000, size = 500, every = "503ms" },
            { do = "await", bytes = 1, within = "2s" }"#,
    },
    Exchange {
        name: "events",
        about: "GET for a stream in which nothing comes after the first event",
        steps: r#"{ do = "send", head = { method = "GET", target = "/events" } }, { do = "await", bytes = 100, within = "2s" }"#,
    },
    Exchange {
        name: "streamed",
        about: "POST whose body is echoed while it comes, and a GET for a megabyte behind it",
        steps: r#"{ do = "send", head = { method = "POST", target = "/stream", chunked = true } }, { do = "send", chunk = 30 }, { do = "await", bytes = 1, within = "2s" },
            { do = "send", chunk = 30 }, { do = "send", last_chunk = true }, { do = "await", status = "final", within = "2s" },
            { do = "send", head = { method = "GET", target = "/big/1000000" } }, { do = "read", bytes = 1000 }, { do = "await", status = "final", within = "2s" }"#,
    },
];

/// The exchange with this name.
pub fn named(name: &str) -> Option<&'static Exchange> {
    ALL.iter().find(|exchange| exchange.name == name)
}

impl Exchange {
    /// The client of this exchange, who does all of it.
    pub fn scenario(&self) -> Scenario {
        let text = format!(
            "name = \"{}\"\ntitle = \"{}\"\n[[client]]\nsteps = [ {{ do = \"connect\" }}, {} ]\n",
            self.name, self.about, self.steps
        );
        Scenario::from_toml(self.name, &text).expect("the built-in exchanges are read in a test")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exchange_can_be_read_and_sends_something() {
        for exchange in &ALL {
            let scenario = exchange.scenario();
            assert!(scenario.clients[0].steps.len() >= 3, "{}", exchange.name);
            assert!(named(exchange.name).is_some());
        }
    }
}
