//! The certificate providers that resources may name.

use std::collections::BTreeMap;

use mesh_core::certificate::CertificateSource;
use mesh_core::config::Name;

use crate::bootstrap::{Bootstrap, CertificateProvider};

use super::files::FileMaterial;
use super::workload_api::WorkloadMaterial;

/// The certificate providers that resources may name, by instance name (gRFC A29).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CertificateProviders {
    instances: BTreeMap<Name, CertificateSource>,
}

impl CertificateProviders {
    /// The providers of a bootstrap. Nothing is read before the first handshake that needs it.
    // BS-36: instances with equal configurations are one provider
    pub fn of(bootstrap: &Bootstrap) -> Self {
        let mut made: Vec<(&CertificateProvider, CertificateSource)> = Vec::new();
        let mut instances = BTreeMap::new();
        for (name, provider) in bootstrap.certificate_providers() {
            let source = match made.iter().find(|(other, _)| *other == provider) {
                Some((_, source)) => source.clone(),
                None => match provider {
                    CertificateProvider::FileWatcher(files) => {
                        CertificateSource::new(name.clone(), FileMaterial::new(files.clone()))
                    }
                    CertificateProvider::WorkloadApi(agent) => {
                        CertificateSource::new(name.clone(), WorkloadMaterial::new(agent.clone()))
                    }
                },
            };
            made.push((provider, source.clone()));
            instances.insert(name.clone(), source);
        }
        Self { instances }
    }

    /// Providers of these names without material: for programs that check resources and make no connections.
    pub fn named(names: impl IntoIterator<Item = impl Into<Name>>) -> Self {
        let none = CertificateSource::missing("none", "this program only checks resources");
        Self { instances: names.into_iter().map(|name| (name.into(), none.clone())).collect() }
    }

    /// With this provider under this name.
    #[must_use]
    pub fn with(mut self, name: impl Into<Name>, source: CertificateSource) -> Self {
        self.instances.insert(name.into(), source);
        self
    }

    /// With all of these, which replace those of the same name.
    pub(crate) fn with_all(mut self, others: &Self) -> Self {
        self.instances.extend(others.instances.iter().map(|(name, source)| (name.clone(), source.clone())));
        self
    }

    /// The provider of this name. `None`: there is none.
    // TLS-05, TLS-06
    pub(crate) fn find(&self, name: &str) -> Option<&CertificateSource> {
        self.instances.get(name)
    }
}
