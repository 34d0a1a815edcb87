//! A request of HTTP/1.1 that does not say for which host it is, or says so twice, is refused (RFC 9112 section 3.2).

use super::Broken;
use crate::ledger::Connection;

pub(super) fn judge(connection: &Connection) -> Broken {
    let finals = connection
        .responses
        .list
        .iter()
        .filter(|response| response.is_final());
    let mut answered = connection.requests.list.iter().zip(finals).enumerate();
    let (nth, (request, response)) = answered.find(|(_, (request, response))| {
        request.hosts != 1 && !request.old && response.status < 400
    })?;
    let hosts = match request.hosts {
        0 => "no Host",
        _ => "more than one Host",
    };
    Some((
        response.at,
        format!(
            "request {} has {hosts} and was answered {}, where 400 is a MUST of RFC 9112 section 3.2",
            nth + 1,
            response.status
        ),
    ))
}
