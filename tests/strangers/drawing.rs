//! What is not the same in two runs: contents, which nobody minds, and what happens.

use crate::base::*;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;
use tokio::time::sleep;

/// Each response has an id that is drawn, of changing length.
#[derive(Default)]
pub(crate) struct DrawsIds;

impl Hooks for DrawsIds {
    async fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        answer: Answer,
        close: bool,
    ) -> Result<(), End> {
        let mut bytes = response_head(&answer, close);
        let drawn = RandomState::new().hash_one(0);
        let id = format!("{drawn:016x}");
        let id = &id[..8 + drawn as usize % 9];
        bytes.splice(
            bytes.len() - 2..,
            format!("X-Request-Id: {id}\r\n\r\n").into_bytes(),
        );
        if request.method != "HEAD" {
            bytes.extend(answer.body);
        }
        conn.send(&bytes).await
    }
}

/// `GET /` is answered with the time that std's clock has measured since the connection's first request.
#[derive(Default)]
pub(crate) struct TellsElapsed;

impl Hooks for TellsElapsed {
    async fn handle(
        &self,
        conn: &mut Conn,
        request: &Request,
        body: Vec<u8>,
    ) -> Result<Answer, End> {
        let started = std::time::Instant::now();
        let mut answer = handle(
            conn,
            app(request.method.clone(), request.target.clone(), body),
        )
        .await?;
        if request.target == "/" && answer.status == 200 {
            let nanos = started.elapsed().as_nanos();
            answer.body = format!("{nanos} ns").into_bytes();
        }
        Ok(answer)
    }
}

/// Guilty: a status is drawn.
#[derive(Default)]
pub(crate) struct DrawsStatus;

impl Hooks for DrawsStatus {
    async fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        mut answer: Answer,
        close: bool,
    ) -> Result<(), End> {
        answer.status += (RandomState::new().hash_one(0) % 50) as u16;
        respond(conn, request, answer, close).await
    }
}

/// Guilty: a response waits for a time that is drawn.
#[derive(Default)]
pub(crate) struct DrawsDelay;

impl Hooks for DrawsDelay {
    async fn respond(
        &self,
        conn: &mut Conn,
        request: &Request,
        answer: Answer,
        close: bool,
    ) -> Result<(), End> {
        let drawn = RandomState::new().hash_one(0) % 500;
        sleep(Duration::from_millis(drawn)).await;
        respond(conn, request, answer, close).await
    }
}
