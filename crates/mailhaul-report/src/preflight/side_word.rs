//! `source`, `target` or nothing, as it stands in JSON.

use mailhaul_types::Side;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(super) fn serialize<S: Serializer>(side: &Option<Side>, serializer: S) -> Result<S::Ok, S::Error> {
    side.map(|side| side.to_string()).serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Side>, D::Error> {
    match Option::<String>::deserialize(deserializer)?.as_deref() {
        None => Ok(None),
        Some("source") => Ok(Some(Side::Source)),
        Some("target") => Ok(Some(Side::Target)),
        Some(_) => Err(D::Error::custom("neither source nor target")),
    }
}
