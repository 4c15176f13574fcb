//! The paths of the HTTP port that the pages ask for, held against what the server says of itself.

use std::fs;

use serde_json::Value;

use super::pages;

/// What the port has beside `/api/v1`.
const OTHERS: [&str; 4] = ["/", "/metrics", "/livez", "/readyz"];

/// What is asked of `localhost:8080` anywhere in the pages: where, the path, the names of the query.
fn asked() -> Vec<(String, String, Vec<String>)> {
    let mut found = Vec::new();
    for page in pages() {
        for tail in page.text.split("localhost:8080").skip(1).filter(|tail| tail.starts_with('/')) {
            let end = tail.find(|it: char| it.is_whitespace() || "'\"`)…".contains(it));
            let (path, query) = tail.get(..end.unwrap_or(tail.len())).unwrap().split_once('?').unwrap_or((tail, ""));
            let path = path.split(|it: char| it.is_whitespace() || "'\"`)…".contains(it)).next().unwrap();
            let names =
                query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split('=').next().unwrap().to_owned());
            found.push((page.path.display().to_string(), path.to_owned(), names.collect()));
        }
    }
    found
}

#[test]
fn every_path_that_the_pages_ask_for_is_answered() {
    let described: Value = serde_json::from_str(&fs::read_to_string("docs/openapi.json").unwrap()).unwrap();
    let asked = asked();
    for (page, path, names) in &asked {
        let one = path.strip_prefix("/api/v1/triggers/").map(|_| "/api/v1/triggers/{id}");
        let path = one.unwrap_or(path);
        if OTHERS.contains(&path) {
            continue;
        }
        let of = described["paths"][path].get("get").unwrap_or_else(|| panic!("{page}: {path} is not there"));
        let known = of["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        for name in names {
            assert!(known.iter().any(|parameter| parameter["name"] == **name), "{page}: {path} takes no `{name}`");
        }
    }
    assert!(asked.len() > 5, "only {} were found", asked.len());
}
