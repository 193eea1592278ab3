//! Numbers for people.

use thousands::Separable;

/// `12,345`.
pub fn grouped(number: u64) -> String {
    number.separate_with_commas()
}

/// `12,345 bytes`.
pub fn bytes(number: u64) -> String {
    format!("{} bytes", grouped(number))
}

/// `82.6 kB`: for where exact bytes stand elsewhere.
pub fn about(bytes: u64) -> String {
    match bytes {
        1_000_000.. => format!("{:.2} MB", bytes as f64 / 1e6),
        1_000.. => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{bytes} B"),
    }
}

/// `4.43 M`, `12.3 k` or `999`.
pub fn count(number: u64) -> String {
    match number {
        1_000_000_000.. => format!("{:.2} G", number as f64 / 1e9),
        1_000_000.. => format!("{:.2} M", number as f64 / 1e6),
        10_000.. => format!("{:.1} k", number as f64 / 1e3),
        _ => grouped(number),
    }
}

/// `86.21%`; a dash for what is no number.
pub fn percent(share: f64) -> String {
    match share.is_finite() {
        true => format!("{:.2}%", share * 100.0),
        false => "–".into(),
    }
}

/// A number with some digits; a dash for what is none.
pub fn number(value: f64, digits: usize) -> String {
    match value.is_finite() {
        true => format!("{value:.digits$}"),
        false => "–".into(),
    }
}

/// `1 h 02 m`, `3 m 05 s` or `4.2 s`.
pub fn time(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "–".into();
    }
    let whole = seconds.max(0.0) as u64;
    match whole {
        3600.. => format!("{} h {:02} m", whole / 3600, whole / 60 % 60),
        60.. => format!("{} m {:02} s", whole / 60, whole % 60),
        _ => format!("{:.1} s", seconds.max(0.0)),
    }
}

/// The text with what HTML does not allow, even escaped, replaced: control characters and those that
/// are none.
pub fn allowed(text: &str) -> String {
    let bad = |c: char| {
        let code = u32::from(c);
        (c.is_control() && c != '\n' && c != '\t')
            || (0xFDD0..=0xFDEF).contains(&code)
            || code & 0xFFFE == 0xFFFE
    };
    text.replace(bad, "\u{FFFD}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [999, 82_632, 1_500_000].map(about),
            ["999 B", "82.6 kB", "1.50 MB"]
        );
        assert_eq!(
            [9_999, 12_345, 4_430_000].map(count),
            ["9,999", "12.3 k", "4.43 M"]
        );
        assert_eq!([0.5, f64::NAN].map(percent), ["50.00%", "–"]);
        assert_eq!(
            [4.26, 185.0, 3725.0].map(time),
            ["4.3 s", "3 m 05 s", "1 h 02 m"]
        );
        assert_eq!(number(f64::INFINITY, 2), "–");
    }

    #[test]
    fn what_html_forbids_is_replaced() {
        assert_eq!(
            allowed("a\0b\u{1b}[c\u{85}\u{ffff}\nü"),
            "a\u{fffd}b\u{fffd}[c\u{fffd}\u{fffd}\nü"
        );
    }
}
