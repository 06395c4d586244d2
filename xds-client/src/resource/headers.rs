//! Changes of headers, in filters and in routes.

use http::{HeaderName, HeaderValue};
use mesh_core::config::{AppendAction, HeaderMutation, HeaderMutations};
use xds_proto::envoy::config::common::mutation_rules::v3 as rules;
use xds_proto::envoy::config::common::mutation_rules::v3::header_mutation::Action;
use xds_proto::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use xds_proto::envoy::config::core::v3::{HeaderValue as ProtoValue, HeaderValueOption};

use super::Decoding;
use super::invalid::{Checked, Invalid, Within};
use super::matcher;

/// The fields of a virtual host, a route or another part with changes of headers.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeaderFields<'a> {
    pub(super) request_add: &'a [HeaderValueOption],
    pub(super) request_remove: &'a [String],
    pub(super) response_add: &'a [HeaderValueOption],
    pub(super) response_remove: &'a [String],
}

impl HeaderFields<'_> {
    /// RT-66: headers are removed before any is added.
    pub(super) fn read(self) -> Checked<HeaderMutations> {
        let mut read = HeaderMutations::new();
        removed(self.request_remove, "request_headers_to_remove", &mut read.request)?;
        added(self.request_add, "request_headers_to_add", &mut read.request)?;
        removed(self.response_remove, "response_headers_to_remove", &mut read.response)?;
        added(self.response_add, "response_headers_to_add", &mut read.response)?;
        Ok(read)
    }
}

fn removed(names: &[String], field: &str, into: &mut Vec<HeaderMutation>) -> Checked<()> {
    limited(names, field)?;
    for (index, name) in names.iter().enumerate() {
        into.push(remove(name).within_element(field, index)?);
    }
    Ok(())
}

fn added(options: &[HeaderValueOption], field: &str, into: &mut Vec<HeaderMutation>) -> Checked<()> {
    limited(options, field)?;
    for (index, option) in options.iter().enumerate() {
        let mutation = set(option).within_element(field, index)?;
        // RT-66
        let is_empty = option.header.as_ref().is_some_and(is_empty);
        if option.keep_empty_value || !is_empty {
            into.push(mutation);
        }
    }
    Ok(())
}

/// Headers that a filter adds.
pub(super) fn additions(options: &[HeaderValueOption], field: &str) -> Checked<Vec<HeaderMutation>> {
    let mut read = Vec::new();
    added(options, field, &mut read)?;
    Ok(read)
}

/// A header of a request that is made here, so that there is nothing to append to.
pub(super) fn value_of(option: &HeaderValueOption) -> Checked<(HeaderName, HeaderValue)> {
    let header = option.header.as_ref().ok_or_else(|| Invalid::at("header", "must be set"))?;
    let name = header_name(&header.key).within("key").within("header")?;
    Ok((name, value(header).within("header")?))
}

/// The mutations of a filter, which keeps empty values.
pub(super) fn mutations(
    list: &[rules::HeaderMutation],
    field: &str,
    context: &Decoding<'_>,
) -> Checked<Vec<HeaderMutation>> {
    let read = |(index, mutation): (usize, &rules::HeaderMutation)| {
        mutation_of(mutation, context).within_element(field, index)
    };
    list.iter().enumerate().map(read).collect()
}

fn mutation_of(mutation: &rules::HeaderMutation, context: &Decoding<'_>) -> Checked<HeaderMutation> {
    match &mutation.action {
        Some(Action::Remove(name)) => remove(name).within("remove"),
        Some(Action::Append(option)) => set(option).within("append"),
        Some(Action::RemoveOnMatch(names)) => {
            let read = || {
                let names = names.key_matcher.as_ref().ok_or_else(|| Invalid::new("must be set"))?;
                matcher::string(names, context).map(HeaderMutation::remove_matching)
            };
            read().within("key_matcher").within("remove_on_match")
        }
        None => Err(Invalid::new("expected remove, append or remove_on_match")),
    }
}

