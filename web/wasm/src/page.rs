//! What the page calls, and what is asked of the page. The only `unsafe` of the crate: WebAssembly's
//! memory, its one thread, and names that the page can see.
//!
//! Functions that can fail give 1, or 0 and then the reason as a text.

#![allow(unsafe_code)]

use core::arch::wasm32::memory_grow;
use core::cell::RefCell;
use core::mem::size_of;
use core::panic::PanicInfo;
use core::slice;

use kiln_core::preprocess::Placement;

use crate::memory::Source;
use crate::session::{Session, SessionError, macs};
use crate::text::Text;

// What is asked of the page while it waits for a call. All pointers are good for as many bytes as are
// asked for, until the page's function returns.
unsafe extern "C" {
    /// Writes the model's file: `len` bytes.
    safe fn read_file(at: *mut u8, len: usize);
    /// Writes RGBA of `rows` rows of the picture from row `first` on.
    safe fn read_rows(at: *mut u8, first: u32, rows: u32);
    /// Says that the engine has panicked, which it does not: no build of it has this import.
    safe fn panicked() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    panicked()
}

const PAGE: usize = 1 << 16;

/// The instance's memory, which grows by pages.
#[derive(Debug)]
struct Pages;

impl Pages {
    /// Zeros that fill whole pages.
    fn take(bytes: usize) -> Option<*mut u8> {
        let pages = bytes.div_ceil(PAGE);
        let page = memory_grow::<0>(pages);
        // Of 32 bits, all ones say that there is no more.
        let at = page.checked_mul(PAGE).filter(|_| page != usize::MAX)?;
        Some(core::ptr::with_exposed_provenance_mut(at))
    }
}

impl Source for Pages {
    fn bytes(len: usize) -> Option<&'static mut [u8]> {
        let at = Self::take(len)?;
        // SAFETY: `len` bytes of pages that are new: zeros that nobody else refers to and that stay.
        Some(unsafe { slice::from_raw_parts_mut(at, len) })
    }

    fn words(len: usize) -> Option<&'static mut [i32]> {
        let at = Self::take(len.checked_mul(size_of::<i32>())?)?;
        // SAFETY: as above; a page begins at a multiple of 4, and zeros are words.
        Some(unsafe { slice::from_raw_parts_mut(at.cast(), len) })
    }
}

/// All that an instance holds.
struct State {
    session: Session<Pages>,
    text: Text,
    /// The colours of a heat map.
    colours: [[u8; 3]; 256],
}

struct Single(RefCell<State>);

// SAFETY: the module's memory is not shared, so that it has one thread.
unsafe impl Sync for Single {}

static STATE: Single = Single(RefCell::new(State {
    session: Session::new(),
    text: Text::new(),
    colours: [[0; 3]; 256],
}));

/// Works with the state; `T::default()` if the page calls from within a call.
fn with<T: Default>(work: impl FnOnce(&mut State) -> T) -> T {
    match STATE.0.try_borrow_mut() {
        Ok(mut state) => work(&mut state),
        Err(_) => T::default(),
    }
}

/// 1, or 0 with the reason as the text.
fn attempt(work: impl FnOnce(&mut Session<Pages>) -> Result<(), SessionError>) -> u32 {
    with(|state| match work(&mut state.session) {
        Ok(()) => 1,
        Err(error) => {
            state.text.set(error);
            0
        }
    })
}

