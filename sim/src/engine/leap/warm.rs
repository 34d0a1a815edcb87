//! The crowd that comes before the scenario's clients, where a run begins with a server that is warm: well-behaved
//! clients, all at once, which ask for every target that the scenario asks for. What a server starts at its first
//! connections, or at the first request for a target, and keeps, is there then before the first client that is judged.

use super::ADDRESS;
use crate::probe;
use crate::server::Server;
use crate::trace::{Recorder, record};
use crate::transport::Dialer;
use hangup_scenario::{Client, Head, Host, Piece, Scenario, Send, Step, Version};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// So many connections more than the scenario makes are open at a time: a pool is full then, or never.
const MORE: u32 = 16;
/// And not more than this.
const CROWD_MAX: u32 = 256;
/// So many different requests are made at most.
const REQUESTS_MAX: usize = 64;
/// The longest body that is sent, or asked for where a target says how long it is to be.
const BODY_MAX: u64 = 1_000;
/// All have connected when the first one asks.
const GATHERING: Duration = Duration::from_millis(100);
/// How often it is looked whether a task stays behind its connection: sooner than any contract asks of it.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// So long behind the fresh client its connection is closed, looked at and, if need be, visited.
pub(super) const LAST_VISIT: Duration = Duration::from_secs(10);
/// After a restart: what the visitors have started is there, and they are gone.
const VISITED: Duration = Duration::from_secs(1);

/// What well-behaved clients ask of a server, each request the last of its connection.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    http: bool,
    /// Every request, the plain one first; none is that nobody knows what to say.
    list: Vec<Option<Arc<[u8]>>>,
    /// How many clients come.
    crowd: u32,
}

impl Requests {
    /// Those for every target of a scenario.
    pub(super) fn of(scenario: &Scenario, server: &dyn Server) -> Self {
        let http = server.speaks_http();
        let mut list = vec![server.fresh_request().map(Into::into)];
        let steps = || scenario.clients.iter().flat_map(|client| &client.steps);
        let sized = server.sized_target();
        let sent = steps().filter_map(|step| match step {
            Step::Send(send) => Some(&send.what),
            _ => None,
        });
        for piece in sent.flatten().filter(|_| http) {
            let head = match piece {
                Piece::Head(head) => Some(head.clone()),
                Piece::Bytes(bytes) => written_out(bytes),
                _ => None,
            };
            if let Some(head) = head {
                let request = Some(well_behaved(&head, sized.as_deref()).into());
                if !list.contains(&request) && list.len() < REQUESTS_MAX {
                    list.push(request);
                }
            }
        }
        let connects = |client: &Client| {
            let connects = |step: &&Step| matches!(step, Step::Connect | Step::Reconnect { .. });
            let connects = client.steps.iter().filter(connects).count();
            u32::try_from(connects)
                .unwrap_or(u32::MAX)
                .saturating_mul(client.count)
        };
        let all = scenario.clients.iter().map(connects);
        let all = all.fold(MORE, u32::saturating_add);
        // Who waits for a descriptor is no part of a crowd.
        let most = scenario.server.descriptors.unwrap_or(u32::MAX);
        Self {
            http,
            list,
            crowd: all.min(CROWD_MAX).min(most).max(1),
        }
    }

    /// As many clients come as there are tasks at least: no worker is left over that waits for its next connection.
    fn come(
        &self,
        scenario: &Arc<Scenario>,
        gathering: Duration,
        tasks: usize,
    ) -> Vec<JoinHandle<()>> {
        let crowd = (self.crowd as usize).max(tasks.min(CROWD_MAX as usize));
        let crowd = crowd.max(self.list.len());
        let requests = self.list.iter().cycle().take(crowd);
        let visits = requests.cloned().map(|request| {
            let (scenario, http) = (Arc::clone(scenario), self.http);
            tokio::spawn(Box::pin(async move {
                let asked = (http, request.as_deref());
                probe::visits(Dialer::Leap(ADDRESS), &scenario.network, asked, gathering).await;
            }))
        });
        visits.collect()
    }
}

