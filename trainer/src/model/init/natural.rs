//! Names in the order in which people number them: `block.10` after `block.9`.

/// A piece of a name; numbers come before letters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Piece {
    /// A run of digits. One that is too long for its type counts as the largest.
    Number(u64),
    /// One other letter.
    Letter(char),
}

/// What sorts names as people number them.
pub fn natural(name: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        let Some(digit) = letter.to_digit(10) else {
            pieces.push(Piece::Letter(letter));
            continue;
        };
        let mut number = u64::from(digit);
        while let Some(digit) = letters.peek().and_then(|next| next.to_digit(10)) {
            number = number.saturating_mul(10).saturating_add(u64::from(digit));
            letters.next();
        }
        pieces.push(Piece::Number(number));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_comes_after_nine() {
        let mut names = ["b.10.c", "b.9.c", "b.9.a10", "b.9.a9", "a", ""];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["", "a", "b.9.a9", "b.9.a10", "b.9.c", "b.10.c"]);
        assert_eq!(natural(&"9".repeat(40)), [Piece::Number(u64::MAX)]);
    }
}
