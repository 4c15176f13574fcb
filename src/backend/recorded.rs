//! What was recorded of KEDA's own scalers (`tests/vectors/`), held against ours: for the tests of each backend.
//!
//! Where we differ, a table says why and what we do instead. A difference that is not listed fails, and so does a
//! listed one that is none any more.

use std::{collections::HashMap, fmt};

use serde_json::Value;

/// Listed differences of one kind: which cases, why, and what we do there.
pub struct Difference<T> {
    pub why: &'static str,
    pub ids: &'static [&'static str],
    pub ours: fn(&T) -> bool,
}

/// The text of a backend's file.
pub struct Vectors(pub &'static str);

impl Vectors {
    /// The cases of one kind.
    pub fn cases(&self, kind: &str) -> Vec<Value> {
        let file: HashMap<String, Value> = serde_json::from_str(self.0).expect("the vectors are JSON");
        file[kind].as_array().expect("a list of cases").clone()
    }

    /// Holds all cases of one kind.
    pub fn hold<T: PartialEq + fmt::Debug>(
        &self,
        kind: &str,
        differences: &[Difference<T>],
        keda: impl Fn(&Value) -> T,
        ours: impl Fn(&Value) -> T,
    ) {
        hold(kind, differences, self.cases(kind).iter().map(|case| (id(case), keda(case), ours(case))).collect());
    }
}

/// What a case is called.
pub fn id(case: &Value) -> String {
    case["id"].as_str().expect("every case has an id").to_owned()
}

/// Holds what we make of each case (its id, KEDA's, ours) against KEDA's expectation, or against the listed difference.
#[expect(clippy::print_stdout, reason = "the counts are worth seeing, with `--nocapture`")]
pub fn hold<T: PartialEq + fmt::Debug>(kind: &str, differences: &[Difference<T>], cases: Vec<(String, T, T)>) {
    let mut wrong = Vec::new();
    let mut differ = 0;
    for (id, keda, ours) in &cases {
        let listed = differences.iter().find(|difference| difference.ids.contains(&id.as_str()));
        let text = match listed {
            None if ours == keda => continue,
            None => "not as KEDA, and not listed",
            Some(_) if ours == keda => "listed as a difference, but is none",
            Some(listed) if (listed.ours)(ours) => {
                differ += 1;
                continue;
            }
            Some(listed) => listed.why,
        };
        wrong.push(format!("{id}: {text}\n  KEDA {keda:?}\n  ours {ours:?}"));
    }
    let known = |listed: &&&str| cases.iter().any(|(id, ..)| id == **listed);
    let listed: Vec<_> = differences.iter().flat_map(|difference| difference.ids).collect();
    wrong.extend(listed.iter().filter(|id| !known(id)).map(|id| format!("{id}: listed, but there is no such case")));
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!(differ, listed.len());
    println!("{kind}: {} as KEDA, {differ} differ as listed", cases.len() - differ);
}
