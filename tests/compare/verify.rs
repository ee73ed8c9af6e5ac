//! `tokshift verify`: nothing is said of what is well, and of one damaged thing precisely that.

mod damage;
mod files;
mod mixed;
mod moved;
mod rows;
mod described;
mod values;
mod well;
