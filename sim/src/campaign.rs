//! Many runs.

pub mod check;
pub mod fuzz;
