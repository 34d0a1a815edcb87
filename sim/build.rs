//! Puts the incident files of `tests/incidents` into the library, so that `hangup` knows them wherever it runs.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/incidents");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("tests/incidents is part of the checkout")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    let mut code = String::from("[\n");
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
        let file = file.canonicalize().expect("it was just listed");
        let name = file
            .file_stem()
            .expect("it has the extension toml")
            .to_string_lossy();
        code += &format!(
            "    ({name:?}, include_str!({:?})),\n",
            file.display().to_string()
        );
    }
    code += "]\n";
    let out =
        PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("incidents.rs");
    fs::write(out, code).expect("OUT_DIR can be written");
}
