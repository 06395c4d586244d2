//! Route configurations (gRFC A28, A42, A44).

use std::collections::HashMap;

use xds_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use xds_proto::envoy::config::route::v3::route::Action;
use xds_proto::envoy::config::route::v3::route_action::ClusterSpecifier;
use xds_proto::envoy::config::route::v3::route_action::hash_policy::PolicySpecifier;
use xds_proto::envoy::config::route::v3::route_match::PathSpecifier;
use xds_proto::envoy::config::route::v3::{
    HeaderMatcher, RetryPolicy, Route, RouteAction, RouteConfiguration, WeightedCluster,
};
use xds_proto::google::protobuf::Duration;

use super::{Verdict, expect, overrides, regex, string};

pub(crate) fn verdict(config: &RouteConfiguration) -> Verdict {
    expect(!config.name.is_empty(), "empty name")?;
    inline(config)
}

pub(crate) fn inline(config: &RouteConfiguration) -> Verdict {
    // No plugin is known: optional ones may be named, and their routes are left out.
    let mut plugins = HashMap::new();
    for plugin in &config.cluster_specifier_plugins {
        expect(plugin.is_optional, "unknown cluster specifier plugin")?;
        plugins.insert(plugin.extension.as_ref().map_or("", |extension| &extension.name), ());
    }
    for host in &config.virtual_hosts {
        host.routes.iter().try_for_each(|entry| route(entry, &plugins))?;
        retry(host.retry_policy.as_ref())?;
        overrides(&host.typed_per_filter_config, &[])?;
    }
    Ok(())
}

fn route(route: &Route, plugins: &HashMap<&str, ()>) -> Verdict {
    let matches = route.r#match.as_ref().ok_or("route without match")?;
    if !matches.query_parameters.is_empty() {
        return Ok(());
    }
    match &matches.path_specifier {
        Some(PathSpecifier::Prefix(_) | PathSpecifier::Path(_)) => {}
        Some(PathSpecifier::SafeRegex(matcher)) => regex(&matcher.regex)?,
        // RT-18: gRPC refuses it; routes of HTTP have it
        Some(PathSpecifier::PathSeparatedPrefix(prefix)) => {
            let is_path = prefix.len() > 1 && !prefix.ends_with('/') && !prefix.contains(['?', '#']);
            expect(is_path, "separated prefix")?;
        }
        _ => return Err("path specifier"),
    }
    matches.headers.iter().try_for_each(header)?;
    if let Some(Action::Route(action)) = &route.action
        && !forward(action, plugins)?
    {
        return Ok(());
    }
    overrides(&route.typed_per_filter_config, &[])
}

#[expect(deprecated, reason = "control planes still send the old specifiers")]
fn header(matcher: &HeaderMatcher) -> Verdict {
    match &matcher.header_match_specifier {
        Some(HeaderMatchSpecifier::StringMatch(matcher)) => string(matcher),
        Some(HeaderMatchSpecifier::SafeRegexMatch(matcher)) => regex(&matcher.regex),
        Some(
            HeaderMatchSpecifier::PrefixMatch(text)
            | HeaderMatchSpecifier::SuffixMatch(text)
            | HeaderMatchSpecifier::ContainsMatch(text),
        ) => expect(!text.is_empty(), "empty string matcher"),
        Some(
            HeaderMatchSpecifier::ExactMatch(_)
            | HeaderMatchSpecifier::RangeMatch(_)
            | HeaderMatchSpecifier::PresentMatch(_),
        ) => Ok(()),
        None => Err("header matcher without specifier"),
    }
}

/// Whether the route is kept.
fn forward(action: &RouteAction, plugins: &HashMap<&str, ()>) -> Result<bool, super::Refusal> {
    for policy in &action.hash_policy {
        if let Some(PolicySpecifier::Header(header)) = &policy.policy_specifier
            && let Some(rewrite) = &header.regex_rewrite
        {
            regex(rewrite.pattern.as_ref().map_or("", |pattern| &pattern.regex))?;
        }
    }
    match &action.cluster_specifier {
        Some(ClusterSpecifier::Cluster(_)) => {}
        Some(ClusterSpecifier::WeightedClusters(clusters)) => weighted(clusters)?,
        Some(ClusterSpecifier::ClusterSpecifierPlugin(name)) => {
            expect(plugins.contains_key(&**name), "cluster specifier plugin that is not declared")?;
            return Ok(false);
        }
        _ => return Ok(false),
    }
    retry(action.retry_policy.as_ref())?;
    Ok(true)
}

fn weighted(clusters: &WeightedCluster) -> Verdict {
    let mut total = 0;
    for cluster in &clusters.clusters {
        let weight = cluster.weight.map_or(0, |weight| weight.value);
        if weight > 0 {
            total += u64::from(weight);
            overrides(&cluster.typed_per_filter_config, &[])?;
        }
    }
    expect((1..=u64::from(u32::MAX)).contains(&total), "total weight of clusters")
}

fn retry(policy: Option<&RetryPolicy>) -> Verdict {
    let Some(policy) = policy else { return Ok(()) };
    expect(policy.num_retries.is_none_or(|retries| retries.value > 0), "num_retries of 0")?;
    let Some(backoff) = &policy.retry_back_off else { return Ok(()) };
    let positive = |duration: &Duration| (duration.seconds, duration.nanos) > (0, 0);
    expect(backoff.base_interval.as_ref().is_some_and(positive), "base_interval of 0")?;
    expect(backoff.max_interval.as_ref().is_none_or(positive), "max_interval of 0")
}
