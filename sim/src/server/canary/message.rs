//! Just enough HTTP/1.1 for the twin.

/// A request whose head is complete.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) old: bool,
    pub(super) close: bool,
    pub(super) expects: bool,
    pub(super) body: Body,
    /// How many Host fields there are.
    pub(super) hosts: usize,
    /// Bytes of the head.
    pub(super) length: usize,
}

/// How the body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Length(usize),
    Chunked,
}

/// Something that gets 400.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Parses a head; none while it is not complete.
pub(super) fn head(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Malformed),
    };
    let mut head = Head {
        method: request.method.unwrap_or_default().to_owned(),
        target: request.path.unwrap_or_default().to_owned(),
        old: request.version == Some(0),
        close: request.version == Some(0),
        expects: false,
        body: Body::Length(0),
        hosts: 0,
        length,
    };
    let mut framed = false;
    for field in request.headers.iter() {
        let value = std::str::from_utf8(field.value)
            .map_err(|_| Malformed)?
            .trim();
        match field.name.to_ascii_lowercase().as_str() {
            "content-length" | "transfer-encoding" if framed => return Err(Malformed),
            "content-length" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                head.body = Body::Length(value.parse().map_err(|_| Malformed)?);
                framed = true;
            }
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") && !head.old => {
                head.body = Body::Chunked;
                framed = true;
            }
            "content-length" | "transfer-encoding" => return Err(Malformed),
            "host" => head.hosts += 1,
            "expect" => head.expects |= value.eq_ignore_ascii_case("100-continue"),
            "connection" => {
                head.close |= value
                    .split(',')
                    .any(|item| item.trim().eq_ignore_ascii_case("close"))
            }
            _ => {}
        }
    }
    Ok(Some(head))
}

impl Head {
    /// It says for which host it is, as HTTP/1.1 has to.
    pub(super) fn has_host(&self) -> bool {
        self.old || self.hosts == 1
    }
}

/// Takes a whole body off the front of `bytes`: its length on the wire and its content; none while it is not complete.
pub(super) fn body(bytes: &[u8], framing: Body) -> Result<Option<(usize, Vec<u8>)>, Malformed> {
    match framing {
        Body::Length(length) => Ok(bytes.get(..length).map(|body| (length, body.to_vec()))),
        Body::Chunked => {
            let (mut at, mut content) = (0, Vec::new());
            loop {
                let Some(line) = line(&bytes[at..]) else {
                    return Ok(None);
                };
                let size = line
                    .split(|&byte| byte == b';')
                    .next()
                    .unwrap_or_default()
                    .trim_ascii();
                let size = std::str::from_utf8(size).map_err(|_| Malformed)?;
                let size = usize::from_str_radix(size, 16).map_err(|_| Malformed)?;
                at += line.len();
                if size == 0 {
                    return trailers(bytes, at, content);
                }
                if size > super::twin::BODY_MAX {
                    return Err(Malformed);
                }
                let Some(chunk) = bytes.get(at..at + size + 2) else {
                    return Ok(None);
                };
                let Some(data) = chunk.strip_suffix(b"\r\n") else {
                    return Err(Malformed);
                };
                content.extend_from_slice(data);
                at += chunk.len();
            }
        }
    }
}

fn trailers(
    bytes: &[u8],
    mut at: usize,
    content: Vec<u8>,
) -> Result<Option<(usize, Vec<u8>)>, Malformed> {
    loop {
        let Some(line) = line(&bytes[at..]) else {
            return Ok(None);
        };
        at += line.len();
        if line.trim_ascii().is_empty() {
            return Ok(Some((at, content)));
        }
    }
}

/// The first line with its end.
fn line(bytes: &[u8]) -> Option<&[u8]> {
    bytes
        .iter()
        .position(|&byte| byte == b'\n')
        .map(|end| &bytes[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunked_body_ends_with_its_trailers() {
        let bytes = b"3;x=1\r\nabc\r\n1\r\nd\r\n0\r\nT: 1\r\n\r\nGET";
        assert_eq!(
            body(bytes, Body::Chunked),
            Ok(Some((bytes.len() - 3, b"abcd".to_vec())))
        );
        for cut in 0..bytes.len() - 3 {
            assert_eq!(body(&bytes[..cut], Body::Chunked), Ok(None), "{cut}");
        }
        assert_eq!(body(b"x\r\n", Body::Chunked), Err(Malformed));
    }
}
