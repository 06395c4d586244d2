//! Errors print what they say: `main` shows what it returns with `Debug`.

use std::error::Error;
use std::sync::Arc;

use mesh_core::WithCauses;
use xds_client::StartError;
use xds_client::bootstrap::{BootstrapError, TargetError};
use xds_client::protocol::{Problem, ProblemKind};
use xds_client::resource::DecodeError;
use xds_client::status::Refused;
use xds_client::transport::TransportError;

#[test]
fn debug_of_every_error_is_its_text_with_its_causes() {
    let unreadable = BootstrapError::Unreadable {
        path: "/etc/mesh.json".into(),
        source: Arc::new(std::io::Error::other("it is on fire")),
    };
    let decode =
        DecodeError::new("Cluster", "expected ROUND_ROBIN").with_name("cart").with_field("lb_policy");
    let unconfigured = "no xDS bootstrap: set GRPC_XDS_BOOTSTRAP to the path of a JSON file or \
                        GRPC_XDS_BOOTSTRAP_CONFIG to the JSON itself, or build one in code";
    let rows: Vec<(Box<dyn Error>, &str)> = vec![
        (BootstrapError::NotConfigured.into(), unconfigured),
        (StartError::Bootstrap(BootstrapError::NotConfigured).into(), unconfigured),
        (StartError::NoServer.into(), "the xDS bootstrap has no server"),
        (
            StartError::Bootstrap(unreadable).into(),
            "GRPC_XDS_BOOTSTRAP: cannot read /etc/mesh.json: it is on fire",
        ),
        (
            TargetError::InvalidName { target: "xds:///".to_owned(), reason: "it is empty" }.into(),
            "target \"xds:///\": it is empty",
        ),
        (decode.into(), "Cluster cart: lb_policy: expected ROUND_ROBIN"),
        (Problem::new(ProblemKind::Failed, "no such name").into(), "no such name"),
        (TransportError::failed("refused").into(), "refused"),
        (
            Refused::NodeMatchers.into(),
            "node_matchers: not supported, a client knows only itself; leave them out",
        ),
    ];
    for (error, text) in rows {
        assert_eq!(format!("{error:?}"), text);
        assert_eq!(WithCauses(&*error).to_string(), text);
    }
}
