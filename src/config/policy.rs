//! The policy file: which hosts each namespace may reach, and who may see the server's own identity.
//!
//! Not for: what the rules mean once they are read (`net::reach`).

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    ConfigError,
    file::yaml,
    files::{Contents, Followed},
};
use crate::net::{Identities, Place, Policy, Reach, Rules, Table};

/// The policy as it is written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// For namespaces without rules of their own.
    #[serde(default)]
    default: Section,
    #[serde(default)]
    /// By namespace.
    namespaces: BTreeMap<String, Section>,
}

/// The rules of one namespace. What it does not say is as in `default`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Section {
    /// Host names (`*.shop.svc`), addresses and networks that may be reached; all if this is left out.
    allow: Option<Vec<String>>,
    /// Those that may not, whatever `allow` says.
    deny: Option<Vec<String>>,
    /// Who may see the server's own identity at a cloud.
    identities: Option<Clouds>,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Clouds {
    aws: Option<Vec<String>>,
    google: Option<Vec<String>>,
    azure: Option<Vec<String>>,
}

/// The policy file, which keeps a [`Policy`] up to date.
#[derive(Debug, Clone)]
pub struct PolicyFile {
    /// The option that names the file.
    option: &'static str,
    policy: Policy,
    loopback: bool,
}

impl PolicyFile {
    /// Of the first of `contents`; `loopback` is whether the server's own loopback may be reached.
    pub fn new(contents: &Contents, loopback: bool) -> Result<Self, ConfigError> {
        let option = "--policy";
        Self::of(option, &yaml(contents, option)?, loopback)
    }

    /// Of what stands in the file of `option`.
    pub(super) fn of(option: &'static str, written: &Written, loopback: bool) -> Result<Self, ConfigError> {
        Ok(Self { option, policy: Policy::new(table(option, written, loopback)?), loopback })
    }

    /// The policy that follows the file.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy.clone()
    }

    /// What `written` comes to.
    pub(super) fn table(&self, written: &Written) -> Result<Table, ConfigError> {
        table(self.option, written, self.loopback)
    }
}

impl Followed for PolicyFile {
    fn what(&self) -> &'static str {
        "policy"
    }

    fn take(&self, contents: &Contents) -> Result<(), ConfigError> {
        self.policy.replace(self.table(&yaml(contents, self.option)?)?);
        Ok(())
    }
}

fn table(option: &str, written: &Written, loopback: bool) -> Result<Table, ConfigError> {
    let problem = |text: String| ConfigError(format!("`{option}`: {text}"));
    let others = reach("default", &written.default, &Section::default(), loopback).map_err(problem)?;
    let mut namespaces = HashMap::new();
    for (name, section) in &written.namespaces {
        let place = format!("namespaces.{name}");
        namespaces.insert(name.clone(), reach(&place, section, &written.default, loopback).map_err(problem)?);
    }
    Ok(Table { others, namespaces })
}

fn reach(at: &str, section: &Section, default: &Section, loopback: bool) -> Result<Reach, String> {
    let list = |key: &str, own: Option<&Vec<String>>, inherited: Option<&Vec<String>>| {
        let Some(list) = own.or(inherited) else { return Ok(None) };
        let places = list.iter().enumerate().map(|(index, text)| {
            let wrong = |why| format!("`{at}.{key}[{index}]`: `{}` {why}", crate::error::quoted(text));
            text.parse::<Place>().map_err(wrong)
        });
        places.collect::<Result<Vec<_>, _>>().map(Some)
    };
    let denied = |key: &str, section: &Section| list(key, section.deny.as_ref(), None).map(Option::unwrap_or_default);
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
