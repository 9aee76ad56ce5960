//! Holds answers against the contract (`GET /v1/openapi.json`). Knows the words of JSON Schema that the contract uses; one that it does
//! not know fails, so that nothing passes unread.

use sealagent::http::openapi::DOCUMENT;
use sealagent::http::routes::Route;
use serde_json::Value;

/// Fails where an answer is not what the contract says for this call.
pub fn check(method: &str, target: &str, status: u16, content_type: Option<&str>, body: &[u8]) {
    let path = target.split('?').next().unwrap_or_default();
    // The agent's own pages and what only they call.
    if !path.starts_with("/v1/") {
        return;
    }
    let operation = Route::of(path).map(|route| &DOCUMENT["paths"][route.path.template][method.to_ascii_lowercase()]);
    let expected = operation.map(|operation| &operation["responses"][status.to_string()]).filter(|answer| !answer.is_null());
    let failure = &DOCUMENT["components"]["responses"]["Failure"];
    let answer = match expected {
        Some(answer) => answer,
        None if status >= 400 => failure,
        // Preflights are the browser's matter, and stand in no contract.
        None if status == 204 && method == "OPTIONS" => return,
        None => panic!("{method} {target}: {status} is not in the contract"),
    };
    let here = format!("{method} {target}: {status}");
    let Some(content) = answer.get("content") else {
        assert!(body.is_empty(), "{here} has a body");
        return;
    };
    let media = &content[content_type.unwrap_or_default()];
    assert!(!media.is_null(), "{here}: {content_type:?} is not in the contract");
    if method == "HEAD" {
        return;
    }
    if let Some(schema) = media.get("schema") {
        let value = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{here}: {error}"));
        matches(&value, schema).unwrap_or_else(|error| panic!("{here}: {error}\n{value:#}"));
    }
}

/// Why a value is not of this form. Open objects are taken as closed: a field that the contract does not name is not in it.
pub fn matches(value: &Value, schema: &Value) -> Result<(), String> {
    let Some(schema) = schema.as_object() else {
        return if *schema == Value::Bool(true) { Ok(()) } else { Err(format!("no such form: {schema}")) };
    };
    let all = |list: &Value| list.as_array().cloned().unwrap_or_default();
    for (word, wanted) in schema {
        match word.as_str() {
            "$ref" => {
                let name = wanted.as_str().and_then(|name| name.strip_prefix("#/")).ok_or("an odd reference")?;
                matches(value, DOCUMENT.pointer(&format!("/{name}")).ok_or(format!("{name} is not there"))?)?;
            }
            "type" => {
                let kinds = if wanted.is_array() { all(wanted) } else { vec![wanted.clone()] };
                if !kinds.iter().any(|kind| is_a(value, kind.as_str().unwrap_or_default())) {
                    return Err(format!("{value} is not {wanted}"));
                }
            }
            "properties" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    match (wanted.get(name), schema.get("additionalProperties")) {
                        (Some(form), _) => matches(value, form).map_err(|error| format!("{name}: {error}"))?,
                        (None, Some(form)) if form.is_object() => {}
                        (None, _) => return Err(format!("{name} is not in the contract")),
                    }
                }
            }
            "additionalProperties" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    if schema.get("properties").is_none_or(|own| own.get(name).is_none()) {
                        matches(value, wanted).map_err(|error| format!("{name}: {error}"))?;
                    }
                }
            }
            "required" => {
                for name in all(wanted) {
                    let name = name.as_str().unwrap_or_default();
                    value.get(name).ok_or(format!("{name} is missing"))?;
                }
            }
            "items" => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    matches(item, wanted).map_err(|error| format!("[{n}]: {error}"))?;
                }
            }
            "enum" => all(wanted).contains(value).then_some(()).ok_or(format!("{value} is none of {wanted}"))?,
            "const" => (value == wanted).then_some(()).ok_or(format!("{value} is not {wanted}"))?,
            "anyOf" | "oneOf" => {
                let tried: Vec<_> = all(wanted).iter().map(|form| matches(value, form)).collect();
                if !tried.iter().any(Result::is_ok) {
                    return Err(tried.into_iter().filter_map(Result::err).collect::<Vec<_>>().join("; "));
                }
            }
            "pattern" => {
                let text = value.as_str().unwrap_or_default();
                let is_digest = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                assert_eq!(wanted, "^[0-9a-f]{64}$", "a pattern that is not known here");
                is_digest.then_some(()).ok_or(format!("{text} is no digest"))?;
            }
            "minimum" => (value.as_f64() >= wanted.as_f64()).then_some(()).ok_or(format!("{value} is less than {wanted}"))?,
            "maximum" => (value.as_f64() <= wanted.as_f64()).then_some(()).ok_or(format!("{value} is more than {wanted}"))?,
            "minItems" | "maxItems" => {
                let length = value.as_array().map_or(0, Vec::len) as u64;
                let is_right = if word == "minItems" { Some(length) >= wanted.as_u64() } else { Some(length) <= wanted.as_u64() };
                is_right.then_some(()).ok_or(format!("{length} items"))?;
            }
            "format" if wanted == "date-time" => {
                value.as_str().unwrap_or_default().parse::<jiff::Timestamp>().map_err(|error| error.to_string())?;
            }
            "default" | "description" | "format" | "title" => {}
            other => return Err(format!("the contract says {other}, which is not known here")),
        }
    }
    Ok(())
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        _ => false,
    }
}
