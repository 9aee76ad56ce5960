//! The contract, `GET /v1/openapi.json`: written from the table of paths ([`super::routes`]) and from the types that are read and
//! sent, so that it cannot say anything else than what the agent does. OpenAPI 3.1.

use std::borrow::Cow;
use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::events::Event;
use super::routes::{Access, Body, Content, FAILURE, Form, Operation, PATHS, Parameter, Path};

/// The document, as it is served.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// A moment of RFC 3339, in UTC.
#[derive(Debug)]
pub struct DateTime;

impl JsonSchema for DateTime {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "DateTime".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

/// A digest, in hexadecimal digits.
#[derive(Debug)]
pub struct Digest;

impl JsonSchema for Digest {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Digest".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9a-f]{64}$"})
    }
}

/// The document itself, of which the contract says no more than that it is one.
#[derive(Debug)]
pub struct Document;

impl JsonSchema for Document {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Document".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object"})
    }
}

/// Two generators, since a field may be missing when it is read, and not when it is written.
struct Schemas {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

fn document() -> Value {
    let settings = || SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into());
    let mut schemas =
        Schemas { read: settings().for_deserialize().into_generator(), written: settings().for_serialize().into_generator() };
    let paths: Map<_, _> = PATHS.iter().map(|path| (path.template.to_owned(), schemas.path(path))).collect();
    let _ = schemas.written.subschema_for::<Event<'static>>();
    let failure = FAILURE(&mut schemas.written);
    let mut definitions = schemas.read.take_definitions(true);
    definitions.extend(schemas.written.take_definitions(true));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "sealagent",
            "version": "1",
            "description": "Electronic seals on documents, by the UKey of the person at this computer. Loopback only; `Host` and `Origin` \
                            are checked before anything else. Times are UTC, lengths millimetres from the page's top left corner.",
        },
        "servers": [{
            "url": "http://127.0.0.1:{port}",
            "variables": {"port": {"default": crate::config::FIRST_PORT.to_string(), "description": "17329 to 17338, one for each user."}},
        }],
        "paths": paths,
        "components": {
            "schemas": definitions,
            "responses": {"Failure": {
                "description": "It did not succeed; `code` says why.",
                "content": {"application/json": {"schema": failure}},
            }},
            "securitySchemes": {"pairing": {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "SealAgent id=<pairing>, n=<number>, mac=<64 hexadecimal digits>: HMAC-SHA-256 with the pairing's key over \
                                method, path with query, a number that grows, and the SHA-256 of a JSON body. Origins that the \
                                configuration allows send none.",
            }},
        },
    })
}

impl Schemas {
    fn path(&mut self, path: &Path) -> Value {
        let mut out: Map<_, _> = path
            .operations
            .iter()
            .map(|operation| (operation.method.as_str().to_ascii_lowercase(), self.operation(path, operation)))
            .collect();
        if !path.parameters.is_empty() {
            out.insert("parameters".into(), path.parameters.iter().map(|p| parameter(p, "path")).collect());
        }
        Value::Object(out)
    }

    fn operation(&mut self, path: &Path, operation: &Operation) -> Value {
        let mut name = format!("{:?}", operation.call);
        name[..1].make_ascii_lowercase();
        let mut out = json!({
            "operationId": name,
            "summary": operation.summary,
            "responses": {
                operation.status.to_string(): self.answer(operation),
                "default": {"$ref": "#/components/responses/Failure"},
            },
        });
        if !operation.query.is_empty() {
            out["parameters"] = operation.query.iter().map(|p| parameter(p, "query")).collect();
        }
        if let Some(body) = operation.body {
            out["requestBody"] = json!({"required": true, "content": self.body(body)});
        }
        if path.access == Access::Allowed {
            out["security"] = json!([{}, {"pairing": []}]);
        }
        out
    }

    fn body(&mut self, body: Body) -> Value {
        let schema = match body {
            Body::File => Value::Bool(true),
            Body::Json(schema, _) => schema(&mut self.read).into(),
        };
        body.content_types().iter().map(|kind| ((*kind).to_owned(), json!({"schema": schema}))).collect()
    }

    fn answer(&mut self, operation: &Operation) -> Value {
        match operation.answer {
            Content::None => json!({"description": "Done."}),
            Content::Json(schema) => {
                let schema: Value = schema(&mut self.written).into();
                json!({"description": "Done.", "content": {"application/json": {"schema": schema}}})
            }
            Content::File(kinds) => {
                let content: Value = kinds.iter().map(|kind| ((*kind).to_owned(), json!({}))).collect();
                json!({"description": "The bytes.", "content": content})
            }
        }
    }
}

fn parameter(parameter: &Parameter, place: &str) -> Value {
    let schema = match parameter.form {
        Form::Number(from, to) => json!({"type": "integer", "minimum": from, "maximum": to}),
        Form::Text => json!({"type": "string"}),
        Form::Time => json!({"type": "string", "format": "date-time"}),
    };
    json!({
        "name": parameter.name,
        "in": place,
        "description": parameter.about,
        "required": parameter.required || place == "path",
        "schema": schema,
    })
}
