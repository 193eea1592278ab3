//! A whole file from its parts.

use super::{
    CONSTANTS_ALIGN, FormatError, Golden, Header, LayerRecord, Problem, SECTION_ALIGN, Target,
    emit_recipe, emit_tensor, emit_text,
};
use crate::crc::Crc32;
use crate::preprocess::Recipe;
use crate::tensor::Tensor;

/// What a file is made of. Whether it is a model is for [`Model::new`](crate::Model::new) to say.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// What it is laid out for.
    pub target: Target,
    /// Bytes of arena that an inference takes.
    pub arena: u32,
    /// The model's name.
    pub name: &'a str,
    /// Activations.
    pub tensors: &'a [Tensor],
    /// The tensor that the model takes.
    pub input: u16,
    /// Its scale.
    pub input_scale: f32,
    /// The tensor that the model gives.
    pub output: u16,
    /// Its scale.
    pub output_scale: f32,
    /// Layers with their names, in the order in which they run.
    pub layers: &'a [(&'a str, LayerRecord)],
    /// Class names in the order of the logits, or none.
    pub labels: &'a [&'a str],
    /// How a picture becomes an input.
    pub recipe: Option<Recipe>,
    /// With a recipe: `[channels][256]` i8, the input for a pixel's value. Else empty.
    pub input_table: &'a [u8],
    /// Golden vectors.
    pub golden: &'a [Golden<'a>],
    /// Weights, biases, multipliers, tables. Starts at a multiple of [`CONSTANTS_ALIGN`].
    pub constants: &'a [u8],
}

/// Takes the file's bytes from the front to the back, and counts them.
struct Sink<'s> {
    put: &'s mut dyn FnMut(&[u8]),
    len: usize,
}

impl Sink<'_> {
    fn put(&mut self, bytes: &[u8]) {
        (self.put)(bytes);
        self.len = self.len.saturating_add(bytes.len());
    }

    /// Zeros up to a multiple of `align`, which is at most [`CONSTANTS_ALIGN`].
    fn align(&mut self, align: usize) {
        let zeros = [0; CONSTANTS_ALIGN];
        let len = self.len.next_multiple_of(align) - self.len;
        self.put(zeros.get(..len).unwrap_or_default());
    }
}

