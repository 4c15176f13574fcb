//! How YAML is read: what Kubernetes makes of values, places, documents after a broken one, and bounds.

use plimsoll::manifest::{Manifest, Seen, Source};

use super::{REDIS, codes, found, object};

#[test]
fn values_are_what_kubernetes_takes_them_for() {
    for (text, expected) in [
        ("yes", Seen::Boolean(true)),
        ("Off", Seen::Boolean(false)),
        ("0x1F", Seen::Integer(31)),
        ("010", Seen::Integer(8)),
        ("1_000", Seen::Integer(1000)),
        ("-5", Seen::Integer(-5)),
        ("1e3", Seen::Float),
        ("1.5", Seen::Float),
        ("99999999999999999999", Seen::Float),
        ("~", Seen::Null),
        ("", Seen::Null),
        ("yess", Seen::Text),
        ("1.2.3", Seen::Text),
        ("10s", Seen::Text),
        ("-", Seen::Sequence),
        ("'5'", Seen::Text),
        ("\"true\"", Seen::Text),
        ("!!str 5", Seen::Text),
        ("|\n  5", Seen::Text),
        ("[]", Seen::Sequence),
        ("{}", Seen::Mapping),
    ] {
        let text = format!("a: {text}\n").replace("a: -\n", "a:\n-\n");
        let manifest = Manifest::read("x", &text);
        let seen = manifest.documents().next().unwrap().get("a").unwrap().seen();
        assert_eq!(seen, expected, "{text:?}");
    }
}

#[test]
fn a_broken_document_does_not_hide_the_others() {
    let text = format!("a: [\n---\n{}", object("  idleReplicaCount: 0\n", REDIS));
    assert_eq!(codes(&text), ["PL001", "PL203"]);
    assert_eq!(found(&text)[1].at.line, 11);
}

#[test]
fn a_long_header_of_comments_is_read() {
    let text = "# more to say\n".repeat(5_000) + &object("", REDIS);
    assert_eq!(codes(&text), Vec::<&str>::new());
}

#[test]
fn what_repeats_itself_does_not_grow() {
    let mut bomb = "a0: &a0 {k: v, l: w, m: x, n: y}\n".to_owned();
    for level in 1..40 {
        let below = level - 1;
        bomb += &format!("a{level}: &a{level} {{<<: [*a{below}, *a{below}, *a{below}, *a{below}], k{level}: v}}\n");
    }
    let manifest = Manifest::read("x", &bomb);
    assert!(manifest.troubles.is_empty(), "merging adds no key twice");
    let mut lists = "b0: &b0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        lists += &format!("b{level}: &b{level} [{}]\n", vec![format!("*b{}", level - 1); 9].join(", "));
    }
    assert!(Manifest::read("x", &lists).troubles.is_empty());
    let wide: String = (0..2_000).map(|index| format!("k{index}: v\n  ")).collect();
    let mut merged = format!("base: &base\n  {wide}\n");
    for index in 0..200 {
        merged += &format!("m{index}: {{<<: *base}}\n");
    }
    let troubles = Manifest::read("x", &merged).troubles;
    assert!(troubles[0].text.contains("merge keys (`<<`) bring more than"), "{troubles:?}");
    let deep = "[".repeat(100_000);
    assert!(!Manifest::read("x", &deep).troubles.is_empty());
    let flat = format!("[{}]", ",".repeat(10));
    drop(Manifest::read("x", &flat));
}

#[test]
fn what_is_no_text_is_refused_in_words() {
    for (bytes, word) in [(&b"\xff\xfea\0"[..], "UTF-16"), (b"a: \x80", "no text at byte 3")] {
        let error = Source::new("x", bytes.to_vec()).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}
