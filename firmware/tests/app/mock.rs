//! A board of memory alone.

use embedded_graphics::framebuffer::{Framebuffer, buffer_size};
use embedded_graphics::pixelcolor::Gray4;
use embedded_graphics::pixelcolor::raw::{BigEndian, RawU4};
use kiln_core::Model;
use kiln_core::operators::Every;
use kiln_firmware::app::{Board, Buffers, Line, run};
use kiln_firmware::plan::Plan;
use kiln_link::{Display, Memory, PixelFormat};

pub const WIDTH: u16 = 128;
pub const HEIGHT: u16 = 64;
pub const LARGEST: [u16; 2] = [8, 9];

const BYTES: usize = buffer_size::<Gray4>(WIDTH as usize, HEIGHT as usize);
pub type Frame =
    Framebuffer<Gray4, RawU4, BigEndian, { WIDTH as usize }, { HEIGHT as usize }, BYTES>;

/// What the board says of its memory, where the program takes 5,000 bytes.
pub const MEMORY: Memory = Memory {
    stack_reserved: 100,
    stack_used: 50,
    arena_reserved: 0,
    arena_used: 0,
    statics: 300,
    ram: 1000,
    program: 0,
    model: 0,
};

/// What has come of a line.
#[derive(Default)]
pub struct Served {
    pub sent: Vec<u8>,
    pub frame: Vec<u8>,
    /// How often something was shown.
    pub shown: usize,
}

struct Mock<'l> {
    line: core::slice::Iter<'l, u8>,
    ticks: u32,
    frame: Box<Frame>,
    served: &'l mut Served,
    program: u32,
}

impl Board for Mock<'_> {
    type Operators = Every;
    type Frame = Frame;

    const NAME: &'static str = "mock";
    const LARGEST: [u16; 2] = LARGEST;
    const DISPLAY: Display = Display {
        width: WIDTH,
        height: HEIGHT,
        format: PixelFormat::Gray4,
    };
    const TICKS_PER_SECOND: u32 = 1000;
    const NANOSECONDS_PER_INSTRUCTION: u16 = 0;

    fn receive(&mut self) -> Option<u8> {
        self.line.next().copied()
    }

    fn wait(&mut self) -> bool {
        false
    }

    fn send(&mut self, bytes: &[u8]) {
        self.served.sent.extend_from_slice(bytes);
    }

    /// Wraps in the middle of everything.
    fn ticks(&mut self) -> u32 {
        self.ticks = self.ticks.wrapping_add(1);
        self.ticks
    }

    fn feed(&mut self) {}

    fn frame(&mut self) -> &mut Frame {
        &mut self.frame
    }

    fn frame_bytes(&self) -> &[u8] {
        self.frame.data()
    }

    fn show(&mut self) {
        self.served.shown += 1;
        self.served.frame = self.frame.data().to_vec();
    }

    fn last_fault(&self) -> Option<&str> {
        Some("it broke")
    }

    fn memory(&self) -> Memory {
        let program = self.program;
        Memory { program, ..MEMORY }
    }

    #[cfg(feature = "fault")]
    fn crash(&mut self, _: u16) {}
}

/// Serves what comes over a line, with a model or with what was one before a byte changed.
pub fn serve(model: &[u8], line: &[u8]) -> Served {
    let checked = Model::new(model).ok();
    let plan = checked.map(|model| Plan::of(&model, LARGEST));
    let [arena, layers] = plan.map_or([0; 2], |plan| [plan.arena, plan.layers]);
    let mut served = Served::default();
    let board = Mock {
        line: line.iter(),
        ticks: u32::MAX - 8,
        frame: Box::new(Frame::new()),
        served: &mut served,
        program: 5000 + model.len() as u32,
    };
    let buffers = Buffers {
        line: &mut Line::new(),
        arena: &mut vec![0; arena],
        layers: &mut vec![0; layers],
    };
    run(board, model, buffers);
    served
}

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end.max(1) as u64) as usize
    }
}