fn remove(name: &str) -> Checked<HeaderMutation> {
    Ok(HeaderMutation::remove(header_name(name)?)?)
}

fn set(option: &HeaderValueOption) -> Checked<HeaderMutation> {
    let header = option.header.as_ref().ok_or_else(|| Invalid::at("header", "must be set"))?;
    let name = header_name(&header.key).within("key").within("header")?;
    let value = value(header).within("header")?;
    HeaderMutation::set(name, value, action(option)?).within("header.key")
}

fn header_name(name: &str) -> Checked<HeaderName> {
    match name.strip_prefix(':') {
        Some(_) => Err(Invalid::new(format!("{name:?} is never changed"))),
        None => matcher::header_name(name),
    }
}

// RT-67
fn action(option: &HeaderValueOption) -> Checked<AppendAction> {
    let action = HeaderAppendAction::try_from(option.append_action)
        .map_err(|_| Invalid::at("append_action", format!("{} is not an action", option.append_action)))?;
    #[expect(deprecated, reason = "control planes still send it")]
    let append = option.append;
    Ok(match (append, action) {
        (Some(append), HeaderAppendAction::AppendIfExistsOrAdd) if append.value => {
            AppendAction::AppendIfExistsOrAdd
        }
        (Some(_), HeaderAppendAction::AppendIfExistsOrAdd) => AppendAction::OverwriteIfExistsOrAdd,
        (Some(_), _) => return Err(Invalid::at("append", "cannot be set beside append_action")),
        (None, HeaderAppendAction::AppendIfExistsOrAdd) => AppendAction::AppendIfExistsOrAdd,
        (None, HeaderAppendAction::AddIfAbsent) => AppendAction::AddIfAbsent,
        (None, HeaderAppendAction::OverwriteIfExistsOrAdd) => AppendAction::OverwriteIfExistsOrAdd,
        (None, HeaderAppendAction::OverwriteIfExists) => AppendAction::OverwriteIfExists,
    })
}

fn value(header: &ProtoValue) -> Checked<HeaderValue> {
    let (field, bytes) = match (header.value.as_bytes(), header.raw_value.as_slice()) {
        (_, []) => ("value", header.value.as_bytes()),
        ([], raw) => ("raw_value", raw),
        _ => return Err(Invalid::at("raw_value", "cannot be set beside value")),
    };
    // HF-36
    if bytes.len() > MAX_VALUE {
        let reason = format!("{} bytes are more than {MAX_VALUE}", bytes.len());
        return Err(Invalid::at(field, reason));
    }
    let bytes = literal(bytes).within(field)?;
    HeaderValue::from_bytes(&bytes).map_err(|_| Invalid::at(field, "is not a header's value"))
}

/// Envoy's format: `%%` is `%`, and `%COMMAND%` is replaced by a property of the call. No command is supported, and
/// sending one literally would be wrong.
fn literal(format: &[u8]) -> Checked<Vec<u8>> {
    let mut text = Vec::with_capacity(format.len());
    let mut rest = format.iter();
    while let Some(byte) = rest.next() {
        if *byte == b'%' && rest.next() != Some(&b'%') {
            let format = String::from_utf8_lossy(format);
            return Err(Invalid::new(format!(
                "{format:?} has a command; only %% for a percent sign is supported"
            )));
        }
        text.push(*byte);
    }
    Ok(text)
}

fn is_empty(header: &ProtoValue) -> bool {
    header.value.is_empty() && header.raw_value.is_empty()
}

fn limited<T>(list: &[T], field: &str) -> Checked<()> {
    match list.len() {
        0..=MAX_ENTRIES => Ok(()),
        count => Err(Invalid::at(field, format!("{count} entries are more than {MAX_ENTRIES}"))),
    }
}

const MAX_ENTRIES: usize = 1000;
const MAX_VALUE: usize = 16_384;
