//! Whether a file has its end: the decoders of these formats make do with what is left.

/// Whether a JPEG's end marker follows its first scan.
pub(crate) fn jpeg_has_end(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xDA;
    let mut at = 2;
    while let Some(rest) = bytes.get(at..) {
        match *rest {
            // Fill bytes, and markers that have no length.
            [0xFF, 0xFF, ..] => at += 1,
            [0xFF, 0x01 | 0xD0..=0xD8, ..] => at += 2,
            [0xFF, START_OF_SCAN, ..] => return has_end_marker(rest),
            // Thumbnails inside these segments have end markers of their own.
            [0xFF, _, high, low, ..] => at += 2 + usize::from(u16::from_be_bytes([high, low])),
            // No marker where one belongs: let the decoder say it.
            _ => return has_end_marker(rest),
        }
    }
    false
}

fn has_end_marker(bytes: &[u8]) -> bool {
    const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];
    bytes.windows(2).any(|pair| pair == END_OF_IMAGE)
}

/// Whether a WebP file is as long as its RIFF header says.
pub(crate) fn webp_has_end(bytes: &[u8]) -> bool {
    match bytes {
        [_, _, _, _, a, b, c, d, rest @ ..] => {
            rest.len() as u64 >= u64::from(u32::from_le_bytes([*a, *b, *c, *d]))
        }
        _ => false,
    }
}
