//! The content of the files.

use std::io;
use std::path::Path;

use tokio::io::AsyncReadExt as _;

use crate::server::options::{ClientAuth, TlsOptions};

use super::error::{TlsError, TlsFile};

/// The content of the files at one moment. Has the private key, so it is never printed.
#[derive(PartialEq, Eq)]
pub(super) struct Texts {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
    /// The authorities of clients, if clients may show a certificate.
    pub(super) client_ca: Option<Vec<u8>>,
}

impl Texts {
    pub(super) async fn read(options: &TlsOptions) -> Result<Self, TlsError> {
        let client_ca = match &options.client_auth {
            ClientAuth::None => None,
            ClientAuth::Optional(path) | ClientAuth::Required(path) => {
                Some(read(TlsFile::client_ca(path)).await?)
            }
        };
        Ok(Self {
            certificate: read(TlsFile::certificate(&options.certificate)).await?,
            key: read(TlsFile::key(&options.key)).await?,
            client_ca,
        })
    }
}

async fn read(file: TlsFile) -> Result<Vec<u8>, TlsError> {
    match read_limited(file.path()).await {
        Ok(text) if text.len() > MAX_FILE => {
            Err(TlsError::Content { file, reason: format!("it has more than {MAX_FILE} bytes") })
        }
        Ok(text) => Ok(text),
        Err(source) => Err(TlsError::Read { file, source }),
    }
}

async fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
    tokio::fs::File::open(path).await?.take(limit).read_to_end(&mut text).await?;
    Ok(text)
}

/// Some hundred certificates.
const MAX_FILE: usize = 1 << 20;
