//! The page in a browser: Debian's headless Chromium; `.ci/run` does not run it yet.

use png::ColorType;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// What the browser is asked about the page, in JSON: written into the page itself, from where the test reads it.
const PROBE: &str = include_str!("browser/probe.js");

const LIGHT: Theme = Theme {
    dark: false,
    good: [0xdc, 0xef, 0xe0],
    bad: [0xc4, 0x30, 0x2b],
    poor: [0xf0, 0xb4, 0x29],
    paper: [0xfb, 0xfa, 0xf7],
    read: [0xbc, 0xd4, 0xf5],
};
const DARK: Theme = Theme {
    dark: true,
    good: [0x1d, 0x3a, 0x2a],
    bad: [0xe5, 0x53, 0x4b],
    poor: [0xd9, 0xa3, 0x2a],
    paper: [0x15, 0x16, 0x1a],
    read: [0x2b, 0x4a, 0x75],
};

struct Theme {
    dark: bool,
    good: [u8; 3],
    bad: [u8; 3],
    poor: [u8; 3],
    paper: [u8; 3],
    read: [u8; 3],
}

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
    std::fs::create_dir_all(&folder).expect("cargo gives tests a folder to write in");
    folder
}

/// A page, with the probe at its end.
fn page(name: &str, arguments: &[&str]) -> PathBuf {
    let file = folder().join(name);
    let output = Command::new(env!("CARGO_BIN_EXE_hangup"))
        .args(arguments)
        .arg("--html")
        .arg(&file)
        .output()
        .expect("the program was built for this test");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code().is_some_and(|code| code < 2), "{error}");
    let text = std::fs::read_to_string(&file).expect("it was written");
    // The listener for errors has to be there before the page's own script.
    let listener = "<script>window.mistakes = []; addEventListener('error', (event) => mistakes.push(String(event.message)));\
                    addEventListener('securitypolicyviolation', (event) => mistakes.push(event.violatedDirective));</script>";
    let text = text.replacen("<title>", &format!("{listener}<title>"), 1);
    let text = text.replacen("</body>", &format!("<script>{PROBE}</script></body>"), 1);
    std::fs::write(&file, text).expect("a file");
    file
}

/// A browser that has not ended by then did not come up, as happens on a machine with too much to do.
const SECONDS_MAX: &str = "60";
/// So often it is started.
const STARTS_MAX: u32 = 3;

