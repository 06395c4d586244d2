//! The body whose trailers tell the load.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::metadata::{BinaryMetadataKey, MetadataMap, MetadataValue};

use super::{CallLoad, LoadReporter};

pin_project! {
    /// The body of a response that tells the load in its trailers.
    #[derive(Debug)]
    pub struct LoadReportBody<B> {
        #[pin]
        body: B,
        load: Option<Load>,
    }
}

/// What is to be told of a call.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) server: Option<LoadReporter>,
    pub(super) call: CallLoad,
}

impl Load {
    /// Adds the header, unless nothing is known.
    // OB-19
    pub(super) fn add_to(self, headers: &mut HeaderMap) {
        let mut report = self.server.map(|server| server.0.lock().clone()).unwrap_or_default();
        report.overwrite(&self.call.0.lock());
        if report.is_empty() {
            return;
        }
        let mut metadata = MetadataMap::from_headers(std::mem::take(headers));
        let name = BinaryMetadataKey::from_static(HEADER);
        metadata.insert_bin(name, MetadataValue::from_bytes(&report.encode()));
        *headers = metadata.into_headers();
    }
}

const HEADER: &str = "endpoint-load-metrics-bin";

impl<B> LoadReportBody<B> {
    pub(super) fn new(body: B, load: Option<Load>) -> Self {
        Self { body, load }
    }
}

impl<B: Body> Body for LoadReportBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let load = this.load;
        this.body.poll_frame(cx).map_ok(|mut frame| {
            if let Some(trailers) = frame.trailers_mut()
                && let Some(load) = load.take()
            {
                load.add_to(trailers);
            }
            frame
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
