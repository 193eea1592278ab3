//! A split written down, so that a run goes on with the very pictures that it began with.
//!
//! The file is JSON: the class names in label order, then for each split the paths by class.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path};

use kiln_runtime::files::write_atomic;
use serde::{Deserialize, Serialize};

use super::problems::DatasetError;
use super::{Dataset, Sample, Split};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    classes: Vec<String>,
    train: BTreeMap<String, Vec<String>>,
    val: BTreeMap<String, Vec<String>>,
    test: BTreeMap<String, Vec<String>>,
}

impl Dataset {
    /// Writes the classes and the split to a file.
    ///
    /// # Errors
    /// [`DatasetError::Unwritable`].
    pub fn write_split(&self, path: &Path) -> Result<(), DatasetError> {
        let by_class = |split| {
            let mut lists: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for sample in self.split(split) {
                let class = self.classes[sample.class].clone();
                lists.entry(class).or_default().push(sample.path.clone());
            }
            lists
        };
        let listing = Listing {
            classes: self.classes.clone(),
            train: by_class(Split::Train),
            val: by_class(Split::Val),
            test: by_class(Split::Test),
        };
        let unwritable = |reason| DatasetError::Unwritable {
            path: path.to_owned(),
            reason,
        };
        let mut json = serde_json::to_vec_pretty(&listing).map_err(|e| unwritable(e.into()))?;
        json.push(b'\n');
        write_atomic(path, &json).map_err(unwritable)
    }

    /// The data set in `root`, split as [`Dataset::write_split`] wrote it down. Pictures that have come
    /// since then are left out; those that have gone are found missing when they are read.
    ///
    /// # Errors
    /// The file cannot be read or is no such list.
    pub fn read_split(root: &Path, path: &Path) -> Result<Dataset, DatasetError> {
        let wrong = |what: String| DatasetError::Listing {
            path: path.to_owned(),
            what,
        };
        let json = fs::read(path).map_err(|reason| DatasetError::Unreadable {
            path: path.to_owned(),
            reason,
        })?;
        let listing: Listing = serde_json::from_slice(&json)
            .map_err(|e| wrong(format!("is no list of splits ({e}); write it anew")))?;
        let samples = |lists: &BTreeMap<String, Vec<String>>| {
            let mut samples = Vec::new();
            for (name, paths) in lists {
                let Some(class) = listing.classes.iter().position(|c| c == name) else {
                    return Err(wrong(format!("{name:?} is not in its list of classes")));
                };
                for path in paths {
                    let inside = |part| matches!(part, Component::Normal(_));
                    if path.is_empty() || !Path::new(path).components().all(inside) {
                        return Err(wrong(format!("{path:?} leads out of the data's folder")));
                    }
                    let path = path.clone();
                    samples.push(Sample { path, class });
                }
            }
            samples.sort_by(|a, b| a.path.cmp(&b.path));
            Ok(samples)
        };
        Ok(Dataset {
            given: true,
            root: root.to_owned(),
            train: samples(&listing.train)?,
            val: samples(&listing.val)?,
            test: samples(&listing.test)?,
            classes: listing.classes.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::dataset::SplitOptions;
    use super::super::scan::tests::folder_with;
    use super::*;

    fn dataset() -> (tempfile::TempDir, Dataset) {
        let names: Vec<String> = ["cat", "dog"]
            .iter()
            .flat_map(|class| (0..10).map(move |i| format!("{class}/{i}\t\"ü.png")))
            .collect();
        let root = folder_with(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let dataset = Dataset::open(root.path(), &SplitOptions::default()).unwrap();
        (root, dataset)
    }

    #[test]
    fn a_split_comes_back_as_written() {
        let (root, written) = dataset();
        let file = root.path().join("splits.json");
        written.write_split(&file).unwrap();
        // A picture that came later would move the draw, but not what is written.
        fs::write(root.path().join("cat/new.png"), "new").unwrap();
        let read = Dataset::read_split(root.path(), &file).unwrap();
        assert_eq!(read.classes, written.classes);
        for split in Split::ALL {
            assert_eq!(read.split(split), written.split(split), "{split}");
        }
        assert_eq!(
            read.fingerprint(&|_, _| ()),
            written.fingerprint(&|_, _| ())
        );
    }

    #[test]
    fn a_listing_that_does_not_fit_is_refused() {
        let (root, dataset) = dataset();
        let file = root.path().join("splits.json");
        let listing = |train: &str| {
            format!(r#"{{"classes": ["cat"], "train": {train}, "val": {{}}, "test": {{}}}}"#)
        };
        let cases = [
            ("[]".into(), "is no list of splits"),
            (
                listing(r#"{"cow": ["a.png"]}"#),
                "\"cow\" is not in its list of classes",
            ),
            (listing(r#"{"cat": ["../a.png"]}"#), "leads out of"),
            (listing(r#"{"cat": ["/etc/a.png"]}"#), "leads out of"),
        ];
        for (text, message) in cases {
            fs::write(&file, text).unwrap();
            let error = Dataset::read_split(root.path(), &file)
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(message) && error.contains("splits.json"),
                "{error}"
            );
        }
        let nowhere = root.path().join("no/such/splits.json");
        let error = dataset.write_split(&nowhere).unwrap_err();
        assert!(matches!(error, DatasetError::Unwritable { .. }), "{error}");
    }
}
