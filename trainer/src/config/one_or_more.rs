//! A path alone or a list of them: `model = "a"` and `model = ["a", "b"]`.

use std::path::PathBuf;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Paths {
    One(PathBuf),
    More(Vec<PathBuf>),
}

pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<PathBuf>, D::Error> {
    match Paths::deserialize(from)? {
        Paths::One(path) => Ok(vec![path]),
        Paths::More(paths) if paths.is_empty() => Err(D::Error::custom("name at least one")),
        Paths::More(paths) => Ok(paths),
    }
}

pub fn serialize<S: Serializer>(paths: &[PathBuf], to: S) -> Result<S::Ok, S::Error> {
    match paths {
        [path] => path.serialize(to),
        paths => paths.serialize(to),
    }
}
