//! What was probably meant by a word that nobody knows.

/// The one among `known` that `word` was probably meant to be: no more than a quarter of it is other.
#[must_use]
pub fn similar<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let (most, word) = (word.chars().count().div_ceil(4), word.to_lowercase());
    // Names of another length are no nearer than the difference: not worth the comparison.
    let possible = known.into_iter().filter(|name| name.len().abs_diff(word.len()) <= most);
    let distances = possible.map(|name| (strsim::damerau_levenshtein(&name.to_lowercase(), &word), name));
    distances.filter(|(distance, _)| *distance <= most).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// The question after what is not known: ``, did you mean `near`?``; nothing where nothing is near.
#[must_use]
pub fn did_you_mean(near: Option<&str>) -> String {
    near.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default()
}
