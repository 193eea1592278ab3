//! Kiln's engine for web pages: `web/page/kiln.js` is the other side.
//!
//! - [`session`]: a model, pictures, answers, maps. No `unsafe`; tested on the host.
//! - [`memory`]: room that grows and is used again.
//! - [`text`]: a short text for the page.
//! - `page`, on WebAssembly alone: what the page calls, and what is asked of the page.
//!
//! An instance takes one model; for another the page makes another instance. Build it with
//!
//! ```text
//! RUSTFLAGS=-Ctarget-feature=+simd128 cargo rustc -p kiln-wasm --crate-type cdylib \
//!     --target wasm32-unknown-unknown --profile web
//! ```

#![cfg_attr(target_arch = "wasm32", no_std)]
#![deny(unsafe_code)]

pub mod memory;
#[cfg(target_arch = "wasm32")]
mod page;
pub mod session;
pub mod text;
