//! The header in the tree is the one that cbindgen makes of the source.

use std::path::Path;

#[test]
fn the_header_is_what_cbindgen_makes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let builder = cbindgen::Builder::new().with_config(config);
    // By its file, so that no `cargo metadata` is needed; it finds the modules.
    let bindings = builder.with_src(root.join("src/lib.rs")).generate();
    let mut made = Vec::new();
    bindings.unwrap().write(&mut made);
    let path = root.join("include/kiln.h");
    if std::env::var_os("KILN_BLESS").is_some() {
        std::fs::write(&path, &made).expect("include/ can be written");
    }
    let found = std::fs::read(&path).unwrap_or_default();
    assert!(
        found == made,
        "{} is not that of the source: KILN_BLESS=1 cargo test -p kiln-capi --test header",
        path.display()
    );
}
