//! Endpoints as resources of their own (LEDS, gRFC A95).
//!
//! | what | its name |
//! | --- | --- |
//! | a locality's endpoints | `xdstp:///envoy.config.endpoint.v3.LbEndpoint/CLUSTER/PRIORITY.REGION%2FZONE%2FSUBZONE/*` |
//! | one of them | the same with `IP:PORT` in the place of `*` |

use std::sync::Arc;

use xds_proto::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use xds_proto::envoy::config::core::v3::{ApiVersion, ConfigSource, SelfConfigSource};
use xds_proto::envoy::config::endpoint::v3::locality_lb_endpoints::LbConfig;
use xds_proto::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, LedsClusterLocalityConfig, LocalityLbEndpoints,
};

use crate::resources::{Assignment, Collection, EncodedResource, path_segment};

/// Replaces the endpoints of an assignment by references to collections, which are made from `inline`, the same assignment,
/// once a client asks for them.
pub(super) fn take(assignment: &mut ClusterLoadAssignment, inline: &Arc<EncodedResource>) -> Vec<Collection> {
    let cluster = path_segment(&assignment.cluster_name);
    let localities = assignment.endpoints.iter_mut().enumerate();
    let take = |(place, locality): (usize, &mut LocalityLbEndpoints)| {
        let name = refer(&cluster, locality);
        Collection::of_locality(name.into(), Assignment { resource: Arc::clone(inline), locality: place })
    };
    localities.map(take).collect()
}

/// The name of the collection that takes the place of a locality's endpoints.
fn refer(cluster: &str, locality: &mut LocalityLbEndpoints) -> String {
    let id = locality.locality.clone().unwrap_or_default();
    let key = format!("{}.{}/{}/{}", locality.priority, id.region, id.zone, id.sub_zone);
    let name = format!("xdstp:///envoy.config.endpoint.v3.LbEndpoint/{cluster}/{}/*", path_segment(&key));
    locality.lb_endpoints.clear();
    locality.lb_config = Some(LbConfig::LedsClusterLocalityConfig(LedsClusterLocalityConfig {
        leds_config: Some(ConfigSource {
            resource_api_version: ApiVersion::V3.into(),
            config_source_specifier: Some(ConfigSourceSpecifier::Self_(SelfConfigSource::default())),
            ..ConfigSource::default()
        }),
        leds_collection_name: name.clone(),
    }));
    name
}
