//! What can be wrong with a folder of pictures, short of the pictures themselves.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use super::Split;
use super::scan::Scan;

/// A folder that is no data set.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The file system said no.
    #[error("{}: cannot be read ({reason}); check that it exists and may be read", path.display())]
    Unreadable {
        /// File or folder.
        path: PathBuf,
        /// Its reason.
        reason: io::Error,
    },
    /// The file system said no to writing.
    #[error("{}: cannot be written ({reason})", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Its reason.
        reason: io::Error,
    },
    /// No class folders.
    #[error(
        "{}: has no class folders; put the pictures into one folder a class, \
         <class>/… or train/<class>/…, in it",
        .0.display()
    )]
    NoClasses(PathBuf),
    /// Nothing to tell apart.
    #[error(
        "{}: has one class only, {class:?}; a classifier needs two class folders or more",
        root.display()
    )]
    OneClass {
        /// The data.
        root: PathBuf,
        /// The class.
        class: String,
    },
    /// A class folder with no picture.
    #[error("{}: holds no picture (jpg, png, webp, bmp or gif); fill it or delete it", .0.display())]
    EmptyClass(PathBuf),
    /// A class that other splits have.
    #[error(
        "{}: class {class:?} is missing from {split}; add it there, or take it out of the other splits",
        root.display()
    )]
    MissingClass {
        /// The data.
        root: PathBuf,
        /// The class.
        class: String,
        /// The split that lacks it.
        split: Split,
    },
    /// Split folders beside other folders.
    #[error(
        "{}: has a split folder, {split:?}, beside {other:?}, which is none; move all class folders into split \
         folders, or rename the class",
        root.display()
    )]
    MixedFolders {
        /// The data.
        root: PathBuf,
        /// A split folder.
        split: String,
        /// Another folder.
        other: String,
    },
    /// Two folders for one split.
    #[error("{}: {first:?} and {second:?} mean the same split; merge them", root.display())]
    SplitTwice {
        /// The data.
        root: PathBuf,
        /// A split folder.
        first: String,
        /// Another one.
        second: String,
    },
    /// A name that cannot be written down.
    #[error("{}: its name is not UTF-8; rename it", .0.display())]
    NotUtf8(PathBuf),
    /// A name that tears lines of text apart.
    #[error("{0:?}: its name has a line break or another control character; rename it")]
    Control(PathBuf),
    /// A class too small to draw from.
    #[error(
        "class {class:?} has {pictures} picture(s), too few to give each split one; \
         add some, or do without a test split: kiln train --set data.test=0"
    )]
    TooFew {
        /// The class.
        class: String,
        /// Its pictures.
        pictures: usize,
    },
    /// Shares that make no split.
    #[error(
        "the shares {val} for val and {test} for test make no split; \
         each is 0 or more, and both together are at most 1"
    )]
    Shares {
        /// For validation.
        val: f64,
        /// For the test.
        test: f64,
    },
    /// A written split that does not fit.
    #[error("{}: {what}", path.display())]
    Listing {
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        what: String,
    },
}

impl Scan {
    /// All that keeps the folder from being a data set.
    pub fn problems(&self) -> Vec<DatasetError> {
        let mut all: Vec<DatasetError> = Vec::new();
        let unnameable = self.unnameable.iter();
        all.extend(unnameable.map(|path| DatasetError::NotUtf8(self.root.join(path))));
        if let [class] = self.classes.as_slice() {
            all.push(DatasetError::OneClass {
                root: self.root.clone(),
                class: class.clone(),
            });
        }
        let mut pictures: BTreeMap<_, usize> = self.folders.iter().map(|f| (*f, 0)).collect();
        for file in &self.files {
            *pictures.entry((file.split, file.class)).or_default() += 1;
        }
        for ((split, class), count) in &pictures {
            if *count == 0 {
                let named = self.splits.iter().find(|(s, _)| Some(*s) == *split);
                let parent = named.map_or(self.root.clone(), |(_, name)| self.root.join(name));
                all.push(DatasetError::EmptyClass(parent.join(&self.classes[*class])));
            }
        }
        // What val and test are drawn from, where val is not given, has one for training and one for val at least.
        if self.splits.iter().all(|(split, _)| *split != Split::Val) {
            let alone = pictures.iter().filter(|((split, _), count)| {
                **count == 1 && matches!(split, None | Some(Split::Train))
            });
            all.extend(alone.map(|((_, class), &pictures)| DatasetError::TooFew {
                class: self.classes[*class].clone(),
                pictures,
            }));
        }
        let has_pictures = |class| self.files.iter().any(|file| file.class == class);
        for (split, _) in &self.splits {
            for (class, name) in self.classes.iter().enumerate() {
                if !pictures.contains_key(&(Some(*split), class)) && has_pictures(class) {
                    all.push(DatasetError::MissingClass {
                        root: self.root.clone(),
                        class: name.clone(),
                        split: *split,
                    });
                }
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::{scan, tests::folder_with};

    #[test]
    fn every_problem_names_the_class_and_the_place() {
        let cases: [(&[&str], &[&str]); 5] = [
            (&["cat/a.png", "cat/b.png", "dog/c.png", "dog/d.png"], &[]),
            (
                &[
                    "train/cat/a.png",
                    "train/dog/b.png",
                    "val/cat/c.png",
                    "val/dog/d.png",
                ],
                &[],
            ),
            (&["cat/a.png", "cat/b.png"], &["one class only, \"cat\""]),
            (
                &["cat/a.png", "cat/b.png", "dog/", "cow/readme.txt"],
                &["cow: holds no picture", "dog: holds no picture"],
            ),
            (
                &[
                    "train/cat/a.png",
                    "train/dog/b.png",
                    "valid/cat/c.png",
                    "valid/dog/",
                    "test/dog/d.png",
                    "test/cow/d.png",
                    "test/bird/",
                ],
                &[
                    "valid/dog: holds no picture",
                    "test/bird: holds no picture",
                    "class \"cow\" is missing from train",
                    "class \"cow\" is missing from val",
                    "class \"cat\" is missing from test",
                ],
            ),
        ];
        for (files, want) in cases {
            let root = folder_with(files);
            let problems = scan(root.path()).unwrap().problems();
            let got: Vec<_> = problems.iter().map(ToString::to_string).collect();
            assert_eq!(got.len(), want.len(), "{got:?}");
            for (got, want) in got.iter().zip(want) {
                assert!(got.contains(want), "{got}");
                assert!(got.contains(root.path().to_str().unwrap()), "{got}");
            }
        }
    }

    #[test]
    fn one_picture_of_a_class_cannot_be_divided() {
        for files in [
            &["cat/a.png", "cat/b.png", "dog/c.png"][..],
            &[
                "train/cat/a.png",
                "train/cat/b.png",
                "train/dog/c.png",
                "test/cat/d.png",
                "test/dog/e.png",
            ],
        ] {
            let problems = scan(folder_with(files).path()).unwrap().problems();
            let [problem] = &problems[..] else {
                panic!("{problems:?}");
            };
            let said = problem.to_string();
            assert!(said.contains("\"dog\" has 1 picture"), "{said}");
        }
    }
}
