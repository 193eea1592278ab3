//! A classifier on a microcontroller: link, preprocessing, inference, display. No heap.

#![no_std]

pub mod ssd0323;
pub mod ui;
