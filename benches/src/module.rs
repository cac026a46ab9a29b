//! The modules themselves.

use crate::variant::{Filters, Variant};
use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;

/// What is pulled and compiled.
pub(crate) struct Module {
    pub(crate) variant: Variant,
    pub(crate) bytes: usize,
    pub(crate) gzipped: usize,
    /// In hexadecimal digits.
    pub(crate) sha256: String,
}

impl Module {
    /// None of a variant that is no Wasm filter.
    pub(crate) fn of(variant: &Variant, filters: &Filters) -> Result<Option<Self>> {
        let Some((path, _)) = filters.module(variant) else { return Ok(None) };
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&bytes)?;
        let digest = hmac_sha256::Hash::hash(&bytes);
        Ok(Some(Self {
            variant: variant.clone(),
            bytes: bytes.len(),
            gzipped: gzip.finish()?.len(),
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        }))
    }
}
