//! A run, for people and for programs. Reports read runs and findings; they know no engine.

pub mod fold;
pub mod json;
pub mod matrix;
pub mod text;
pub mod wording;
