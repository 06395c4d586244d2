//! The request body that connections send.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::runtime::connect::UnreadBody;
use crate::runtime::mirror::Tapped;

use super::replay::ReplayBody;

pin_project! {
    /// The body of a request: the caller's own, or one that can be sent again.
    #[derive(Debug)]
    pub struct RequestBody<B> {
        #[pin]
        kind: BodyKind<Tapped<B>>,
    }
}

pin_project! {
    #[project = BodyKindProjection]
    #[derive(Debug)]
    enum BodyKind<B> {
        Plain {
            #[pin]
            body: B,
        },
        Unread {
            read: VecDeque<Bytes>,
            #[pin]
            body: B,
        },
        Whole {
            read: VecDeque<Bytes>,
        },
        Replay {
            body: ReplayBody<B>,
        },
    }
}

impl<B> RequestBody<B> {
    /// The caller's body, untouched: no copy and no box.
    pub fn plain(body: B) -> Self {
        Self::tapped(body.into())
    }

    /// The caller's body, which mirrors may copy while it is read.
    pub(crate) fn tapped(body: Tapped<B>) -> Self {
        Self { kind: BodyKind::Plain { body } }
    }

    /// The body with the data that has been read put back in front.
    pub(crate) fn unread(unread: UnreadBody<Self>) -> Self {
        let UnreadBody { mut read, rest } = unread;
        let kind = match rest.map(|rest| rest.kind) {
            Some(BodyKind::Plain { body }) => BodyKind::Unread { read, body },
            Some(BodyKind::Unread { read: unread, body }) => {
                read.extend(unread);
                BodyKind::Unread { read, body }
            }
            Some(BodyKind::Whole { read: unread }) => {
                read.extend(unread);
                BodyKind::Whole { read }
            }
            // `Replay` keeps the data itself
            Some(kind @ BodyKind::Replay { .. }) => kind,
            None => BodyKind::Whole { read },
        };
        Self { kind }
    }

    pub(super) fn replay(body: ReplayBody<Tapped<B>>) -> Self {
        Self { kind: BodyKind::Replay { body } }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for RequestBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            BodyKindProjection::Plain { body } => body.poll_frame(cx),
            BodyKindProjection::Unread { read, body } => match read.pop_front() {
                Some(read) => Poll::Ready(Some(Ok(Frame::data(read)))),
                None => body.poll_frame(cx),
            },
            BodyKindProjection::Whole { read } => {
                Poll::Ready(read.pop_front().map(|read| Ok(Frame::data(read))))
            }
            BodyKindProjection::Replay { body } => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            BodyKind::Plain { body } => body.is_end_stream(),
            BodyKind::Unread { read, body } => read.is_empty() && body.is_end_stream(),
            BodyKind::Whole { read } => read.is_empty(),
            BodyKind::Replay { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            BodyKind::Plain { body } => body.size_hint(),
            BodyKind::Whole { read } => SizeHint::with_exact(read.iter().map(|read| read.len() as u64).sum()),
            BodyKind::Unread { .. } | BodyKind::Replay { .. } => SizeHint::default(),
        }
    }
}
