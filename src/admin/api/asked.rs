//! Which triggers a question is about: the same words for the list, for the page and for who watches.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Problem;
use crate::{
    error::quoted,
    limits,
    sampler::{Query, Sort, Standing},
};

/// The word for triggers with warnings, beside those for how they stand.
const WARNED: &str = "warned";

/// Which triggers are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// Of an object in this namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    /// Of this scaler type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) scaler_type: Option<String>,
    /// On the connection of this id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) connection: Option<u64>,
    /// Standing so: `refused`, `failing`, `stale`, `unasked`, `unknown`, `active`, `idle`, or with warnings, `warned`;
    /// several with commas between them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<String>,
    /// With this text, in any case, in the names of their objects, in what is read and where, or in why that fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) q: Option<String>,
    /// In this order: `came`, `name`, `state` (the worst first), `value`, `replicas`, `age` (the freshest first); with a `-`
    /// before it the other way round. What is not known comes last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sort: Option<String>,
    /// So many left out at the beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) offset: Option<usize>,
    /// So many rows at most: 1 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<usize>,
    /// With the values of the last quarter of an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recent: Option<bool>,
}

impl Asked {
    /// As a query has them.
    pub(crate) fn of_pairs(pairs: &HashMap<String, String>) -> Result<Self, Problem> {
        let mut asked = Self::default();
        for (name, text) in pairs {
            let bad = || Problem::bad(format!("`{}` cannot be followed: see /api/v1/openapi.json", quoted(name)));
            let text = text.clone();
            match name.as_str() {
                "namespace" => asked.namespace = Some(text),
                "type" => asked.scaler_type = Some(text),
                "connection" => asked.connection = Some(text.parse().map_err(|_| bad())?),
                "state" => asked.state = Some(text),
                "q" => asked.q = Some(text),
                "sort" => asked.sort = Some(text),
                "offset" => asked.offset = Some(text.parse().map_err(|_| bad())?),
                "limit" => asked.limit = Some(text.parse().map_err(|_| bad())?),
                "recent" => asked.recent = Some(text.parse().map_err(|_| bad())?),
                _ => return Err(bad()),
            }
        }
        Ok(asked)
    }

    /// What it means.
    pub(crate) fn query(&self) -> Result<Query, Problem> {
        let given =
            |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let (mut standings, mut warned) = (Vec::new(), false);
        for word in given(&self.state).iter().flat_map(|words| words.split(',')).map(str::trim) {
            match Standing::ALL.into_iter().find(|standing| standing.as_str() == word) {
                Some(standing) => standings.push(standing),
                None if word == WARNED => warned = true,
                None => {
                    let known: Vec<&str> =
                        Standing::ALL.iter().map(|standing| standing.as_str()).chain([WARNED]).collect();
                    return Err(Problem::bad(format!("`state` must be of `{}`", known.join("`, `"))));
                }
            }
        }
        let (sort, descending) = self.sort()?;
        let limit = self.limit.unwrap_or(limits::ROWS);
        if limit == 0 || limit > limits::ROWS {
            return Err(Problem::bad(format!("`limit` must be from 1 to {}", limits::ROWS)));
        }
        Ok(Query {
            namespace: given(&self.namespace),
            scaler_type: given(&self.scaler_type),
            connection: self.connection,
            standings,
            warned,
            text: given(&self.q),
            sort,
            descending,
            offset: self.offset.unwrap_or(0),
            limit,
            recent: self.recent.unwrap_or(false),
        })
    }

    /// In which order, and whether the other way round.
    pub(crate) fn sort(&self) -> Result<(Sort, bool), Problem> {
        let Some(text) = self.sort.as_deref() else { return Ok((Sort::Came, false)) };
        let (word, descending) = text.strip_prefix('-').map_or((text, false), |word| (word, true));
        let sort = match word {
            "came" => Sort::Came,
            "name" => Sort::Name,
            "state" => Sort::State,
            "value" => Sort::Value,
            "replicas" => Sort::Replicas,
            "age" => Sort::Age,
            _ => {
                let text = "`sort` must be one of `came`, `name`, `state`, `value`, `replicas`, `age`, with `-` before it for the \
                            other way round";
                return Err(Problem::bad(text));
            }
        };
        Ok((sort, descending))
    }
}
