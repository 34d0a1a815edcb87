//! Lines that fit a terminal's width that everybody has.

use std::borrow::Cow;
use textwrap::{Options, WordSeparator, WordSplitter};

/// No line of a report is wider, in columns, but a command that is there to be copied.
pub const COLUMNS_MAX: usize = 100;

fn options<'a>() -> Options<'a> {
    Options::new(COLUMNS_MAX)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
}

/// `text` in lines of which all but the first are indented. Colours take no room.
pub fn under(indent: usize, text: &str) -> String {
    let indent = " ".repeat(indent);
    textwrap::fill(text, options().subsequent_indent(&indent))
}

/// `text` in a column of its own, right of `start`.
pub fn behind(start: &str, text: &str) -> String {
    let indent = " ".repeat(textwrap::core::display_width(start));
    let options = options().initial_indent(start);
    textwrap::fill(text, options.subsequent_indent(&indent))
}

/// One frame of a stack, `NAME at FILE:LINE`: whole if it fits, else with its place in a line of its own; a
/// name that is wider than the terminal goes on in the next line behind a `::`. No letter of it is left out.
pub fn frame(frame: &str) -> String {
    let frame = printable(frame);
    let whole = format!("  {frame}");
    if textwrap::core::display_width(&whole) <= COLUMNS_MAX {
        return whole;
    }
    let (name, place) = match frame.rsplit_once(" at ") {
        Some((name, place)) => (name, Some(place)),
        None => (&*frame, None),
    };
    // A break behind `::` is a space while it is looked for; a name may have spaces of its own.
    let parts = WordSeparator::Custom(|line| {
        let ends = line
            .match_indices("::")
            .map(|(start, colons)| start + colons.len());
        let bounds: Vec<usize> = [0].into_iter().chain(ends).chain([line.len()]).collect();
        let words = bounds
            .windows(2)
            .map(|pair| textwrap::core::Word::from(&line[pair[0]..pair[1]]))
            .collect::<Vec<_>>();
        Box::new(words.into_iter())
    });
    let options = options()
        .initial_indent("  ")
        .subsequent_indent("    ")
        .word_separator(parts);
    let mut lines = textwrap::fill(name, options);
    if let Some(place) = place {
        lines.push('\n');
        lines.push_str(&behind("      at ", place));
    }
    lines
}

/// Text from a file or a network, with whatever steers a terminal, turns the direction of writing, or is no character at
/// all (and so breaks XML) made visible.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if is_hidden(letter) {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    Cow::Owned(shown)
}

fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widest(text: &str) -> usize {
        let widths = text.lines().map(textwrap::core::display_width);
        widths.max().unwrap_or(0)
    }

    #[test]
    fn a_frame_that_fits_stays_whole() {
        let short =
            "hyper::proto::h1::decode::Decoder::decode at hyper-1.12.0/src/proto/h1/decode.rs:156";
        assert_eq!(frame(short), format!("  {short}"));
    }

    #[test]
    fn a_long_frame_keeps_every_letter() {
        let name = ["a_module_of_some_length"; 9].join("::");
        for long in [
            format!("{name} at some-crate-1.2.3/src/a/place.rs:77"),
            format!("{name} at {}.rs:77", "far/".repeat(40)),
            name.clone(),
            "x".repeat(333),
        ] {
            let lines = frame(&long);
            assert!(widest(&lines) <= COLUMNS_MAX, "{lines}");
            let squeezed = |text: &str| text.replace([' ', '\n'], "");
            assert_eq!(squeezed(&lines), squeezed(&long), "{lines}");
        }
        assert!(
            frame(&name)
                .lines()
                .all(|line| line.ends_with("::") || line.ends_with("length"))
        );
    }

    #[test]
    fn text_stays_in_its_column() {
        let lines = behind("     7.060 s  server ", &"word ".repeat(40));
        assert!(widest(&lines) <= COLUMNS_MAX, "{lines}");
        assert!(
            lines
                .lines()
                .skip(1)
                .all(|line| line.starts_with(&" ".repeat(21))),
            "{lines}"
        );
    }

    #[test]
    fn colours_take_no_room() {
        let coloured = format!("\u{1b}[31m{}\u{1b}[0m", "x".repeat(COLUMNS_MAX));
        assert_eq!(under(2, &coloured).lines().count(), 1);
    }

    #[test]
    fn nothing_from_a_file_steers_the_terminal() {
        assert_eq!(
            printable("a\u{1b}[2Jb\n\u{202e}\u{ffff}"),
            "a\\u{1b}[2Jb\\u{a}\\u{202e}\\u{ffff}"
        );
        assert_eq!(printable("Grüße, 世界"), "Grüße, 世界");
    }
}
