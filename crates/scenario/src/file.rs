//! The scenario file.
//!
//! A file is TOML. Reading checks everything at once: unknown fields, wrong types and values out of bounds are
//! errors that name file, line, field and what is allowed there, in one line. Writing gives a small file for people
//! to edit: one step a line, nothing that is the default. What was written reads as the same scenario; comments are
//! not part of a scenario and do not survive being read and written again.
//!
//! | module | idea |
//! |---|---|
//! | [`bounds`] | the largest and smallest of everything that a file may say |
//! | `error` | what can be wrong with a file |
//! | `source` | the text, its lines, its syntax |
//! | `table` | tables and values that know where they stand |
//! | `quantity` | durations and sizes as text |
//! | `escape` | bytes as text, with the escapes of Rust |
//! | `read` | the top level: scenario, network, clients |
//! | `read_step` | the steps |
//! | `write` | the other way |

pub mod bounds;
mod error;
mod escape;
mod quantity;
mod read;
mod read_step;
mod source;
mod table;
mod write;

use std::{fs::File, io::Read as _, path::Path};

pub use error::{Mistake, ReadError};

use crate::scenario::Scenario;

impl Scenario {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or if [`Scenario::from_toml`] refuses what is in it.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        let path = path.as_ref();
        let file = path.display().to_string();
        let mut text = Vec::new();
        // One byte more than is allowed, so that a file that is too long is seen and an endless one is not read.
        let limit = bounds::FILE_BYTES_MAX as u64 + 1;
        File::open(path)
            .and_then(|opened| opened.take(limit).read_to_end(&mut text))
            .map_err(|error| {
                ReadError::without_line(&file, Mistake::Unreadable(error.to_string()))
            })?;
        Self::from_toml(&file, text)
    }

    /// Reads the text of a file. `file` is the name that errors give it.
    ///
    /// # Errors
    /// At the first mistake, with its line, its field and what is allowed there.
    pub fn from_toml(file: &str, text: impl AsRef<[u8]>) -> Result<Self, ReadError> {
        read::scenario(file, text.as_ref())
    }

    /// Writes the scenario as the text of a file.
    pub fn to_toml(&self) -> String {
        write::scenario(self)
    }
}
