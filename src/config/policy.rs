//! The policy file: which hosts each namespace may reach, and who may see the server's own identity.
//!
//! Not for: what the rules mean once they are read (`net::reach`).

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::{
    ConfigError,
    files::{Contents, Followed},
};
use crate::net::{Identities, Place, Policy, Reach, Rules, Table};

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// For namespaces without rules of their own.
    #[serde(default)]
    default: Section,
    #[serde(default)]
    namespaces: BTreeMap<String, Section>,
}

/// The rules of one namespace. What it does not say is as in `default`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    allow: Option<Vec<String>>,
    deny: Option<Vec<String>>,
    identities: Option<Clouds>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Clouds {
    aws: Option<Vec<String>>,
    google: Option<Vec<String>>,
    azure: Option<Vec<String>>,
}

/// The policy file, which keeps a [`Policy`] up to date.
#[derive(Debug, Clone)]
pub struct PolicyFile {
    policy: Policy,
    loopback: bool,
}

impl PolicyFile {
    /// Of the first of `contents`; `loopback` is whether the server's own loopback may be reached.
    pub fn new(contents: &Contents, loopback: bool) -> Result<Self, ConfigError> {
        Ok(Self { policy: Policy::new(table(contents, loopback)?), loopback })
    }

    /// The policy that follows the file.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy.clone()
    }
}

impl Followed for PolicyFile {
    fn what(&self) -> &'static str {
        "policy"
    }

    fn take(&self, contents: &Contents) -> Result<(), ConfigError> {
        self.policy.replace(table(contents, self.loopback)?);
        Ok(())
    }
}

fn table(contents: &Contents, loopback: bool) -> Result<Table, ConfigError> {
    let text = contents.first().map(|text| std::str::from_utf8(text)).transpose();
    let text = text.map_err(|_| problem("the file is not UTF-8 text"))?.unwrap_or_default();
    // An empty file has no rules, but one with comments alone may have lost them: `{}` says that none are meant.
    let written: Written = serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location().map(|place| format!(" in line {}", place.line())).unwrap_or_default();
        problem(&format!("{}{place}", error.without_snippet()))
    })?;
    let others = reach("default", &written.default, &Section::default(), loopback)?;
    let mut namespaces = HashMap::new();
    for (name, section) in &written.namespaces {
        let place = format!("namespaces.{name}");
        namespaces.insert(name.clone(), reach(&place, section, &written.default, loopback)?);
    }
    Ok(Table { others, namespaces })
}

fn reach(at: &str, section: &Section, default: &Section, loopback: bool) -> Result<Reach, ConfigError> {
    let list = |key: &str, own: Option<&Vec<String>>, inherited: Option<&Vec<String>>| {
        let Some(list) = own.or(inherited) else { return Ok(None) };
        let places = list.iter().enumerate().map(|(index, text)| {
            let wrong = |why| problem(&format!("`{at}.{key}[{index}]`: `{}` {why}", crate::error::quoted(text)));
            text.parse::<Place>().map_err(wrong)
        });
        places.collect::<Result<Vec<_>, _>>().map(Some)
    };
    let denied = |key: &str, section: &Section| Ok(list(key, section.deny.as_ref(), None)?.unwrap_or_default());
    let of_cloud = |key: &str, pick: fn(&Clouds) -> Option<&Vec<String>>| {
        let (own, inherited) = (section.identities.as_ref(), default.identities.as_ref());
        list(&format!("identities.{key}"), own.and_then(pick), inherited.and_then(pick))
    };
    Ok(Reach::new(Rules {
        allow: list("allow", section.allow.as_ref(), default.allow.as_ref())?,
        // What nobody may reach, no namespace may allow itself.
        deny: [denied("deny", section)?, denied("deny", default)?].concat(),
        loopback,
        metadata: false,
        identities: Identities {
            aws: of_cloud("aws", |clouds| clouds.aws.as_ref())?,
            google: of_cloud("google", |clouds| clouds.google.as_ref())?,
            azure: of_cloud("azure", |clouds| clouds.azure.as_ref())?,
        },
    }))
}

fn problem(text: &str) -> ConfigError {
    ConfigError(format!("`--policy`: {text}"))
}
