//! The bytes of a connection read as HTTP/1.1 messages, by an observer who stands between client and server.
//!
//! The oracles must know how many requests a client really made and how many responses it got, whatever the server
//! thinks of them. This reader follows RFC 9112 framing on both directions. Where a request is malformed it stops
//! judging ([`Requests::broken`]) rather than guess, since servers may differ there.

pub mod asks;
pub mod contents;
pub mod fault;
mod marked;
mod messages;
mod request;
mod response;
pub mod tunnel;

pub use self::request::{Request, Requests, Targets};
pub use self::response::{Response, Responses};

#[cfg(test)]
mod tests {
    use super::fault::Fault;
    use super::*;
    use std::time::Duration;

    const AT: Duration = Duration::from_secs(1);

    fn requests(bytes: &[u8]) -> Requests {
        let mut requests = Requests::default();
        requests.feed(AT, bytes);
        requests
    }

    #[test]
    fn requests_are_counted_the_same_in_one_segment_and_bytewise() {
        let bytes = b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nGET\r\n0\r\nT: 1\r\n\r\n\
            POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nGET /GET / HTTP/1.1\r\nHost: h\r\n\r\nGET";
        let whole = requests(bytes);
        let mut split = Requests::default();
        for byte in bytes {
            split.feed(AT, &[*byte]);
        }
        assert_eq!(whole.list.len(), 3);
        assert_eq!(whole.list, split.list);
        assert!(
            whole
                .list
                .iter()
                .all(|request| request.complete_at == Some(AT))
        );
        assert!(whole.in_head() && split.in_head() && !whole.in_body());
    }

    #[test]
    fn nothing_behind_a_close_is_a_request() {
        let seen = requests(b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n\r\nabGET / HTTP/1.1\r\n\r\n");
        assert_eq!(seen.list.len(), 1);
        let mut split = Requests::default();
        for byte in b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n\r\nabGET / HTTP/1.1\r\n\r\n" {
            split.feed(AT, &[*byte]);
        }
        assert_eq!(split.list.len(), 1);
    }

    #[test]
    fn a_framing_error_is_told_from_what_servers_may_take_in_their_own_way() {
        let head = |line: &str, fields: &str| format!("{line}\r\nHost: h\r\n{fields}\r\n");
        let (new, old) = ("POST / HTTP/1.1", "POST / HTTP/1.0");
        for (line, fields, fault) in [
            (
                new,
                "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
                Some(Fault::LengthAndChunked),
            ),
            (
                old,
                "Transfer-Encoding: chunked\r\n",
                Some(Fault::ChunkedInOld),
            ),
            (new, "Content-Length: +1\r\n", Some(Fault::Length)),
            (
                new,
                "Content-Length: 1\r\nContent-Length: 2\r\n",
                Some(Fault::Length),
            ),
            (new, "Content-Length: 1\r\nContent-Length: 1\r\n", None),
            (new, "Content-Length: 1, 1\r\n", None),
            (
                new,
                "Transfer-Encoding: chunked, gzip\r\n",
                Some(Fault::NotChunked),
            ),
            (new, "Transfer-Encoding: gzip, chunked\r\n", None),
            (new, "X : y\r\n", Some(Fault::SpaceBeforeColon)),
            (new, "X: y\r\n folded: z\r\n", None),
            (new, "Upgrade: h2c\r\n", None),
        ] {
            let whole = requests(head(line, fields).as_bytes());
            let mut split = Requests::default();
            for byte in head(line, fields).bytes() {
                split.feed(AT, &[byte]);
            }
            for seen in [whole, split] {
                assert!(seen.broken && seen.list.is_empty(), "{fields}");
                assert_eq!(seen.fault.map(|faulty| faulty.fault), fault, "{fields}");
            }
        }
        for (body, fault) in [
            ("g\r\n", Some(Fault::Chunk)),
            ("1\r\nab\r\n", Some(Fault::Chunk)),
            ("fffffffffffffffff\r\n", Some(Fault::Chunk)),
            ("0\r\nno field\r\n\r\n", None),
        ] {
            let seen = requests(
                format!("{}{body}", head(new, "Transfer-Encoding: chunked\r\n")).as_bytes(),
            );
            assert!(seen.broken && seen.list[0].complete_at.is_none(), "{body}");
            assert_eq!(
                seen.fault.map(|faulty| (faulty.fault, faulty.request)),
                fault.map(|fault| (fault, 0)),
                "{body}"
            );
        }
    }

    #[test]
    fn hosts_are_counted() {
        for (fields, hosts) in [("", 0), ("Host: a\r\n", 1), ("Host: a\r\nhost: a\r\n", 2)] {
            let seen = requests(format!("GET / HTTP/1.1\r\n{fields}\r\n").as_bytes());
            assert_eq!(seen.list[0].hosts, hosts);
        }
    }

    #[test]
    fn responses_follow_their_requests() {
        let asked = requests(b"HEAD / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx");
        let mut seen = Responses::default();
        seen.feed(AT, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nrest", &asked);
        assert_eq!(
            seen.list
                .iter()
                .map(|response| response.status)
                .collect::<Vec<_>>(),
            [200, 100, 200]
        );
        assert_eq!((seen.finals, seen.complete), (2, 1));
        assert!(seen.inside());
        seen.end(AT);
        assert_eq!((seen.complete, seen.inside()), (2, false));
    }

    #[test]
    fn who_is_never_asked_what_messages_carry_sees_the_same_of_them() {
        let (asked, said): (&[u8], &[u8]) = (
            b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        );
        let (whole, mut light) = (requests(asked), Requests::without_contents());
        light.feed(AT, asked);
        assert_eq!(whole.list, light.list);
        assert_eq!(
            whole.contents.get(0).and_then(|content| content.bytes),
            Some(&b"abc"[..])
        );
        assert!(light.contents.get(0).is_none());
        let (mut full, mut few) = (Responses::default(), Responses::without_contents());
        full.feed(AT, said, &whole);
        few.feed(AT, said, &light);
        assert_eq!((&full.list, full.complete), (&few.list, few.complete));
        assert_eq!(full.contents.get(0).map(|content| content.length), Some(2));
        assert!(few.contents.get(0).is_none());
    }
}
