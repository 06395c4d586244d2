//! Who is who: the certificates of the demo's programs, and the bootstraps that name them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use serde_json::{Value, json};

use super::yaml::NAMESPACE;

/// The account of the endpoints.
pub(crate) const GREETER: &str = "greeter";
/// The account that may call them, in the namespace [`CALLERS`].
pub(crate) const FRONT: &str = "front";
/// Another account of that namespace.
pub(crate) const STRANGER: &str = "stranger";
/// The namespace of those who call.
pub(crate) const CALLERS: &str = "web";

/// An authority, and the folder in which its certificates are.
pub(crate) struct Authority {
    folder: PathBuf,
    root: String,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Authority {
    /// A new one, with a folder below `home`.
    pub(crate) fn create(home: &Path) -> Result<Self> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "authority of the demo");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let root = parameters.self_signed(&key)?.pem();
        Ok(Self { folder: home.join("identities"), root, issuer: Issuer::new(parameters, key) })
    }

    /// A bootstrap for a program of this namespace and account, as `meshctl bootstrap --certificates` writes it; the
    /// certificate is beside it.
    pub(crate) fn bootstrap(&self, namespace: &str, account: &str, xds: SocketAddr) -> Result<PathBuf> {
        let folder = self.folder.join(account);
        std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let id = format!("spiffe://cluster.local/ns/{namespace}/sa/{account}");
        let key = KeyPair::generate()?;
        let mut parameters = CertificateParams::default();
        parameters.subject_alt_names.push(SanType::URI(Ia5String::try_from(id)?));
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        let bootstrap = bootstrap(namespace, account, xds, &folder);
        let files = [
            ("tls.crt", certificate.pem()),
            ("tls.key", key.serialize_pem()),
            ("ca.crt", self.root.clone()),
            ("bootstrap.json", bootstrap.to_string()),
        ];
        for (name, text) in files {
            let file = folder.join(name);
            std::fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(folder.join("bootstrap.json"))
    }
}

fn bootstrap(namespace: &str, account: &str, xds: SocketAddr, folder: &Path) -> Value {
    let mut bootstrap = json!({
        "xds_servers": [{
            "server_uri": xds.to_string(),
            "channel_creds": [{"type": "insecure"}],
            "server_features": ["xds_v3"],
        }],
        "node": {"id": account, "metadata": {"NAMESPACE": namespace, "LABELS": {"app": account}}},
        "certificate_providers": {"default": {
            "plugin_name": "file_watcher",
            "config": {
                "certificate_file": folder.join("tls.crt"),
                "private_key_file": folder.join("tls.key"),
                "ca_certificate_file": folder.join("ca.crt"),
            },
        }},
    });
    if namespace == NAMESPACE {
        // a server: its connections may be mutual TLS before they must
        bootstrap["node"]["metadata"]["LABELS"]["security.istio.io/tlsMode"] = "istio".into();
        let template = "xds.istio.io/grpc/lds/inbound/%s";
        bootstrap["server_listener_resource_name_template"] = template.into();
    }
    bootstrap
}