/// Chromium's stdout; a word on its console fails the test.
fn chromium(
    file: &Path,
    hash: &str,
    theme: &Theme,
    size: (u32, u32),
    arguments: &[&str],
) -> String {
    static STARTS: AtomicU32 = AtomicU32::new(0);
    for _ in 0..STARTS_MAX {
        let start = STARTS.fetch_add(1, Ordering::Relaxed);
        let profile = folder().join(format!("profile-{}-{start}", std::process::id()));
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=5", SECONDS_MAX, "chromium", "--headless=new"])
            .args(["--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
            .args(["--enable-logging=stderr", "--virtual-time-budget=5000"])
            .arg("--force-device-scale-factor=1")
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("--window-size={},{}", size.0, size.1))
            .args(arguments);
        if theme.dark {
            command.arg("--blink-settings=preferredColorScheme=0");
        }
        command.arg(format!("file://{}{hash}", file.display()));
        let output = command
            .output()
            .expect("chromium and coreutils are installed");
        if profile.exists() {
            std::fs::remove_dir_all(&profile).expect("the browser has ended");
        }
        let error = String::from_utf8_lossy(&output.stderr);
        // What `timeout` says of a command that it had to end.
        if matches!(output.status.code(), Some(124 | 137)) {
            eprintln!("started again: {error}");
            continue;
        }
        assert!(output.status.success(), "{error}");
        let console: Vec<&str> = error
            .lines()
            .filter(|line| line.contains("CONSOLE"))
            .collect();
        assert!(console.is_empty(), "{console:?}");
        return String::from_utf8_lossy(&output.stdout).into_owned();
    }
    panic!("chromium did not come up in {STARTS_MAX} starts of {SECONDS_MAX} s");
}

/// Chromium's windows are not narrower than this.
const WINDOW_MIN: u32 = 500;

/// A page that shows another one in a frame of this size, and takes what its probe found.
fn framed(file: &Path, hash: &str, (width, height): (u32, u32)) -> PathBuf {
    let frame = file.with_extension("frame.html");
    let text = format!(
        "<!DOCTYPE html><title>frame</title><script>addEventListener('message', (event) => {{ \
         const answer = document.createElement('script'); answer.type = 'application/json'; answer.id = 'probe'; \
         answer.textContent = event.data; document.body.append(answer); }});</script>\
         <body style='margin: 0'><iframe style='border: 0' width={width} height={height} src='file://{}{hash}'></iframe>",
        file.display()
    );
    std::fs::write(&frame, text).expect("a file");
    frame
}

/// What the probe found.
fn probed(file: &Path, hash: &str, theme: &Theme, size: (u32, u32)) -> Value {
    let dom = if size.0 < WINDOW_MIN {
        let frame = framed(file, hash, size);
        chromium(&frame, "", theme, (WINDOW_MIN, size.1), &["--dump-dom"])
    } else {
        chromium(file, hash, theme, size, &["--dump-dom"])
    };
    let (_, rest) = dom
        .split_once("<script type=\"application/json\" id=\"probe\">")
        .unwrap_or_else(|| panic!("the probe did not run:\n{}", &dom[..dom.len().min(2000)]));
    let json = rest
        .split("</script>")
        .next()
        .expect("split gives one at least");
    let found: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
    assert_eq!(found["mistakes"], serde_json::json!([]), "{found}");
    found
}

struct Picture {
    width: usize,
    pixels: Vec<u8>,
}

impl Picture {
    fn taken(file: &Path, hash: &str, theme: &Theme, size: (u32, u32), name: &str) -> Self {
        let shot = folder().join(name);
        if shot.exists() {
            std::fs::remove_file(&shot).expect("it is ours");
        }
        let argument = format!("--screenshot={}", shot.display());
        chromium(file, hash, theme, size, &[&argument]);
        let file = std::io::BufReader::new(std::fs::File::open(&shot).expect("a screenshot"));
        let mut decoder = png::Decoder::new(file);
        decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
        let mut reader = decoder.read_info().expect("a PNG");
        let mut bytes = vec![0; reader.output_buffer_size().expect("it fits into memory")];
        let info = reader.next_frame(&mut bytes).expect("a PNG");
        let step = match info.color_type {
            ColorType::Rgb => 3,
            ColorType::Rgba => 4,
            other => panic!("{other:?}"),
        };
        assert_eq!(info.width, size.0);
        let pixels = bytes[..info.buffer_size()]
            .chunks_exact(step)
            .flat_map(|pixel| pixel[..3].to_vec());
        Self {
            width: info.width as usize,
            pixels: pixels.collect(),
        }
    }

    fn at(&self, x: usize, y: usize) -> [u8; 3] {
        let start = (y * self.width + x) * 3;
        [
            self.pixels[start],
            self.pixels[start + 1],
            self.pixels[start + 2],
        ]
    }

    fn count(&self, color: [u8; 3]) -> usize {
        self.pixels
            .chunks_exact(3)
            .filter(|pixel| *pixel == color)
            .count()
    }
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

const MATRIX: [&str; 1] = ["check"];

#[test]
#[ignore = "needs chromium, which .ci/run does not install yet"]
fn every_verdict_has_its_colour_where_it_stands() {
    let file = page("colours.html", &MATRIX);
    for theme in [LIGHT, DARK] {
        let size = (1280, 1000);
        let name = format!("matrix-{}.png", if theme.dark { "dark" } else { "light" });
        let found = probed(&file, "", &theme, size);
        let picture = Picture::taken(&file, "", &theme, size, &name);
        assert_eq!(picture.at(2, 2), theme.paper);
        let mut seen = [0; 3];
        for half in found["halves"].as_array().expect("a list") {
            let (x, y) = (
                number(&half["x"]) as usize + 4,
                number(&half["y"]) as usize + 4,
            );
            if half["visible"] != true || y + 20 > 1000 || x + 10 > 1280 {
                continue;
            }
            let (nth, color) = match half["grade"].as_str() {
                Some("good") => (0, theme.good),
                Some("bad") => (1, theme.bad),
                Some("poor") => (2, theme.poor),
                other => panic!("{other:?}"),
            };
            seen[nth] += 1;
            assert_eq!(picture.at(x, y), color, "{half} in {name}");
        }
        assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    }
}

#[test]
#[ignore = "needs chromium, which .ci/run does not install yet"]
fn nothing_is_wider_than_the_window_and_all_text_can_be_read() {
    let matrix = page("wide.html", &MATRIX);
    let one = page("one.html", &["run", "fasthttp-1834", "--server", "hyper"]);
    for theme in [LIGHT, DARK] {
        for width in [1280, 400] {
            for (file, hash) in [
                (&matrix, ""),
                (&matrix, "#fasthttp-1834@hyper"),
                (&matrix, "#fasthttp-1834-storm@hangup"),
                (&one, ""),
            ] {
                let found = probed(file, hash, &theme, (width, 900));
                assert_eq!(
                    found["width"], width,
                    "the window is as wide as it was asked for"
                );
                assert!(
                    number(&found["overflow"]) <= f64::from(width),
                    "{hash}: {}",
                    found["overflow"]
                );
                assert!(
                    number(&found["story_overflow"]) <= f64::from(width),
                    "{hash}: {found}"
                );
                assert_eq!(found["unreadable"], serde_json::json!([]), "{hash} {width}");
                assert_eq!(found["dark"], theme.dark);
            }
        }
    }
}

#[test]
#[ignore = "needs chromium, which .ci/run does not install yet"]
fn the_keyboard_does_everything() {
    let file = page("keys.html", &MATRIX);
    let found = probed(&file, "", &LIGHT, (1280, 900));
    let keys = &found["keys"];
    let cells: Vec<&str> = found["cells"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let columns = found["columns"].as_u64().expect("a number") as usize;
    assert_eq!(keys["stops"], 1, "the matrix is one stop of the tab key");
    assert_eq!(keys["right"], cells[1]);
    assert_eq!(keys["down"], cells[columns + 1]);
    assert_eq!(keys["end"], cells[2 * columns - 1]);
    assert_eq!(keys["home"], cells[columns]);
    assert_eq!(keys["up"], cells[0]);
    assert_eq!(
        keys["beyond"], cells[0],
        "there is nothing left of the first"
    );
    assert!(
        number(&keys["ring"]) >= 2.0,
        "focus is seen: {}",
        keys["ring"]
    );
    // Enter opens, focus goes in and stays in; Escape comes back to the cell.
    assert_eq!(keys["opened"], cells[0]);
    assert_eq!(keys["inside"], true);
    assert_eq!(keys["inert"], true);
    assert_eq!(keys["wrapped"], true);
    assert_eq!(keys["closed"], true);
    assert_eq!(keys["back"], cells[0]);
    assert_eq!(keys["inert_after"], false);
    assert_eq!(
        found["nameless"],
        serde_json::json!([]),
        "everything that takes focus has a name"
    );
}

#[test]
#[ignore = "needs chromium, which .ci/run does not install yet"]
fn a_story_is_drawn_in_its_colours_and_says_what_it_shows() {
    let file = page("story.html", &MATRIX);
    for hash in ["#body-trickle@hyper-timeouts", "#response-never-read@hyper"] {
        let found = probed(&file, hash, &LIGHT, (1280, 900));
        assert_eq!(found["crossed"], serde_json::json!([]), "{hash}");
        assert_eq!(found["cut"], serde_json::json!([]), "{hash}");
    }
    for theme in [LIGHT, DARK] {
        let shade = if theme.dark { "dark" } else { "light" };
        for (hash, name, held) in [
            ("#fasthttp-1834@hyper", "hung", true),
            ("#fasthttp-1834@hangup", "clean", false),
        ] {
            let size = (1280, 1400);
            let found = probed(&file, hash, &theme, size);
            let text = found["story_text"].as_str().expect("text");
            let says = if held {
                "never ends"
            } else {
                "closed: timeout-expect"
            };
            for needed in ["100 Continue", "POST /echo", "expect", "29h 17m", says] {
                let needed = if held && needed == "expect" {
                    "body"
                } else {
                    needed
                };
                assert!(text.contains(needed), "{needed}: {text}");
            }
            assert_eq!(
                found["crossed"],
                serde_json::json!([]),
                "no two labels are on one another"
            );
            assert_eq!(found["cut"], serde_json::json!([]), "labels are whole");
            let picture = Picture::taken(&file, hash, &theme, size, &format!("{name}-{shade}.png"));
            assert!(picture.count(theme.read) > 500, "a phase is drawn");
            let over = if theme.dark {
                [0xff, 0x6b, 0x62]
            } else {
                [0xc4, 0x30, 0x2b]
            };
            assert_eq!(
                picture.count(over) > 500,
                held,
                "{} red pixels",
                picture.count(over)
            );
        }
    }
}