/// A number of the model; 0 where there is none.
fn of_model(number: impl FnOnce(&kiln_core::Model<'static>) -> f64) -> f64 {
    with(|state| state.session.model().map_or(0.0, number))
}

#[unsafe(no_mangle)]
extern "C" fn load(len: usize) -> u32 {
    attempt(|session| session.load(len, |bytes| read_file(bytes.as_mut_ptr(), bytes.len())))
}

#[unsafe(no_mangle)]
extern "C" fn prepare(width: u32, height: u32) -> u32 {
    attempt(|session| {
        session.prepare(width, height, |strip, first| {
            let rows = strip.len() / (width as usize).saturating_mul(4).max(1);
            read_rows(strip.as_mut_ptr(), first, rows as u32);
        })
    })
}

#[unsafe(no_mangle)]
extern "C" fn infer() -> u32 {
    attempt(Session::infer)
}

#[unsafe(no_mangle)]
extern "C" fn map(class: usize) -> u32 {
    attempt(|session| session.map(class).map(|_| ()))
}

/// Where the map lies that was made last: i32, `map_rows() * map_columns()` of them.
#[unsafe(no_mangle)]
extern "C" fn map_at(class: usize) -> usize {
    with(|state| {
        state
            .session
            .map(class)
            .map_or(0, |map| map.as_ptr().addr())
    })
}

#[unsafe(no_mangle)]
extern "C" fn map_rows() -> u32 {
    with(|state| state.session.map_size()[0])
}

#[unsafe(no_mangle)]
extern "C" fn map_columns() -> u32 {
    with(|state| state.session.map_size()[1])
}

/// Begins the occlusion map of a class.
#[unsafe(no_mangle)]
extern "C" fn occlude(class: usize) -> u32 {
    attempt(|session| session.occlude(class))
}

/// Runs the model with the next square of it.
#[unsafe(no_mangle)]
extern "C" fn occlude_next() -> u32 {
    attempt(Session::occlude_next)
}

/// Squares that it takes.
#[unsafe(no_mangle)]
extern "C" fn squares() -> usize {
    with(|state| state.session.squares()[1])
}

/// Where the occlusion map lies: f32, `input_rows() * input_columns()` of them; 0 if squares are left.
#[unsafe(no_mangle)]
extern "C" fn occlusion_at() -> usize {
    with(|state| {
        let map = state.session.occlusion();
        map.map_or(0, |map| map.as_ptr().addr())
    })
}

/// Where the logits lie: i8, `classes()` of them.
#[unsafe(no_mangle)]
extern "C" fn logits_at() -> usize {
    with(|state| state.session.logits().as_ptr().addr())
}

#[unsafe(no_mangle)]
extern "C" fn logits_len() -> usize {
    with(|state| state.session.logits().len())
}

/// The class of that rank.
#[unsafe(no_mangle)]
extern "C" fn top_class(rank: usize) -> usize {
    with(|state| state.session.top().get(rank).map_or(0, |top| top.index))
}

#[unsafe(no_mangle)]
extern "C" fn top_probability(rank: usize) -> f32 {
    with(|state| {
        let top = state.session.top().get(rank);
        top.map_or(0.0, |top| top.probability)
    })
}

/// How probable it is that the picture is of no class; NaN if the model does not say.
#[unsafe(no_mangle)]
extern "C" fn unknown() -> f32 {
    with(|state| state.session.unknown().unwrap_or(f32::NAN))
}

/// Where the picture lies in the input: of the source, then of the target, x, y, width and height.
#[unsafe(no_mangle)]
extern "C" fn placement(index: usize) -> u32 {
    with(|state| {
        let Some(Placement { source, target }) = state.session.placement() else {
            return 0;
        };
        let [a, b] = [source, target].map(|rect| [rect.x, rect.y, rect.width, rect.height]);
        let mut numbers = a.into_iter().chain(b);
        numbers.nth(index).unwrap_or(0)
    })
}

#[unsafe(no_mangle)]
extern "C" fn classes() -> f64 {
    of_model(|model| model.classes() as f64)
}

#[unsafe(no_mangle)]
extern "C" fn labels() -> f64 {
    of_model(|model| model.label_count() as f64)
}

#[unsafe(no_mangle)]
extern "C" fn input_rows() -> f64 {
    of_model(|model| model.input().shape.height.into())
}

#[unsafe(no_mangle)]
extern "C" fn input_columns() -> f64 {
    of_model(|model| model.input().shape.width.into())
}

#[unsafe(no_mangle)]
extern "C" fn input_channels() -> f64 {
    of_model(|model| model.input().shape.channels.into())
}

#[unsafe(no_mangle)]
extern "C" fn arena_bytes() -> f64 {
    of_model(|model| model.arena_bytes() as f64)
}

#[unsafe(no_mangle)]
extern "C" fn macs_of_model() -> f64 {
    of_model(|model| macs(model) as f64)
}

/// Whether it takes pictures.
#[unsafe(no_mangle)]
extern "C" fn has_recipe() -> f64 {
    of_model(|model| u8::from(model.recipe().is_some()).into())
}

/// Where the text lies: UTF-8, `text_len()` bytes.
#[unsafe(no_mangle)]
extern "C" fn text_at() -> usize {
    with(|state| state.text.bytes().as_ptr().addr())
}

#[unsafe(no_mangle)]
extern "C" fn text_len() -> usize {
    with(|state| state.text.bytes().len())
}

/// Makes the model's name the text.
#[unsafe(no_mangle)]
extern "C" fn name() {
    with(|state| {
        let name = state.session.model().map_or("", kiln_core::Model::name);
        state.text.set(name);
    });
}

/// Makes the name of what the model was compiled for the text.
#[unsafe(no_mangle)]
extern "C" fn target() {
    with(|state| {
        let model = state.session.model();
        let target = model.map_or("", |model| model.target().name());
        state.text.set(target);
    });
}

/// Makes a class's name the text.
#[unsafe(no_mangle)]
extern "C" fn label(class: usize) {
    with(|state| {
        let label = state.session.model().and_then(|model| model.label(class));
        state.text.set(label.unwrap_or_default());
    });
}

/// Where the colours of heat maps lie: 256 times red, green and blue, from the least heat to the most.
#[unsafe(no_mangle)]
extern "C" fn colours_at() -> usize {
    with(|state| {
        for (value, colour) in state.colours.iter_mut().enumerate() {
            *colour = colorous::INFERNO.eval_rational(value, 256).as_array();
        }
        state.colours.as_ptr().addr()
    })
}
