//! The API's description, made of the types that answer: a test holds real answers against it.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    Asked, Connections, Problem, Server, Trigger, Triggers,
    events::{Gone, ListChange, Watched},
};
use crate::sampler::Change;

/// OpenAPI 3.1, as `/api/v1/openapi.json` has it.
#[must_use]
pub fn openapi() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut types = settings.for_serialize().into_generator();
    for event in [types.subschema_for::<Change>(), types.subschema_for::<ListChange>(), types.subschema_for::<Gone>()] {
        drop(event);
    }
    let answer = |schema: Value| json!({"description": "OK", "content": {"application/json": {"schema": schema}}});
    let problem = json!({
        "description": "why there is no answer",
        "content": {"application/json": {"schema": types.subschema_for::<Problem>()}},
    });
    let path = |summary: &str, parameters: Vec<Value>, ok: Value| json!({"get": {"summary": summary, "parameters": parameters, "responses": {"200": ok, "default": problem.clone()}}});
    let id = json!({"name": "id", "in": "path", "required": true, "description": "of the trigger", "schema": {"type": "integer"}});
    let asked = parameters::<Asked>();
    let watched = [parameters::<Watched>(), asked.clone()].concat();
    let stream = json!({
        "description": "server-sent events: `change` (a `Change`), `gone` (a `Gone`), `list` (a `ListChange`)",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    });
    let itself = answer(json!({"type": "object"}));
    let paths = json!({
        "/api/v1/triggers": path("Some triggers", asked, answer(of::<Triggers>(&mut types))),
        "/api/v1/triggers/{id}": path("One trigger, from question to answer", vec![id], answer(of::<Trigger>(&mut types))),
        "/api/v1/connections": path("The connections to brokers", vec![], answer(of::<Connections>(&mut types))),
        "/api/v1/server": path("This replica", vec![], answer(of::<Server>(&mut types))),
        "/api/v1/events": path("What changes of some triggers' rows", watched, stream),
        "/api/v1/openapi.json": path("This description", vec![], itself),
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Plimsoll",
            "version": "1",
            "description": "What the server knows of triggers, connections and itself. Reading only. Within version 1 fields are \
                            added, and none changes its meaning or goes.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": types.take_definitions(true),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "password": {"type": "http", "scheme": "basic"},
            },
        },
        "security": [{}, {"token": []}, {"password": []}],
    })
}

fn of<T: JsonSchema>(types: &mut SchemaGenerator) -> Value {
    types.subschema_for::<T>().to_value()
}

/// Each field of `T` as a parameter of a query.
fn parameters<T: JsonSchema>() -> Vec<Value> {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let schema = generator.into_root_schema_for::<T>();
    let fields = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_else(Map::new);
    let parameter = |(name, mut field): (String, Value)| {
        let description = field.as_object_mut().and_then(|field| field.remove("description"));
        json!({"name": name, "in": "query", "description": description, "schema": field})
    };
    fields.into_iter().map(parameter).collect()
}
