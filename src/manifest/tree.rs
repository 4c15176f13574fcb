//! One input as trees: a node per key and value, with its place, its anchors followed.
//!
//! What an alias stands for is held once, and merge keys (`<<`) are worked out where they stand, with a bound on all of them
//! together: no input grows by what it repeats.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StructureStyle, options};

use super::{Node, Place};
use crate::{error::clean_within, limits};

/// An input, as far as it can be read.
#[derive(Debug)]
pub struct Manifest<'t> {
    /// As the user calls it.
    pub name: &'t str,
    /// Its text.
    pub text: &'t str,
    /// All comments, in order.
    pub comments: Vec<Comment<'t>>,
    /// What cannot be read of it: the document ends there, others follow.
    pub troubles: Vec<Trouble>,
    /// Keys that stand twice in one mapping.
    pub twice: Vec<(Place, String)>,
    pub(super) held: Vec<Held<'t>>,
    pub(super) documents: Vec<usize>,
    /// Anchors that aliases name, and how many do.
    pub(super) used: HashMap<usize, usize>,
    merged: usize,
}

/// A comment.
#[derive(Debug, Clone, Copy)]
pub struct Comment<'t> {
    /// After the `#`.
    pub text: &'t str,
    /// Where the `#` is.
    pub at: Place,
}

/// Why a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Where it ends.
    pub at: Place,
    /// What is wrong.
    pub text: String,
}

#[derive(Debug)]
pub(super) struct Held<'t> {
    pub kind: Kind<'t>,
    pub at: Place,
    /// The byte behind its last one that is not white space.
    pub end: usize,
    pub end_line: usize,
    /// 0 for none.
    pub anchor: usize,
}

#[derive(Debug)]
pub(super) enum Kind<'t> {
    Scalar { text: Cow<'t, str>, style: ScalarStyle, tag: Option<Box<str>> },
    Sequence { items: Vec<usize>, flow: bool },
    Mapping { pairs: Vec<(usize, usize)>, merged: Vec<(usize, usize)>, flow: bool },
    Alias(usize),
}

/// What is being built.
#[derive(Default)]
struct Open {
    /// Nodes that have begun and not ended, outermost first.
    stack: Vec<usize>,
    /// For each mapping among them: the key whose value comes next.
    keys: Vec<Option<usize>>,
    /// By the parser's number.
    anchors: HashMap<usize, usize>,
}

impl<'t> Manifest<'t> {
    /// Reads all of `text`.
    #[must_use]
    pub fn read(name: &'t str, text: &'t str) -> Self {
        let mut manifest = Self {
            name,
            text,
            comments: Vec::new(),
            troubles: Vec::new(),
            twice: Vec::new(),
            held: Vec::new(),
            documents: Vec::new(),
            used: HashMap::new(),
            merged: 0,
        };
        let options = options! {
            // A header of comments may be long.
            max_buffered_comment_events: limits::MANIFEST_NODES,
            flow_nesting_limit: limits::MANIFEST_DEPTH,
            block_nesting_limit: limits::MANIFEST_DEPTH,
        };
        let mut parser = Parser::new_from_str_with_options(text, options);
        let mut open = Open::default();
        while let Some(event) = parser.next_event() {
            let taken =
                event.map_err(|error| trouble(&error)).and_then(|(event, span)| manifest.take(event, span, &mut open));
            let Err(trouble) = taken else { continue };
            let full = manifest.held.len() >= limits::MANIFEST_NODES;
            manifest.troubles.push(trouble);
            manifest.abandon(&mut open);
            // What was understood of a document that goes wrong further down is no document.
            if full
                || manifest.troubles.len() >= limits::MANIFEST_TROUBLES
                || parser.proceed_next_document() != Ok(true)
            {
                break;
            }
        }
        manifest
    }

    /// Each document that could be read and is not empty.
    pub fn documents(&self) -> impl Iterator<Item = Node<'_, 't>> {
        self.documents.iter().map(|id| Node::new(self, *id))
    }

    /// How many aliases name `node`.
    #[must_use]
    pub fn uses(&self, node: Node<'_, '_>) -> usize {
        self.used.get(&node.anchor()).copied().unwrap_or_default()
    }

