//! As much of JSON Schema as the document uses, so that answers can be held against what it says of them.

use serde_json::Value;

/// What of a value is not as the schema says, with its place.
pub(super) fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(document, schema, value, "$", &mut found);
    found
}

fn check(document: &Value, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).expect("references lead somewhere");
        check(document, target, value, place, found);
    }
    let mut fault = |words: String| found.push(format!("{place}: {words}: {value}"));
    for word in ["anyOf", "oneOf"] {
        let Some(ways) = schema[word].as_array() else { continue };
        if !ways.iter().any(|way| faults(document, way, value).is_empty()) {
            fault(format!("none of {word}"));
        }
    }
    if let Some(constant) = schema.get("const").filter(|constant| *constant != value) {
        fault(format!("not {constant}"));
    }
    if let Some(words) = schema["enum"].as_array().filter(|words| !words.contains(value)) {
        fault(format!("none of {words:?}"));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|kind| is_of(kind, value)) {
        fault(format!("not {types:?}"));
    }
    if schema["minimum"].as_f64().zip(value.as_f64()).is_some_and(|(least, number)| number < least) {
        fault("below its minimum".to_owned());
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        for (number, one) in values.iter().enumerate() {
            check(document, items, one, &format!("{place}[{number}]"), found);
        }
    }
    let Some(fields) = value.as_object() else { return };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            found.push(format!("{place}: {name} is missing"));
        }
    }
    for (name, one) in fields {
        let place = format!("{place}.{name}");
        match (schema["properties"].get(name), schema.get("additionalProperties")) {
            (Some(described), _) => check(document, described, one, &place, found),
            (None, Some(Value::Bool(false))) => found.push(format!("{place} is not described")),
            (None, Some(described @ Value::Object(_))) => check(document, described, one, &place, found),
            // What an object says beyond its description is a description that was forgotten.
            (None, _) if schema.get("properties").is_some() => found.push(format!("{place} is not described")),
            (None, _) => {}
        }
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the document uses a type that nobody knows: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::faults;
    use serde_json::json;

    #[test]
    fn what_is_not_as_described_is_found() {
        let document = json!({ "one": { "type": "object", "required": ["a"],
            "properties": { "a": { "type": ["integer", "null"], "minimum": 0 }, "b": { "enum": ["x"] } } } });
        let schema = json!({ "type": "array", "items": { "$ref": "#/one" } });
        assert!(faults(&document, &schema, &json!([{ "a": 1 }, { "a": null, "b": "x" }])).is_empty());
        for wrong in
            [json!({}), json!([{}]), json!([{ "a": "1" }]), json!([{ "a": -1 }]), json!([{ "a": 1, "b": "y" }])]
        {
            assert!(!faults(&document, &schema, &wrong).is_empty(), "{wrong}");
        }
        assert_eq!(faults(&document, &schema, &json!([{ "a": 1, "c": 2 }])).len(), 1);
        let either = json!({ "anyOf": [{ "type": "string" }, { "const": 3 }] });
        assert!(faults(&document, &either, &json!(3)).is_empty() && !faults(&document, &either, &json!(4)).is_empty());
    }
}
