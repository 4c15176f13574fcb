//! A secret that is easy to find again, in all the ways it may be malformed, and looked for in all the ways it may be shown.

use std::fmt::Write;

/// No six characters of it stand in any text of ours.
const MARKER: &str = "Xk7Qw9Zp3Lm5Tv8Rb2";
/// Shorter pieces are found by chance.
const PIECE: usize = 6;

/// How a secret is malformed.
pub const FORMS: [fn() -> String; 11] = [
    || MARKER.to_owned(),
    || format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", body()),
    || format!("-----BEGIN RSA PRIVATE KEY-----{}-----END RSA PRIVATE KEY-----", body()),
    || format!("-----BEGIN CERTIFICATE----- {} -----END CERTIFICATE-----", body()),
    || format!("-----BEGIN ENCRYPTED PRIVATE KEY-----\\n{}\\n-----END ENCRYPTED PRIVATE KEY-----\\n", body()),
    || format!("-----BEGIN EC PRIVATE KEY-----\n{MARKER}"),
    || format!("https://user:{MARKER}@127.0.0.1:1/path?token={MARKER}#{MARKER}"),
    || format!("SASL_SSL://user:{MARKER}@:x"),
    || format!("{MARKER}\u{1b}[31m\r\n{MARKER}\0{MARKER}\t"),
    || format!(r#"{{"type":"service_account","private_key":"{MARKER}","client_email":"{MARKER}@x","private_key_id":["#),
    || MARKER.repeat(300),
];

/// How an address carries a secret in its user part.
pub const ADDRESSES: [fn(&str) -> String; 9] = [
    |at| format!("user:{MARKER}@{at}"),
    |at| format!("rediss://default:{MARKER}@{at}"),
    |at| format!("SASL_SSL://user:{MARKER}@{at}"),
    |at| format!("amqps://user:{MARKER}@{at}/%2F?cacertfile=/{MARKER}"),
    |at| format!("http://user:{MARKER}@{at}/path"),
    |at| format!("https://{MARKER}@{at}"),
    |at| format!("{at},user:{MARKER}@{at}"),
    |at| format!("http://user:{MARKER}@{at}:x"),
    |at| format!("http://user:{MARKER} x@ {at}/\u{1b}[31m"),
];

/// A secret as base64 lines are.
fn body() -> String {
    MARKER.repeat(4)
}

/// Each way in which a piece of it may stand in a text.
fn needles() -> Vec<String> {
    let bytes = MARKER.as_bytes();
    let mut needles: Vec<String> =
        bytes.windows(PIECE).map(|piece| String::from_utf8(piece.to_vec()).unwrap()).collect();
    for piece in bytes.windows(PIECE) {
        let hex = piece.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        needles.extend([hex.to_uppercase(), hex]);
        let numbers: Vec<String> = piece.iter().map(u8::to_string).collect();
        needles.extend([numbers.join(", "), numbers.join(",")]);
        let escaped = piece.iter().fold(String::new(), |mut escaped, byte| {
            write!(escaped, "%{byte:02X}").unwrap();
            escaped
        });
        needles.push(escaped);
    }
    // What stands before it decides how its base64 looks.
    for before in 0..3 {
        let whole = base64(&[&vec![b' '; before], bytes].concat());
        let inside = &whole[4..whole.len() - 4];
        needles.extend(inside.as_bytes().windows(8).map(|piece| String::from_utf8(piece.to_vec()).unwrap()));
    }
    needles
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let group = three.iter().chain([&0; 2]).take(3).fold(0, |group, byte| group << 8 | usize::from(*byte));
        for at in [18, 12, 6, 0] {
            text.push(char::from(DIGITS[group >> at & 63]));
        }
    }
    text
}

/// Where it shows in `text`, with what stands around.
pub fn found_in(text: &str) -> Option<String> {
    let at = needles().iter().find_map(|needle| text.find(needle))?;
    let bytes = text.as_bytes();
    let around = &bytes[at.saturating_sub(160)..bytes.len().min(at + 160)];
    Some(String::from_utf8_lossy(around).into_owned())
}

#[test]
fn it_is_found_however_it_is_shown() {
    for shown in [
        format!("password {MARKER}"),
        format!("a piece {} of it", &MARKER[3..10]),
        format!("{:?}", MARKER.as_bytes()),
        base64(format!("user:{MARKER}").as_bytes()),
        base64(MARKER.as_bytes()),
        MARKER.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        MARKER.bytes().map(|byte| format!("{byte:02x}")).collect(),
    ] {
        assert!(found_in(&shown).is_some(), "{shown}");
    }
    assert!(found_in("`password` must be given with `username`").is_none());
}
