//! Steps 1 to 5 of a request's way.

fn main() {}
