//! `/`: the list of paths.

pub(super) async fn index() -> &'static str {
    concat!("control-server ", env!("CARGO_PKG_VERSION"), "\n", include_str!("index.txt"))
}
