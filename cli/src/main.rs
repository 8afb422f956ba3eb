//! The binary `sandsift`: parses the command line and calls the parts.

fn main() {}
