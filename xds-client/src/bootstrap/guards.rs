//! Behaviour that the environment switches on or off.

/// Behaviour that the environment switches on or off, as in other gRPC implementations.
///
/// Only `true` and `false` are understood, in any case; any other text is the default (BS-47).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureGuards {
    /// `GRPC_XDS_ENDPOINT_HASH_KEY_BACKWARD_COMPAT`: endpoints' `hash_key` metadata is not used (EDS-14). Default:
    /// `false`.
    pub endpoint_hash_key_backward_compat: bool,
    /// `GRPC_EXPERIMENTAL_XDS_AUTHORITY_REWRITE`: `auto_host_rewrite` of trusted servers is honoured (RDS-18).
    /// Default: `true`, because trust is already asked for server by server.
    pub authority_rewrite: bool,
}

impl Default for FeatureGuards {
    fn default() -> Self {
        Self { endpoint_hash_key_backward_compat: false, authority_rewrite: true }
    }
}

impl FeatureGuards {
    /// The guards as `variable` tells them.
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let flag = |name: &str, default: bool| match variable(name) {
            Some(text) if text.eq_ignore_ascii_case("true") => true,
            Some(text) if text.eq_ignore_ascii_case("false") => false,
            _ => default,
        };
        let default = Self::default();
        Self {
            endpoint_hash_key_backward_compat: flag(
                "GRPC_XDS_ENDPOINT_HASH_KEY_BACKWARD_COMPAT",
                default.endpoint_hash_key_backward_compat,
            ),
            authority_rewrite: flag("GRPC_EXPERIMENTAL_XDS_AUTHORITY_REWRITE", default.authority_rewrite),
        }
    }
}
