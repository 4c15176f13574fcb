//! Every kind of error, with cause, check and cure: what `docs/errors.md` says, where nothing else may be at hand.

use maud::html;

use super::{frame::View, words::prose};
use crate::admin::help::Help;

/// Their view.
pub(super) fn view() -> View<'static> {
    let body = html! {
        h1 { "Errors" }
        p { "A failed look is not an answer yet: the last good value serves until it is " code { "maxStaleness" } " old. Only then KEDA gets the error, leaves the replicas as they are, and its " code { "fallback" } " begins to count." }
        nav.chips aria-label="Kinds" { @for help in Help::all() { a.chip href=(format!("#{}", help.anchor)) { (help.kind) } } }
        @for help in Help::all() {
            section.kind #(help.anchor) {
                h2 { (help.kind) }
                dl.help {
                    div { dt { "Cause" } dd { (prose(&help.cause)) } }
                    div { dt { "Check" } dd { (prose(&help.check)) } }
                    div { dt { "Cure" } dd { (prose(&help.cure)) } }
                }
            }
        }
    };
    View { title: "Errors", place: "/errors", watch: None, refresh: 0, body }
}
