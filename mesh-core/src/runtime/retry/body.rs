//! The request body that connections send.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::runtime::connect::UnreadBody;

use super::replay::ReplayBody;

pin_project! {
    /// The body of a request: the caller's own, or one that can be sent again.
    #[derive(Debug)]
    pub struct RequestBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProjection]
    #[derive(Debug)]
    enum Kind<B> {
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
        Self { kind: Kind::Plain { body } }
    }

    /// The body with the data that has been read put back in front.
    pub(crate) fn unread(unread: UnreadBody<Self>) -> Self {
        let UnreadBody { mut read, rest } = unread;
        let kind = match rest.map(|rest| rest.kind) {
            Some(Kind::Plain { body }) => Kind::Unread { read, body },
            Some(Kind::Unread { read: unread, body }) => {
                read.extend(unread);
                Kind::Unread { read, body }
            }
            Some(Kind::Whole { read: unread }) => {
                read.extend(unread);
                Kind::Whole { read }
            }
            // `Replay` keeps the data itself
            Some(kind @ Kind::Replay { .. }) => kind,
            None => Kind::Whole { read },
        };
        Self { kind }
    }

    pub(super) fn replay(body: ReplayBody<B>) -> Self {
        Self { kind: Kind::Replay { body } }
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
            KindProjection::Plain { body } => body.poll_frame(cx),
            KindProjection::Unread { read, body } => match read.pop_front() {
                Some(read) => Poll::Ready(Some(Ok(Frame::data(read)))),
                None => body.poll_frame(cx),
            },
            KindProjection::Whole { read } => Poll::Ready(read.pop_front().map(|read| Ok(Frame::data(read)))),
            KindProjection::Replay { body } => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Plain { body } => body.is_end_stream(),
            Kind::Unread { read, body } => read.is_empty() && body.is_end_stream(),
            Kind::Whole { read } => read.is_empty(),
            Kind::Replay { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Plain { body } => body.size_hint(),
            Kind::Whole { read } => SizeHint::with_exact(read.iter().map(|read| read.len() as u64).sum()),
            Kind::Unread { .. } | Kind::Replay { .. } => SizeHint::default(),
        }
    }
}
