//! PEM texts as people have them: copied through YAML, environment variables and shells.
//!
//! Line breaks may have become the two characters `\n`; those are taken back. No error shows a byte of the text: the
//! libraries' own do, and it may be a private key.

use std::borrow::Cow;

use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};

const BEGIN: &str = "-----BEGIN ";

/// The certificates in `text`; at least one.
pub(super) fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let text = with_line_breaks(text)?;
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let chain = parsed.map_err(|error| what_is_wrong(&error))?;
    if chain.is_empty() { Err("it holds no `-----BEGIN CERTIFICATE-----`") } else { Ok(chain) }
}

/// The private key in `text`, which is not encrypted.
pub(super) fn private_key(text: &str) -> Result<PrivateKeyDer<'static>, &'static str> {
    let text = with_line_breaks(text)?;
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| match error {
        pem::Error::NoItemsFound if text.contains("ENCRYPTED") => "it is encrypted, give its password as `keyPassword`",
        pem::Error::NoItemsFound => "it holds no `-----BEGIN PRIVATE KEY-----`",
        other => what_is_wrong(&other),
    })
}

/// `text` with its lines as PEM wants them.
pub(super) fn with_line_breaks(text: &str) -> Result<Cow<'_, str>, &'static str> {
    if !text.contains(BEGIN) {
        return Err("it is no PEM text: give the text itself, with its `-----BEGIN …-----` line, not a path");
    }
    let text = match text.contains("\\n") {
        true => Cow::Owned(text.replace("\\r", "").replace("\\n", "\n")),
        false => Cow::Borrowed(text),
    };
    let lines_are_alone = text.split(BEGIN).skip(1).all(|section| {
        let first_line = section.lines().next().unwrap_or_default().trim_end();
        first_line.ends_with("-----") && first_line.matches("-----").count() == 1
    });
    if !lines_are_alone {
        return Err("it has no line breaks: keep those of the file, or write each as `\\n`");
    }
    // A block of YAML may be indented further than its first line.
    if text.lines().any(|line| line.trim() != line) {
        let trimmed: Vec<_> = text.lines().map(str::trim).collect();
        return Ok(Cow::Owned(trimmed.join("\n")));
    }
    Ok(text)
}

fn what_is_wrong(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "its `-----END …-----` line is missing: give the whole text",
        pem::Error::IllegalSectionStart { .. } => "its `-----BEGIN …-----` line is damaged: give the whole text",
        pem::Error::Base64Decode(_) => "what is between its `BEGIN` and `END` lines is damaged: copy the file again",
        _ => "it cannot be read: copy the file again",
    }
}
