//! A response in pieces, each made when there is room for it on the connection.
//!
//! Small resources are copied into the piece; large ones are shared with the store and all other clients.

use bytes::{BufMut, Bytes, BytesMut};

use super::wire::{Response, field_len, put_field};

/// A response that is written while the connection sends it.
#[derive(Debug)]
pub(super) struct Pieces {
    response: Response,
    next: Part,
    /// The number of bytes that are not written yet.
    left: usize,
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Head,
    Resource(usize),
    Tail,
    Removed(usize),
}

impl Pieces {
    pub(super) fn new(response: Response) -> Self {
        let left = response.encoded_len();
        Self { response, next: Part::Head, left }
    }

    /// The number of bytes that are not written yet.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// How much [`put`](Self::put) is going to write.
    pub(super) fn room(&self) -> usize {
        let (mut room, mut part) = (0, self.next);
        while room < PIECE
            && let Some((length, is_shared)) = self.len_of(part)
        {
            room += length;
            if is_shared {
                break;
            }
            part = self.after(part);
        }
        room
    }

    /// Writes the next piece after the content of `buf`; returns the shared bytes that follow it, if any.
    ///
    /// # Errors
    /// None: the buffer grows.
    pub(super) fn put(&mut self, buf: &mut BytesMut) -> Result<Option<Bytes>, prost::EncodeError> {
        let before = buf.len();
        let mut shared = None;
        while shared.is_none() && buf.len() - before < PIECE && self.len_of(self.next).is_some() {
            shared = self.put_part(buf)?;
            self.next = self.after(self.next);
        }
        self.left -= buf.len() - before + shared.as_ref().map_or(0, Bytes::len);
        Ok(shared)
    }

    /// Bytes of a part, without those that are shared; and whether there are any. `None`: there is no such part.
    fn len_of(&self, part: Part) -> Option<(usize, bool)> {
        let response = &self.response;
        Some(match part {
            Part::Head => (field_len(response.version.len()), false),
            Part::Resource(index) => match response.resources.get(index) {
                None => (0, false),
                Some(resource) => {
                    let all = field_len(response.resource_len(resource));
                    match resource.bytes.len() < SHARED {
                        true => (all, false),
                        false => (all - resource.bytes.len(), true),
                    }
                }
            },
            Part::Tail => {
                (field_len(response.kind.type_url().len()) + field_len(response.nonce.len()), false)
            }
            Part::Removed(index) => (field_len(response.removed_len(response.removed.get(index)?)), false),
        })
    }

    fn after(&self, part: Part) -> Part {
        match part {
            Part::Head => Part::Resource(0),
            Part::Resource(index) if index < self.response.resources.len() => Part::Resource(index + 1),
            Part::Resource(_) => Part::Tail,
            Part::Tail => Part::Removed(0),
            Part::Removed(index) => Part::Removed(index + 1),
        }
    }

    /// Writes the next part; returns the shared bytes that follow it, if any.
    fn put_part(&self, buf: &mut BytesMut) -> Result<Option<Bytes>, prost::EncodeError> {
        let response = &self.response;
        match self.next {
            Part::Head => put_field(1, response.version.as_bytes(), buf)?,
            Part::Resource(index) => {
                if let Some(resource) = response.resources.get(index) {
                    response.put_resource(resource, buf)?;
                    if resource.bytes.len() >= SHARED {
                        return Ok(Some(resource.bytes.clone()));
                    }
                    buf.put_slice(&resource.bytes);
                }
            }
            Part::Tail => {
                put_field(4, response.kind.type_url().as_bytes(), buf)?;
                put_field(5, response.nonce.as_bytes(), buf)?;
            }
            Part::Removed(index) => {
                if let Some(name) = response.removed.get(index) {
                    response.put_removed(name, buf)?;
                }
            }
        }
        Ok(None)
    }
}

/// A piece is complete with this many bytes: an HTTP/2 frame has hardly more.
pub(super) const PIECE: usize = 12 << 10;
/// A resource of so many bytes is not copied. What is smaller is cheaper to copy than to send in a frame of its own.
pub(super) const SHARED: usize = 4 << 10;
