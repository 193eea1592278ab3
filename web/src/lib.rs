//! The page: `kiln-core` as WebAssembly, a picture or the camera in, label and heat map out.
//!
//! - [`engine`]: builds the engine for the page, from Kiln's source tree.
//! - [`site`]: the page's files, with their types and what they may do.
//! - [`serve`](mod@serve): serves them on this machine.
//!
//! ```no_run
//! use kiln_web::{Server, Site, engine};
//!
//! let engine = engine::build(&mut || eprintln!("building the engine for the page"))?;
//! let model = std::fs::read("models/catsdogs-nano/model.wasm32.kiln")?;
//! let server = Server::bind(([127, 0, 0, 1], 8000).into(), Site::new(engine, Some(model)))?;
//! eprintln!("{}", server.url());
//! server.run();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod engine;
pub mod serve;
pub mod site;

pub use serve::{ServeError, Server};
pub use site::Site;
