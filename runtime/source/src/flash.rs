use object::read::Result;
use object::read::elf::{ElfFile32, ProgramHeader};
use object::{Endianness, elf};

/// Bytes that a program for a microcontroller puts into flash, of its ELF file.
///
/// # Errors
/// The file is none.
pub fn flash(program: &[u8]) -> Result<u64> {
    let file = ElfFile32::<Endianness>::parse(program)?;
    let endian = file.endian();
    let loaded = file
        .elf_program_headers()
        .iter()
        .filter(|header| header.p_type(endian) == elf::PT_LOAD);
    Ok(loaded
        .map(|header| u64::from(header.p_filesz(endian)))
        .sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program of segments: their types, bytes in the file, bytes in memory.
    fn program(segments: &[[u32; 3]]) -> Vec<u8> {
        let mut file = b"\x7fELF\x01\x01\x01".to_vec();
        file.resize(16, 0);
        let halves = |file: &mut Vec<u8>, values: &[u16]| {
            file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        };
        let words = |file: &mut Vec<u8>, values: &[u32]| {
            file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        };
        halves(&mut file, &[elf::ET_EXEC, elf::EM_ARM]);
        words(&mut file, &[1, 0, 52, 0, 0]);
        halves(&mut file, &[52, 32, segments.len() as u16, 40, 0, 0]);
        for &[kind, in_file, in_memory] in segments {
            words(&mut file, &[kind, 0, 0, 0, in_file, in_memory, 0, 4]);
        }
        file
    }

    #[test]
    fn flash_holds_what_is_loaded_and_no_zeros() {
        let code = [elf::PT_LOAD, 1000, 1000];
        let data = [elf::PT_LOAD, 24, 64];
        let zeros = [elf::PT_LOAD, 0, 4096];
        let note = [elf::PT_NOTE, 16, 16];
        assert_eq!(flash(&program(&[code, note, data, zeros])), Ok(1024));
        assert!(flash(b"KILN").is_err());
    }
}
