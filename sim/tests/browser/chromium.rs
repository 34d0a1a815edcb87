//! Debian's headless Chromium, told what to do through a pipe (its `--remote-debugging-pipe`): messages are JSON with a zero byte
//! behind each. Every wait has an end, and a browser that does not come up is started again.

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A browser that says nothing by then did not come up.
const START_MAX: Duration = Duration::from_secs(45);
/// So often it is started.
const STARTS_MAX: u32 = 4;
/// For any one thing that it is asked to do, on a machine with too much to do.
const WORK_MAX: Duration = Duration::from_secs(180);
/// How long it may take to go when it is asked to.
const END_MAX: Duration = Duration::from_secs(5);

/// Runs before the page's own scripts.
const LISTENER: &str = "window.mistakes = []; addEventListener('error', (event) => mistakes.push(String(event.message))); \
     addEventListener('securitypolicyviolation', (event) => mistakes.push(event.violatedDirective));";

/// One browser at a time: two would only be in each other's way.
static ALONE: Mutex<()> = Mutex::new(());
static STARTS: AtomicU32 = AtomicU32::new(0);

/// A browser, which ends with it.
pub(super) struct Chromium {
    child: Child,
    to: Option<ChildStdin>,
    from: Receiver<Value>,
    asked: u64,
    events: Vec<Value>,
    profile: PathBuf,
    _alone: Option<MutexGuard<'static, ()>>,
}

impl Chromium {
    /// Starts it, with its profile in this folder.
    pub(super) fn start(folder: &Path) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut errors = Vec::new();
        for _ in 0..STARTS_MAX {
            let mut browser = Self::spawn(folder);
            match browser.ask(None, "Browser.getVersion", json!({}), START_MAX) {
                Ok(_) => {
                    browser._alone = Some(alone);
                    return browser;
                }
                Err(error) => errors.push(error),
            }
        }
        panic!("chromium did not come up: {errors:?}");
    }

    fn spawn(folder: &Path) -> Self {
        let start = STARTS.fetch_add(1, Ordering::Relaxed);
        let profile = folder.join(format!("profile-{}-{start}", std::process::id()));
        // It reads descriptor 3 and writes descriptor 4.
        let mut child = Command::new("sh")
            .args([
                "-c",
                "exec 3<&0 4>&1 </dev/null >/dev/null; exec \"$@\"",
                "sh",
            ])
            .args(["chromium", "--headless=new", "--remote-debugging-pipe"])
            // Root has no sandbox, and containers have little shared memory.
            .args(["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args([
                "--no-first-run",
                "--disable-extensions",
                "--disable-background-networking",
            ])
            .args(["--hide-scrollbars", "--force-device-scale-factor=1"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        let said = child.stdout.take().expect("it is piped");
        let (tell, from) = channel();
        // It ends when the browser does.
        std::thread::spawn(move || {
            for message in BufReader::new(said).split(0) {
                let message = message
                    .ok()
                    .and_then(|text| serde_json::from_slice(&text).ok());
                let Some(message) = message else { return };
                if tell.send(message).is_err() {
                    return;
                }
            }
        });
        Self {
            to: child.stdin.take(),
            child,
            from,
            asked: 0,
            events: Vec::new(),
            profile,
            _alone: None,
        }
    }

    fn ask(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: Value,
        within: Duration,
    ) -> Result<Value, String> {
        self.asked += 1;
        let mut message = json!({ "id": self.asked, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        let text = format!("{message}\0");
        let to = self.to.as_mut().expect("it is given away only at the end");
        to.write_all(text.as_bytes())
            .map_err(|error| format!("{method}: {error}"))?;
        let asked = self.asked;
        let answer = self.hear(method, within, |message| message["id"] == asked)?;
        match answer.get("error") {
            Some(error) => Err(format!("{method}: {error}")),
            None => Ok(answer["result"].clone()),
        }
    }

    /// Waits for a message; events that come before it are kept.
    fn hear(
        &mut self,
        what: &str,
        within: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value, String> {
        let until = Instant::now() + within;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.from.recv_timeout(left) {
                Ok(message) if wanted(&message) => return Ok(message),
                Ok(message) => self.events.push(message),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("{what}: nothing within {within:?}"));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("{what}: the browser has ended"));
                }
            }
        }
    }

    /// A tab.
    pub(super) fn page(&mut self) -> Page<'_> {
        let mut tell = |method: &str, params| {
            let told = self.ask(None, method, params, WORK_MAX);
            told.unwrap_or_else(|error| panic!("{error}"))
        };
        let target = tell("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = tell("Target.attachToTarget", attach);
        let session = session["sessionId"].as_str().expect("it has a name");
        let mut page = Page {
            session: session.to_owned(),
            browser: self,
        };
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            page.tell(domain, json!({}));
        }
        page.tell(
            "Emulation.setFocusEmulationEnabled",
            json!({ "enabled": true }),
        );
        let listener = json!({ "source": LISTENER });
        page.tell("Page.addScriptToEvaluateOnNewDocument", listener);
        page
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Its pipe's end is its own; a browser that does not mind is killed.
        drop(self.to.take());
        let until = Instant::now() + END_MAX;
        while Instant::now() < until && !matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
            // The reader's thread lets go of its end when the browser's output ends.
            if let Err(RecvTimeoutError::Disconnected) = self.from.recv_timeout(END_MAX / 50) {
                break;
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.profile);
    }
}

