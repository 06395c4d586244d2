//! Which clients are chosen.

use xds_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use xds_proto::envoy::r#type::matcher::v3::{NodeMatcher, RegexMatcher, StringMatcher, StructMatcher};

use super::matcher::Matchers;

fn matcher(pattern: MatchPattern, ignore_case: bool) -> NodeMatcher {
    let node_id = Some(StringMatcher { match_pattern: Some(pattern), ignore_case });
    NodeMatcher { node_id, node_metadatas: vec![] }
}

#[test]
fn nodes_are_chosen_by_their_ids() {
    use MatchPattern::{Contains, Exact, Prefix, Suffix};
    let text = str::to_owned;
    for (matchers, chosen) in [
        (vec![], &["shop-1", "Shop-2", "cart-1", ""][..]),
        (vec![matcher(Exact(text("shop-1")), false)], &["shop-1"]),
        (vec![matcher(Exact(text("SHOP-2")), true)], &["Shop-2"]),
        (vec![matcher(Prefix(text("shop")), false)], &["shop-1"]),
        (vec![matcher(Prefix(text("shop")), true)], &["shop-1", "Shop-2"]),
        (vec![matcher(Suffix(text("-1")), false)], &["shop-1", "cart-1"]),
        (vec![matcher(Contains(text("hop")), false)], &["shop-1", "Shop-2"]),
        (
            vec![matcher(Exact(text("cart-1")), false), matcher(Exact(text("shop-1")), false)],
            &["shop-1", "cart-1"],
        ),
    ] {
        let described = format!("{matchers:?}");
        let matchers = Matchers::read(matchers).unwrap();
        let found: Vec<_> =
            ["shop-1", "Shop-2", "cart-1", ""].into_iter().filter(|id| matchers.matches(id)).collect();
        assert_eq!(found, chosen, "{described}");
    }
}

#[test]
fn other_ways_to_choose_are_refused_by_name() {
    let regex = MatchPattern::SafeRegex(RegexMatcher::default());
    let nothing = StringMatcher { match_pattern: None, ignore_case: false };
    let metadata = NodeMatcher { node_metadatas: vec![StructMatcher::default()], ..NodeMatcher::default() };
    let empty = NodeMatcher { node_id: Some(nothing), ..NodeMatcher::default() };
    for (refused, field) in [
        (matcher(regex, false), "node_matchers[1].node_id.safe_regex: is not supported"),
        (metadata, "node_matchers[1].node_metadatas: is not supported"),
        (empty, "node_matchers[1].node_id: is missing or empty"),
        (NodeMatcher::default(), "node_matchers[1].node_id: is missing or empty"),
    ] {
        let fine = matcher(MatchPattern::Exact("a".to_owned()), false);
        let text = Matchers::read(vec![fine, refused]).unwrap_err();
        assert!(text.starts_with(field) && text.ends_with("exact, prefix, suffix or contains"), "{text}");
    }
}