/// The head of a request that a scenario writes out, as far as it says what is asked for.
fn written_out(bytes: &[u8]) -> Option<Head> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let mut words = text.lines().next()?.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
    if !is_method || !target.starts_with('/') || target.contains(char::is_control) {
        return None;
    }
    let mut head = Head::new(method.to_owned(), target.to_owned());
    let fields = text.to_ascii_lowercase();
    let has_body = fields.contains("content-length") || fields.contains("transfer-encoding");
    head.length = has_body.then_some(BODY_MAX);
    Some(head)
}

/// The target with a number of [`BODY_MAX`] at most where `sized` has `{}`: what a handler starts hangs on no more of it.
fn cheap(target: &str, sized: &str) -> Option<String> {
    let (before, behind) = sized.split_once("{}")?;
    let number = target.strip_prefix(before)?.strip_suffix(behind)?;
    let bytes: u64 = number.parse().ok()?;
    Some(format!("{before}{}{behind}", bytes.min(BODY_MAX)))
}

/// A request for the same, of a client that does all as it should.
fn well_behaved(head: &Head, sized: Option<&str>) -> Vec<u8> {
    let body = match (head.length, head.chunked) {
        (None, false) => None,
        (length, _) => Some(length.unwrap_or(BODY_MAX).min(BODY_MAX)),
    };
    let target = sized.and_then(|sized| cheap(&head.target, sized));
    let head = Head {
        target: target.map_or_else(|| head.target.clone(), Into::into),
        version: Version::Http11,
        host: Host::Default,
        length: body,
        chunked: false,
        expect: None,
        connection: Some("close".into()),
        ..head.clone()
    };
    let mut send = Send::from(head);
    send.what.extend(body.map(Piece::Body));
    let mut bytes = Vec::new();
    send.render(&mut bytes);
    bytes
}

/// The crowd comes and goes, and for `idle` nobody else comes.
pub(super) async fn up(requests: &Requests, scenario: &Arc<Scenario>, idle: Duration) {
    all_gone(requests.come(scenario, GATHERING, 0)).await;
    sleep(idle).await;
    record(Recorder::settle);
}

async fn all_gone(visits: Vec<JoinHandle<()>>) {
    for visit in visits {
        visit
            .await
            .expect("a visitor does not panic and is not cancelled");
    }
}

/// Visitors come to an instance that has just been started, beside the scenario's clients.
pub(super) fn up_beside(requests: &Requests, scenario: &Arc<Scenario>) {
    let visits = requests.come(scenario, Duration::ZERO, 0);
    tokio::spawn(settled(visits));
}

/// What visitors have made the server start is no connection's.
async fn settled(visits: Vec<JoinHandle<()>>) {
    all_gone(visits).await;
    sleep(VISITED).await;
    record(Recorder::settle_visits);
}

/// Visitors come whenever the server has closed a connection and tasks of it stay: a worker that waits for the next
/// connection takes theirs, and shows by that that it holds nothing of the one before. It never ends.
pub(super) async fn keep_visiting(requests: Requests, scenario: Arc<Scenario>) {
    let mut looked = Duration::ZERO;
    loop {
        sleep(LOOK_EVERY).await;
        let tasks = record(|recorder| {
            let times = looked..recorder.now();
            looked = times.end;
            let alive = recorder.tasks.of_server();
            // Workers that others have visited count as well: they may come first.
            let alive = alive.filter(|task| task.ended.is_none());
            let closed = recorder.ledger.has_closed_and_not_let_go(times);
            closed.then(|| alive.count())
        });
        if let Some(tasks) = tasks.flatten() {
            settled(requests.come(&scenario, GATHERING, tasks)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visitors_ask_for_little() {
        for (target, sized, asked) in [
            ("/big/4711000", "/big/{}", Some("/big/1000")),
            ("/big/7", "/big/{}", Some("/big/7")),
            (
                "/file?size=5000&x=1",
                "/file?size={}&x=1",
                Some("/file?size=1000&x=1"),
            ),
            ("/big/x", "/big/{}", None),
            ("/slow/2000", "/big/{}", None),
            ("/file.bin", "/file.bin", None),
        ] {
            assert_eq!(cheap(target, sized).as_deref(), asked, "{target} {sized}");
        }
        let head = Head::new("GET", "/big/16000000");
        let request = well_behaved(&head, Some("/big/{}"));
        assert!(request.starts_with(b"GET /big/1000 HTTP/1.1\r\n"));
    }
}
