//! A bootstrap from JSON.

use std::path::PathBuf;

use mesh_core::config::LocalityId;
use serde_json::Value;

use super::json::{Cursor, Invalid};
use super::{
    Bootstrap, BootstrapBuilder, BootstrapError, CertificateProvider, ChannelCredentials, FeatureGuards,
    FileWatcher, IdentityFiles, Node, Origin, ServerConfig, ServerFeatures, TlsCredentials,
};

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
    bootstrap(&Cursor::root(&document))
        .map_err(|Invalid { path, reason }| BootstrapError::Invalid { origin: origin.clone(), path, reason })?
        .guards(guards)
        .build_from(origin)
}

fn bootstrap(root: &Cursor<'_>) -> Result<BootstrapBuilder, Invalid> {
    let mut builder = Bootstrap::builder();
    for server in servers(&root.required("xds_servers")?)? {
        builder = builder.server(server);
    }
    // BS-24
    if let Some(field) = root.field("node")? {
        builder = builder.node(node(&field)?);
    }
    if let Some(field) = root.field("certificate_providers")? {
        for (name, entry) in field.entries()? {
            if let Some(provider) = certificate_provider(&entry)? {
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
            let own = entry.field("xds_servers")?.map(|list| servers(&list)).transpose()?;
            builder = builder.authority(name, template, own.unwrap_or_default());
        }
    }
    Ok(builder)
}

fn servers(list: &Cursor<'_>) -> Result<Vec<ServerConfig>, Invalid> {
    list.elements()?.iter().map(server).collect()
}

fn server(entry: &Cursor<'_>) -> Result<ServerConfig, Invalid> {
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
    Ok(ServerConfig::new(uri, credentials).with_features(features))
}

/// BS-09, BS-10: the first supported type counts; the configuration of the others is not looked at.
fn channel_credentials(list: &Cursor<'_>) -> Result<ChannelCredentials, Invalid> {
    let mut unsupported = Vec::new();
    let mut selected = None;
    for entry in list.elements()? {
        let kind = entry.required("type")?.string()?;
        match kind {
            _ if selected.is_some() => {}
            "insecure" | "tls" => selected = Some((kind, entry)),
            other => unsupported.push(other),
        }
    }
    match selected {
        Some(("tls", entry)) => {
            let config = entry.field("config")?;
            let credentials = config.map(|config| tls(&config)).transpose()?;
            Ok(ChannelCredentials::Tls(credentials.unwrap_or_default()))
        }
        // BS-11
        Some(_) => Ok(ChannelCredentials::Insecure),
        None => Err(list
            .invalid(format!("no supported type: expected \"insecure\" or \"tls\", found {unsupported:?}"))),
    }
}

/// BS-12
fn tls(config: &Cursor<'_>) -> Result<TlsCredentials, Invalid> {
    let default = TlsCredentials::default();
    Ok(TlsCredentials {
        ca_certificate_file: config.text("ca_certificate_file")?.map(PathBuf::from),
        identity: identity(config)?,
        refresh_interval: config.interval("refresh_interval")?.unwrap_or(default.refresh_interval),
    })
}

fn identity(config: &Cursor<'_>) -> Result<Option<IdentityFiles>, Invalid> {
    match (config.text("certificate_file")?, config.text("private_key_file")?) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => {
            Ok(Some(IdentityFiles { certificate: certificate.into(), private_key: key.into() }))
        }
        _ => Err(config.invalid("certificate_file and private_key_file must be set together or not at all")),
    }
}

/// Name, version and features in the file are passed over (BS-25).
fn node(field: &Cursor<'_>) -> Result<Node, Invalid> {
    let text = |at: &Cursor<'_>, key| at.text(key).map(|text| text.unwrap_or_default().to_owned());
    let mut node = Node { id: text(field, "id")?, cluster: text(field, "cluster")?, ..Node::default() };
    if let Some(locality) = field.field("locality")? {
        let sub_zone = text(&locality, "sub_zone")?;
        node.locality = LocalityId {
            region: text(&locality, "region")?,
            zone: text(&locality, "zone")?,
            // Proto JSON knows both spellings.
            sub_zone: if sub_zone.is_empty() { text(&locality, "subZone")? } else { sub_zone },
        };
    }
    if let Some(metadata) = field.field("metadata")? {
        node.metadata = metadata.object()?;
    }
    Ok(node)
}

/// `None` for an unknown plugin (BS-30).
fn certificate_provider(entry: &Cursor<'_>) -> Result<Option<CertificateProvider>, Invalid> {
    if entry.required("plugin_name")?.string()? != "file_watcher" {
        return Ok(None);
    }
    // BS-31
    let config = entry.required("config")?;
    let default = FileWatcher::default();
    Ok(Some(CertificateProvider::FileWatcher(FileWatcher {
        identity: identity(&config)?,
        ca_certificate_file: config.text("ca_certificate_file")?.map(PathBuf::from),
        spiffe_trust_bundle_map_file: config.text("spiffe_trust_bundle_map_file")?.map(PathBuf::from),
        refresh_interval: config.interval("refresh_interval")?.unwrap_or(default.refresh_interval),
    })))
}