    fn take(&mut self, event: Event<'t>, span: Span, open: &mut Open) -> Result<(), Trouble> {
        let at = place(span.start);
        match event {
            Event::DocumentStart(..) => *open = Open::default(),
            Event::DocumentEnd => {}
            Event::Comment(_, _) => {
                let text = span.slice(self.text).unwrap_or_default();
                self.comments.push(Comment { text: text.strip_prefix('#').unwrap_or(text), at });
            }
            Event::Scalar(text, style, anchor, tag) => {
                // An empty value is written `~` by the parser.
                let text = if span.is_empty() && style == ScalarStyle::Plain { Cow::Borrowed("") } else { text };
                let tag = tag.map(|tag| tag.core_suffix().unwrap_or_default().into());
                let id = self.add(Kind::Scalar { text, style, tag }, at, anchor, open)?;
                self.close(id, byte(span.end), span.end.line());
            }
            Event::Alias(anchor) => {
                let Some(target) = open.anchors.get(&anchor).copied() else {
                    return Err(Trouble { at, text: "an alias stands inside what it names: write it out".to_owned() });
                };
                *self.used.entry(anchor).or_default() += 1;
                let id = self.add(Kind::Alias(target), at, 0, open)?;
                self.close(id, byte(span.end), span.end.line());
            }
            Event::SequenceStart(style, anchor, _) => {
                let kind = Kind::Sequence { items: Vec::new(), flow: style == StructureStyle::Flow };
                let id = self.add(kind, at, anchor, open)?;
                open.stack.push(id);
                open.keys.push(None);
            }
            Event::MappingStart(style, anchor, _) => {
                let flow = style == StructureStyle::Flow;
                let id = self.add(Kind::Mapping { pairs: Vec::new(), merged: Vec::new(), flow }, at, anchor, open)?;
                open.stack.push(id);
                open.keys.push(None);
            }
            Event::SequenceEnd | Event::MappingEnd => {
                open.keys.pop();
                if let Some(id) = open.stack.pop() {
                    self.close(id, byte(span.end), span.end.line());
                    self.finish_mapping(id)?;
                    if let Some(held) = self.held.get(id).filter(|held| held.anchor != 0) {
                        open.anchors.insert(held.anchor, id);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, kind: Kind<'t>, at: Place, anchor: usize, open: &mut Open) -> Result<usize, Trouble> {
        let id = self.held.len();
        if id >= limits::MANIFEST_NODES {
            limits::Limit::Request.crossed();
            let text = format!("more than {} keys and values: give it in parts", limits::MANIFEST_NODES);
            return Err(Trouble { at, text });
        }
        let leaf = matches!(kind, Kind::Scalar { .. });
        self.held.push(Held { kind, at, end: at.byte, end_line: at.line, anchor });
        if leaf && anchor != 0 {
            open.anchors.insert(anchor, id);
        }
        let key = open.keys.last_mut();
        match open.stack.last().and_then(|parent| self.held.get_mut(*parent)).map(|held| &mut held.kind) {
            None => self.documents.push(id),
            Some(Kind::Sequence { items, .. }) => items.push(id),
            Some(Kind::Mapping { pairs, .. }) => {
                if let Some(waiting) = key {
                    match waiting.take() {
                        None => *waiting = Some(id),
                        Some(key) => pairs.push((key, id)),
                    }
                }
            }
            Some(Kind::Scalar { .. } | Kind::Alias(_)) => {}
        }
        Ok(id)
    }

    /// The end of a node is that of its text: what the parser adds are line breaks and blanks.
    fn close(&mut self, id: usize, end: usize, line: usize) {
        let Some(held) = self.held.get_mut(id) else { return };
        let text = self.text.get(held.at.byte..end).unwrap_or_default();
        let trimmed = text.trim_end();
        held.end = held.at.byte + trimmed.len();
        let cut = text.get(trimmed.len()..).unwrap_or_default();
        held.end_line = line.saturating_sub(cut.matches('\n').count()).max(held.at.line);
    }

    /// The document being read is given up.
    fn abandon(&mut self, open: &mut Open) {
        if let Some(first) = open.stack.first() {
            self.documents.retain(|document| document != first);
        }
        *open = Open::default();
    }

    /// Keys that stand twice, and what `<<` brings.
    fn finish_mapping(&mut self, id: usize) -> Result<(), Trouble> {
        let Some(Held { kind: Kind::Mapping { pairs, .. }, at, .. }) = self.held.get(id) else { return Ok(()) };
        let (at, pairs) = (*at, pairs.clone());
        let mut own: HashSet<&str> = HashSet::new();
        let mut sources = Vec::new();
        for (key, value) in &pairs {
            let Some(Held { kind: Kind::Scalar { text, style, .. }, at, .. }) = self.held.get(*key) else { continue };
            if text == "<<" && *style == ScalarStyle::Plain {
                sources.push(*value);
            } else if !own.insert(text) {
                self.twice.push((*at, text.clone().into_owned()));
            }
        }
        if sources.is_empty() {
            return Ok(());
        }
        let mut seen: HashSet<String> = own.into_iter().map(str::to_owned).collect();
        let mut merged = Vec::new();
        let mut count = self.merged;
        for source in sources {
            let source = self.followed(source);
            let list = match self.held.get(source).map(|held| &held.kind) {
                Some(Kind::Sequence { items, .. }) => items.clone(),
                _ => vec![source],
            };
            for mapping in list {
                let mapping = self.followed(mapping);
                let Some(Held { kind: Kind::Mapping { pairs, merged: theirs, .. }, .. }) = self.held.get(mapping)
                else {
                    return Err(Trouble { at, text: "`<<` must name a mapping: correct the alias".to_owned() });
                };
                count += pairs.len() + theirs.len();
                for (key, value) in pairs.iter().chain(theirs) {
                    if count > limits::MANIFEST_MERGED {
                        limits::Limit::Request.crossed();
                        let most = limits::MANIFEST_MERGED;
                        return Err(Trouble { at, text: format!("merge keys (`<<`) bring more than {most} keys") });
                    }
                    if let Some(Held { kind: Kind::Scalar { text, .. }, .. }) = self.held.get(*key)
                        && text != "<<"
                        && seen.insert(text.clone().into_owned())
                    {
                        merged.push((*key, *value));
                    }
                }
            }
        }
        self.merged = count;
        if let Some(Held { kind: Kind::Mapping { merged: ours, .. }, .. }) = self.held.get_mut(id) {
            *ours = merged;
        }
        Ok(())
    }

    /// What an alias stands for.
    pub(super) fn followed(&self, id: usize) -> usize {
        match self.held.get(id).map(|held| &held.kind) {
            Some(Kind::Alias(target)) => *target,
            _ => id,
        }
    }
}

fn place(mark: Marker) -> Place {
    Place { line: mark.line(), column: mark.col() + 1, byte: byte(mark) }
}

fn byte(mark: Marker) -> usize {
    mark.byte_offset().unwrap_or_default()
}

fn trouble(error: &ScanError) -> Trouble {
    Trouble { at: place(*error.marker()), text: clean_within(&error.info(), limits::TEXT).into_owned() }
}
