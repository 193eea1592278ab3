//! A classifier on a microcontroller: link, preprocessing, inference, display. No heap.
//!
//! - [`app`]: what a board does with a request, from the frame to the answer, over a small
//!   [`Board`](app::Board).
//! - [`ui`]: what its display shows. [`ssd0323`]: the driver of one display.
//! - [`plan`]: what a model and a board need of each other's memory; the build script asks it too.
//! - `model` (for Cortex-M): the model that was given to the build, and the app's memory for it.
//! - `boards` (for Cortex-M, with the feature of a board): registers, interrupts, start and faults.

#![no_std]

#[cfg(test)]
extern crate std;

pub mod app;
#[cfg(all(target_os = "none", feature = "bare"))]
#[path = "boards/bare.rs"]
mod bare;
#[cfg(all(target_os = "none", feature = "board"))]
pub mod boards;
#[cfg(all(target_os = "none", feature = "bare"))]
pub mod model;
pub mod plan;
pub mod ssd0323;
pub mod ui;
