//! A new migration must find its way into the next build even if no source file changed.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations/sqlite");
}
