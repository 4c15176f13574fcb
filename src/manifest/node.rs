//! A key or a value, and what is below it. Aliases are followed and merge keys are keys like others; what stands where is
//! asked of the node itself.

use granit_parser::ScalarStyle;

use super::{
    Manifest, Place, Seen,
    scalar::plain,
    tree::{Held, Kind},
};

/// One node of a [`Manifest`].
#[derive(Clone, Copy)]
pub struct Node<'m, 't> {
    manifest: &'m Manifest<'t>,
    id: usize,
}

impl<'m, 't> Node<'m, 't> {
    pub(super) fn new(manifest: &'m Manifest<'t>, id: usize) -> Self {
        Self { manifest, id }
    }

    /// The input it is of.
    #[must_use]
    pub fn manifest(self) -> &'m Manifest<'t> {
        self.manifest
    }

    fn held(self) -> Option<&'m Held<'t>> {
        self.manifest.held.get(self.id)
    }

    fn followed(self) -> Option<&'m Held<'t>> {
        self.manifest.held.get(self.manifest.followed(self.id))
    }

    /// Where it stands; of an alias, the alias.
    #[must_use]
    pub fn at(self) -> Place {
        self.held().map(|held| held.at).unwrap_or_default()
    }

    /// The byte behind it.
    #[must_use]
    pub fn end(self) -> usize {
        self.held().map(|held| held.end).unwrap_or_default()
    }

    /// The line of its last character.
    #[must_use]
    pub fn end_line(self) -> usize {
        self.held().map(|held| held.end_line).unwrap_or_default()
    }

    /// What Kubernetes takes it for.
    #[must_use]
    pub fn seen(self) -> Seen {
        match self.followed().map(|held| &held.kind) {
            Some(Kind::Scalar { text, style, tag }) => match tag.as_deref() {
                Some("str") => Seen::Text,
                _ if *style != ScalarStyle::Plain => Seen::Text,
                _ => plain(text),
            },
            Some(Kind::Sequence { .. }) => Seen::Sequence,
            Some(Kind::Mapping { .. }) => Seen::Mapping,
            Some(Kind::Alias(_)) | None => Seen::Null,
        }
    }

    /// What is written, of whatever type; `None` for lists and mappings.
    #[must_use]
    pub fn written(self) -> Option<&'m str> {
        match self.followed().map(|held| &held.kind) {
            Some(Kind::Scalar { text, .. }) => Some(text),
            _ => None,
        }
    }

    /// The text, where it is one.
    #[must_use]
    pub fn text(self) -> Option<&'m str> {
        self.written().filter(|_| self.seen() == Seen::Text)
    }

    /// The whole number, where it is one.
    #[must_use]
    pub fn integer(self) -> Option<i64> {
        match self.seen() {
            Seen::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// The keys and values of a mapping: its own, then those that it merges and does not write over.
    pub fn entries(self) -> impl Iterator<Item = (Node<'m, 't>, Node<'m, 't>)> {
        let (own, merged): (&[_], &[_]) = match self.followed().map(|held| &held.kind) {
            Some(Kind::Mapping { pairs, merged, .. }) => (pairs, merged),
            _ => (&[], &[]),
        };
        let node = move |id: usize| Self::new(self.manifest, id);
        own.iter().chain(merged).map(move |(key, value)| (node(*key), node(*value))).filter(|(key, _)| !key.is_merge())
    }

    /// The keys and values that stand in the mapping itself.
    pub fn own_entries(self) -> impl Iterator<Item = (Node<'m, 't>, Node<'m, 't>)> {
        let own: &[_] = match self.held().map(|held| &held.kind) {
            Some(Kind::Mapping { pairs, .. }) => pairs,
            _ => &[],
        };
        own.iter().map(move |(key, value)| (Self::new(self.manifest, *key), Self::new(self.manifest, *value)))
    }

    /// The value of `key`: the last, where it stands twice.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Self> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The same with the key.
    #[must_use]
    pub fn entry(self, key: &str) -> Option<(Self, Self)> {
        self.entries().filter(|(name, _)| name.written() == Some(key)).last()
    }

    /// The value at the end of `path`.
    #[must_use]
    pub fn at_path(self, path: &[&str]) -> Option<Self> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The elements of a sequence.
    pub fn items(self) -> impl Iterator<Item = Self> {
        let items: &[usize] = match self.followed().map(|held| &held.kind) {
            Some(Kind::Sequence { items, .. }) => items,
            _ => &[],
        };
        items.iter().map(move |id| Self::new(self.manifest, *id))
    }

    /// Whether it is an alias (`*name`).
    #[must_use]
    pub fn is_alias(self) -> bool {
        matches!(self.held().map(|held| &held.kind), Some(Kind::Alias(_)))
    }

    /// Whether it has an anchor (`&name`) that an alias names.
    #[must_use]
    pub fn is_aliased(self) -> bool {
        self.held().is_some_and(|held| held.anchor != 0 && self.manifest.used.contains_key(&held.anchor))
    }

    pub(super) fn anchor(self) -> usize {
        self.held().map_or(0, |held| held.anchor)
    }

    /// Whether it is an alias of `other`.
    #[must_use]
    pub fn is_alias_of(self, other: Self) -> bool {
        self.is_alias() && self.manifest.followed(self.id) == other.id && std::ptr::eq(self.manifest, other.manifest)
    }

    /// What the merge keys (`<<`) of a mapping name.
    pub fn merges(self) -> impl Iterator<Item = Self> {
        let sources = self.own_entries().filter(|(key, _)| key.is_merge()).map(|(_, value)| value);
        sources.flat_map(|source| {
            let list = if source.is_alias() { Vec::new() } else { source.items().collect() };
            if list.is_empty() { vec![source] } else { list }
        })
    }

    /// Whether it is the key `<<`.
    #[must_use]
    pub fn is_merge(self) -> bool {
        matches!(self.held().map(|held| &held.kind), Some(Kind::Scalar { text, style: ScalarStyle::Plain, .. }) if text == "<<")
    }

    /// Whether it is written in braces or brackets.
    #[must_use]
    pub fn is_flow(self) -> bool {
        matches!(
            self.held().map(|held| &held.kind),
            Some(Kind::Mapping { flow: true, .. } | Kind::Sequence { flow: true, .. })
        )
    }

    /// Whether it has quotes around it, and which.
    #[must_use]
    pub fn quote(self) -> Option<char> {
        match self.held().map(|held| &held.kind) {
            Some(Kind::Scalar { style: ScalarStyle::DoubleQuoted, .. }) => Some('"'),
            Some(Kind::Scalar { style: ScalarStyle::SingleQuoted, .. }) => Some('\''),
            _ => None,
        }
    }

    /// Whether it is a block of lines (`|`, `>`).
    #[must_use]
    pub fn is_block_text(self) -> bool {
        matches!(
            self.held().map(|held| &held.kind),
            Some(Kind::Scalar { style: ScalarStyle::Literal | ScalarStyle::Folded, .. })
        )
    }

    /// Its own text in the input.
    #[must_use]
    pub fn source(self) -> &'t str {
        self.manifest.text.get(self.at().byte..self.end()).unwrap_or_default()
    }
}

impl PartialEq for Node<'_, '_> {
    /// The same node.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.manifest, other.manifest) && self.id == other.id
    }
}

impl std::fmt::Debug for Node<'_, '_> {
    /// Its place alone: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.manifest.name, self.at())
    }
}
