//! The page in a browser: Debian's headless Chromium. `cargo test -p hangup --test browser -- --ignored`, as CI does.

#[path = "browser/chromium.rs"]
mod chromium;

use chromium::{Chromium, Page};
use png::ColorType;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the browser is asked about the page.
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

/// What `hangup` writes.
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
    file
}

/// What the probe found.
fn probed(page: &mut Page<'_>) -> Value {
    let found = page.value(PROBE);
    assert_eq!(found["mistakes"], serde_json::json!([]), "{found}");
    let complaints = page.complaints();
    assert!(complaints.is_empty(), "{complaints:?}");
    found
}

struct Picture {
    width: usize,
    pixels: Vec<u8>,
}

impl Picture {
    /// Of what the page shows now; kept under this name, to be looked at.
    fn taken(page: &mut Page<'_>, name: &str) -> Self {
        let shot = page.shot();
        std::fs::write(folder().join(name), &shot).expect("cargo gives tests a folder to write in");
        let file = std::io::Cursor::new(shot);
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

/// Servers enough for every verdict, and a page that is not too long to be opened many times.
const MATRIX: [&str; 11] = [
    "check",
    "--server",
    "hangup",
    "--server",
    "hangup-unbounded",
    "--server",
    "hyper",
    "--server",
    "hyper-timeouts",
    "--server",
    "axum",
];

/// All rows of it are in a window so high.
const HEIGHT: u32 = 3000;

#[test]
#[ignore = "needs chromium, which .ci/run installs"]
fn every_verdict_has_its_colour_where_it_stands() {
    let file = page("colours.html", &MATRIX);
    let mut browser = Chromium::start(&folder());
    let mut page = browser.page();
    for theme in [LIGHT, DARK] {
        page.dress(theme.dark, (1280, HEIGHT));
        page.open(&file, "");
        let name = format!("matrix-{}.png", if theme.dark { "dark" } else { "light" });
        let picture = Picture::taken(&mut page, &name);
        let found = probed(&mut page);
        assert_eq!(picture.at(2, 2), theme.paper);
        let mut seen = [0; 3];
        for half in found["halves"].as_array().expect("a list") {
            let (x, y) = (
                number(&half["x"]) as usize + 4,
                number(&half["y"]) as usize + 4,
            );
            if half["visible"] != true || y + 20 > HEIGHT as usize || x + 10 > 1280 {
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
#[ignore = "needs chromium, which .ci/run installs"]
fn nothing_is_wider_than_the_window_and_all_text_can_be_read() {
    let widest = page("wide.html", &["check"]);
    let matrix = page("some.html", &MATRIX);
    let one = page("one.html", &["run", "fasthttp-1834", "--server", "hyper"]);
    let mut browser = Chromium::start(&folder());
    let mut page = browser.page();
    for (file, hash) in [
        (&widest, ""),
        (&matrix, "#fasthttp-1834@hyper"),
        (&matrix, "#fasthttp-1834-storm@hangup"),
        (&one, ""),
    ] {
        page.open(file, hash);
        for theme in [LIGHT, DARK] {
            for width in [1280, 400] {
                page.dress(theme.dark, (width, 900));
                let found = probed(&mut page);
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
#[ignore = "needs chromium, which .ci/run installs"]
fn the_keyboard_does_everything() {
    let file = page("keys.html", &MATRIX);
    let mut browser = Chromium::start(&folder());
    let mut page = browser.page();
    page.dress(false, (1280, 900));
    page.open(&file, "");
    let found = probed(&mut page);
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
#[ignore = "needs chromium, which .ci/run installs"]
fn a_story_is_drawn_in_its_colours_and_says_what_it_shows() {
    let file = page("story.html", &MATRIX);
    let mut browser = Chromium::start(&folder());
    let mut page = browser.page();
    page.dress(false, (1280, 900));
    for hash in ["#body-trickle@hyper-timeouts", "#response-never-read@hyper"] {
        page.open(&file, hash);
        let found = probed(&mut page);
        assert_eq!(found["crossed"], serde_json::json!([]), "{hash}");
        assert_eq!(found["cut"], serde_json::json!([]), "{hash}");
    }
    for theme in [LIGHT, DARK] {
        let shade = if theme.dark { "dark" } else { "light" };
        for (hash, name, held) in [
            ("#fasthttp-1834@hyper", "hung", true),
            ("#fasthttp-1834@hangup", "clean", false),
        ] {
            page.dress(theme.dark, (1280, 1400));
            page.open(&file, hash);
            let picture = Picture::taken(&mut page, &format!("{name}-{shade}.png"));
            let found = probed(&mut page);
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