impl File<'_> {
    /// Hands the file's bytes to `put`, from the front to the back.
    ///
    /// # Errors
    ///
    /// [`Problem::Limit`] where something is more than the format holds; nothing was put then.
    pub fn emit(&self, put: &mut dyn FnMut(&[u8])) -> Result<(), FormatError> {
        let mut header = self.header()?;
        let (before, after) = (Header::CHECKSUM_AT, Header::CHECKSUM_AT + 4);
        let mut crc = Crc32::new();
        let bytes = header.emit();
        crc.update(&bytes[..before]);
        crc.update(&bytes[after..]);
        self.sections(&mut |bytes| crc.update(bytes), &mut [0; 8])?;
        header.checksum = crc.finish();
        put(&header.emit());
        self.sections(put, &mut [0; 8])
    }

    /// All but the checksum.
    fn header(&self) -> Result<Header, FormatError> {
        let limit = FormatError {
            offset: 0,
            problem: Problem::Limit,
        };
        let count = |len: usize| u16::try_from(len).map_err(|_| limit);
        count(self.tensors.len())?;
        let mut lens = [0; 8];
        self.sections(&mut |_| {}, &mut lens)?;
        let header = Header {
            checksum: 0,
            target: self.target,
            arena: self.arena,
            input: self.input,
            output: self.output,
            input_scale: self.input_scale,
            output_scale: self.output_scale,
            layers: count(self.layers.len())?,
            labels: count(self.labels.len())?,
            lens,
        };
        match header.file_len() {
            Some(0..=0x7fff_ffff) => Ok(header),
            _ => Err(limit),
        }
    }

    /// Puts the sections, and says how long each is.
    fn sections(&self, put: &mut dyn FnMut(&[u8]), lens: &mut [u32; 8]) -> Result<(), FormatError> {
        let mut sink = Sink {
            put,
            len: Header::LEN,
        };
        for (index, len) in lens.iter_mut().enumerate() {
            sink.align(match index {
                7 => CONSTANTS_ALIGN,
                _ => SECTION_ALIGN,
            });
            let start = sink.len;
            self.section(index, &mut sink)?;
            *len = u32::try_from(sink.len - start).unwrap_or(u32::MAX);
        }
        Ok(())
    }

    fn section(&self, index: usize, sink: &mut Sink<'_>) -> Result<(), FormatError> {
        let text = |sink: &mut Sink<'_>, text: &str| {
            sink.put(&emit_text(text)?);
            sink.put(text.as_bytes());
            Ok(())
        };
        match index {
            0 => {
                for tensor in self.tensors {
                    sink.put(&emit_tensor(tensor)?);
                }
            }
            1 => {
                for (_, record) in self.layers {
                    let (bytes, len) = record.emit();
                    sink.put(bytes.get(..len).unwrap_or_default());
                }
            }
            2 => {
                text(sink, self.name)?;
                for (name, _) in self.layers {
                    text(sink, name)?;
                }
            }
            3 => {
                for label in self.labels {
                    text(sink, label)?;
                }
            }
            4 => {
                if let Some(recipe) = &self.recipe {
                    sink.put(&emit_recipe(recipe));
                }
            }
            5 => sink.put(self.input_table),
            6 => {
                for golden in self.golden {
                    for part in [&golden.seed.to_le_bytes(), golden.sums, golden.logits] {
                        sink.put(part);
                    }
                    sink.align(4);
                }
            }
            _ => sink.put(self.constants),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::format::{ResizeRecord, Section, View};
    use crate::tensor::Shape;

    const EMPTY: File<'_> = File {
        target: Target::Wasm32,
        arena: 9,
        name: "x",
        tensors: &[],
        input: 0,
        input_scale: 1.0,
        output: 0,
        output_scale: 1.0,
        layers: &[],
        labels: &[],
        recipe: None,
        input_table: &[],
        golden: &[],
        constants: &[],
    };

    fn emit(file: &File<'_>) -> Result<Vec<u8>, FormatError> {
        let mut bytes = Vec::new();
        file.emit(&mut |part| bytes.extend_from_slice(part))?;
        Ok(bytes)
    }

    #[test]
    fn sections_lie_where_the_header_says() {
        let record = ResizeRecord {
            input: 1,
            output: 2,
            factors: [3, 4],
        };
        let record = LayerRecord::Resize(record);
        let file = File {
            tensors: &[Tensor::default(); 2],
            layers: &[("up", record)],
            labels: &["yes", "no"],
            input_table: &[5; 20],
            golden: &[Golden {
                seed: 0x03_0201,
                sums: &[4; 4],
                logits: &[6, 7],
            }; 2],
            constants: &[8; 33],
            ..EMPTY
        };
        let bytes = emit(&file).unwrap();
        let view = View::new(&bytes).unwrap();
        let layer = [6, 0, 0, 0, 1, 0, 2, 0, 3, 0, 0, 0, 4, 0, 0, 0];
        let cases = [
            (Section::Tensors, 80, &[0; 32][..]),
            (Section::Layers, 112, &layer),
            (Section::Names, 128, b"\x01\0x\x02\0up"),
            (Section::Labels, 144, b"\x03\0yes\x02\0no"),
            (Section::Recipe, 160, &[]),
            (Section::InputTable, 160, &[5; 20]),
            (
                Section::Golden,
                192,
                &[
                    1, 2, 3, 0, 4, 4, 4, 4, 6, 7, 0, 0, 1, 2, 3, 0, 4, 4, 4, 4, 6, 7, 0, 0,
                ],
            ),
            (Section::Constants, 256, &[8; 33]),
        ];
        for (section, start, expected) in cases {
            assert_eq!(view.header().span(section).start, start, "{section:?}");
            assert_eq!(view.section(section), expected, "{section:?}");
        }
        assert_eq!(bytes.len(), 289);
        let sum = crate::crc::crc32(&[&bytes[..12], &bytes[16..]].concat());
        assert_eq!(bytes[12..16], sum.to_le_bytes());
    }

    #[test]
    fn what_the_format_cannot_hold_is_refused() {
        let many = vec![Tensor::default(); 65536];
        let labels = vec!["x"; 65536];
        let long = String::from_utf8(vec![b'x'; 65536]).unwrap();
        let mut wide = [Tensor::default()];
        wide[0].shape = Shape::vector(1 << 24);
        let tensors = |tensors| File { tensors, ..EMPTY };
        let files = [
            tensors(&many),
            tensors(&wide),
            File {
                labels: &labels,
                ..EMPTY
            },
            File {
                labels: &[&long],
                ..EMPTY
            },
            File {
                name: &long,
                ..EMPTY
            },
        ];
        for file in files {
            assert_eq!(emit(&file).unwrap_err().problem, Problem::Limit);
        }
        assert!(emit(&tensors(&many[1..])).is_ok());
        assert!(
            emit(&File {
                labels: &labels[1..],
                name: &long[1..],
                ..EMPTY
            })
            .is_ok()
        );
    }
}
