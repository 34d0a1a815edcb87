//! The folder beside a user's test where what was found is kept, and from which it is replayed first.

use hangup_scenario::{ReadError, Scenario};
use std::io;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};

/// The folder's name beside the test's file.
const FOLDER: &str = "hangup-regressions";

/// Where what was found on one server is kept.
#[derive(Clone, Debug)]
pub(super) struct Regressions(PathBuf);

impl Regressions {
    /// In a folder of its own below `folder`, for the server with this name.
    pub(super) fn of(folder: &Path, server: &str) -> Self {
        // The name is the server's own; the folder's is made of what every file system takes.
        let server: String = server
            .chars()
            .map(|char| match char {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => char,
                _ => '-',
            })
            .collect();
        Self(folder.join(server))
    }

    /// Every scenario that was kept or put there, by file name.
    ///
    /// # Errors
    /// When one is there that cannot be read.
    pub(super) fn all(&self) -> Result<Vec<(PathBuf, Arc<Scenario>)>, ReadError> {
        let Ok(entries) = fs::read_dir(&self.0) else {
            return Ok(Vec::new());
        };
        let mut files: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
            .collect();
        files.sort();
        files
            .into_iter()
            .map(|file| Scenario::read(&file).map(|scenario| (file, Arc::new(scenario))))
            .collect()
    }

    /// Keeps a scenario, and gives its file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn keep(&self, scenario: &Scenario) -> io::Result<PathBuf> {
        let file = self.0.join(format!("{}.toml", scenario.name));
        fs::create_dir_all(&self.0)?;
        let text = format!(
            "# Found by a fuzzer and made small; replayed before anything else from now on. Keep it with the tests.\n{}",
            scenario.to_toml()
        );
        fs::write(&file, text)?;
        Ok(file)
    }
}

/// The folder beside the file of a test. The compiler names that file relative to the workspace; cargo says where the
/// package is.
pub(super) fn beside(test: &Location<'_>) -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").map_or_else(PathBuf::new, PathBuf::from);
    let file = Path::new(test.file());
    let found = package
        .ancestors()
        .map(|folder| folder.join(file))
        .find(|path| path.is_file());
    let folder = found
        .as_deref()
        .and_then(Path::parent)
        .unwrap_or(&package)
        .to_owned();
    // As seen from where the test runs: what a person can type.
    let here = env::current_dir().unwrap_or_default();
    let folder = match folder.strip_prefix(&here) {
        Ok(folder) => folder.to_owned(),
        Err(_) => folder,
    };
    folder.join(FOLDER)
}
