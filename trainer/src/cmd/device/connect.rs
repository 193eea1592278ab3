//! From what the command line says to a board that has answered.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use kiln_board::client::Patience;
use kiln_board::firmware::Source;
use kiln_board::port::BAUD;
use kiln_board::qemu::{Options, Qemu};
use kiln_board::{Address, Board, Emulated, Port};
use kiln_run::engine::LoadedModel;

use crate::cmd::model::file::{self, ModelFile};
use crate::cmd::ui;
use crate::inference::Foreign;

/// Which board, and with which model.
#[derive(Clone, Debug, Default, Args)]
pub struct Link {
    /// The board, for those who name it so.
    #[arg(long, value_name = "PORT")]
    pub port: Option<Address>,
    /// The model. An emulated board gets it: a .kiln file, or a quantized ONNX file, which is compiled for its core
    /// [default: catsdogs-nano of the source tree]. For a real board: the .kiln file that it was built with.
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// A built program for the emulated board, in place of one that is built now.
    #[arg(long, value_name = "ELF")]
    pub firmware: Option<PathBuf>,
    /// Bits a second on a serial port.
    #[arg(long, default_value_t = BAUD)]
    pub baud: u32,
    /// What a model from elsewhere lacks.
    #[command(flatten)]
    pub foreign: Foreign,
}

/// A board that has answered.
pub struct Connected {
    pub board: Board,
    /// The model that it holds, where that is known here.
    pub model: Option<LoadedModel>,
}

impl Link {
    /// The board's address where it is all that is named.
    pub fn only(&self, positional: Option<&str>) -> anyhow::Result<Address> {
        match (self.port.clone(), positional) {
            (Some(_), Some(other)) => bail!("{other}: the board is named by --port already"),
            (Some(port), None) => Ok(port),
            (None, Some(text)) => text.parse().map_err(anyhow::Error::msg),
            (None, None) => bail!("no board is named: give a serial port, or qemu:BOARD"),
        }
    }

    /// The board's address, and what else is named: without --port, the first word is the board.
    pub fn first<'a>(&self, words: &'a [PathBuf]) -> anyhow::Result<(Address, &'a [PathBuf])> {
        match (&self.port, words) {
            (Some(port), words) => Ok((port.clone(), words)),
            (None, [first, rest @ ..]) => Ok((self.only(first.to_str())?, rest)),
            (None, []) => Ok((self.only(None)?, words)),
        }
    }

    /// Reaches the board; an emulated one is built and started first.
    pub fn connect(&self, address: &Address) -> anyhow::Result<Connected> {
        let connected = match address {
            Address::Qemu(board) => self.start(board),
            Address::Serial(path) => self.open(path),
        };
        connected.with_context(|| address.to_string())
    }

    fn start(&self, emulated: &'static Emulated) -> anyhow::Result<Connected> {
        let (elf, file) = match &self.firmware {
            Some(elf) => {
                let file = self.model.as_ref().map(|path| {
                    let foreign = &self.foreign;
                    ModelFile::open(path, foreign, emulated.target)
                });
                (elf.clone(), file.transpose()?)
            }
            None => {
                let source = Source::find()?;
                let path = match &self.model {
                    Some(path) => path.clone(),
                    None => file::default_path(source.root())?,
                };
                let file = ModelFile::open(&path, &self.foreign, emulated.target)?;
                let name = file.loaded.model().name();
                let mut building = || {
                    ui::say(format!(
                        "building the firmware of {} with {name}",
                        emulated.name
                    ));
                };
                let elf = source.program(emulated, &file.bytes, &mut building)?;
                (elf, Some(file))
            }
        };
        // QEMU's own message would name neither.
        fs::metadata(&elf).with_context(|| elf.display().to_string())?;
        let (qemu, port) = Qemu::start(emulated, &elf, &Options::default())?;
        let board = Board::greet(port, Some(qemu), Patience::default())?;
        Self::expecting(board, file)
    }

    fn open(&self, path: &str) -> anyhow::Result<Connected> {
        if self.firmware.is_some() {
            bail!("--firmware is for emulated boards; flash a real one with its own tool");
        }
        let file = match &self.model {
            Some(path) => Some(ModelFile::compiled(path)?),
            None => None,
        };
        let patience = Patience {
            quick: Duration::from_secs(1),
            ..Patience::default()
        };
        let board = Board::greet(Port::serial(path, self.baud)?, None, patience)?;
        Self::expecting(board, file)
    }

    fn expecting(board: Board, file: Option<ModelFile>) -> anyhow::Result<Connected> {
        if let Some(fault) = &board.about().last_fault {
            ui::say(format!(
                "kiln: the board has started anew after an error: {fault}"
            ));
        }
        let model = file.map(|file| file.loaded);
        if let Some(model) = &model {
            board.expect(model.model().checksum())?;
        }
        Ok(Connected { board, model })
    }
}
