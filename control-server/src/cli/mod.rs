//! The two programs, `control-server` and `meshctl`: flags, texts and exit codes. All other code is outside of this
//! folder.

mod duration;
mod error;
pub mod meshctl;
mod output;
pub mod serve;
mod table;
mod yaml;

use crate::text;
use error::Failure;
use output::Output;
