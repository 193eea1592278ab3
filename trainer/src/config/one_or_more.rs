//! A value alone or a list of them: `model = "a"` and `model = ["a", "b"]`.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Values<T> {
    One(T),
    More(Vec<T>),
}

pub fn deserialize<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    match Values::deserialize(from)? {
        Values::One(value) => Ok(vec![value]),
        Values::More(values) if values.is_empty() => Err(D::Error::custom("name at least one")),
        Values::More(values) => Ok(values),
    }
}

pub fn serialize<S: Serializer, T: Serialize>(values: &[T], to: S) -> Result<S::Ok, S::Error> {
    match values {
        [value] => value.serialize(to),
        values => values.serialize(to),
    }
}
