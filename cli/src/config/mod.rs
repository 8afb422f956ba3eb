//! Owns the configuration as a whole: its sections, where they come from, and what is wrong with them. Values and their
//! meaning belong to the parts; a section is what a part is built from.

pub mod command;
mod docs;
mod keys;
mod load;
mod sections;

pub use command::mask_address;
pub use load::load;
pub use sections::{Config, Results};
