//! Who calls.

use mesh_core::policy::rbac::Principal;
use xds_proto::envoy::config::rbac::v3 as proto;
use xds_proto::envoy::config::rbac::v3::principal::Identifier;

use crate::resource::Decoding;
use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::matcher;

use super::rules::{header, ip_range, is_true, list, sourced, url_path};

#[expect(deprecated, reason = "control planes still send the old rules")]
pub(super) fn read(principal: &proto::Principal, context: &Decoding<'_>) -> Checked<Principal> {
    let set = |set: &proto::principal::Set| list(&set.ids, "ids", |each| read(each, context));
    Ok(match principal.identifier.as_ref() {
        Some(Identifier::AndIds(ids)) => Principal::All(set(ids).within("and_ids")?),
        Some(Identifier::OrIds(ids)) => Principal::AnyOf(set(ids).within("or_ids")?),
        Some(Identifier::NotId(id)) => Principal::Not(Box::new(read(id, context).within("not_id")?)),
        Some(Identifier::Any(any)) => {
            is_true(*any)?;
            Principal::Any
        }
        Some(Identifier::Authenticated(authenticated)) => {
            let name = authenticated.principal_name.as_ref();
            let name = name.map(|name| matcher::string(name, context)).transpose();
            Principal::Authenticated(name.within("principal_name").within("authenticated")?)
        }
        // HF-21
        Some(Identifier::SourceIp(range)) => Principal::RemoteIp(ip_range(range).within("source_ip")?),
        Some(Identifier::DirectRemoteIp(range)) => {
            Principal::RemoteIp(ip_range(range).within("direct_remote_ip")?)
        }
        Some(Identifier::RemoteIp(range)) => Principal::RemoteIp(ip_range(range).within("remote_ip")?),
        Some(Identifier::Header(rule)) => Principal::Header(header(rule, context).within("header")?),
        Some(Identifier::UrlPath(path)) => Principal::UrlPath(url_path(path, context).within("url_path")?),
        Some(Identifier::Metadata(rule)) => {
            Principal::Metadata(matcher::metadata(rule, context).within("metadata")?)
        }
        Some(Identifier::SourcedMetadata(rule)) => {
            Principal::Metadata(sourced(rule, context).within("sourced_metadata")?)
        }
        Some(Identifier::FilterState(_)) => return Err(Invalid::at("filter_state", "is not supported")),
        Some(Identifier::Custom(_)) => return Err(Invalid::at("custom", "is not supported")),
        None => return Err(Invalid::new("no identifier that is known is set")),
    })
}
