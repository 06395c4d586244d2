//! Endpoints that are accepted by the operating system's roots.

use std::process::Command;

use super::connector::{dial, target};
use super::*;
use crate::config::{ClientCertificates, ClientTls, PeerValidation, RootSource, ServerTls};
use crate::runtime::tls::{Acceptor, AcceptorSettings, HandshakeResult};

/// The system's roots are read once per process, from a file that a variable names: so the test runs itself with that variable.
///
/// Proves: TLS-07.
#[test]
fn system_roots_accept_the_endpoints_that_they_have_issued() {
    let Some(file) = std::env::var_os(INNER) else {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("roots.pem");
        let test = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "runtime::tls::tests::system_roots::system_roots_accept_the_endpoints_that_they_have_issued",
            ])
            .env("SSL_CERT_FILE", &file)
            .env(INNER, &file)
            .env_remove("SSL_CERT_DIR")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&test.stdout);
        assert!(test.status.success() && text.contains("1 passed"), "{text}");
        return;
    };
    let (ours, foreign) = (Authority::new("root"), Authority::new("other"));
    std::fs::write(file, ours.certificate.pem()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let target = target(ClientTls::new(PeerValidation::new(RootSource::System)), "");
        let dialled = async |authority: &Authority| {
            let tls =
                ServerTls::new(authority.leaf(&["a.example"]).source(), ClientCertificates::NotRequested);
            let (near, far) = tokio::io::duplex(1 << 16);
            let (acceptor, tls) = (Acceptor::new(AcceptorSettings::default()), std::sync::Arc::new(tls));
            let (dialled, _accepted) = tokio::join!(dial(near, &target), acceptor.accept(far, &tls));
            dialled.map(drop).map_err(|error| error.result())
        };
        assert_eq!(dialled(&ours).await, Ok(()));
        assert_eq!(dialled(&foreign).await, Err(HandshakeResult::CertificateAuthorityInvalid));
    });
}

const INNER: &str = "MESH_CORE_TEST_SYSTEM_ROOTS";
