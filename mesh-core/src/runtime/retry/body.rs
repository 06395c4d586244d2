//! The request body that connections send.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::observe::MessageSizes;
use crate::runtime::connect::UnreadBody;
use crate::runtime::mirror::Tapped;
use crate::runtime::observed::SentMessages;

use super::replay::ReplayBody;

pin_project! {
    /// The body of a request: the caller's own, or one that can be sent again.
    #[derive(Debug)]
    pub struct RequestBody<B> {
        #[pin]
        kind: BodyKind<B>,
    }
}

pin_project! {
    // As small as the caller's body: it is moved with its call.
    #[project = BodyKindProjection]
    #[derive(Debug)]
    enum BodyKind<B> {
        Plain {
            #[pin]
            body: B,
        },
        Replay {
            body: ReplayBody<Tapped<B>>,
        },
        Rest {
            rest: Box<RestBody<B>>,
        },
        Counted {
            counted: Box<CountedBody<B>>,
        },
    }
}

/// A body whose messages are counted while they are read.
#[derive(Debug)]
struct CountedBody<B> {
    body: RequestBody<B>,
    sizes: MessageSizes,
    sent: Arc<SentMessages>,
}

/// A body of which a part may have been read already, or which mirrors copy.
#[derive(Debug)]
struct RestBody<B> {
    /// Read before; sent first.
    read: VecDeque<Bytes>,
    /// `None`: all of it has been read.
    body: Option<Tapped<B>>,
}

impl<B> RequestBody<B> {
    /// The caller's body, untouched: no copy and no box.
    pub fn plain(body: B) -> Self {
        Self { kind: BodyKind::Plain { body } }
    }

    /// The caller's body, which mirrors copy while it is read.
    pub(crate) fn tapped(body: Tapped<B>) -> Self {
        Self::rest(RestBody { read: VecDeque::new(), body: Some(body) })
    }

    /// Counts its messages in `sent` while it is read.
    pub(crate) fn counted(self, sent: Arc<SentMessages>) -> Self {
        let counted = CountedBody { body: self, sizes: MessageSizes::default(), sent };
        Self { kind: BodyKind::Counted { counted: Box::new(counted) } }
    }

    /// The body with the data that has been read put back in front.
    pub(crate) fn unread(unread: UnreadBody<Self>) -> Self {
        let UnreadBody { mut read, rest } = unread;
        match rest.map(|rest| rest.kind) {
            None => Self::rest(RestBody { read, body: None }),
            Some(BodyKind::Plain { body }) => Self::rest(RestBody { read, body: Some(body.into()) }),
            Some(BodyKind::Rest { mut rest }) => {
                read.append(&mut rest.read);
                rest.read = read;
                Self { kind: BodyKind::Rest { rest } }
            }
            // the next attempt counts for itself
            Some(BodyKind::Counted { counted }) => {
                Self::unread(UnreadBody { read, rest: Some(counted.body) })
            }
            // `Replay` keeps the data itself
            Some(kind @ BodyKind::Replay { .. }) => Self { kind },
        }
    }

    pub(super) fn replay(body: ReplayBody<Tapped<B>>) -> Self {
        Self { kind: BodyKind::Replay { body } }
    }

    fn rest(rest: RestBody<B>) -> Self {
        Self { kind: BodyKind::Rest { rest: Box::new(rest) } }
    }
}

impl<B: Body<Data = Bytes> + Unpin> RestBody<B> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match (self.read.pop_front(), &mut self.body) {
            (Some(read), _) => Poll::Ready(Some(Ok(Frame::data(read)))),
            (None, Some(body)) => Pin::new(body).poll_frame(cx),
            (None, None) => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            None => SizeHint::with_exact(self.read.iter().map(|read| read.len() as u64).sum()),
            Some(body) if self.read.is_empty() => body.size_hint(),
            Some(_) => SizeHint::default(),
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> CountedBody<B> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.sent.on_data(&mut self.sizes, data);
        }
        Poll::Ready(frame)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for RequestBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            BodyKindProjection::Plain { body } => body.poll_frame(cx),
            BodyKindProjection::Replay { body } => body.poll_frame(cx),
            BodyKindProjection::Rest { rest } => rest.poll_frame(cx),
            BodyKindProjection::Counted { counted } => counted.poll_frame(cx),
        }
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.kind {
            BodyKind::Plain { body } => body.is_end_stream(),
            BodyKind::Replay { body } => body.is_end_stream(),
            BodyKind::Rest { rest } => {
                rest.read.is_empty() && rest.body.as_ref().is_none_or(Body::is_end_stream)
            }
            BodyKind::Counted { counted } => counted.body.is_end_stream(),
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            BodyKind::Plain { body } => body.size_hint(),
            BodyKind::Replay { .. } => SizeHint::default(),
            BodyKind::Rest { rest } => rest.size_hint(),
            BodyKind::Counted { counted } => counted.body.size_hint(),
        }
    }
}
