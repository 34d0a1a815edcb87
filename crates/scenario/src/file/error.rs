//! What can be wrong with a file.

use crate::nearest::{did_you_mean, names};
use std::fmt;

/// Why a file is not a scenario: what, where, and what is allowed there. Its text is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// The file, as it was named by who wanted it read.
    pub file: String,
    /// The line, from 1; `None` where the mistake is that of the whole file.
    pub line: Option<usize>,
    /// The field, such as `client[0].steps[2].do`; empty where it is the file itself.
    pub field: String,
    /// What is wrong.
    pub mistake: Box<Mistake>,
}

impl ReadError {
    pub(super) fn without_line(file: &str, mistake: Mistake) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            field: String::new(),
            mistake: Box::new(mistake),
        }
    }
}

impl std::error::Error for ReadError {}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.file.clone();
        if let Some(line) = self.line {
            text += &format!(":{line}");
        }
        if !self.field.is_empty() {
            text += &format!(": {}", self.field);
        }
        text += &format!(": {}", self.mistake);
        // One line, whatever stands in the file or in its name.
        for c in text.chars() {
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

/// What is wrong at a place in a file, and what is allowed there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// The file cannot be opened or read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The file is longer than [`FILE_BYTES_MAX`](super::bounds::FILE_BYTES_MAX).
    #[error("the file is too long; allowed: at most {} MiB", super::bounds::FILE_BYTES_MAX >> 20)]
    FileTooLong,
    /// The file is not text.
    #[error("not UTF-8; allowed: UTF-8 text (in `bytes`, write other bytes as \\xHH)")]
    NotUtf8,
    /// The text is not TOML; this is what the TOML parser says.
    #[error("not TOML: {0}")]
    Syntax(String),
    /// A word that is none of those allowed: a field, a step, a verdict.
    #[error(
        "unknown {what} {got:?}; allowed: {allowed}{}",
        did_you_mean(got, names(allowed))
    )]
    Unknown {
        /// What kind of word it should be.
        what: &'static str,
        /// The word.
        got: String,
        /// The allowed words.
        allowed: String,
    },
    /// A field that must be there is not.
    #[error("missing; allowed: {allowed}")]
    Missing {
        /// What it may be.
        allowed: String,
    },
    /// More than one of several fields that exclude each other.
    #[error("{given} together; allowed: one of {allowed}")]
    Several {
        /// Those that are there.
        given: String,
        /// Those that exclude each other.
        allowed: String,
    },
    /// A value of another type, or a word where only another is allowed.
    #[error("{got} is not allowed here; allowed: {allowed}")]
    WrongType {
        /// What it is.
        got: String,
        /// What it may be.
        allowed: String,
    },
    /// A value of the right type that is too large, too small, or not one of those there are.
    #[error("{got} is out of bounds; allowed: {allowed}")]
    OutOfBounds {
        /// The value.
        got: String,
        /// What it may be.
        allowed: String,
    },
    /// More of something than a scenario can hold.
    #[error("{got} are too many; allowed: {allowed}")]
    TooMany {
        /// How many of what.
        got: String,
        /// How many there may be.
        allowed: String,
    },
    /// Text that does not follow the rules of what it stands for.
    #[error("{got} is not valid: {why}; allowed: {allowed}")]
    Malformed {
        /// The text, quoted.
        got: String,
        /// Which rule.
        why: String,
        /// What it may be.
        allowed: String,
    },
}
