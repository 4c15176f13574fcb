//! The style, the script and the icon, which are part of the binary.

use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

/// Name, kind and contents.
const ASSETS: [(&str, &str, &str); 3] = [
    ("page.css", "text/css; charset=utf-8", include_str!("page.css")),
    ("page.js", "text/javascript; charset=utf-8", include_str!("page.js")),
    ("icon.svg", "image/svg+xml", include_str!("icon.svg")),
];

/// Of all of them: a browser that has those of another build asks anew.
const DIGEST: u64 = digest();

/// FNV-1a, which a constant can be made by.
const fn digest() -> u64 {
    let mut digest = 0xcbf2_9ce4_8422_2325_u64;
    let mut assets = ASSETS.as_slice();
    while let [(_, _, contents), others @ ..] = assets {
        let mut bytes = contents.as_bytes();
        while let [byte, rest @ ..] = bytes {
            digest = (digest ^ *byte as u64).wrapping_mul(0x100_0000_01b3);
            bytes = rest;
        }
        assets = others;
    }
    digest
}

/// Where it is.
pub(super) fn path(name: &str) -> String {
    format!("/assets/{DIGEST:016x}/{name}")
}

/// One of them.
pub(super) async fn asset(Path((_, name)): Path<(String, String)>) -> Response {
    match ASSETS.iter().find(|(known, ..)| *known == name) {
        Some((_, kind, contents)) => {
            let headers =
                [(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, "private, max-age=604800, immutable")];
            (headers, *contents).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_small_and_lead_nowhere_else() {
        let all: usize = ASSETS.iter().map(|(_, _, contents)| contents.len()).sum();
        assert!(all <= 150 << 10, "{all}");
        for (name, _, contents) in ASSETS {
            let elsewhere = contents.replace("http://www.w3.org/2000/svg", "");
            assert!(
                !elsewhere.contains("http:") && !elsewhere.contains("https:") && !elsewhere.contains("//cdn"),
                "{name}"
            );
        }
    }
}
