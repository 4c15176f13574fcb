//! Holds JSON against a schema, strictly: what a schema does not name may not be there. As much of JSON Schema as our own
//! types need.

use serde_json::Value;

/// Everything in which `value` is not what `schema` says; `root` has the definitions.
pub fn mismatches(root: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(root, schema, value, "", &mut found);
    found
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(place) = schema["$ref"].as_str() {
        let definition = root.pointer(place.trim_start_matches('#')).unwrap_or_else(|| panic!("{place} is not there"));
        return check(root, definition, value, at, found);
    }
    if let Some(options) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        if !options.iter().any(|option| mismatches(root, option, value).is_empty()) {
            found.push(format!("{at}: {value} is none of {options:?}"));
        }
        return;
    }
    if schema.get("const").is_some_and(|only| only != value)
        || schema["enum"].as_array().is_some_and(|words| !words.contains(value))
    {
        found.push(format!("{at}: {value} is not {schema}"));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is = |name: &&str| match *name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other}"),
    };
    if !types.is_empty() && !types.iter().any(is) {
        found.push(format!("{at}: {value} is not of {types:?}"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(root, &schema["items"], item, &format!("{at}[{index}]"), found);
    }
    let Some(fields) = value.as_object() else { return };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            found.push(format!("{at}.{name} is missing"));
        }
    }
    for (name, field) in fields {
        let of_name = schema["properties"].get(name).or(schema.get("additionalProperties"));
        match of_name {
            Some(schema) if schema.is_object() => check(root, schema, field, &format!("{at}.{name}"), found),
            Some(_) => {}
            None => found.push(format!("{at}.{name} is not described")),
        }
    }
}

#[test]
fn what_is_missing_too_much_or_of_another_kind_is_found() {
    let root: Value = serde_json::json!({"defs": {"a": {"type": "object", "required": ["n"], "properties": {
        "n": {"type": "integer"}, "t": {"anyOf": [{"type": "null"}, {"enum": ["x"]}]}, "l": {"type": "array", "items": {"type": "string"}}
    }}}});
    let schema = serde_json::json!({"$ref": "#/defs/a"});
    let faults = |value: Value| mismatches(&root, &schema, &value).len();
    assert_eq!(faults(serde_json::json!({"n": 1, "t": "x", "l": ["a"]})), 0);
    assert_eq!(faults(serde_json::json!({"t": null})), 1);
    assert_eq!(faults(serde_json::json!({"n": 1.5, "t": "y", "l": [1], "more": 1})), 4);
}
