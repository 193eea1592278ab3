//! What a line says: in characters that the fonts have, cut with an ellipsis; numbers without `core::fmt`.

use heapless::String;

/// A line: at most 128 bytes; what does not fit is left out.
pub type Line = String<128>;

/// Stands for what has been cut off. Drawn as three dots in the width of a character.
pub const ELLIPSIS: char = '…';

/// `text` in at most `columns` characters that the fonts have; the last is an ellipsis if some are
/// left out.
pub fn cut(text: &str, columns: usize) -> Line {
    let mut line = Line::new();
    let shown = || text.chars().filter_map(printable);
    let kept = match shown().nth(columns) {
        None => columns,
        Some(_) => columns.saturating_sub(1),
    };
    shown()
        .take(kept)
        .for_each(|character| push(&mut line, character));
    if kept < columns {
        while line.ends_with(' ') {
            line.pop();
        }
        push(&mut line, ELLIPSIS);
    }
    line
}

/// Adds a character if there is room.
fn push(line: &mut Line, character: char) {
    // Lines hold more characters than displays have columns.
    let _ = line.push(character);
}

/// Adds a text as far as there is room.
pub fn push_str(line: &mut Line, text: &str) {
    text.chars().for_each(|character| push(line, character));
}

/// Adds a number in decimal, of at least `digits` digits.
pub fn push_number(line: &mut Line, mut value: u32, digits: u32) {
    let mut power = 1_000_000_000;
    let mut place = 10;
    let mut started = false;
    while power > 0 {
        let mut digit = b'0';
        while value >= power {
            value -= power;
            digit += 1;
        }
        started |= digit > b'0' || place <= digits;
        if started {
            push(line, char::from(digit));
        }
        power /= 10;
        place -= 1;
    }
}

/// What the letters from Ā to ſ are without their marks.
const EXTENDED: &[u8; 128] = b"AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGg\
    GgGgHhHhIiIiIiIiIiIiJjKkkLlLlLlLlLlNnNnNnnNnOoOo\
    OoOoRrRrRrSsSsSsSsTtTtTtUuUuUuUuUuUuWwYyYZzZzZzs";

/// The character, or the nearest that the fonts (ISO 8859-1) have; none for marks that stand on the
/// letter before.
fn printable(character: char) -> Option<char> {
    Some(match character {
        '\u{300}'..='\u{36f}' => return None,
        ' '..='~' | '\u{a1}'..='\u{ff}' | ELLIPSIS => character,
        'Ā'..='ſ' => {
            let letter = EXTENDED.get(character as usize - 'Ā' as usize);
            char::from(*letter.unwrap_or(&b'?'))
        }
        '\0'..='\u{a0}' => ' ',
        '‐'..='―' => '-',
        '‘'..='‛' => '\'',
        '“'..='‟' => '"',
        _ => '?',
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_at_so_many_characters_that_the_fonts_have() {
        let cases = [
            ("cat", 3, "cat"),
            ("cats", 3, "ca…"),
            ("cats", 1, "…"),
            ("cats", 0, ""),
            ("", 0, ""),
            ("a bc", 3, "a…"),
            ("Käfer", 5, "Käfer"),
            ("Łódź, Dvořák, Őr", 20, "Lódz, Dvorák, Or"),
            ("Ka\u{308}fer", 5, "Kafer"),
            ("“what’s—this”", 20, "\"what's-this\""),
            ("tab\tand\nline", 20, "tab and line"),
            ("猫 cat", 20, "? cat"),
        ];
        for (text, columns, expected) in cases {
            assert_eq!(
                cut(text, columns).as_str(),
                expected,
                "{text:?} in {columns}"
            );
        }
        assert_eq!(cut(&"é".repeat_to::<200>(), 200).len(), 128);
    }

    /// Texts longer than a line, with no heap.
    trait RepeatTo {
        fn repeat_to<const N: usize>(&self) -> String<N>;
    }

    impl RepeatTo for str {
        fn repeat_to<const N: usize>(&self) -> String<N> {
            let mut text = String::new();
            while text.push_str(self).is_ok() {}
            text
        }
    }

    #[test]
    fn every_letter_of_latin_extended_a_has_one_in_ascii() {
        for letter in 'Ā'..='ſ' {
            let plain = printable(letter);
            assert!(
                plain.is_some_and(|plain| plain.is_ascii_alphabetic()),
                "{letter}: {plain:?}"
            );
        }
        for (letter, plain) in [('Ā', 'A'), ('đ', 'd'), ('Ł', 'L'), ('ş', 's'), ('ž', 'z')] {
            assert_eq!(printable(letter), Some(plain), "{letter}");
        }
    }

    #[test]
    fn numbers_have_their_digits() {
        let cases = [
            (0, 1, "0"),
            (7, 2, "07"),
            (10, 1, "10"),
            (1_000_203, 1, "1000203"),
            (u32::MAX, 1, "4294967295"),
        ];
        for (value, digits, expected) in cases {
            let mut line = Line::new();
            push_number(&mut line, value, digits);
            assert_eq!(line.as_str(), expected);
        }
    }
}
