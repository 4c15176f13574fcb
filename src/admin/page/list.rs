//! The first view: how all triggers stand, what needs a look, and the triggers, a page at a time.

use form_urlencoded::Serializer;
use maud::{Markup, html};

use super::{
    badge,
    frame::View,
    row,
    words::{ago, count, lasting, number, prose},
};
use crate::{
    admin::{
        Pages,
        api::{Asked, Connections, Problem, Triggers},
    },
    limits,
    sampler::{ConnectionView, Counts, Sort},
};

/// Rows of a page where nobody says otherwise.
const ROWS: usize = 50;
/// Of what needs a look, so much is told above all else.
const TROUBLES: usize = 5;

/// Words of `state`, as they are offered; the worst first.
const STATES: [&str; 8] = ["refused", "failing", "stale", "unasked", "unknown", "active", "idle", "warned"];
const IN_TROUBLE: &str = "refused,failing,stale";

/// The view of what was asked for.
pub(super) fn view(pages: &Pages, mut asked: Asked) -> Result<View<'static>, Problem> {
    let limit = asked.limit.unwrap_or(ROWS).min(limits::ROWS_OF_PAGE);
    asked.limit = Some(limit);
    asked.sort.get_or_insert_with(|| "name".to_owned());
    asked.recent = Some(true);
    let (sort, descending) = asked.sort()?;
    let shown = Triggers::of(pages, &asked)?;
    let all = Triggers::of(
        pages,
        &Asked {
            state: Some(IN_TROUBLE.to_owned()),
            sort: Some("state".to_owned()),
            limit: Some(TROUBLES),
            ..Asked::default()
        },
    )?;
    let failing: Vec<ConnectionView> = match all.counts.standings.get("failing") {
        None | Some(0) => Vec::new(),
        Some(_) => {
            Connections::of(pages).connections.into_iter().filter(|connection| connection.error.is_some()).collect()
        }
    };
    let ids: Vec<String> = shown.triggers.iter().map(|row| row.id.to_string()).collect();
    let watch =
        format!("/api/v1/events?ids={}&list=true&{}", ids.join(","), query(&Asked { recent: None, ..asked.clone() }));
    let grouped = sort == Sort::Name;
    let here = Here { asked: &asked, descending, sort };
    let body = html! {
        h1.sr { "Triggers" }
        div #summary data-live="" { (summary(&all.counts)) (trouble(&all, &failing)) }
        (here.filters(&shown.counts))
        div #rows data-live="" {
            @if shown.triggers.is_empty() { (here.nothing(&all.counts)) } @else {
                div.scroll {
                    table.triggers {
                        caption.sr { "Triggers " (number(shown.offset as f64 + 1.0)) " to " (number((shown.offset + shown.triggers.len()) as f64)) " of " (number(shown.total as f64)) }
                        thead { tr {
                            (here.column("State", "state"))
                            (here.column(if grouped { "Trigger" } else { "Object and trigger" }, "name"))
                            th.n scope="col" aria-sort=[here.is_sorted("value")] { (here.sorter("Value", "-value")) }
                            th scope="col" { "15 min" }
                            th.n scope="col" { "Target" }
                            th.n scope="col" aria-sort=[here.is_sorted("replicas")] { (here.sorter("Replicas", "-replicas")) }
                            th.n scope="col" aria-sort=[here.is_sorted("age")] { (here.sorter("Age", "-age")) }
                            th scope="col" { "Next look" }
                        } }
                        (row::rows(&shown.triggers, grouped))
                    }
                }
                (here.pager(&shown))
            }
        }
    };
    Ok(View { title: "Triggers", place: "/", watch: Some(watch), refresh: 60, body })
}

fn summary(counts: &Counts) -> Markup {
    let all: usize = counts.standings.values().sum();
    let of = |state: &str| counts.standings.get(state).copied().unwrap_or(0);
    let bad = of("refused") + of("failing") + of("stale");
    html! {
        p.verdict data-bad=[(bad > 0).then_some("")] {
            @if all == 0 { "No trigger is observed yet: KEDA has not asked this replica for any." }
            @else if bad == 0 { "All " strong { (count(all, "trigger", "triggers")) } " are well: nothing fails." }
            @else { strong { (number(bad as f64)) } " of " (count(all, "trigger", "triggers")) @if bad == 1 { " needs" } @else { " need" } " a look." }
        }
    }
}

