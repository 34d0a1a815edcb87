//! The flight record's file.

use anyhow::Context;
use hangup_server::FlightRecorder;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// A file that always has the last record. It stays open, so that it can be written when the
/// process is out of descriptors, and nobody but its owner may read or write it, because it has
/// clients' addresses.
#[derive(Debug)]
pub(super) struct Record {
    flight: FlightRecorder,
    path: PathBuf,
    file: Mutex<File>,
}

impl Record {
    /// Creates the file, and writes the first record.
    pub(super) fn create(path: &Path, flight: FlightRecorder) -> anyhow::Result<Self> {
        let file = open(path).with_context(|| told(path))?;
        let record = Record {
            flight,
            path: path.to_owned(),
            file: Mutex::new(file),
        };
        record.save()?;
        Ok(record)
    }

    /// Writes the record of now in place of what is there.
    pub(super) fn save(&self) -> anyhow::Result<()> {
        // Nothing panics while it is held.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(&mut file).with_context(|| told(&self.path))
    }

    fn write(&self, file: &mut File) -> io::Result<()> {
        // A pipe or a terminal gets one record behind the other.
        if file.metadata()?.is_file() {
            file.set_len(0)?;
            file.rewind()?;
        }
        let mut file = BufWriter::new(file);
        self.flight.write(&mut file, SystemTime::now())?;
        file.flush()
    }
}

fn told(path: &Path) -> String {
    format!("--flight: {}", path.display())
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    // One that was there before keeps its own mode.
    #[cfg(unix)]
    if file.metadata()?.is_file() {
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    }
    Ok(file)
}
