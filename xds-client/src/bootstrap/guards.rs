//! Behaviour that the environment switches on or off.

/// Behaviour that the environment switches on or off, as in other gRPC implementations.
///
/// Only `true` and `false` are understood, in any case; any other text is the default.
// BS-47
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeatureGuards {
    /// `GRPC_XDS_ENDPOINT_HASH_KEY_BACKWARD_COMPAT`: endpoints' `hash_key` metadata is not used. Default:
    /// `false`.
    // EDS-14
    pub endpoint_hash_key_backward_compat: bool,
    /// `GRPC_EXPERIMENTAL_XDS_AUTHORITY_REWRITE`: `auto_host_rewrite` of trusted servers is honoured.
    /// Default: `true`, because trust is configured for each server anyway.
    // RDS-18
    pub authority_rewrite: bool,
    /// `GRPC_EXPERIMENTAL_XDS_BOOTSTRAP_CALL_CREDS`: `call_creds` are read. Default: `false`.
    // BS-13
    pub bootstrap_call_creds: bool,
    /// `GRPC_EXPERIMENTAL_XDS_ENDPOINT_FALLBACK`: `fallback_on_reachability_only` is read. Default: `false`.
    // BS-45
    pub endpoint_fallback: bool,
    /// `GRPC_EXPERIMENTAL_XDS_MTLS_SPIFFE`: `spiffe_trust_bundle_map_file` is read. Default: `false`.
    // BS-35
    pub mtls_spiffe: bool,
    /// `GRPC_EXPERIMENTAL_XDS_HTTP_CONNECT`: clusters may have their endpoints connected through HTTP proxies. Default: `true`.
    // CDS-20
    pub http_connect: bool,
}

impl Default for FeatureGuards {
    fn default() -> Self {
        Self {
            endpoint_hash_key_backward_compat: false,
            authority_rewrite: true,
            bootstrap_call_creds: false,
            endpoint_fallback: false,
            mtls_spiffe: false,
            http_connect: true,
        }
    }
}

impl FeatureGuards {
    /// The guards that the environment variables set.
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
            bootstrap_call_creds: flag(
                "GRPC_EXPERIMENTAL_XDS_BOOTSTRAP_CALL_CREDS",
                default.bootstrap_call_creds,
            ),
            endpoint_fallback: flag("GRPC_EXPERIMENTAL_XDS_ENDPOINT_FALLBACK", default.endpoint_fallback),
            http_connect: flag("GRPC_EXPERIMENTAL_XDS_HTTP_CONNECT", default.http_connect),
            mtls_spiffe: flag("GRPC_EXPERIMENTAL_XDS_MTLS_SPIFFE", default.mtls_spiffe),
        }
    }
}