/// What needs a look, with why: whole connections first, since one cause has many triggers.
fn trouble(all: &Triggers, failing: &[ConnectionView]) -> Markup {
    let of_connection = |id: Option<u64>| id.is_some_and(|id| failing.iter().any(|connection| connection.id == id));
    let others: Vec<_> = all.triggers.iter().filter(|row| !of_connection(row.connection_id)).collect();
    if failing.is_empty() && others.is_empty() {
        return html! {};
    }
    html! {
        section.trouble aria-label="What needs a look" {
            ul {
                @for connection in failing.iter().take(TROUBLES) {
                    @if let Some(error) = &connection.error {
                        li {
                            (badge("failing"))
                            a href=(format!("/?connection={}", connection.id)) { (connection.place) }
                            span.what { (prose(&error.message)) }
                            span.when { (count(connection.triggers, "trigger", "triggers")) " " (lasting(Some(error.since_at))) }
                        }
                    }
                }
                @for row in others {
                    li {
                        (badge(row.state.as_str()))
                        a href=(format!("/triggers/{}", row.id)) { (row.scaled_objects.first().map_or("a trigger", String::as_str)) }
                        @if let Some(error) = &row.error {
                            span.what { (prose(&error.message)) }
                            span.when { (lasting(Some(error.since_at))) }
                        } @else {
                            span.what { "nobody has asked for its value, which is too old now: is it still in use, and is KEDA well?" }
                            span.when { "asked " (ago(row.asked_at)) }
                        }
                    }
                }
            }
        }
    }
}

/// `asked` as a query.
fn query(asked: &Asked) -> String {
    let mut query = Serializer::new(String::new());
    let texts = [
        ("namespace", &asked.namespace),
        ("type", &asked.scaler_type),
        ("state", &asked.state),
        ("q", &asked.q),
        ("sort", &asked.sort),
    ];
    for (name, text) in texts {
        if let Some(text) = text.as_deref().filter(|text| !text.is_empty()) {
            query.append_pair(name, text);
        }
    }
    if let Some(connection) = asked.connection {
        query.append_pair("connection", &connection.to_string());
    }
    for (name, number) in [("offset", asked.offset), ("limit", asked.limit)] {
        if let Some(number) = number.filter(|number| *number > 0) {
            query.append_pair(name, &number.to_string());
        }
    }
    query.finish()
}

/// Where one is: what was asked for, from which other questions follow.
struct Here<'a> {
    asked: &'a Asked,
    sort: Sort,
    descending: bool,
}

