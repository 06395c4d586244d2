//! A bootstrap from JSON.

mod credentials;
mod document;

use std::path::PathBuf;

use mesh_core::certificate::UnknownRevocation;
use mesh_core::config::LocalityId;
use serde_json::Value;

use super::json::{Invalid, read};
use super::{
    AllowedGrpcService, Bootstrap, BootstrapBuilder, BootstrapError, CertificateProvider, FeatureGuards,
    FileWatcher, Node, Origin, RevocationDirectory, ServerConfig, ServerFeatures, WorkloadApi,
};

use credentials::{call_credentials, channel_credentials, identity};
use document::{Document, Files, Server};

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
    read(&document, "")
        .and_then(|document| bootstrap(document, guards))
        .map_err(|Invalid { path, reason }| BootstrapError::Invalid { origin: origin.clone(), path, reason })?
        .guards(guards)
        .build_from(origin)
}

fn bootstrap(document: Document, guards: FeatureGuards) -> Result<BootstrapBuilder, Invalid> {
    let mut builder = Bootstrap::builder();
    for server in servers(document.xds_servers, "xds_servers", guards)? {
        builder = builder.server(server);
    }
    // BS-24
    if let Some(found) = document.node {
        builder = builder.node(node(found));
    }
    for (name, provider) in document.certificate_providers.into_iter().flatten() {
        let at = format!("certificate_providers[{name:?}]");
        if let Some(provider) = certificate_provider(provider, &at, guards)? {
            builder = builder.certificate_provider(name, provider);
        }
    }
    if let Some(template) = document.client_default_listener_resource_name_template {
        builder = builder.client_listener_template(template);
    }
    if let Some(template) = document.server_listener_resource_name_template {
        builder = builder.server_listener_template(template);
    }
    for (name, authority) in document.authorities.into_iter().flatten() {
        let at = format!("authorities[{name:?}]");
        let template = authority.client_listener_resource_name_template;
        let own = servers(authority.xds_servers.unwrap_or_default(), &format!("{at}.xds_servers"), guards)?;
        builder = builder.authority(&name, template, own);
        // BS-45
        let reachability_only = authority.fallback_on_reachability_only.filter(|_| guards.endpoint_fallback);
        if let Some(flag) = reachability_only
            && read(&flag, &format!("{at}.fallback_on_reachability_only"))?
        {
            builder = builder.fallback_on_reachability_only(name);
        }
    }
    for (target, service) in document.allowed_grpc_services.into_iter().flatten() {
        let at = format!("allowed_grpc_services[{target:?}]");
        builder = builder.allowed_grpc_service(target, allowed_grpc_service(&service, &at, guards)?);
    }
    Ok(builder)
}

fn servers(list: Vec<Server>, at: &str, guards: FeatureGuards) -> Result<Vec<ServerConfig>, Invalid> {
    let servers = list.into_iter().enumerate();
    servers.map(|(index, one)| server(one, &format!("{at}[{index}]"), guards)).collect()
}

fn server(server: Server, at: &str, guards: FeatureGuards) -> Result<ServerConfig, Invalid> {
    let credentials = channel_credentials(&server.channel_creds, at)?;
    let mut features = ServerFeatures::default();
    // BS-17
    for feature in server.server_features.iter().flatten().filter_map(Value::as_str) {
        features.switch_on(feature);
    }
    let call_credentials = call_credentials(server.call_creds.as_ref(), at, guards)?;
    Ok(ServerConfig::new(server.server_uri, credentials)
        .with_call_credentials(call_credentials)
        .with_features(features))
}

// BS-46
fn allowed_grpc_service(
    service: &document::AllowedGrpcService,
    at: &str,
    guards: FeatureGuards,
) -> Result<AllowedGrpcService, Invalid> {
    let call_credentials = call_credentials(service.call_creds.as_ref(), at, guards)?;
    let service = AllowedGrpcService::new(channel_credentials(&service.channel_creds, at)?);
    Ok(service.with_call_credentials(call_credentials))
}

fn node(found: document::NodeFields) -> Node {
    let mut node = Node {
        id: found.id.unwrap_or_default(),
        cluster: found.cluster.unwrap_or_default(),
        metadata: found.metadata.unwrap_or_default(),
        ..Node::default()
    };
    if let Some(locality) = found.locality {
        node.locality = LocalityId {
            region: locality.region.unwrap_or_default(),
            zone: locality.zone.unwrap_or_default(),
            sub_zone: locality.sub_zone.or(locality.camel_sub_zone).unwrap_or_default(),
        };
    }
    node
}

// TLS-24
fn revocation(files: &Files, at: &str) -> Result<Option<RevocationDirectory>, Invalid> {
    let Some(path) = &files.crl_directory else {
        return match files.crl_unknown {
            None => Ok(None),
            Some(_) => Err(Invalid::missing(at, "crl_directory")),
        };
    };
    let path: PathBuf = read(path, &format!("{at}.crl_directory"))?;
    let mut directory = RevocationDirectory::new(path);
    if let Some(unknown) = &files.crl_unknown {
        directory.unknown = match read(unknown, &format!("{at}.crl_unknown"))? {
            document::CrlUnknown::Refuse => UnknownRevocation::Refuse,
            document::CrlUnknown::Accept => UnknownRevocation::Accept,
        };
    }
    Ok(Some(directory))
}

/// `None` for an unknown plugin (BS-30).
fn certificate_provider(
    provider: document::CertificateProvider,
    at: &str,
    guards: FeatureGuards,
) -> Result<Option<CertificateProvider>, Invalid> {
    let is_agent = provider.plugin_name == "spiffe_workload_api";
    if provider.plugin_name != "file_watcher" && !is_agent {
        return Ok(None);
    }
    // BS-31
    let config = provider.config.ok_or_else(|| Invalid::missing(at, "config"))?;
    let at = format!("{at}.config");
    if is_agent {
        let agent: document::Agent = read(&config, &at)?;
        return Ok(Some(CertificateProvider::WorkloadApi(WorkloadApi::new(agent.socket))));
    }
    let files: Files = read(&config, &at)?;
    let default = FileWatcher::default();
    // BS-35
    let spiffe_map: Option<String> = match &files.spiffe_trust_bundle_map_file {
        Some(file) if guards.mtls_spiffe => Some(read(file, &format!("{at}.spiffe_trust_bundle_map_file"))?),
        _ => None,
    };
    let spiffe_map = spiffe_map.filter(|file| !file.is_empty()).map(PathBuf::from);
    Ok(Some(CertificateProvider::FileWatcher(FileWatcher {
        identity: identity(&files, &at)?,
        revocation: revocation(&files, &at)?,
        refresh_interval: files.refresh_interval.map_or(default.refresh_interval, |interval| interval.0),
        ca_certificate_file: files.ca_certificate_file.map(PathBuf::from).filter(|_| spiffe_map.is_none()),
        spiffe_trust_bundle_map_file: spiffe_map,
    })))
}
