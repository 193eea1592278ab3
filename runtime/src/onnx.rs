//! An ONNX file as a document: read and written whole, with Kiln's metadata in `metadata_props`.

mod external;
mod softmax;

use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as DimValue;
use tract_onnx::pb::type_proto::Value as TypeValue;
pub use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};
use tract_onnx::pb::{StringStringEntryProto, ValueInfoProto};

use crate::files::write_atomic;
use crate::recipe::RecipeText;

pub(crate) use softmax::{last_sigmoid, may_follow_softmax, without_softmax};

/// The largest ONNX file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// `metadata_props` key: class names in the order of the logits, a JSON list.
pub const LABELS: &str = "kiln.labels";
/// `metadata_props` key: the preprocessing recipe, a JSON object.
pub const RECIPE: &str = "kiln.recipe";
/// `metadata_props` key: `true` where the last of the output's values is no logit but says, from 0 on, that the
/// input is like those that the model is for.
pub const KNOWN: &str = "kiln.known";
/// `metadata_props` key: the scales that the network was trained with, a JSON list of
/// [`Scale`](crate::quantize::Scale).
pub const SCALES: &str = "kiln.scales";
/// `metadata_props` key: `NCHW` or `NHWC`, the input's order of axes.
pub const LAYOUT: &str = "kiln.layout";
/// `metadata_props` key: how the run drew its splits where the folder had none, a JSON object.
pub const SPLIT: &str = "kiln.split";
/// `metadata_props` key: the version of Kiln that wrote the file.
pub const VERSION: &str = "kiln.version";

/// An ONNX model in memory.
#[derive(Clone, Debug)]
pub struct OnnxFile {
    /// The document.
    pub proto: ModelProto,
    /// Where it was read from, for messages.
    pub path: PathBuf,
}

/// Why an ONNX file was not read, written or understood.
#[derive(Debug, Error)]
pub enum OnnxError {
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is larger than [`MAX_FILE_BYTES`].
    #[error("{path}: {bytes} bytes; an ONNX file may have at most {MAX_FILE_BYTES}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The bytes are not ONNX's protobuf.
    #[error("{path}: not an ONNX file ({cause}); it may be cut short: export it again")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        cause: String,
    },
    /// A weight lies in another file, which was not read.
    #[error(
        "{path}: the weight `{tensor}` is stored in another file: {cause}; \
         save the model with its weights inside"
    )]
    ExternalData {
        /// The file.
        path: PathBuf,
        /// The weight's name.
        tensor: String,
        /// Why not.
        cause: String,
    },
    /// A metadata entry is missing.
    #[error("{path}: no `{key}` in its metadata; use a model that `kiln export` wrote")]
    NoMetadata {
        /// The file.
        path: PathBuf,
        /// The key that was looked for.
        key: &'static str,
    },
    /// A metadata entry is there but broken.
    #[error("{path}: `{key}` in its metadata: {cause}")]
    Metadata {
        /// The file.
        path: PathBuf,
        /// The entry.
        key: &'static str,
        /// What is wrong with it.
        cause: String,
    },
    /// The graph has not one image input and one output.
    #[error("{path}: {what}; Kiln takes classifiers with one image input and one output of logits")]
    Signature {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
}

