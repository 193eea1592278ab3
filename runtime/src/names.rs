//! Names that are given once.

use std::collections::HashMap;

/// Names that are taken, each with the next number to try behind it.
#[derive(Debug, Default)]
pub struct Names(HashMap<String, usize>);

impl Names {
    /// Takes a name: `name` itself, or numbered if it is taken: `name_1`, `name_2`.
    pub fn take(&mut self, name: &str) -> String {
        let mut found = name.to_owned();
        while self.0.contains_key(&found) {
            let number = self.0.get_mut(name).map_or(1, |next| {
                *next += 1;
                *next - 1
            });
            found = format!("{name}_{number}");
        }
        self.0.insert(found.clone(), 1);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_given_once() {
        let mut names = Names::default();
        let found = ["a", "a_1", "a", "a", "b", "a_1", ""].map(|name| names.take(name));
        assert_eq!(found, ["a", "a_1", "a_2", "a_3", "b", "a_1_1", ""]);
    }
}
