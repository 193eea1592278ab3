//! What a board does with what comes over the line: idle → a frame arrives → preprocess → infer → show →
//! answer.
//!
//! Frames come from [`kiln_link::frame`]. A frame that cannot be read is answered with
//! [`CallError::Frame`] and number 0; the next one can. A request that comes
//! again, the same in every byte, is answered with the bytes of the first answer, and not done again.
//!
//! A picture is never held: its rows are preprocessed as they come, into the input's place in the arena, and on
//! a part of the arena that is free until the model runs.
//! An inference uses that up; another one needs another picture or tensor. So does a golden vector.
//!
//! Nothing here panics, whatever comes.

mod answers;
mod arena;
mod board;
mod infer;
mod input;
mod kept;

use kiln_core::Model;
use kiln_link::frame::{Decoder, message};
use kiln_link::{Answer, Call, CallError, Inferred, Reply, Request};

pub use board::Board;
use input::Input;
use kept::{Kept, refuse};

use crate::plan::Desk;
use crate::ui::{self, Heat, Screen};

/// The most bytes of a frame's content that a board takes, and keeps for an answer: all of a message.
#[derive(Debug)]
pub struct Line {
    decoder: Decoder,
    kept: Kept,
}

impl Line {
    /// A line on which nothing has come yet.
    pub const fn new() -> Self {
        Self {
            decoder: Decoder::new(),
            kept: Kept::new(),
        }
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

/// The app's memory, as [`Plan`](crate::plan::Plan) says.
#[derive(Debug)]
pub struct Buffers<'b> {
    /// What has come over the line, and what has gone.
    pub line: &'b mut Line,
    /// The model's arena, with the desk in it.
    pub arena: &'b mut [u8],
    /// `[layers]`: the ticks of each layer in the last inference.
    pub layers: &'b mut [u32],
}

/// A board with a model.
#[derive(Debug)]
pub struct App<'b, B: Board> {
    board: B,
    /// None if the bytes in flash are no longer a model.
    model: Option<Model<'b, B::Operators>>,
    checksum: u32,
    arena: &'b mut [u8],
    desk: Desk,
    layers: &'b mut [u32],
    input: Input,
    /// The last inference, if its logits are still in the arena.
    inferred: Option<Inferred>,
}

/// Serves until no byte will ever come: on a real board, for ever.
pub fn run<B: Board>(board: B, model_bytes: &[u8], buffers: Buffers<'_>) {
    arena::paint(buffers.arena);
    let model = Model::with_operators(model_bytes).ok();
    let desk = model.as_ref().map(|model| Desk::of(model, B::LARGEST));
    let mut app = App {
        board,
        model,
        checksum: answers::checksum(model_bytes),
        arena: buffers.arena,
        desk: desk.unwrap_or_default(),
        layers: buffers.layers,
        input: Input::NOTHING,
        inferred: None,
    };
    app.welcome();
    app.serve(buffers.line);
}

impl<B: Board> App<'_, B> {
    /// Serves until no byte will ever come.
    fn serve(&mut self, line: &mut Line) {
        let Line { decoder, kept } = line;
        loop {
            self.board.feed();
            let Some(byte) = self.board.receive() else {
                if self.board.wait() {
                    continue;
                }
                return;
            };
            let bytes = match decoder.feed(byte) {
                None => continue,
                Some(Err(error)) => {
                    refuse(&mut self.board, error);
                    continue;
                }
                Some(Ok(bytes)) => bytes,
            };
            if kept.is_for(bytes) {
                self.board.send(kept.frame());
                continue;
            }
            match message(bytes) {
                Err(error) => refuse(&mut self.board, error),
                Ok(Request { number, call }) => {
                    let result = self.answer(call);
                    kept.keep(bytes, &Reply { number, result });
                    self.board.send(kept.frame());
                }
            }
        }
    }

    fn answer(&mut self, call: Call<'_>) -> Result<Answer<'_>, CallError> {
        match call {
            Call::Hello => Ok(self.hello()),
            Call::Picture { width, height } => self.picture(width, height),
            Call::Tensor => self.tensor(),
            Call::Data { offset, bytes } => self.data(offset, bytes),
            Call::Infer => self.infer(),
            Call::Logits { offset } => self.logits(offset),
            Call::Label { class } => self.label(class),
            Call::Verify { vector } => self.verify(vector),
            Call::Profile { layer } => self.profile(layer),
            Call::Screen { offset } => Ok(answers::bytes(self.board.frame_bytes(), offset)),
            Call::Memory => Ok(self.memory()),
        }
    }

    /// The first screen.
    fn welcome(&mut self) {
        // The frame buffer and the text are both the board's.
        let mut text = heapless::String::<{ kiln_link::MAX_NAME }>::new();
        let _ = text.push_str(kiln_link::cut(self.board.last_fault().unwrap_or_default()));
        let board = B::NAME;
        let screen = match &self.model {
            None => Screen::Fault {
                title: "no model",
                text: "The model in flash has changed: write the firmware again.",
            },
            Some(_) if !text.is_empty() => Screen::Fault {
                title: "restarted",
                text: &text,
            },
            Some(model) => Screen::Waiting {
                board,
                model: model.name(),
            },
        };
        draw(&mut self.board, &screen, None);
    }
}

/// Draws a screen, with heat over its picture where there is some, and shows it.
#[inline(never)]
fn draw<B: Board>(board: &mut B, screen: &Screen<'_>, heat: Option<Heat<'_>>) {
    let frame = board.frame();
    let Ok(()) = ui::draw(screen, frame);
    if let Some(heat) = heat {
        let Ok(()) = ui::explain(&heat, frame);
    }
    board.show();
}
