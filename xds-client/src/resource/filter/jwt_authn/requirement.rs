//! Which providers must believe a call's tokens.

use mesh_core::policy::jwt::{Audiences, JwtRequirement};
use xds_proto::envoy::extensions::filters::http::jwt_authn::v3::JwtRequirement as Proto;
use xds_proto::envoy::extensions::filters::http::jwt_authn::v3::jwt_requirement::RequiresType;

use crate::resource::invalid::{Checked, Invalid, Within};

/// Reads a requirement; `known` knows the names of providers.
pub(super) fn read(requirement: &Proto, known: &impl Fn(&str) -> bool) -> Checked<JwtRequirement> {
    Ok(match &requirement.requires_type {
        // HF-43: nothing is required
        None => JwtRequirement::AllowMissingOrFailed,
        Some(RequiresType::ProviderName(name)) => {
            JwtRequirement::Provider(provider(name, known).within("provider_name")?, None)
        }
        Some(RequiresType::ProviderAndAudiences(both)) => {
            let name = provider(&both.provider_name, known).within("provider_name");
            let name = name.within("provider_and_audiences")?;
            // J3: an empty list would be no check
            let audiences = audiences(&both.audiences).within("provider_and_audiences")?;
            JwtRequirement::Provider(name, Some(audiences))
        }
        Some(RequiresType::RequiresAny(list)) => {
            JwtRequirement::AnyOf(self::list(&list.requirements, known).within("requires_any")?)
        }
        Some(RequiresType::RequiresAll(list)) => {
            JwtRequirement::AllOf(self::list(&list.requirements, known).within("requires_all")?)
        }
        Some(RequiresType::AllowMissing(_)) => JwtRequirement::AllowMissing,
        Some(RequiresType::AllowMissingOrFailed(_)) => JwtRequirement::AllowMissingOrFailed,
        Some(RequiresType::ExtractOnlyWithoutValidation(_)) => {
            let reason = "is not supported: claims that nobody has checked prove nothing";
            return Err(Invalid::at("extract_only_without_validation", reason));
        }
    })
}

fn provider(name: &str, known: &impl Fn(&str) -> bool) -> Checked<String> {
    match known(name) {
        true => Ok(name.to_owned()),
        false => Err(Invalid::new(format!("{name:?} is not in providers"))),
    }
}

/// HF-44: at least two.
fn list(requirements: &[Proto], known: &impl Fn(&str) -> bool) -> Checked<Vec<JwtRequirement>> {
    if requirements.len() < 2 {
        return Err(Invalid::at("requirements", "must have at least two elements"));
    }
    let each = |(index, one)| read(one, known).within_element("requirements", index);
    requirements.iter().enumerate().map(each).collect()
}

pub(super) fn audiences(audiences: &[String]) -> Checked<Audiences> {
    Audiences::new(audiences.iter().cloned())
        .map_err(|_| Invalid::at("audiences", "must name at least one, and none may be empty"))
}
