//! Metadata of clusters, localities and endpoints (gRFC A83, A86).

use std::net::SocketAddr;

use xds_proto::envoy::config::core::v3::{Address, Metadata as ProtoMetadata};
use xds_proto::envoy::extensions::filters::http::gcp_authn::v3::Audience;
use xds_proto::google::protobuf::value::Kind;

use super::extension::Extension;
use super::fields;
use super::invalid::{Checked, Invalid, Within};

/// Metadata whose typed entries of registered types are valid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metadata<'a>(Option<&'a ProtoMetadata>);

/// The registered types (RV-09), with their checks.
const REGISTERED: [(&str, Check); 2] = [
    ("envoy.extensions.filters.http.gcp_authn.v3.Audience", audience),
    (ADDRESS, |extension| ip_and_port(extension).map(drop)),
];

type Check = fn(&Extension<'_>) -> Checked<()>;

impl<'a> Metadata<'a> {
    /// Checks the typed entries (RV-08); those of other types are ignored.
    pub(super) fn read(metadata: Option<&'a ProtoMetadata>) -> Checked<Self> {
        for (key, any) in metadata.iter().flat_map(|metadata| &metadata.typed_filter_metadata) {
            let check = || {
                let extension = Extension::of(any)?;
                registered(extension.type_name()).map_or(Ok(()), |check| check(&extension))
            };
            check().within_key("typed_filter_metadata", key)?;
        }
        Ok(Self(metadata))
    }

    /// A string of the untyped metadata under `key`, unless a registered typed entry has taken that key (RV-08).
    pub(super) fn text(self, key: &str, field: &str) -> Option<&'a str> {
        let metadata = self.0?;
        let taken = metadata.typed_filter_metadata.get(key).and_then(|any| Extension::of(any).ok());
        if taken.is_some_and(|extension| registered(extension.type_name()).is_some()) {
            return None;
        }
        match metadata.filter_metadata.get(key)?.fields.get(field)?.kind.as_ref()? {
            Kind::StringValue(text) => Some(text),
            _ => None,
        }
    }

    /// The address under `key` in the typed metadata (RV-09).
    pub(super) fn address(self, key: &str) -> Option<SocketAddr> {
        let extension = Extension::of(self.0?.typed_filter_metadata.get(key)?).ok()?;
        let address = || ip_and_port(&extension).ok();
        (extension.type_name() == ADDRESS).then(address).flatten()
    }
}

fn registered(type_name: &str) -> Option<Check> {
    REGISTERED.iter().find(|(name, _)| *name == type_name).map(|(_, check)| *check)
}

fn audience(extension: &Extension<'_>) -> Checked<()> {
    match extension.message::<Audience>()?.url.as_str() {
        "" => Err(Invalid::at("url", "must not be empty")),
        _ => Ok(()),
    }
}

fn ip_and_port(extension: &Extension<'_>) -> Checked<SocketAddr> {
    fields::ip_and_port(Some(&extension.message::<Address>()?))
}

const ADDRESS: &str = "envoy.config.core.v3.Address";
