//! The two programs, `control-server` and `meshctl`: flags in, text and exit codes out. Everything else is elsewhere in
//! this library.

mod duration;
mod error;
pub mod meshctl;
mod output;
pub mod serve;
mod table;
mod text;

use error::Failure;
use output::Output;
