//! A server that blocks its thread stops the run, and with it the clock that could tell. So a thread of its own looks, in
//! wall time, whether the runs of this process get on; it changes nothing in any of them. Who sits in a debugger sets `HANGUP_PATIENCE` to more than
//! a minute (`1h`).

use crate::finding::spell;
use hangup_scenario::Scenario;
use std::cell::OnceCell;
use std::env;
use std::io::{Write, stderr};
use std::process::exit;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// One poll of a task may take so long, unless `HANGUP_PATIENCE` says otherwise. A whole run takes some microseconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// It looks so often while that lasts.
const LOOKS: u32 = 12;
/// As for other findings.
const STATUS: i32 = 1;

/// What one thread is doing.
#[derive(Default)]
struct Post {
    /// Goes up with every poll of every task.
    beats: AtomicU64,
    /// The run that is under way.
    run: Mutex<Option<(Arc<Scenario>, String)>>,
}

static POSTS: Mutex<Vec<Weak<Post>>> = Mutex::new(Vec::new());

thread_local! {
    static POST: OnceCell<Arc<Post>> = const { OnceCell::new() };
}

/// A run is under way on this thread until this is dropped.
pub(super) struct Watched;

/// Watches a run of this thread.
pub(super) fn watch(scenario: &Arc<Scenario>, server: &str) -> Watched {
    set(Some((Arc::clone(scenario), server.to_owned())));
    Watched
}

impl Drop for Watched {
    fn drop(&mut self) {
        set(None);
    }
}

fn set(run: Option<(Arc<Scenario>, String)>) {
    POST.with(|post| {
        let post = post.get_or_init(enlist);
        *post.run.lock().unwrap_or_else(PoisonError::into_inner) = run;
    });
    beat();
}

/// The run on this thread gets on.
pub(super) fn beat() {
    POST.with(|post| {
        if let Some(post) = post.get() {
            // Nobody else writes it.
            let beats = post.beats.load(Ordering::Relaxed);
            post.beats.store(beats.wrapping_add(1), Ordering::Relaxed);
        }
    });
}

fn enlist() -> Arc<Post> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Without a thread to spare there is no watchdog, and nothing else is lost.
        let _ = thread::Builder::new()
            .name("hangup-watchdog".to_owned())
            .spawn(look_on);
    });
    let post = Arc::new(Post::default());
    let mut posts = POSTS.lock().unwrap_or_else(PoisonError::into_inner);
    posts.retain(|post| post.strong_count() > 0);
    posts.push(Arc::downgrade(&post));
    post
}

/// What is no time is as good as nothing said.
fn patience() -> Duration {
    let said = env::var("HANGUP_PATIENCE").ok();
    let said = said.and_then(|text| humantime::parse_duration(&text).ok());
    said.filter(|time| !time.is_zero()).unwrap_or(PATIENCE)
}

fn look_on() {
    let patience = patience();
    let mut seen: Vec<(Weak<Post>, u64, Instant)> = Vec::new();
    loop {
        thread::sleep(patience / LOOKS);
        let now = Instant::now();
        let posts = POSTS.lock().unwrap_or_else(PoisonError::into_inner).clone();
        seen.retain(|(post, ..)| post.strong_count() > 0);
        for weak in posts {
            let Some(post) = weak.upgrade() else { continue };
            let beats = post.beats.load(Ordering::Relaxed);
            match seen.iter_mut().find(|(known, ..)| known.ptr_eq(&weak)) {
                Some((_, last, since)) if *last == beats => {
                    if now.duration_since(*since) >= patience {
                        stop(&post, patience);
                        *since = now;
                    }
                }
                Some((_, last, since)) => (*last, *since) = (beats, now),
                None => seen.push((weak, beats, now)),
            }
        }
    }
}

/// Ends the process, if a run is under way there: a thread that blocks cannot be stopped by itself.
fn stop(post: &Post, patience: Duration) {
    let run = post.run.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((scenario, server)) = &*run {
        // Where nobody can be told, the process ends all the same.
        let _ = writeln!(stderr(), "{}", message(scenario, server, patience));
        exit(STATUS);
    }
}

fn message(scenario: &Scenario, server: &str, patience: Duration) -> String {
    format!(
        "hangup: server {server} blocks its thread: in scenario {} (seed {}) one poll has taken over {} of wall time, and \
         nothing else can run meanwhile",
        scenario.name,
        scenario.seed,
        spell(patience)
    )
}
