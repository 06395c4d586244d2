//! Changes of headers.

use xds_proto::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use xds_proto::envoy::config::core::v3::{HeaderValue, HeaderValueOption};

use crate::kinds::header_changes::{HeaderEdits, WriteMode, WrittenHeader};

/// The written headers, in order. Every client removes headers before it writes any.
pub(super) fn to_add(edits: &HeaderEdits) -> Vec<HeaderValueOption> {
    edits.written.iter().map(one).collect()
}

fn one(header: &WrittenHeader) -> HeaderValueOption {
    let action = match header.mode {
        WriteMode::Set => HeaderAppendAction::OverwriteIfExistsOrAdd,
        WriteMode::Add => HeaderAppendAction::AppendIfExistsOrAdd,
    };
    // The field is a template, in which a percent sign begins a variable.
    let value = header.value.replace('%', "%%");
    HeaderValueOption {
        header: Some(HeaderValue { key: header.name.clone(), value, ..HeaderValue::default() }),
        append_action: action.into(),
        ..HeaderValueOption::default()
    }
}
