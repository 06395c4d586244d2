//! A bootstrap from JSON.

mod credentials;

use std::path::PathBuf;

use mesh_core::config::LocalityId;
use serde_json::Value;

use super::json::{Cursor, Invalid};
use super::{
    AllowedGrpcService, Bootstrap, BootstrapBuilder, BootstrapError, CertificateProvider, FeatureGuards,
    FileWatcher, Node, Origin, ServerConfig, ServerFeatures,
};

use credentials::{call_credentials, channel_credentials, identity};

pub(super) fn from_json(
    json: &str,
    origin: &Origin,
    guards: FeatureGuards,
) -> Result<Bootstrap, BootstrapError> {
    let document: Value = serde_json::from_str(json).map_err(|error| {
        let text = error.to_string();
        BootstrapError::Syntax {
            origin: origin.clone(),
            line: error.line(),
            column: error.column(),
            reason: text.split(" at line ").next().unwrap_or_default().to_owned(),
        }
    })?;
    bootstrap(&Cursor::root(&document), guards)
        .map_err(|Invalid { path, reason }| BootstrapError::Invalid { origin: origin.clone(), path, reason })?
        .guards(guards)
        .build_from(origin)
}

fn bootstrap(root: &Cursor<'_>, guards: FeatureGuards) -> Result<BootstrapBuilder, Invalid> {
    let mut builder = Bootstrap::builder();
    for server in servers(&root.required("xds_servers")?, guards)? {
        builder = builder.server(server);
    }
    // BS-24
    if let Some(field) = root.field("node")? {
        builder = builder.node(node(&field)?);
    }
    if let Some(field) = root.field("certificate_providers")? {
        for (name, entry) in field.entries()? {
            if let Some(provider) = certificate_provider(&entry, guards)? {
                builder = builder.certificate_provider(name, provider);
            }
        }
    }
    if let Some(template) = root.text("client_default_listener_resource_name_template")? {
        builder = builder.client_listener_template(template);
    }
    if let Some(template) = root.text("server_listener_resource_name_template")? {
        builder = builder.server_listener_template(template);
    }
    if let Some(field) = root.field("authorities")? {
        for (name, entry) in field.entries()? {
            let template = entry.text("client_listener_resource_name_template")?.map(str::to_owned);
            let own = entry.field("xds_servers")?.map(|list| servers(&list, guards)).transpose()?;
            builder = builder.authority(name, template, own.unwrap_or_default());
            // BS-45
            let reachability_only = match entry.field("fallback_on_reachability_only")? {
                Some(field) if guards.endpoint_fallback => field.boolean()?,
                _ => false,
            };
            if reachability_only {
                builder = builder.fallback_on_reachability_only(name);
            }
        }
    }
    if let Some(field) = root.field("allowed_grpc_services")? {
        for (target, entry) in field.entries()? {
            builder = builder.allowed_grpc_service(target, allowed_grpc_service(&entry, guards)?);
        }
    }
    Ok(builder)
}

fn servers(list: &Cursor<'_>, guards: FeatureGuards) -> Result<Vec<ServerConfig>, Invalid> {
    list.elements()?.iter().map(|entry| server(entry, guards)).collect()
}

fn server(entry: &Cursor<'_>, guards: FeatureGuards) -> Result<ServerConfig, Invalid> {
    let uri = entry.required("server_uri")?.string()?;
    let credentials = channel_credentials(&entry.required("channel_creds")?)?;
    let mut features = ServerFeatures::default();
    if let Some(list) = entry.field("server_features")? {
        for feature in list.elements()? {
            // BS-17
            if let Ok(name) = feature.string() {
                features.switch_on(name);
            }
        }
    }
    let call_credentials = call_credentials(entry, guards)?;
    Ok(ServerConfig::new(uri, credentials).with_call_credentials(call_credentials).with_features(features))
}

// BS-46
fn allowed_grpc_service(entry: &Cursor<'_>, guards: FeatureGuards) -> Result<AllowedGrpcService, Invalid> {
    let service = AllowedGrpcService::new(channel_credentials(&entry.required("channel_creds")?)?);
    Ok(service.with_call_credentials(call_credentials(entry, guards)?))
}

/// Name, version and features in the file are ignored (BS-25).
fn node(field: &Cursor<'_>) -> Result<Node, Invalid> {
    let text = |at: &Cursor<'_>, key| at.text(key).map(|text| text.unwrap_or_default().to_owned());
    let mut node = Node { id: text(field, "id")?, cluster: text(field, "cluster")?, ..Node::default() };
    if let Some(locality) = field.field("locality")? {
        let sub_zone = text(&locality, "sub_zone")?;
        node.locality = LocalityId {
            region: text(&locality, "region")?,
            zone: text(&locality, "zone")?,
            // Proto JSON allows both spellings.
            sub_zone: if sub_zone.is_empty() { text(&locality, "subZone")? } else { sub_zone },
        };
    }
    if let Some(metadata) = field.field("metadata")? {
        node.metadata = metadata.object()?;
    }
    Ok(node)
}

/// `None` for an unknown plugin (BS-30).
fn certificate_provider(
    entry: &Cursor<'_>,
    guards: FeatureGuards,
) -> Result<Option<CertificateProvider>, Invalid> {
    if entry.required("plugin_name")?.string()? != "file_watcher" {
        return Ok(None);
    }
    // BS-31
    let config = entry.required("config")?;
    let default = FileWatcher::default();
    // BS-35
    let spiffe_map = match guards.mtls_spiffe {
        true => config.text("spiffe_trust_bundle_map_file")?.map(PathBuf::from),
        false => None,
    };
    let roots = config.text("ca_certificate_file")?.map(PathBuf::from);
    Ok(Some(CertificateProvider::FileWatcher(FileWatcher {
        identity: identity(&config)?,
        ca_certificate_file: roots.filter(|_| spiffe_map.is_none()),
        spiffe_trust_bundle_map_file: spiffe_map,
        refresh_interval: config.interval("refresh_interval")?.unwrap_or(default.refresh_interval),
    })))
}
