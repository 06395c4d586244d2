//! Policies that choose an endpoint by the request's hash.

use http::HeaderName;
use mesh_core::config::{LbPolicy, Maglev, RingHash};
use policies::ring_hash::v3::ring_hash::HashFunction;
use xds_proto::envoy::config::cluster::v3::cluster::RingHashLbConfig;
use xds_proto::envoy::config::cluster::v3::cluster::ring_hash_lb_config::HashFunction as OldHash;
use xds_proto::envoy::extensions::load_balancing_policies as policies;
use xds_proto::google::protobuf::Struct;
use xds_proto::google::protobuf::value::Kind;

use crate::resource::extension::{field, number};
use crate::resource::invalid::{Checked, Invalid, Within};

pub(super) fn old_ring_hash(config: &RingHashLbConfig) -> Checked<LbPolicy> {
    if config.hash_function != OldHash::XxHash as i32 {
        return Err(Invalid::at("hash_function", "must be XX_HASH"));
    }
    ring_hash([config.minimum_ring_size, config.maximum_ring_size].map(|size| size.map(|size| size.value)))
}

pub(super) fn ring_hash_message(config: &policies::ring_hash::v3::RingHash) -> Checked<LbPolicy> {
    match HashFunction::try_from(config.hash_function) {
        Ok(HashFunction::DefaultHash | HashFunction::XxHash) => ring_hash(
            [config.minimum_ring_size, config.maximum_ring_size].map(|size| size.map(|size| size.value)),
        ),
        _ => Err(Invalid::at("hash_function", "must be XX_HASH")),
    }
}

pub(super) fn ring_hash_fields(fields: &Struct) -> Checked<LbPolicy> {
    match field(fields, &["hash_function", "hashFunction"]) {
        None => {}
        Some(Kind::StringValue(name)) if name == "XX_HASH" || name == "DEFAULT_HASH" => {}
        Some(_) => return Err(Invalid::at("hash_function", "must be XX_HASH")),
    }
    let ring = ring_hash([
        number(fields, &["minimum_ring_size", "minimumRingSize", "minRingSize"])?,
        number(fields, &["maximum_ring_size", "maximumRingSize", "maxRingSize"])?,
    ])?;
    let header = request_hash_header(fields).within("request_hash_header")?;
    Ok(match (ring, header) {
        (LbPolicy::RingHash(ring), Some(header)) => LbPolicy::RingHash(ring.with_request_hash_header(header)),
        (ring, _) => ring,
    })
}

// LB-41
fn request_hash_header(fields: &Struct) -> Checked<Option<HeaderName>> {
    let name = match field(fields, &["request_hash_header", "requestHashHeader"]) {
        None => return Ok(None),
        Some(Kind::StringValue(name)) if name.is_empty() => return Ok(None),
        Some(Kind::StringValue(name)) => name,
        Some(_) => return Err(Invalid::new("expected the name of a header")),
    };
    let header: HeaderName =
        name.parse().map_err(|_| Invalid::new(format!("{name:?} is not the name of a header")))?;
    if header.as_str().ends_with("-bin") {
        return Err(Invalid::new(format!("{name:?} is a binary header, which has no text to be hashed")));
    }
    Ok(Some(header))
}

// CDS-08
fn ring_hash([min, max]: [Option<u64>; 2]) -> Checked<LbPolicy> {
    for (field, size) in [("minimum_ring_size", min), ("maximum_ring_size", max)] {
        if let Some(size) = size.filter(|size| *size > MAX_RING) {
            return Err(Invalid::at(field, format!("must be at most {MAX_RING}, found {size}")));
        }
    }
    let (min_size, max_size) = (min.unwrap_or(1024), max.unwrap_or(MAX_RING));
    match min_size > max_size {
        true => Err(Invalid::at(
            "minimum_ring_size",
            format!("{min_size} is more than maximum_ring_size {max_size}"),
        )),
        false => Ok(LbPolicy::RingHash(RingHash::new(min_size, max_size))),
    }
}

// LB-49
pub(super) fn maglev(table_size: Option<u64>) -> Checked<LbPolicy> {
    let mut policy = Maglev::default();
    policy.table_size = table_size.unwrap_or(policy.table_size);
    let size = policy.table_size;
    if !(2..=MAX_TABLE).contains(&size) {
        return Err(Invalid::at("table_size", format!("must be from 2 to {MAX_TABLE}, found {size}")));
    }
    if !is_prime(size) {
        return Err(Invalid::at("table_size", format!("must be a prime number, found {size}")));
    }
    Ok(LbPolicy::Maglev(policy))
}

fn is_prime(number: u64) -> bool {
    (2..).take_while(|divisor| divisor * divisor <= number).all(|divisor| !number.is_multiple_of(divisor))
}

const MAX_TABLE: u64 = 5_000_011;
const MAX_RING: u64 = 8_388_608;