impl Here<'_> {
    /// A link to what is asked for when `change` is made; what is as usual is left out.
    fn link(&self, change: impl FnOnce(&mut Asked)) -> String {
        let mut asked = Asked { recent: None, offset: None, ..self.asked.clone() };
        change(&mut asked);
        asked.limit = asked.limit.filter(|limit| *limit != ROWS);
        asked.sort = asked.sort.filter(|sort| sort != "name");
        let query = query(&asked);
        if query.is_empty() { "/".to_owned() } else { format!("/?{query}") }
    }

    fn column(&self, name: &str, sort: &str) -> Markup {
        html! { th scope="col" aria-sort=[self.is_sorted(sort)] { (self.sorter(name, sort)) } }
    }

    fn word(&self) -> &'static str {
        match self.sort {
            Sort::Came => "came",
            Sort::Name => "name",
            Sort::State => "state",
            Sort::Value => "value",
            Sort::Replicas => "replicas",
            Sort::Age => "age",
        }
    }

    fn is_sorted(&self, sort: &str) -> Option<&'static str> {
        (self.word() == sort).then_some(if self.descending { "descending" } else { "ascending" })
    }

    /// A link that sorts so, or the other way round where it is sorted so.
    fn sorter(&self, name: &str, first: &str) -> Markup {
        let current = format!("{}{}", if self.descending { "-" } else { "" }, self.word());
        let other = first.strip_prefix('-').map_or_else(|| format!("-{first}"), str::to_owned);
        let next = if current == first { other } else { first.to_owned() };
        html! { a href=(self.link(|asked| asked.sort = Some(next))) { (name) } }
    }

    fn filters(&self, counts: &Counts) -> Markup {
        let all: usize = counts.standings.values().sum();
        let current = self.asked.state.as_deref().unwrap_or_default();
        let of = |state: &str| {
            if state == "warned" { counts.warned } else { counts.standings.get(state).copied().unwrap_or(0) }
        };
        let chip = |state: &'static str, name: &str, number_of: usize| {
            let link = self.link(|asked| asked.state = Some(state.to_owned()).filter(|state| !state.is_empty()));
            html! {
                a.chip href=(link) data-state=(state) data-none=[(number_of == 0).then_some("")] aria-current=[(current == state).then_some("true")] {
                    (name) " " b { (number(number_of as f64)) }
                }
            }
        };
        html! {
            div.filters {
                nav #chips.chips data-live="" aria-label="By state" {
                    (chip("", "all", all))
                    @for state in STATES { (chip(state, state, of(state))) }
                }
                form.search role="search" action="/" method="get" {
                    @if !current.is_empty() { input type="hidden" name="state" value=(current); }
                    @if let Some(connection) = self.asked.connection { input type="hidden" name="connection" value=(connection); }
                    @if self.sort != Sort::Name || self.descending {
                        input type="hidden" name="sort" value=(format!("{}{}", if self.descending { "-" } else { "" }, self.word()));
                    }
                    label { span.sr { "Search" } input type="search" name="q" placeholder="Search names, sources, errors" value=[self.asked.q.as_deref()]; }
                    label { span.sr { "Namespace" } input type="text" name="namespace" placeholder="Namespace" value=[self.asked.namespace.as_deref()] autocapitalize="none" spellcheck="false"; }
                    label { span.sr { "Type" } input type="text" name="type" placeholder="Type" value=[self.asked.scaler_type.as_deref()] autocapitalize="none" spellcheck="false"; }
                    button type="submit" { "Search" }
                    @if self.is_narrowed() { a.clear href="/" { "Clear" } }
                }
            }
        }
    }

    fn is_narrowed(&self) -> bool {
        let Asked { namespace, scaler_type, connection, state, q, .. } = self.asked;
        let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
        given(namespace) || given(scaler_type) || given(state) || given(q) || connection.is_some()
    }

    fn nothing(&self, counts: &Counts) -> Markup {
        let all: usize = counts.standings.values().sum();
        html! {
            div.nothing {
                @if self.asked.offset.is_some_and(|offset| offset > 0) { p { "There are no more. " a href=(self.link(|_| {})) { "Back to the first" } } }
                @else if self.is_narrowed() && all > 0 { p { "No trigger is as asked for. " a href="/" { "Show all " (number(all as f64)) } } }
                @else {
                    p { "Nothing to show yet. A trigger appears when KEDA first asks for it." }
                    p { "If it should have: does its " code { "scalerAddress" } " name this server, and does " code { "kubectl describe scaledobject" } " show an error?" }
                }
            }
        }
    }

    fn pager(&self, shown: &Triggers) -> Markup {
        let (first, last) = (shown.offset + 1, shown.offset + shown.triggers.len());
        let limit = self.asked.limit.unwrap_or(ROWS);
        html! {
            nav.pager aria-label="Pages" {
                span { (number(first as f64)) "–" (number(last as f64)) " of " (number(shown.total as f64)) }
                @if shown.offset > 0 {
                    a rel="prev" href=(self.link(|asked| asked.offset = Some(shown.offset.saturating_sub(limit)))) { "← Before" }
                }
                @if last < shown.total {
                    a rel="next" href=(self.link(|asked| asked.offset = Some(shown.offset + limit))) { "After →" }
                }
            }
        }
    }
}
