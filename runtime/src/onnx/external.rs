//! Weights in files beside the model's, as `torch.onnx.export` writes them.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use super::{GraphProto, MAX_FILE_BYTES, TensorProto};

/// Reads weights that lie in other files into the graph, from the folder of the model alone.
///
/// # Errors
/// The weight's name, and why it was not read.
pub fn read(graph: &mut GraphProto, model: &Path) -> Result<(), (String, String)> {
    let folder = match model.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut left = MAX_FILE_BYTES;
    for tensor in &mut graph.initializer {
        if tensor.external_data.is_empty() {
            continue;
        }
        let data = data(tensor, folder, left).map_err(|cause| (tensor.name.clone(), cause))?;
        left -= data.len() as u64;
        tensor.raw_data = data;
        tensor.external_data.clear();
        tensor.data_location = None;
    }
    Ok(())
}

fn data(tensor: &TensorProto, folder: &Path, most: u64) -> Result<Vec<u8>, String> {
    let entry = |key: &str| {
        let mut entries = tensor.external_data.iter();
        entries
            .find(|entry| entry.key == key)
            .map(|entry| &entry.value[..])
    };
    let number = |key: &str| match entry(key) {
        None => Ok(None),
        Some(text) => text
            .parse::<u64>()
            .map(Some)
            .map_err(|_| format!("its {key} is {text:?}")),
    };
    let location = entry("location").ok_or("it has no location")?;
    let path = inside(folder, location)?;
    let io = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = File::open(&path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let offset = number("offset")?.unwrap_or(0);
    let rest = size
        .checked_sub(offset)
        .ok_or("it begins behind the file's end")?;
    let length = number("length")?.unwrap_or(rest);
    if length > rest {
        return Err(format!("{location} is too short: it may be cut off"));
    }
    if length > most {
        return Err(format!(
            "all weights together may have {MAX_FILE_BYTES} bytes"
        ));
    }
    file.seek(SeekFrom::Start(offset)).map_err(io)?;
    let mut data = vec![];
    file.take(length).read_to_end(&mut data).map_err(io)?;
    Ok(data)
}

/// A plain file in the folder; links that lead out of it are refused.
fn inside(folder: &Path, location: &str) -> Result<PathBuf, String> {
    let outside = || format!("{location} is outside of the model's folder");
    let mut components = Path::new(location).components();
    if !components.all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(outside());
    }
    let real = |path: &Path| fs::canonicalize(path).map_err(|error| format!("{location}: {error}"));
    let (folder, path) = (real(folder)?, real(&folder.join(location))?);
    if !path.starts_with(folder) {
        return Err(outside());
    }
    if !path.is_file() {
        return Err(format!("{location} is not a file"));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{ModelProto, OnnxError, OnnxFile};
    use prost::Message;
    use tract_onnx::pb::StringStringEntryProto;

    fn model(entries: &[(&str, &str)]) -> Vec<u8> {
        let entry = |(key, value): &(&str, &str)| StringStringEntryProto {
            key: (*key).into(),
            value: (*value).into(),
        };
        let tensor = TensorProto {
            name: "w".into(),
            dims: vec![2],
            data_type: 1,
            data_location: Some(1),
            external_data: entries.iter().map(entry).collect(),
            ..Default::default()
        };
        let graph = GraphProto {
            initializer: vec![tensor],
            ..Default::default()
        };
        let model = ModelProto {
            graph: Some(graph),
            ..Default::default()
        };
        model.encode_to_vec()
    }

    #[test]
    fn weights_beside_the_model_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("model");
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("w.data"), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]).unwrap();
        fs::write(folder.path().join("secret"), [0; 8]).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("../secret", inner.join("link")).unwrap();
        let path = inner.join("model.onnx");
        let load = |entries: &[(&str, &str)]| {
            fs::write(&path, model(entries)).unwrap();
            OnnxFile::load(&path)
        };
        let file = load(&[("location", "w.data"), ("offset", "2"), ("length", "8")]).unwrap();
        let tensor = &file.proto.graph.unwrap().initializer[0];
        assert_eq!(tensor.raw_data, [2, 3, 4, 5, 6, 7, 8, 9]);
        assert!(tensor.external_data.is_empty());
        let absolute = folder.path().join("secret");
        let cases = [
            (vec![("location", "../secret")], "outside"),
            (vec![("location", absolute.to_str().unwrap())], "outside"),
            (vec![("location", "none")], "none: "),
            (vec![("location", ".")], "not a file"),
            (vec![("location", "w.data"), ("offset", "11")], "behind"),
            (vec![("location", "w.data"), ("length", "11")], "too short"),
            (vec![("location", "w.data"), ("length", "-1")], "length"),
            (vec![("offset", "0")], "location"),
            #[cfg(unix)]
            (vec![("location", "link")], "outside"),
        ];
        for (entries, expected) in cases {
            let error = load(&entries).unwrap_err();
            assert!(matches!(error, OnnxError::ExternalData { .. }));
            assert!(error.to_string().contains(expected), "{error}");
        }
        let bytes = model(&[("location", "w.data")]);
        assert!(
            OnnxFile::from_bytes(&bytes, &path).is_err(),
            "bytes have no folder"
        );
    }
}