/// A tab of a browser.
pub(super) struct Page<'a> {
    browser: &'a mut Chromium,
    session: String,
}

impl Page<'_> {
    fn tell(&mut self, method: &str, params: Value) -> Value {
        let told = self
            .browser
            .ask(Some(&self.session), method, params, WORK_MAX);
        told.unwrap_or_else(|error| panic!("{error}"))
    }

    /// A window of this size, on a system with this taste.
    pub(super) fn dress(&mut self, dark: bool, (width, height): (u32, u32)) {
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.tell("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = if dark { "dark" } else { "light" };
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.tell(
            "Emulation.setEmulatedMedia",
            json!({ "features": [feature] }),
        );
    }

    /// Goes to a file, and waits until it is there.
    pub(super) fn open(&mut self, file: &Path, hash: &str) {
        // What differs in its hash alone is not loaded again.
        self.navigate("about:blank");
        self.navigate(&format!("file://{}{hash}", file.display()));
    }

    fn navigate(&mut self, url: &str) {
        self.browser.events.clear();
        let gone = self.tell("Page.navigate", json!({ "url": url }));
        assert_eq!(gone["errorText"], Value::Null, "{url}");
        let loaded = |message: &Value| message["method"] == "Page.loadEventFired";
        if !self.browser.events.iter().any(loaded) {
            let heard = self.browser.hear(url, WORK_MAX, loaded);
            heard.unwrap_or_else(|error| panic!("{error}"));
        }
    }

    /// The value of an expression, which may be a promise.
    pub(super) fn value(&mut self, expression: &str) -> Value {
        let params =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.tell("Runtime.evaluate", params);
        assert_eq!(answer["exceptionDetails"], Value::Null);
        answer["result"]["value"].clone()
    }

    /// What the page has said on its console since it was opened, and what has gone wrong in it.
    pub(super) fn complaints(&self) -> Vec<&Value> {
        let told = |message: &&Value| {
            let method = message["method"].as_str().unwrap_or_default();
            [
                "Runtime.consoleAPICalled",
                "Runtime.exceptionThrown",
                "Log.entryAdded",
            ]
            .contains(&method)
        };
        self.browser.events.iter().filter(told).collect()
    }

    /// A picture of the window, as PNG.
    pub(super) fn shot(&mut self) -> Vec<u8> {
        let shot = self.tell("Page.captureScreenshot", json!({ "format": "png" }));
        from_base64(shot["data"].as_str().expect("a picture"))
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    let digit = |byte| match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("{other} is no digit of base64"),
    };
    let digits: Vec<u32> = text.trim_end_matches('=').bytes().map(digit).collect();
    let bytes = digits.chunks(4).flat_map(|four| {
        let whole = (0..4).fold(0, |whole, at| {
            whole << 6 | four.get(at).copied().unwrap_or(0)
        });
        let count = four.len() * 6 / 8;
        whole.to_be_bytes()[1..]
            .iter()
            .copied()
            .take(count)
            .collect::<Vec<u8>>()
    });
    bytes.collect()
}

#[test]
fn four_digits_are_three_bytes() {
    for (text, bytes) in [
        ("", &b""[..]),
        ("Zg==", b"f"),
        ("Zm8=", b"fo"),
        ("Zm9v", b"foo"),
        ("+/+/", &[0xfb, 0xff, 0xbf]),
    ] {
        assert_eq!(from_base64(text), bytes, "{text}");
    }
}