impl OnnxFile {
    /// Parses `bytes`; `path` is for messages. Weights in other files are refused.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self, OnnxError> {
        let file = Self::parse(bytes, path)?;
        let mut weights = file.graph()?.initializer.iter();
        if let Some(weight) = weights.find(|weight| !weight.external_data.is_empty()) {
            return Err(OnnxError::ExternalData {
                path: path.into(),
                tensor: weight.name.clone(),
                cause: "only the model's own bytes were given".into(),
            });
        }
        Ok(file)
    }

    fn parse(bytes: &[u8], path: &Path) -> Result<Self, OnnxError> {
        let path = path.to_owned();
        let malformed = |cause: &str| OnnxError::Malformed {
            path: path.clone(),
            cause: cause.into(),
        };
        let proto = ModelProto::decode(bytes).map_err(|error| malformed(&error.to_string()))?;
        if proto.graph.is_none() {
            return Err(malformed("no graph"));
        }
        Ok(Self { proto, path })
    }

    /// Reads a file of at most [`MAX_FILE_BYTES`], and weights that lie in files beside it.
    pub fn load(path: &Path) -> Result<Self, OnnxError> {
        let io = |source| OnnxError::Io {
            path: path.to_owned(),
            source,
        };
        let bytes = fs::metadata(path).map_err(io)?.len();
        if bytes > MAX_FILE_BYTES {
            let path = path.to_owned();
            return Err(OnnxError::TooLarge { path, bytes });
        }
        let mut file = Self::parse(&fs::read(path).map_err(io)?, path)?;
        external::read(file.graph_mut(), path).map_err(|(tensor, cause)| {
            let path = path.to_owned();
            OnnxError::ExternalData {
                path,
                tensor,
                cause,
            }
        })?;
        Ok(file)
    }

    /// Writes the file beside `path`, then renames it: `path` is never half a model.
    pub fn save(&self, path: &Path) -> Result<(), OnnxError> {
        let io = |source| OnnxError::Io {
            path: path.to_owned(),
            source,
        };
        write_atomic(path, &self.proto.encode_to_vec()).map_err(io)
    }

    /// The graph. [`OnnxFile::from_bytes`] refuses files that have none.
    pub fn graph_mut(&mut self) -> &mut GraphProto {
        self.proto.graph.get_or_insert_default()
    }

    fn graph(&self) -> Result<&GraphProto, OnnxError> {
        let none = || self.signature("no graph");
        self.proto.graph.as_ref().ok_or_else(none)
    }

    fn signature(&self, what: impl Into<String>) -> OnnxError {
        OnnxError::Signature {
            path: self.path.clone(),
            what: what.into(),
        }
    }

    /// The input's name and axes. The batch axis counts as 1 where it has no fixed size.
    ///
    /// # Errors
    /// Where there is not exactly one input, or an axis other than the first is not fixed.
    pub fn input(&self) -> Result<(String, Vec<usize>), OnnxError> {
        let graph = self.graph()?;
        let is_weight = |name: &str| graph.initializer.iter().any(|weight| weight.name == name);
        let inputs: Vec<_> = graph.input.iter().filter(|i| !is_weight(&i.name)).collect();
        let &[input] = &inputs[..] else {
            let names: Vec<_> = inputs.iter().map(|input| &input.name[..]).collect();
            return Err(self.signature(format!(
                "it has {} inputs, {}: where some are constants of the model, an exporter lost their \
                 values (docs/bring-a-model.md says how to export Keras' models)",
                names.len(),
                names.join(", ")
            )));
        };
        let open = || {
            let name = &input.name;
            self.signature(format!(
                "its input `{name}` has sizes that are not fixed; export it with fixed rows and columns"
            ))
        };
        let shape = shape(input).ok_or_else(open)?;
        Ok((input.name.clone(), shape))
    }

    /// That there is one output.
    ///
    /// # Errors
    /// Where there is none, or another one.
    pub fn one_output(&self) -> Result<(), OnnxError> {
        let outputs = &self.graph()?.output;
        let names: Vec<_> = outputs.iter().map(|output| &output.name[..]).collect();
        match names[..] {
            [_] => Ok(()),
            _ => Err(self.signature(format!("it has the outputs {names:?}; leave one"))),
        }
    }

    /// The type of the input's values, as the file numbers types; that of floats where it does not say.
    pub fn input_type(&self) -> Result<DataType, OnnxError> {
        let (name, _) = self.input()?;
        let inputs = self.graph()?.input.iter();
        let mut types = inputs.filter(|input| input.name == name).map(elem_type);
        Ok(types.next().flatten().unwrap_or(DataType::Float))
    }

    /// Sets one entry of the metadata.
    pub fn set(&mut self, key: &str, value: &str) {
        self.proto.metadata_props.retain(|entry| entry.key != key);
        self.proto.metadata_props.push(StringStringEntryProto {
            key: key.into(),
            value: value.into(),
        });
    }

    /// Sets one entry of the metadata to `value` as JSON.
    pub fn set_json(&mut self, key: &str, value: &(impl Serialize + ?Sized)) {
        // Strings, numbers and lists of them: nothing that JSON cannot hold.
        self.set(key, &serde_json::to_string(value).unwrap_or_default());
    }

    /// One entry of the metadata.
    pub fn get(&self, key: &'static str) -> Result<&str, OnnxError> {
        let mut entries = self.proto.metadata_props.iter();
        let found = entries.find(|entry| entry.key == key);
        let none = || OnnxError::NoMetadata {
            path: self.path.clone(),
            key,
        };
        found.map(|entry| &entry.value[..]).ok_or_else(none)
    }

    /// One entry of the metadata, read as JSON.
    pub fn get_json<T: DeserializeOwned>(&self, key: &'static str) -> Result<T, OnnxError> {
        serde_json::from_str(self.get(key)?).map_err(|error| OnnxError::Metadata {
            path: self.path.clone(),
            key,
            cause: error.to_string(),
        })
    }

    /// Class names in the order of the logits.
    pub fn labels(&self) -> Result<Vec<String>, OnnxError> {
        self.get_json(LABELS)
    }

    /// The preprocessing recipe.
    pub fn recipe(&self) -> Result<RecipeText, OnnxError> {
        self.get_json(RECIPE)
    }
}

/// What a value is made of, where the file says.
fn elem_type(value: &ValueInfoProto) -> Option<DataType> {
    let TypeValue::TensorType(tensor) = value.r#type.as_ref()?.value.as_ref()?;
    DataType::try_from(tensor.elem_type).ok()
}

/// Axes of an input or output; the first may be symbolic and is 1 then.
fn shape(value: &ValueInfoProto) -> Option<Vec<usize>> {
    let TypeValue::TensorType(tensor) = value.r#type.as_ref()?.value.as_ref()?;
    let dims = tensor.shape.as_ref()?.dim.iter().enumerate();
    dims.map(|(axis, dim)| match dim.value.as_ref() {
        Some(DimValue::DimValue(size)) if *size > 0 => usize::try_from(*size).ok(),
        _ if axis == 0 => Some(1),
        _ => None,
    })
    .collect()
}

/// A scalar f32 weight.
pub fn scalar(name: &str, value: f32) -> TensorProto {
    TensorProto {
        name: name.into(),
        data_type: DataType::Float as i32,
        raw_data: value.to_le_bytes().to_vec(),
        ..Default::default()
    }
}
