//! The page's files, with their types and what they may do.

/// What the page may do: load its own files, and run WebAssembly. It can reach no other server.
/// `index.html` states the same, but for frames, for those who serve it themselves.
pub const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
    img-src 'self' blob:; media-src 'self' blob:; connect-src 'self'; worker-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page<'a> {
    /// Its media type.
    pub kind: &'static str,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// The page with an engine, and with a model if there is one to begin with.
#[derive(Clone, Debug)]
pub struct Site {
    engine: Vec<u8>,
    model: Option<Vec<u8>>,
}

/// The files that are the same for everyone: path, media type, bytes.
pub const FILES: [(&str, &str, &[u8]); 9] = [
    ("/", HTML, include_bytes!("../page/index.html")),
    (
        "/style.css",
        "text/css; charset=utf-8",
        include_bytes!("../page/style.css"),
    ),
    ("/page.js", SCRIPT, include_bytes!("../page/page.js")),
    ("/view.js", SCRIPT, include_bytes!("../page/view.js")),
    ("/engine.js", SCRIPT, include_bytes!("../page/engine.js")),
    ("/kiln.js", SCRIPT, include_bytes!("../page/kiln.js")),
    ("/worker.js", SCRIPT, include_bytes!("../page/worker.js")),
    ("/offline.js", SCRIPT, include_bytes!("../page/offline.js")),
    (
        "/icon.svg",
        "image/svg+xml",
        include_bytes!("../page/icon.svg"),
    ),
];

impl Site {
    /// A page with the engine that [`engine::build`](crate::engine::build) gives and the bytes of a
    /// `.kiln` file.
    pub const fn new(engine: Vec<u8>, model: Option<Vec<u8>>) -> Self {
        Self { engine, model }
    }

    /// What lies at a path, which begins with `/`.
    pub fn get(&self, path: &str) -> Option<Page<'_>> {
        match path {
            "/kiln.wasm" => Some(Page {
                kind: "application/wasm",
                bytes: &self.engine,
            }),
            "/model.kiln" => self.model.as_ref().map(|bytes| Page {
                kind: "application/octet-stream",
                bytes,
            }),
            "/index.html" => self.get("/"),
            _ => {
                let mut files = FILES.into_iter();
                let (_, kind, bytes) = files.find(|(name, ..)| *name == path)?;
                Some(Page { kind, bytes })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_lies_at_its_path_and_nothing_else_does() {
        let mut site = Site::new(vec![1], Some(vec![2, 3]));
        assert_eq!(site.get("/kiln.wasm").unwrap().bytes, [1]);
        assert_eq!(site.get("/model.kiln").unwrap().bytes, [2, 3]);
        assert_eq!(site.get("/index.html"), site.get("/"));
        assert_eq!(site.get("/").unwrap().kind, HTML);
        for path in ["", "/../Cargo.toml", "/page", "//", "/model.kiln/"] {
            assert_eq!(site.get(path), None, "{path}");
        }
        site.model = None;
        assert_eq!(site.get("/model.kiln"), None);
    }

    /// Whoever serves the page with another server has the same policy in the page itself.
    #[test]
    fn the_page_states_the_policy_too() {
        let html = String::from_utf8_lossy(FILES[0].2);
        // Which only a header can say.
        let policy = POLICY.replace("; frame-ancestors 'none'", "");
        assert!(html.contains(&format!("content=\"{policy}\"")), "{policy}");
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        for (path, _, bytes) in FILES {
            let text = String::from_utf8_lossy(bytes).replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("://"), "{path}");
        }
    }
}
